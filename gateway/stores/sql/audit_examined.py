"""One stored chunk, examined: whether its records are what its chain says, and its entries what they say."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import orjson

from gateway.crypto import link
from gateway.ports import Damage, RecordRefused, Run, Withheld
from gateway.stores.sql.audit_chunk import MARK_BYTES, Entries, Links, noted
from gateway.stores.sql.audit_notes import Actor, taken
from gateway.stores.sql.audit_personal import Part
from gateway.stores.sql.audit_stored import PERSONAL, StoredChunk, commitments, day_at

_ACTOR: Final = b',"actor":{'


class Row(NamedTuple):
    """All that is stored of a chunk."""

    chunk: StoredChunk
    first_request: str | None
    last_request: str | None
    chain: bytes | None


@dataclass(slots=True)
class Examined:
    """What a chunk holds, what is wrong with it, and what must be in other tables for its sake."""

    writer: str
    row: Row
    held: Run | Withheld | None = None
    damages: list[Damage] = field(default_factory=list)
    terms: frozenset[str] = frozenset()
    actors: frozenset[Actor] = frozenset()
    parts: dict[tuple[Part, str], tuple[int, int]] = field(default_factory=dict)
    """Where what is said of a person must be, and the person; the first and the last record that say it."""

    @property
    def place(self) -> str:
        """Name of the row."""
        return f"audit_chunks, key {self.row.chunk.key}"

    def damage(
        self,
        problem: str,
        *,
        first: int | None = None,
        last: int | None = None,
        place: str = "",
        head: bytes | None = None,
    ) -> None:
        """Note what is wrong with some records, or with all of them."""
        chunk = self.row.chunk
        self.damages.append(
            Damage(
                writer=self.writer,
                first=chunk.first if first is None else first,
                last=max(chunk.last, chunk.first) if last is None else last,
                place=place or self.place,
                problem=problem,
                head=head,
            )
        )

    def told(self) -> Iterator[Run | Withheld | Damage]:
        """Give what the chunk holds, and what is wrong with it."""
        if self.held is not None:
            yield self.held
        yield from self.damages


def examined(writer: str, row: Row, *, day: int | None, chained: bool) -> Examined:
    """Examine a chunk. `day`: that of the writer's chunk before, None when there is none; `chained`: whether
    there is one before that has a chain."""
    found, chunk = Examined(writer, row), row.chunk
    if chunk.is_withheld:
        _withheld(found, day)
        return found
    text = chunk.text()
    if text is None:
        found.damage("the records cannot be read")
        return found
    bodies = tuple(chunk.bodies(text))
    if row.chain is None and chained:
        found.damage("the chain through the records was removed")
        return found
    _chained(found, bodies)
    if not found.damages:
        _entries(found, bodies, day)
        _persons(found, bodies)
    return found


def _withheld(found: Examined, day: int | None) -> None:
    chunk, chain = found.row.chunk, found.row.chain
    links = None if chain is None else Links.unpacked(chain, 1)
    if chunk.first != chunk.last or links is None or links.marks[0] != links.head[:MARK_BYTES]:
        found.damage("the place of a record that was withheld was changed")
        return
    if day is not None and chunk.day != day:
        found.damage("the place of a record that was withheld is kept under a day that is not its own")
    found.held = Withheld(writer=found.writer, seq=chunk.first, before=links.before, head=links.head)


def _chained(found: Examined, bodies: tuple[bytes, ...]) -> None:
    """Follow the chain through the records, up to the first that is not what was written."""
    chunk, chain = found.row.chunk, found.row.chain
    if chain is None:
        # From before there was a chain: nothing shows what the records were.
        found.held = Run(
            writer=found.writer,
            first=chunk.first,
            bodies=bodies,
            before=b"",
            heads=(),
            personal=(b"",) * len(bodies),
        )
        return
    links = Links.unpacked(chain, len(bodies))
    if links is None:
        found.damage("the chain through the records was cut or made longer")
        return
    heads: list[bytes] = []
    head = links.before
    for number, (body, mark) in enumerate(zip(bodies, links.marks, strict=True), chunk.first):
        head = link(head, number, body)
        if not head.startswith(mark):
            break
        heads.append(head)
    count = len(heads)
    if count:
        found.held = Run(
            writer=found.writer,
            first=chunk.first,
            bodies=bodies[:count],
            before=links.before,
            heads=tuple(heads),
            personal=(b"",) * count,
        )
    if count < len(bodies):
        why = "the record was changed, or the chain through it"
        found.damage(why, first=chunk.first + count, head=links.head)
    elif head != links.head:
        found.damage("the chain's head after the record was changed", first=chunk.last)


def _entries(found: Examined, bodies: tuple[bytes, ...], day: int | None) -> None:
    """Compare what the chunk is found by with what its records say."""
    row, chunk = found.row, found.row.chunk
    run = Run(writer=found.writer, first=chunk.first, bodies=bodies, before=b"", heads=(), personal=())
    try:
        notes = taken(run)
    except RecordRefused:
        # None is shipped of which this can be said.
        found.damage("there is a record that is none")
        return
    expected = Entries.of(notes)
    if (chunk.since, chunk.until) != (expected.since, expected.until):
        found.damage("the times by which the chunk is found are not its records'")
    if (row.first_request, row.last_request) != (expected.first_request, expected.last_request):
        found.damage("the requests by which the chunk is found are not its records'")
    own = day_at(expected.until) or 0
    if chunk.day < own or (day is not None and chunk.day != max(day, own)):
        found.damage("the chunk is kept under a day that is not its own")
    found.terms, found.actors = expected.terms, notes.actors


def _persons(found: Examined, bodies: tuple[bytes, ...]) -> None:
    """Note where what the records say of persons must be."""
    ends: dict[bytes, Mapping[str, str]] = {}
    for number, body in enumerate(bodies, found.row.chunk.first):
        if PERSONAL not in body:
            continue
        # Hardly more records end differently than there are persons.
        end = body[max(body.rfind(_ACTOR), 0) :]
        if PERSONAL not in end:
            end = body
        stated = ends.get(end)
        if stated is None:
            stated = ends[end] = _stated(body)
        for subject, commitment in stated.items():
            key = Part(found.row.chunk.day, commitment), noted(subject)
            found.parts[key] = found.parts.get(key, (number, number))[0], number


def _stated(body: bytes) -> Mapping[str, str]:
    try:
        fields = orjson.loads(body)
    except orjson.JSONDecodeError:
        return {}
    return commitments(fields) if isinstance(fields, dict) else {}
