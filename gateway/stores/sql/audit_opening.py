"""Opening what is kept of persons, for those who read the trail."""

from asyncio import to_thread
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import islice
from typing import Final, NamedTuple, TypeVar

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.crypto import SealBroken, Sealer
from gateway.stores.sql.audit_chunk import noted
from gateway.stores.sql.audit_personal import Part, opened_key, opened_part
from gateway.stores.sql.audit_tables import audit_personal, audit_subjects

_AT_ONCE: Final = 4096
"""Databases take some 32,000 values in one statement."""
_KNOWN_KEYS: Final = 10_000

_T = TypeVar("_T")
_Row = tuple[str, str, int, bytes]


class Said(NamedTuple):
    """What is said of one person."""

    subject: str
    """As it is `noted`."""
    fields: Mapping[str, object]


def said_of(parts: Mapping[str, Part], said: Mapping[Part, Said]) -> Mapping[str, Mapping[str, object]]:
    """Return what a record says of persons, by subject, as far as it is there; `parts`: where it is kept."""
    return {
        subject: found.fields
        for subject, part in parts.items()
        if (found := said.get(part)) is not None and found.subject == noted(subject)
    }


class PersonalParts:
    """Opens parts. Keys that were opened are kept: without the parts, which are erased too, they open
    nothing."""

    def __init__(self, sealer: Sealer) -> None:
        self._sealer = sealer
        self._keys: dict[str, bytes] = {}

    async def open(self, connection: AsyncConnection, wanted: Collection[Part]) -> Mapping[Part, Said]:
        """Return what can be opened of what is wanted; the rest was erased, removed or changed."""
        rows: list[_Row] = []
        columns = audit_personal.c
        for some in batches(sorted(wanted)):
            # More is found than is wanted where two days have the same: that does no harm.
            query = select(columns.subject, columns.commitment, columns.day, columns.sealed).where(
                columns.commitment.in_({part.commitment for part in some}),
                columns.day.in_({part.day for part in some}),
            )
            rows += [tuple(row) for row in await connection.execute(query)]
        sealed_keys = await self._sealed_keys(connection, {subject for subject, *_ in rows})
        await self._sealer.ready_for(*sealed_keys.values())
        return await to_thread(self._opened, rows, sealed_keys)

    async def _sealed_keys(
        self, connection: AsyncConnection, subjects: Collection[str]
    ) -> Mapping[str, bytes | None]:
        found: dict[str, bytes | None] = {}
        if len(self._keys) > _KNOWN_KEYS:
            self._keys.clear()
        columns = audit_subjects.c
        for some in batches(sorted(set(subjects) - self._keys.keys())):
            query = select(columns.subject, columns.sealed_key).where(columns.subject.in_(some))
            found |= {row.subject: row.sealed_key for row in await connection.execute(query)}
        return found

    def _opened(self, rows: Sequence[_Row], sealed_keys: Mapping[str, bytes | None]) -> Mapping[Part, Said]:
        for subject, sealed_key in sealed_keys.items():
            try:
                if sealed_key is not None:
                    self._keys[subject] = opened_key(self._sealer, subject, sealed_key)
            except SealBroken:
                continue
        found: dict[Part, Said] = {}
        for subject, commitment, day, sealed in rows:
            key = self._keys.get(subject)
            if key is None:
                continue
            try:
                said = opened_part(key, subject, commitment, sealed).fields
            except (SealBroken, ValueError):
                continue
            found[Part(day, commitment)] = Said(subject, said)
        return found


def batches(wanted: Sequence[_T]) -> Iterator[Sequence[_T]]:
    """Divide values into as many as one statement takes."""
    whole = iter(wanted)
    while some := list(islice(whole, _AT_ONCE)):
        yield some
