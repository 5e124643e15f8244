"""The audit trail in SQL: records are shipped in, each once."""

import math
import time
from asyncio import to_thread
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from datetime import date
from typing import Final, NamedTuple, Self

from sqlalchemy import Row, insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.crypto import Sealer, beginning
from gateway.ports import Run, SinkAstray, StoreUnavailable
from gateway.stores.sql.audit_chunk import Chunk, Links, chunks
from gateway.stores.sql.audit_days import DAY_SECONDS, prepare_days
from gateway.stores.sql.audit_persons import Dated, Persons
from gateway.stores.sql.audit_tables import SEQ_BITS, SEQ_MASK, audit_chunks, audit_terms, audit_writers
from gateway.stores.sql.database import Database
from gateway.stores.sql.engine import engine_of
from gateway.stores.sql.faults import UniqueViolation

_FIRST_SIGHT: Final = text(
    "INSERT INTO audit_writers (writer, acked_seq) VALUES (:writer, 0) ON CONFLICT DO NOTHING"
)
_PATIENCE: Final = 60.0
"""Seconds until the database is asked again to be ready for a day."""
_WRITER: Final = select(
    audit_writers.c.id, audit_writers.c.acked_seq, audit_writers.c.day, audit_writers.c.head
)
_MOST_WRITERS: Final = (1 << 63 - SEQ_BITS) - 1
_LAST_DAY: Final = date.max.toordinal() - date(1970, 1, 1).toordinal()
_Values = dict[str, int | str | bytes | None]


class _Writer(NamedTuple):
    id: int
    acked_seq: int
    day: int | None
    head: bytes | None

    @property
    def base(self) -> int:
        return self.id << SEQ_BITS

    @classmethod
    def read(cls, row: Row[int, int, int | None, bytes | None], writer: str) -> Self:
        """Return what a row says. Raise `SinkAstray` for what no gateway has written: SQLite keeps anything
        in any column, and any number may be there."""
        found = cls(row.id, row.acked_seq, row.day, row.head)
        sound = {
            "id": _is_number(found.id, _MOST_WRITERS),
            "acked_seq": _is_number(found.acked_seq, SEQ_MASK),
            "day": found.day is None or _is_number(found.day, _LAST_DAY),
            "head": found.head is None or type(found.head) is bytes,
        }
        for column, is_sound in sound.items():
            if not is_sound:
                raise SinkAstray(f"{column} of {writer} in audit_writers is what the gateway never wrote")
        return found


class SqlAuditSink:
    """Takes records into the tables. `names_key` is what the names of actors are hashed with."""

    def __init__(self, database: Database, sealer: Sealer, names_key: bytes) -> None:
        self._database = database
        self._persons = Persons(sealer, names_key)
        self._days: dict[int, float] = {}
        """Until when the database need not be asked to be ready for a day, by the monotonic clock."""

    async def cursor(self, writer: str) -> int:
        """Return the number of the newest record that was shipped, 0 for none. Raise `SinkAstray`,
        `StoreUnavailable`."""
        async with self._database.read() as connection:
            row = (await connection.execute(_WRITER.where(audit_writers.c.writer == writer))).one_or_none()
        return 0 if row is None else _Writer.read(row, writer).acked_seq

    async def ship(self, run: Run) -> None:
        """Store the records, with what they say of persons unless that was erased, and move the cursor, in
        one transaction; what is there already stays as it is.

        Raise `RecordRefused` when a record of the run is not one, `SinkAstray` when the run does not follow
        from what is stored, `StoreUnavailable`.
        """
        made = await to_thread(_made, run)
        await self._prepare(chunk.day for chunk in made)
        async with self._writing(run) as connection:
            writer = await _writer(connection, run.writer)
            if writer.acked_seq >= run.last:
                await _see_that_it_has(connection, writer, run)
                return
            new = run
            if writer.acked_seq >= run.first:
                new = run.part(writer.acked_seq + 1 - run.first, len(run.bodies))
                made = await to_thread(_made, new)
            _see_that_it_follows(writer, new)
            dated = _dated(made, writer.day)
            await connection.execute(
                insert(audit_chunks), [_row(chunk, day, writer.base) for day, chunk in dated]
            )
            terms = [(term, day, writer.base + chunk.first) for day, chunk in dated for term in chunk.terms]
            await engine_of(connection).insert_new(connection, audit_terms, sorted(terms))
            kept = await self._persons.keep(connection, dated)
            await _move(connection, writer, run, dated[-1][0])
        self._persons.remember(kept)

    async def skip(self, run: Run) -> None:
        """Move the cursor past one record that cannot be stored, and keep its place in the chain.

        Raise `SinkAstray`, `StoreUnavailable`.
        """
        today = int(time.time() // DAY_SECONDS)
        await self._prepare([today])
        async with self._writing(run) as connection:
            writer = await _writer(connection, run.writer)
            if writer.acked_seq >= run.last:
                return
            day = today if writer.day is None else writer.day
            withheld: _Values = {
                "key": writer.base + run.first,
                "day": day,
                "last_key": writer.base + run.last,
                "since": "",
                "until": "",
                "chain": Links.of(run).packed(),
                "records": b"",
            }
            await connection.execute(insert(audit_chunks), withheld)
            await _move(connection, writer, run, day)

    @asynccontextmanager
    async def _writing(self, run: Run) -> AsyncIterator[AsyncConnection]:
        try:
            async with self._database.write() as connection:
                yield connection
        except UniqueViolation:
            raise SinkAstray(
                f"where record {run.first} of {run.writer} belongs, there is what the gateway never wrote"
            ) from None

    async def _prepare(self, days: Iterable[int]) -> None:
        """Have the database ready for days that nobody prepared it for: those of a log that waited long."""
        now = time.monotonic()
        for day in sorted(set(days)):
            if self._days.get(day, -math.inf) > now:
                continue
            self._days[day] = now + _PATIENCE
            # While it is not ready, records go where all go that have no place of their own.
            with suppress(StoreUnavailable):
                await prepare_days(self._database, day, day)
                self._days[day] = math.inf


def _is_number(value: object, most: int) -> bool:
    return type(value) is int and 0 <= value <= most


def _made(run: Run) -> list[Chunk]:
    return list(chunks(run))


def _dated(made: Iterable[Chunk], day: int | None) -> list[Dated]:
    """Return chunks with their days, which never go back from that of the writer's chunk before."""
    dated = []
    for chunk in made:
        day = chunk.day if day is None else max(day, chunk.day)
        dated.append((day, chunk))
    return dated


def _row(chunk: Chunk, day: int, base: int) -> _Values:
    return {
        "key": base + chunk.first,
        "day": day,
        "last_key": base + chunk.last,
        "since": chunk.since,
        "until": chunk.until,
        "first_request": chunk.first_request,
        "last_request": chunk.last_request,
        "chain": chunk.chain,
        "records": chunk.records,
    }


async def _writer(connection: AsyncConnection, writer: str) -> _Writer:
    """Return how far a writer's log was shipped; nobody else ships its records until the commit."""
    query = _WRITER.where(audit_writers.c.writer == writer).with_for_update()
    row = (await connection.execute(query)).one_or_none()
    if row is None:
        await connection.execute(_FIRST_SIGHT, {"writer": writer})
        row = (await connection.execute(query)).one()
    return _Writer.read(row, writer)


async def _see_that_it_has(connection: AsyncConnection, writer: _Writer, run: Run) -> None:
    """Raise `SinkAstray` unless the newest record of a run is stored, as its writer's row says."""
    last = writer.base + run.last
    query = select(audit_chunks.c.last_key).where(audit_chunks.c.key.between(writer.base, last))
    found = await connection.scalar(query.order_by(audit_chunks.c.key.desc()).limit(1))
    if type(found) is not int or found < last:
        raise SinkAstray(f"record {run.last} of {run.writer} counts as stored and is not")


def _see_that_it_follows(writer: _Writer, run: Run) -> None:
    """Raise `SinkAstray` unless the chain leads from what is stored to a run."""
    head = writer.head if writer.acked_seq else beginning(run.writer)
    # Of what was shipped before there was a chain, nobody knows the head.
    if head is not None and head != run.before and not run.lost:
        raise SinkAstray(
            f"record {run.first} of {run.writer} does not follow from what is stored, to {writer.acked_seq}"
        )


async def _move(connection: AsyncConnection, writer: _Writer, run: Run, day: int) -> None:
    await connection.execute(
        update(audit_writers)
        .where(audit_writers.c.id == writer.id)
        .values(acked_seq=run.last, head=run.heads[-1], day=day)
    )
