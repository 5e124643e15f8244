"""What is noted of records, so that they are found again: times, requests, and who is named.

A glance at the places where the encoder puts things is enough for nearly all; any other record is read whole.
"""

import re
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from types import NoneType
from typing import Final, NamedTuple

import orjson

from gateway.ports import RecordRefused, Run

_HEAD: Final = struct.Struct("<9s27s16s36s1s")
"""How the encoder begins a record that belongs to a request: the time and the request's id are the two that
vary, and have one length."""
_CONSTANT: Final = (b'{"time":"', b'","request_id":"', b'"')
_ACTOR: Final = b',"actor":{'
_KNOWN: Final = 4096
"""Who asks, asks again: ends of records that need not be read another time."""
_MOMENT: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", re.ASCII)


class Actor(NamedTuple):
    """An actor, and what a record calls it."""

    id: str
    name: str = ""
    """Empty when the name is kept apart from the record."""
    commitment: str = ""
    """To what is kept apart, where the name may be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Notes:
    """What is noted of some records of one writer."""

    since: datetime
    until: datetime
    requests: Sequence[bytes]
    """As JSON has them, without the quotes."""
    actors: frozenset[Actor]


def taken(run: Run) -> Notes:
    """Return what is noted of a run's records. Raise `RecordRefused` when one of them is no audit record."""
    return _glance(run.bodies) or _read(run)


def _glance(bodies: Sequence[bytes]) -> Notes | None:
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
        # The actor comes last, with nothing behind it but commitments, so there are hardly more of these ends
        # than actors.
        ends = {body[body.rfind(_ACTOR) :] for body in bodies}
        actors = frozenset[Actor]().union(*map(_actors_at, ends))
        since, until = _moment(min(times).decode()), _moment(max(times).decode())
    except (struct.error, ValueError, KeyError, TypeError):
        return None
    return Notes(since=since, until=until, requests=requests, actors=actors)


def _read(run: Run) -> Notes:
    """Take notes of records by reading them whole. Raise `RecordRefused`."""
    times: list[datetime] = []
    requests: list[bytes] = []
    actors: set[Actor] = set()
    for seq, body in enumerate(run.bodies, run.first):
        try:
            record = orjson.loads(body)
            time, kind = _moment(record["time"]), record["kind"]
            actors |= _actors(record)
            request, *others = map(record.get, ("request_id", "decision", "route"))
            sound = type(kind) is str and {str, NoneType}.issuperset(map(type, (request, *others)))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            msg = f"record {seq} is not an audit record: {type(error).__name__}"
            raise RecordRefused(msg) from None
        if not sound:
            msg = f"record {seq} is not an audit record: a field is of the wrong kind"
            raise RecordRefused(msg)
        times.append(time)
        if request is not None:
            requests.append(orjson.dumps(request)[1:-1])
    return Notes(since=min(times), until=max(times), requests=requests, actors=frozenset(actors))


def _moment(text: str) -> datetime:
    """Return a record's time. Raise `ValueError`, `TypeError`: what has no time can be put under no day."""
    if _MOMENT.fullmatch(text) is None:
        raise ValueError
    return datetime.fromisoformat(text)


@lru_cache(_KNOWN)
def _actors_at(end: bytes) -> frozenset[Actor]:
    """Return who is named at the end of a record. Raise `TypeError`, `KeyError`, `ValueError`."""
    return frozenset[Actor]() if end == b"}" else frozenset(_actors(orjson.loads(b"{" + end[1:])))


def _actors(record: dict[str, object]) -> set[Actor]:
    """Return who is named in a record. Raise `TypeError`, `KeyError`."""
    actor, personal = record.get("actor"), record.get("personal")
    if not isinstance(personal, dict | NoneType) or not isinstance(actor, dict | NoneType):
        raise TypeError
    if actor is None or (actor_id := actor["id"]) is None:
        return set()
    if not isinstance(actor_id, str):
        raise TypeError
    name = actor.get("name")
    if isinstance(name, str):
        return {Actor(actor_id, name)}
    if not personal:
        return {Actor(actor_id)}
    # The one that has the name is seen when it is opened.
    return {Actor(actor_id, commitment=str(commitment)) for commitment in personal.values()}
