"""One attack as data: the bytes, and the verdicts that are right for them."""

from collections.abc import Iterable
from dataclasses import dataclass, field

EVIL = b"ev1l"
"""What a client writes into fields that only the gateway may write: it never reaches an upstream's head."""
SECRET = b"c4nary"
"""Part of every made-up token, cookie and password: it never reaches a log, a record or a body."""
TOKEN = b"%TOKEN%"
"""Stands for an access token that is good."""
CLIENT = b"%CLIENT%"
"""Stands for an address that no other attack comes from."""
PAGE = b"https://app.example.com"
"""The only origin whose pages are listed."""
HOST = b"Host: localhost"
OK = frozenset({200})
BAD = frozenset({400})


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One attack. After its bytes comes a harmless request, which tells where the gateway thinks it ended."""

    group: str
    name: str
    data: bytes = field(repr=False)
    verdicts: tuple[frozenset[int], ...] = (BAD,)
    """For each request that is in the bytes, the statuses that are right."""
    ends: bool | None = True
    """Whether the connection ends with the last verdict, or goes on; None when both are right."""
    may_stop: bool = False
    """Whether the gateway may also end the connection after the first answer."""
    may_begin: bool = False
    """Whether an upstream may see the beginning of a request, because its head was flawless. Never its end."""
    hangs_up: bool = False
    """Whether the client says that nothing more comes, instead of sending the harmless request."""
    alone: bool = False
    """Whether nothing is sent behind it, because the client has asked for the connection to end."""
    to_head: bool = False
    """Whether the first request is a HEAD."""
    targets: tuple[bytes, ...] = ()
    """What upstreams may be asked for besides the targets that can be read in the bytes."""
    bodies: tuple[bytes, ...] | None = None
    """Bodies of the requests that upstreams must have got, in order."""
    has: tuple[bytes, ...] = ()
    """Lines that the head of the first upstream request must hold."""
    lacks: tuple[bytes, ...] = ()
    """Names, in lower case, that it must not hold."""
    tells: tuple[bytes, ...] = ()
    """Lines that the first answer must hold."""
    hides: tuple[bytes, ...] = ()
    """Names, in lower case, that it must not hold."""
    by_proxy: bool = False
    """Whether a trusted proxy sends it, for the client whose address is written as `CLIENT`."""
    way: str | None = None
    """The only way in which it is cut, when it is about that."""
    pause: float = 0.0
    """Seconds between two segments."""
    lasts: float = 0.0
    """Seconds for which the attack may go on before the verdict, because it is about slowness."""

    def __str__(self) -> str:
        return f"{self.group}: {self.name}"


def ask(
    target: bytes = b"/open/x",
    *lines: bytes,
    method: bytes = b"GET",
    version: bytes = b"HTTP/1.1",
    host: bytes | None = HOST,
    body: bytes = b"",
) -> bytes:
    """Return the bytes of a request; nothing is checked or added but the line ends."""
    first = [b"%b %b %b" % (method, target, version)]
    return b"\r\n".join([*first, *([] if host is None else [host]), *lines, b"", b""]) + body


def post(*lines: bytes, body: bytes = b"", target: bytes = b"/open/x", version: bytes = b"HTTP/1.1") -> bytes:
    """Return the bytes of a POST."""
    return ask(target, *lines, method=b"POST", body=body, version=version)


def statuses(*allowed: int) -> tuple[frozenset[int], ...]:
    """Return the verdicts of one request that may be answered in any of these ways."""
    return (frozenset(allowed),)


def names_twice(cases: Iterable[Case]) -> list[str]:
    """Return the names that more than one case has."""
    seen: set[str] = set()
    twice = []
    for case in cases:
        if str(case) in seen:
            twice.append(str(case))
        seen.add(str(case))
    return twice
