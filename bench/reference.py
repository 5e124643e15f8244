"""A piece of work that has nothing to do with the gateway and is made of the same stuff.

What a request costs is told as a multiple of what this costs, so it must slow down as the gateway does when
the machine is slow: lines split and put into dictionaries, objects, strings, hashes, JSON, coroutines; spread
over enough code that a neighbour who empties the processor's caches hits both. Every change here moves every
figure: record the baseline anew.
"""

import base64
import hashlib
import hmac
import ipaddress
import json
import re
import time
import urllib.parse
import uuid
from collections import OrderedDict, deque
from collections.abc import Generator
from dataclasses import dataclass, field
from datetime import UTC, datetime

_LINES = (
    b"Host: api.example.com:8443\r\nUser-Agent: reference/1.0 (words; more words)\r\n"
    b"Accept: application/json;q=0.9, text/*;q=0.5, */*;q=0.1\r\n"
    b"X-Forwarded-For: 203.0.113.9, 2001:db8::17\r\n"
    b'Cookie: session=0123456789abcdef; theme=dark\r\nIf-None-Match: "abc", W/"def"\r\n\r\n'
)
_TARGET = "/orders/4711/items;v=2?sort=name&page=3&filter=a%20b&filter=c"
_NAME = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_ACCEPT = re.compile(r"\s*([\w*]+/[\w*]+)\s*(?:;\s*q=([\d.]+))?\s*(?:,|$)")
_KEY = b"k" * 32
_BODY = b"x" * 921


@dataclass(slots=True, kw_only=True)
class _Message:
    target: str
    fields: dict[bytes, list[bytes]] = field(default_factory=dict)
    weights: list[tuple[float, str]] = field(default_factory=list)
    query: dict[str, list[str]] = field(default_factory=dict)
    segments: tuple[str, ...] = ()


class _Bucket:
    __slots__ = ("at", "burst", "period")

    def __init__(self, period: int, burst: int) -> None:
        self.period, self.burst, self.at = period, burst, 0

    def wait(self, now: int) -> int:
        return max(0, max(self.at, now) - now - self.burst)

    def take(self, now: int) -> None:
        self.at = max(self.at, now) + self.period


class Reference:
    """The work, and the little that it remembers from one time to the next."""

    def __init__(self) -> None:
        self._buckets: OrderedDict[tuple[str, str], _Bucket] = OrderedDict()
        self._waiting: deque[Generator[None, bytes, int]] = deque()
        self._count = 0

    def work(self, times: int) -> int:
        """Do it so many times; return something of the result, so that nothing is idle."""
        total = 0
        for _ in range(times):
            message = self._read()
            claims = self._claims()
            verdict = self._count_down(message, claims)
            record = self._record(message, claims, verdict)
            total += len(record) + self._talk(record)
        return total

    def _read(self) -> _Message:
        message = _Message(target=_TARGET)
        for line in _LINES.split(b"\r\n")[:-2]:
            name, colon, value = line.partition(b":")
            if not colon or _NAME.fullmatch(name) is None:
                raise ValueError(line)
            message.fields.setdefault(name.lower(), []).append(value.strip())
        parts = urllib.parse.urlsplit(message.target)
        message.query = urllib.parse.parse_qs(parts.query)
        message.segments = tuple(map(urllib.parse.unquote, parts.path.split("/")))
        accept = message.fields[b"accept"][0].decode()
        message.weights = sorted(
            ((float(found[2] or 1), found[1]) for found in _ACCEPT.finditer(accept)), reverse=True
        )
        return message

    def _claims(self) -> dict[str, object]:
        self._count += 1
        now = int(time.time())
        plain = {
            "iss": "https://reference.example",
            "sub": f"usr_{self._count % 97}",
            "iat": now,
            "exp": now + 60,
        }
        body = base64.urlsafe_b64encode(json.dumps(plain).encode()).rstrip(b"=")
        signed = hmac.new(_KEY, body, hashlib.sha256).digest()
        padded = body + b"=" * (-len(body) % 4)
        claims: dict[str, object] = json.loads(base64.urlsafe_b64decode(padded))
        if not hmac.compare_digest(signed, hmac.digest(_KEY, body, "sha256")):
            raise ValueError(body)
        return claims

    def _count_down(self, message: _Message, claims: dict[str, object]) -> list[int]:
        now = time.monotonic_ns() // 1000
        address = ipaddress.ip_address(message.fields[b"x-forwarded-for"][0].split(b",")[0].decode())
        keys = [("a", str(address)), ("u", str(claims["sub"])), ("r", message.segments[1]), ("all", "")]
        buckets = []
        for key in keys:
            bucket = self._buckets.get(key)
            if bucket is None:
                bucket = self._buckets[key] = _Bucket(1, 1_000_000)
            else:
                self._buckets.move_to_end(key)
            buckets.append(bucket)
        waits = [bucket.wait(now) for bucket in buckets]
        if not any(waits):
            for bucket in buckets:
                bucket.take(now)
        return waits

    def _record(self, message: _Message, claims: dict[str, object], waits: list[int]) -> bytes:
        digest = hashlib.blake2b(_BODY, digest_size=16).digest()
        record = {
            "id": str(uuid.UUID(bytes=digest)),
            "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "subject": claims["sub"],
            "path": "/".join(message.segments),
            "query": {name: len(values) for name, values in message.query.items()},
            "fields": sorted(name.decode() for name in message.fields),
            "best": message.weights[0][1],
            "waits": waits,
        }
        return json.dumps(record, separators=(",", ":")).encode()

    def _talk(self, record: bytes) -> int:
        """Pass the record through generators that wait for it, as coroutines wait for bytes."""
        for size in (64, 128, 256):
            listener = self._listen(size)
            next(listener)
            self._waiting.append(listener)
        heard = 0
        while self._waiting:
            listener = self._waiting.popleft()
            try:
                listener.send(record)
            except StopIteration as ended:
                heard += ended.value
        return heard

    def _listen(self, size: int) -> Generator[None, bytes, int]:
        return len((yield from self._hear(size)))

    def _hear(self, size: int) -> Generator[None, bytes, bytes]:
        data = yield
        return b"".join((b"%x\r\n" % size, data[:size], b"\r\n"))
