"""The audit trail in SQL: records are shipped in, each once, and found again."""

from asyncio import to_thread
from collections.abc import Iterator, Sequence
from typing import Final

from sqlalchemy import Row, Select, and_, func, insert, or_, select, text, union_all, update
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.ports import AuditQuery, Position, Run, StoredRecord
from gateway.stores.sql.audit_chunk import Actor, Chunk, chunks, noted, request_text, until_of
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
from gateway.stores.sql.engine import engine_of

_PLACES: Final = range(256, 4096)
"""How many chunks are asked for at first, and in the end, when what is wanted is rare."""
_RECORDS: Final = 16 << 10
"""About how many records are looked into at once."""
_KNOWN_ACTORS: Final = 10_000
_FIRST_SIGHT: Final = text(
    "INSERT INTO audit_writers (writer, acked_seq) VALUES (:writer, 0) ON CONFLICT DO NOTHING"
)
_Place = tuple[int, int, str]
"""Key of a chunk, key of its last record, and its latest time."""
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
            number, acked = await _writer(connection, run.writer)
            if acked >= run.last:
                return
            if acked >= run.first:
                made = await to_thread(_made, run.part(acked + 1 - run.first, len(run.bodies)))
            base = number << SEQ_BITS
            await connection.execute(insert(audit_chunks), [_row(chunk, base) for chunk in made])
            terms = sorted((term, base + chunk.first) for chunk in made for term in chunk.terms)
            engine = engine_of(connection)
            await engine.insert_new(connection, audit_terms, terms)
            await engine.insert_new(connection, audit_actors, sorted(actors))
            await _move(connection, number, run.last)
        if len(self._actors) > _KNOWN_ACTORS:
            self._actors.clear()
        self._actors |= actors

    async def skip(self, writer: str, *, upto: int) -> None:
        """Move the cursor past a record that cannot be stored. Raise `StoreUnavailable`."""
        async with self._database.write() as connection:
            number, _ = await _writer(connection, writer)
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
                actor = noted(query.actor)
                names = select(audit_actors.c.id).where(audit_actors.c.name == actor)
                ids = frozenset({actor, *(await connection.scalars(names))})
            look = Look(query, ids)
            await _go_through(connection, _places(query, ids), look)
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


async def _go_through(connection: AsyncConnection, places: Select[_Place], look: Look) -> None:
    """Look into chunks, the newest first, until nothing that is older can be wanted.

    The database is told how few are wanted: when it has to give all of them, it sorts all of them first.
    """
    columns, count = audit_chunks.c, _PLACES.start
    places = places.order_by(columns.until.desc(), columns.key.desc())
    part = (await connection.execute(places.limit(count))).all()
    while part:
        for portion in _portions(part):
            if look.is_over(portion[0].until):
                return
            wanted = _CHUNKS.where(columns.key.in_([place.key for place in portion]))
            rows = await connection.execute(wanted)
            await to_thread(look.into, [StoredChunk(*row) for row in rows])
        if len(part) < count:
            return
        last, count = part[-1], min(4 * count, _PLACES.stop)
        older = and_(columns.until <= last.until, or_(columns.until < last.until, columns.key < last.key))
        part = (await connection.execute(places.where(older).limit(count))).all()


def _portions(places: Sequence[Row[_Place]]) -> Iterator[Sequence[Row[_Place]]]:
    """Divide places into those that are looked into at once, however many records are in a chunk."""
    start = records = 0
    for number, place in enumerate(places):
        records += place.last_key - place.key + 1
        if records >= _RECORDS:
            yield places[start : number + 1]
            start, records = number + 1, 0
    if start < len(places):
        yield places[start:]


def _places(query: AuditQuery, ids: frozenset[str] | None) -> Select[_Place]:
    """Select the chunks where records may be that match."""
    columns, terms = audit_chunks.c, audit_terms.c
    wanted: Select[_Place] = select(columns.key, columns.last_key, columns.until)
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
        alone = select(terms.chunk).where(terms.term == noted(request))
        # Not one or the other of each chunk, which no index answers.
        wanted = wanted.where(columns.key.in_(union_all(select(columns.key).where(within), alone)))
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


async def _writer(connection: AsyncConnection, writer: str) -> tuple[int, int]:
    """Return a writer's number and how far it was shipped; nobody else ships its records until the commit."""
    query = select(audit_writers.c.id, audit_writers.c.acked_seq).where(audit_writers.c.writer == writer)
    row = (await connection.execute(query.with_for_update())).one_or_none()
    if row is None:
        await connection.execute(_FIRST_SIGHT, {"writer": writer})
        row = (await connection.execute(query.with_for_update())).one()
    return row.id, row.acked_seq


async def _move(connection: AsyncConnection, number: int, upto: int) -> None:
    await connection.execute(
        update(audit_writers)
        .where(audit_writers.c.id == number, audit_writers.c.acked_seq < upto)
        .values(acked_seq=upto)
    )
