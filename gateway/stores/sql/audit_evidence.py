"""The shipped trail, read to be checked: every chunk with its chain, and with all that makes it be found."""

from asyncio import to_thread
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Final

from sqlalchemy import func, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.crypto import Sealer
from gateway.ports import Damage, Run, StoreUnavailable, Withheld
from gateway.stores.sql.audit_beside import Beside
from gateway.stores.sql.audit_examined import Examined, Row, examined
from gateway.stores.sql.audit_stored import StoredChunk, number_of, stray
from gateway.stores.sql.audit_tables import (
    SEQ_BITS,
    SEQ_MASK,
    audit_chunks,
    audit_subjects,
    audit_writers,
)
from gateway.stores.sql.database import Database

_AT_ONCE: Final = 8
"""Chunks that are examined at once."""
_CHUNK: Final = audit_chunks.c
_ROW: Final = select(
    _CHUNK.key,
    _CHUNK.last_key,
    _CHUNK.day,
    _CHUNK.since,
    _CHUNK.until,
    _CHUNK.records,
    _CHUNK.first_request,
    _CHUNK.last_request,
    _CHUNK.chain,
).order_by(_CHUNK.key, _CHUNK.day)


class SqlTrailEvidence:
    """Reads the tables. Implements `ports.TrailEvidence`. `names_key` is what names are hashed with."""

    def __init__(self, database: Database, sealer: Sealer, names_key: bytes) -> None:
        self._database = database
        self._sealer = sealer
        self._names_key = names_key

    async def writers(self) -> Mapping[str, int]:
        """Return the number of the newest record that was shipped, by writer. Raise `StoreUnavailable`.

        Chunks of no writer that is known are those of one that is called by its number: they cannot have got
        there by shipping.
        """
        with _readable("audit_writers"):
            async with self._database.read() as connection:
                return await self._writers(connection)

    async def _writers(self, connection: AsyncConnection) -> Mapping[str, int]:
        rows = (await connection.execute(select(audit_writers).order_by(audit_writers.c.id))).all()
        found = {row.writer: row.acked_seq for row in rows}
        low, base = -(1 << 63), 0
        for number in [row.id for row in rows]:
            base = number << SEQ_BITS
            found |= await _strays(connection, low, base - 1)
            low = base + SEQ_MASK + 1
        found |= await _strays(connection, low, (1 << 63) - 1)
        return found

    async def erased(self) -> Mapping[str, float]:
        """Return the subjects of whom nothing is kept any more, and since when. Raise `StoreUnavailable`."""
        columns = audit_subjects.c
        query = select(columns.subject, columns.erased_at).where(columns.sealed_key.is_(None))
        async with self._database.read() as connection:
            return {row.subject: row.erased_at or 0.0 for row in await connection.execute(query)}

    async def examine(self, writer: str, *, after: int = 0) -> AsyncIterator[Run | Withheld | Damage]:
        """Give all that is stored of a writer, in the order of its numbers, and in its place what is
        wrong with it. Raise `StoreUnavailable`."""
        examination = _Examination(writer, Beside(self._sealer, self._names_key))
        more = True
        while more:
            with _readable(f"records of {writer}"):
                async with self._database.read() as connection:
                    found = await examination.go_on(connection, after)
            more = bool(found)
            for one in found:
                for told in one.told():
                    if (told.seq if isinstance(told, Withheld) else told.last) <= after:
                        continue
                    if isinstance(told, Run) and told.first <= after:
                        yield told.part(after + 1 - told.first, len(told.bodies))
                    else:
                        yield told


@contextmanager
def _readable(what: str) -> Iterator[None]:
    """Say what cannot be read where there are values of a kind that no gateway has written: SQLite keeps
    anything in any column, and numbers that are too large for what is made of them."""
    try:
        yield
    except (TypeError, ValueError, OverflowError) as error:
        raise StoreUnavailable(f"{what} cannot be read, for somebody changed them: {error}") from error


class _Examination:
    """Goes through one writer's chunks."""

    def __init__(self, writer: str, beside: Beside) -> None:
        self._writer = writer
        self._beside = beside
        self._last: tuple[int, int] | None = None
        """Key and day of the last chunk that was examined; None: none."""
        self._day: int | None = None
        """Its day, None when there was none."""
        self._chained = False
        """Whether there was a chunk with a chain."""

    async def go_on(self, connection: AsyncConnection, after: int) -> Sequence[Examined]:
        """Return the next chunks, examined; none at the end."""
        table = audit_writers.c
        known = (
            await connection.execute(select(audit_writers).where(table.writer == self._writer))
        ).one_or_none()
        number = number_of(self._writer) if known is None else known.id
        if number is None:
            return []
        base = number << SEQ_BITS
        if self._last is None:
            # The chunk that the first record is in, should it begin before it.
            before = select(func.max(_CHUNK.key)).where(_CHUNK.key.between(base, base + after + 1))
            self._last = (await connection.scalar(before) or base), -1
        key, day = self._last
        # Whatever its day is: a chunk that was moved to another one is found here.
        wanted = _ROW.where(_CHUNK.key.between(key, base + SEQ_MASK), or_(_CHUNK.key > key, _CHUNK.day > day))
        rows = (await connection.execute(wanted.limit(_AT_ONCE))).all()
        if not rows:
            return []
        stored = [Row(StoredChunk(*row[:6]), row.first_request, row.last_request, row.chain) for row in rows]
        found = await to_thread(self._examined, stored)
        self._last = rows[-1].key, rows[-1].day
        if known is None:
            for one in found:
                one.damage("the chunk belongs to no writer that is known")
            return found
        for one in found:
            _compare(one, known.acked_seq, known.head, known.day)
        await self._beside.look_for_terms(connection, found)
        await self._beside.look_for_persons(connection, found)
        return found

    def _examined(self, stored: Iterable[Row]) -> list[Examined]:
        found = []
        for row in stored:
            found.append(examined(self._writer, row, day=self._day, chained=self._chained))
            self._day, self._chained = row.chunk.day, self._chained or row.chain is not None
        return found


def _compare(one: Examined, acked: int, head: bytes | None, day: int | None) -> None:
    """Compare a chunk with what the row of its writer says."""
    chunk, held = one.row.chunk, one.held
    if chunk.last > acked:
        one.damage(f"the chunk is behind record {acked}, up to which records were shipped")
    if chunk.last != acked or one.damages:
        return
    ends = held.head if isinstance(held, Withheld) else next(iter(held.heads[-1:]), None) if held else None
    if (ends, chunk.day) != (head, day):
        one.damage("the writer's row does not say what its newest chunk says", place="audit_writers")


async def _strays(connection: AsyncConnection, low: int, high: int) -> Mapping[str, int]:
    """Return the numbers of writers that chunks between two keys name, each with its last record."""
    found: dict[str, int] = {}
    while low <= high:
        first = await connection.scalar(select(func.min(_CHUNK.key)).where(_CHUNK.key.between(low, high)))
        if first is None:
            break
        number = first >> SEQ_BITS
        end = (number << SEQ_BITS) + SEQ_MASK
        last = await connection.scalar(select(func.max(_CHUNK.last_key)).where(_CHUNK.key.between(low, end)))
        found[stray(number)] = (last or 0) & SEQ_MASK
        low = end + 1
    return found
