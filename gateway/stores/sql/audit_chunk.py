"""A chunk: records of one writer in one piece, and what is noted of them so that they are found again.

What is noted only says where to look. Whoever looks reads the records and compares, so the notes may say too
much, never too little.
"""

import hashlib
import re
import struct
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from types import NoneType
from typing import Final

import orjson

from gateway.ports import RecordRefused, Run

_AT_MOST: Final = 1024
"""Records in one chunk: what has to be read to see one of them."""
_LEVEL: Final = 1
_LONGEST: Final = 200
"""Characters of what is noted. PostgreSQL's index takes entries of up to 2704 bytes, and two of these."""

_HEAD: Final = struct.Struct("<9s27s16s36s1s")
"""How the encoder begins a record that belongs to a request: the time and the request's id are the two that
vary, and have one length."""
_CONSTANT: Final = (b'{"time":"', b'","request_id":"', b'"')
_TIME: Final = slice(9, 36)
_ACTOR: Final = b',"actor":{'

_NEAR: Final = timedelta(minutes=1)
"""How far from the end of its chunk a request may have begun, by its id, to be within the chunk's range of
ids. One that took longer is noted by itself, so that a long download does not widen the range."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)
_TIMED: Final = re.compile(r"([0-9a-f]{8})-([0-9a-f]{4})-.*", re.DOTALL)
_TIME_LENGTH: Final = len("2026-01-01T00:00:00.000000Z")

Actor = tuple[str, str]
"""Name and id."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """What is stored of some records."""

    first: int
    last: int
    since: str
    until: str
    """Times of the earliest and of the latest record."""
    first_request: str | None
    last_request: str | None
    """Range of the ids of requests, as JSON has them; None when all of them are among the terms."""
    terms: frozenset[str]
    """Ids of actors, and of the requests outside of the range; like all that is looked for, as `noted`."""
    actors: frozenset[Actor]
    records: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class _Notes:
    since: str
    until: str
    requests: Sequence[bytes]
    """As JSON has them, without the quotes."""
    ids: frozenset[str]
    actors: frozenset[Actor]


def chunks(run: Run) -> Iterator[Chunk]:
    """Give the records of a run as chunks. Raise `RecordRefused` when one of them is no audit record."""
    for start in range(0, len(run.bodies), _AT_MOST):
        yield _chunk(run.part(start, start + _AT_MOST))


def _chunk(run: Run) -> Chunk:
    notes = _glance(run.bodies) or _read(run)
    low, high = _range_at(notes.until)
    requests = notes.requests
    near, far = requests, frozenset[bytes]()
    if requests and not (low <= min(requests) and max(requests) < high):
        near = [request for request in requests if low <= request < high]
        far = frozenset(requests).difference(near)
    lengths = struct.pack(f"<{len(run.bodies)}I", *map(len, run.bodies))
    return Chunk(
        first=run.first,
        last=run.last,
        since=notes.since,
        until=notes.until,
        first_request=min(near).decode() if near else None,
        last_request=max(near).decode() if near else None,
        terms=frozenset(map(noted, notes.ids.union(request.decode() for request in far))),
        actors=frozenset((noted(name), noted(id_)) for name, id_ in notes.actors),
        # The interpreter's lock is free meanwhile, and what is written to disk twice is a tenth of the size.
        records=zlib.compress(b"".join((lengths, *run.bodies)), _LEVEL),
    )


def noted(text: str) -> str:
    """Return a text as it is noted and looked for: itself; when it is long, its beginning and its hash."""
    if len(text) <= _LONGEST:
        return text
    return text[: _LONGEST - 64] + hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def unshortened(text: str) -> str:
    """Return what the text surely begins with that was `noted` like this: all of it, unless it is long."""
    return text if len(text) < _LONGEST else text[: _LONGEST - 64]


def opened(records: bytes) -> bytes | None:
    """Return the text of a chunk's records, None when it was damaged where it is stored."""
    try:
        return zlib.decompress(records)
    except zlib.error:
        return None


def divided(data: bytes, count: int) -> list[bytes]:
    """Return the records in the text of a chunk."""
    found, end = [], 4 * count
    for length in struct.unpack_from(f"<{count}I", data):
        start, end = end, end + length
        found.append(data[start:end])
    return found


def time_of(body: bytes) -> str:
    """Return the time of a record, without reading all of it if possible; empty when it has none."""
    if body.startswith(_CONSTANT[0]) and body[_TIME.stop : _TIME.stop + 1] == b'"':
        return body[_TIME].decode("utf-8", "replace")
    try:
        fields = orjson.loads(body)
    except orjson.JSONDecodeError:
        return ""
    return str(fields.get("time", "")) if isinstance(fields, dict) else ""


def request_text(request: str) -> str:
    """Return a request's id as chunks have it."""
    return orjson.dumps(request)[1:-1].decode()


def until_of(request: str) -> tuple[str, str] | None:
    """Return between which `until` the chunks are that may have a request's id in their range; None: any."""
    match = _TIMED.fullmatch(request)
    if match is None:
        return None
    try:
        began = _EPOCH + int(match[1] + match[2], 16) * _MILLISECOND
        return _text(began - _NEAR), _text(began + _NEAR + _MILLISECOND)
    except OverflowError:
        return None


def _range_at(until: str) -> tuple[bytes, bytes]:
    """Return between which ids a chunk that ends at a time may have its range: from the first, below the
    second. Nothing is between two empty ones."""
    try:
        if len(until) != _TIME_LENGTH or until[-1] != "Z":
            return b"", b""
        end = datetime.fromisoformat(until)
        return _beginning(end - _NEAR), _beginning(end + _NEAR)
    except (ValueError, OverflowError):
        return b"", b""


def _beginning(moment: datetime) -> bytes:
    """Return how the ids of requests that come at a time begin."""
    milliseconds = (moment - _EPOCH) // _MILLISECOND
    if milliseconds < 0:
        raise OverflowError
    digits = f"{milliseconds:012x}"
    return f"{digits[:8]}-{digits[8:]}".encode()


def _text(moment: datetime) -> str:
    return moment.replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def _glance(bodies: Sequence[bytes]) -> _Notes | None:
    """Take notes of records by the places where the encoder puts things; None when they are elsewhere.

    A quote within a JSON string is escaped, so that nobody who is quoted in a record can imitate a member.
    """
    try:
        columns: Iterable[tuple[bytes, ...]] = zip(*map(_HEAD.unpack_from, bodies), strict=True)
        before, times, between, requests, behind = columns
        if (set(before), set(between), set(behind)) != tuple({one} for one in _CONSTANT):
            return None
        varying = b"".join((*times, *requests))
        if b'"' in varying or b"\\" in varying:
            return None
        # The actor comes last, so there are hardly more of these ends than actors.
        ends = {body[body.rfind(_ACTOR) :] for body in bodies}
        ids, actors = _named(orjson.loads(b"{" + end[1:])["actor"] for end in ends if end != b"}")
        since, until = min(times).decode(), max(times).decode()
    except (struct.error, ValueError, KeyError, TypeError):
        return None
    return _Notes(since=since, until=until, requests=requests, ids=ids, actors=actors)


def _read(run: Run) -> _Notes:
    """Take notes of records by reading them whole. Raise `RecordRefused`."""
    times: list[str] = []
    requests: list[bytes] = []
    who: list[object] = []
    for seq, body in enumerate(run.bodies, run.first):
        try:
            record = orjson.loads(body)
            texts = record["time"], record["kind"]
            actor = record.get("actor")
            _named([actor])
            others = tuple(map(record.get, ("request_id", "decision", "route")))
            sound = {str}.issuperset(map(type, texts)) and {str, NoneType}.issuperset(map(type, others))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            msg = f"record {seq} is not an audit record: {type(error).__name__}"
            raise RecordRefused(msg) from None
        if not sound:
            msg = f"record {seq} is not an audit record: a field is of the wrong kind"
            raise RecordRefused(msg)
        times.append(texts[0])
        who.append(actor)
        if others[0] is not None:
            requests.append(orjson.dumps(others[0])[1:-1])
    ids, actors = _named(who)
    return _Notes(since=min(times), until=max(times), requests=requests, ids=ids, actors=actors)


def _named(who: Iterable[object]) -> tuple[frozenset[str], frozenset[Actor]]:
    """Return the ids of actors, and the names that go with them. Raise `TypeError`, `KeyError`."""
    ids: set[str] = set()
    actors: set[Actor] = set()
    for actor in who:
        if actor is None:
            continue
        if not isinstance(actor, dict):
            raise TypeError
        actor_id, name = actor["id"], actor["name"]
        if actor_id is None:
            continue
        if not isinstance(actor_id, str):
            raise TypeError
        ids.add(actor_id)
        if isinstance(name, str):
            actors.add((name, actor_id))
    return frozenset(ids), frozenset(actors)
