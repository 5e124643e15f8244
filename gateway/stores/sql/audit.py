"""The audit trail in SQL: records are shipped in, each once, and found again."""

from asyncio import to_thread
from collections.abc import Sequence
from typing import Final

import orjson
from sqlalchemy import Select, and_, func, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.ports import AuditQuery, Position, Run, StoredRecord
from gateway.stores.sql.audit_chunk import Actor, Chunk, chunks, request_text, until_of
from gateway.stores.sql.audit_look import Look, StoredChunk
from gateway.stores.sql.audit_tables import (
    SEQ_BITS,
    SEQ_MASK,
    audit_actors,
    audit_chunks,
    audit_terms,
    audit_writers,
)
from gateway.stores.sql.database import Database

_AT_ONCE: Final = 16
_KNOWN_ACTORS: Final = 10_000
# One statement takes all the rows: one at a time, SQLite's every step would take the interpreter's lock from
# the event loop and give it back.
_TERMS: Final = (
    "INSERT INTO audit_terms (term, chunk) "
    "SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]') FROM json_each(?)"
)
_ACTORS: Final = (
    "INSERT INTO audit_actors (name, id) "
    "SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]') FROM json_each(?) "
    "WHERE true ON CONFLICT DO NOTHING"
)
_CHUNKS: Final = select(
    audit_chunks.c.key, audit_chunks.c.last_key, audit_chunks.c.until, audit_chunks.c.records
)


class SqlAuditSink:
    """Takes records into the tables."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._actors: set[Actor] = set()
        """Actors that are in the table already."""

    async def cursor(self, writer: str) -> int:
        """Return the number of the newest record that was shipped, 0 for none. Raise `StoreUnavailable`."""
        async with self._database.read() as connection:
            acked = await connection.scalar(
                select(audit_writers.c.acked_seq).where(audit_writers.c.writer == writer)
            )
        return acked or 0

    async def ship(self, run: Run) -> None:
        """Store the records and move the cursor, in one transaction; what is there already stays as it is.

        Raise `RecordRefused` when a record of the run is not one, `StoreUnavailable`.
        """
        made = await to_thread(_made, run)
        actors = frozenset[Actor]().union(*(chunk.actors for chunk in made)) - self._actors
        async with self._database.write() as connection:
            number, acked = await _place(connection, run.writer)
            if acked >= run.last:
                return
            if acked >= run.first:
                made = await to_thread(_made, run.part(acked + 1 - run.first, len(run.bodies)))
            base = number << SEQ_BITS
            await connection.execute(insert(audit_chunks), [_row(chunk, base) for chunk in made])
            terms = sorted((term, base + chunk.first) for chunk in made for term in chunk.terms)
            for statement, rows in ((_TERMS, terms), (_ACTORS, sorted(actors))):
                if rows:
                    await connection.exec_driver_sql(statement, (orjson.dumps(rows).decode(),))
            await _move(connection, number, run.last)
        if len(self._actors) > _KNOWN_ACTORS:
            self._actors.clear()
        self._actors |= actors

    async def skip(self, writer: str, *, upto: int) -> None:
        """Move the cursor past a record that cannot be stored. Raise `StoreUnavailable`."""
        async with self._database.write() as connection:
            number, _ = await _place(connection, writer)
            await _move(connection, number, upto)


class SqlAuditTrail:
    """Finds records in the tables."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def find(self, query: AuditQuery) -> Sequence[StoredRecord]:
        """Return the newest records that match, newest first. Raise `StoreUnavailable`."""
        if not _is_text(query):
            return []
        async with self._database.read() as connection:
            ids: frozenset[str] | None = None
            if query.actor is not None:
                names = select(audit_actors.c.id).where(audit_actors.c.name == query.actor)
                ids = frozenset({query.actor, *(await connection.scalars(names))})
            look = Look(query, ids)
            columns = audit_chunks.c
            places = _places(query, ids).order_by(columns.until.desc(), columns.key.desc())
            async with connection.stream(places) as found:
                async for part in found.partitions(_AT_ONCE):
                    if look.is_over(part[0].until):
                        break
                    wanted = _CHUNKS.where(columns.key.in_([row.key for row in part]))
                    rows = await connection.execute(wanted)
                    await to_thread(look.into, [StoredChunk(*row) for row in rows])
            writers = {row.id: row.writer for row in await connection.execute(select(audit_writers))}
        return [
            StoredRecord(writer=writers[key >> SEQ_BITS], seq=key & SEQ_MASK, body=body)
            for key, body in look.newest()
        ]

    async def end(self) -> Position:
        """Return where the trail ends now. Raise `StoreUnavailable`."""
        async with self._database.read() as connection:
            return {row.writer: row.acked_seq for row in await connection.execute(select(audit_writers))}

    async def after(self, position: Position, *, limit: int) -> Sequence[StoredRecord]:
        """Return records that came after a position, about as many as asked for, each writer's in order.

        Raise `StoreUnavailable`.
        """
        found: list[StoredRecord] = []
        async with self._database.read() as connection:
            for writer in (await connection.execute(select(audit_writers))).all():
                seen = position.get(writer.writer, 0)
                if writer.acked_seq <= seen or len(found) >= limit:
                    continue
                new = await _after(connection, writer.id << SEQ_BITS, seen, limit - len(found))
                found += [StoredRecord(writer=writer.writer, seq=seq, body=body) for seq, body in new]
        return found


def _places(query: AuditQuery, ids: frozenset[str] | None) -> Select[tuple[int, str]]:
    """Select the chunks where records may be that match."""
    columns, terms = audit_chunks.c, audit_terms.c
    wanted: Select[tuple[int, str]] = select(columns.key, columns.until)
    if query.since is not None:
        wanted = wanted.where(columns.until >= query.since)
    if query.until is not None:
        wanted = wanted.where(columns.since < query.until)
    if ids is not None:
        wanted = wanted.where(columns.key.in_(select(terms.chunk).where(terms.term.in_(ids))))
    if query.request_id is not None:
        request = request_text(query.request_id)
        within = and_(columns.first_request <= request, columns.last_request >= request)
        times = until_of(request)
        if times is not None:
            within = and_(within, columns.until.between(*times))
        noted = columns.key.in_(select(terms.chunk).where(terms.term == request))
        wanted = wanted.where(or_(within, noted))
    return wanted


async def _after(connection: AsyncConnection, base: int, seen: int, limit: int) -> list[tuple[int, bytes]]:
    """Return one writer's records behind a number, and their numbers."""
    key = audit_chunks.c.key
    # The chunk that the next record is in, should it begin before it.
    begin = await connection.scalar(select(func.max(key)).where(key > base, key <= base + seen + 1))
    wanted = _CHUNKS.where(key >= (begin or base), key <= base + SEQ_MASK).order_by(key)
    found: list[tuple[int, bytes]] = []
    async with connection.stream(wanted) as rows:
        async for row in rows:
            keyed = await to_thread(StoredChunk(*row).keyed)
            found += [(seq, body) for place, body in keyed if (seq := place & SEQ_MASK) > seen]
            if len(found) >= limit:
                break
    return found[:limit]


def _is_text(query: AuditQuery) -> bool:
    """Say whether there can be records that hold what is asked for: half of a surrogate pair is no text."""
    asked = (query.actor, query.decision, query.route, query.request_id, query.kind, query.since, query.until)
    try:
        "".join(filter(None, asked)).encode()
    except UnicodeEncodeError:
        return False
    return True


def _made(run: Run) -> list[Chunk]:
    return list(chunks(run))


def _row(chunk: Chunk, base: int) -> dict[str, int | str | bytes | None]:
    return {
        "key": base + chunk.first,
        "last_key": base + chunk.last,
        "since": chunk.since,
        "until": chunk.until,
        "first_request": chunk.first_request,
        "last_request": chunk.last_request,
        "records": chunk.records,
    }


async def _place(connection: AsyncConnection, writer: str) -> tuple[int, int]:
    """Return a writer's number and how far it was shipped."""
    query = select(audit_writers.c.id, audit_writers.c.acked_seq).where(audit_writers.c.writer == writer)
    row = (await connection.execute(query)).one_or_none()
    if row is None:
        await connection.execute(insert(audit_writers).values(writer=writer, acked_seq=0))
        row = (await connection.execute(query)).one()
    return row.id, row.acked_seq


async def _move(connection: AsyncConnection, number: int, upto: int) -> None:
    await connection.execute(
        update(audit_writers)
        .where(audit_writers.c.id == number, audit_writers.c.acked_seq < upto)
        .values(acked_seq=upto)
    )
