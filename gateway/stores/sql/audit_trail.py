"""The audit trail in SQL: records are found again."""

from asyncio import to_thread
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import orjson
from sqlalchemy import Row, Select, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.crypto import Sealer
from gateway.model import Term, time_of
from gateway.ports import AuditQuery, Place, Position, StoredRecord
from gateway.stores.sql.audit_asked import Asked, names_in
from gateway.stores.sql.audit_look import Candidate, Look
from gateway.stores.sql.audit_opening import PersonalParts, Said, said_of
from gateway.stores.sql.audit_personal import Part, name_hash
from gateway.stores.sql.audit_stored import StoredChunk, fields_of, gap
from gateway.stores.sql.audit_tables import SEQ_BITS, SEQ_MASK, audit_actors, audit_chunks, audit_writers
from gateway.stores.sql.audit_where import Spot, behind, spots
from gateway.stores.sql.database import Database
from gateway.stores.sql.engine import engine_of

_SPOTS: Final = range(256, 4096)
"""How many chunks are asked for at first, and in the end, when what is wanted is rare."""
_RECORDS: Final = range(2 << 10, 16 << 10)
"""About how many records are looked into at once, at first and in the end."""
_CHUNK: Final = audit_chunks.c
_STORED: Final = select(_CHUNK.key, _CHUNK.last_key, _CHUNK.day, _CHUNK.since, _CHUNK.until, _CHUNK.records)


class SqlAuditTrail:
    """Finds records in the tables. Implements `ports.AuditTrail`.

    `names_key` is what names are hashed with in the table of actors.
    """

    def __init__(self, database: Database, sealer: Sealer, names_key: bytes) -> None:
        self._database = database
        self._personal = PersonalParts(sealer)
        self._names_key = names_key
        self._days: dict[int, tuple[int, int]] = {}
        """By number of a writer, where a chunk that was followed begins, and its day: what comes behind that
        is of the same day or a later one."""
        self._gone: dict[int, tuple[int, int]] = {}
        """By number of a writer, between which records there is nothing to be read: what was there was
        withheld, or was old enough to be removed."""

    async def find(self, query: AuditQuery) -> Sequence[StoredRecord]:
        """Return the first records that match, in the order that is asked for. Raise `StoreUnavailable`."""
        if query.limit < 1:
            return []
        async with self._database.read() as connection:
            writers = {row.id: row.writer for row in await connection.execute(select(audit_writers))}
            named = await self._named(connection, query.terms)
            asked = [Asked.of(term, named) for term in query.terms]
            look = Look(query, asked, writers)
            await engine_of(connection).plan_for_days(connection)
            await self._go_through(connection, look, spots(query, asked), oldest_first=query.oldest_first)
            return await self._told(connection, look.first)

    async def end(self) -> Position:
        """Return where the trail ends now. Raise `StoreUnavailable`."""
        async with self._database.read() as connection:
            return {row.writer: row.acked_seq for row in await connection.execute(select(audit_writers))}

    async def after(self, position: Position, *, limit: int) -> Sequence[StoredRecord]:
        """Return records that came after a position, about as many as asked for, each writer's in order.

        Raise `StoreUnavailable`.
        """
        found: list[Candidate] = []
        async with self._database.read() as connection:
            for writer in (await connection.execute(select(audit_writers))).all():
                seen = position.get(writer.writer, 0)
                nothing = seen, writer.acked_seq
                if writer.acked_seq <= seen or len(found) >= limit or self._gone.get(writer.id) == nothing:
                    continue
                new = await self._after(connection, writer.id, writer.writer, seen, limit - len(found))
                if not new:
                    self._gone[writer.id] = nothing
                found += new
            return await self._told(connection, found)

    async def _named(
        self, connection: AsyncConnection, terms: Sequence[Term]
    ) -> Mapping[str, frozenset[str]]:
        """Return the ids of the actors that have had the names that are asked for, by name."""
        hashes = {name_hash(self._names_key, name): name for name in names_in(terms)}
        if not hashes:
            return {}
        columns = audit_actors.c
        query = select(columns.name_hash, columns.id).where(columns.name_hash.in_(hashes))
        ids: dict[str, set[str]] = {}
        for row in await connection.execute(query):
            ids.setdefault(hashes[row.name_hash], set()).add(row.id)
        return {name: frozenset(known) for name, known in ids.items()}

    async def _go_through(
        self, connection: AsyncConnection, look: Look, wanted: Select[Spot], *, oldest_first: bool
    ) -> None:
        """Look into chunks, in order, until nothing that comes later can be wanted.

        The database is told how few are wanted: when it has to give all of them, it sorts all of them first.
        """
        count = _SPOTS.start
        part = (await connection.execute(wanted.limit(count))).all()
        while part:
            for portion in _portions(part):
                if look.is_over(portion[0].since, portion[0].until):
                    return
                undecided = await to_thread(look.into, await _stored(connection, portion))
                if undecided:
                    wanted_parts = await to_thread(_parts, undecided)
                    said = await self._personal.open(connection, wanted_parts)
                    await to_thread(look.decide, undecided, said)
            if len(part) < count:
                return
            last, count = part[-1], min(4 * count, _SPOTS.stop)
            later = behind(last, wanted, oldest_first=oldest_first)
            part = (await connection.execute(later.limit(count))).all()

    async def _after(
        self, connection: AsyncConnection, number: int, writer: str, seen: int, limit: int
    ) -> list[Candidate]:
        """Return one writer's records behind a number."""
        base = number << SEQ_BITS
        begins, day = self._days.get(number, (0, 0))
        known = _CHUNK.day >= (day if begins <= seen + 1 else 0)
        # The chunk that the next record is in, should it begin before it.
        first = select(func.max(_CHUNK.key)).where(_CHUNK.key > base, _CHUNK.key <= base + seen + 1, known)
        begin = await connection.scalar(first)
        wanted = _STORED.where(
            _CHUNK.key >= (begin or base), _CHUNK.key <= base + SEQ_MASK, _CHUNK.until > "", known
        )
        found: list[Candidate] = []
        async with connection.stream(wanted.order_by(_CHUNK.key)) as rows:
            async for row in rows:
                chunk = StoredChunk(*row)
                found += await to_thread(_records, chunk, writer, seen)
                self._days[number] = chunk.first, chunk.day
                if len(found) >= limit:
                    break
        return found[:limit]

    async def _told(
        self, connection: AsyncConnection, candidates: Sequence[Candidate]
    ) -> Sequence[StoredRecord]:
        """Return records with what is kept apart from them."""
        wanted = await to_thread(_parts, candidates)
        said = await self._personal.open(connection, wanted) if wanted else {}
        return await to_thread(lambda: [_whole(one, said) for one in candidates])


async def _stored(connection: AsyncConnection, portion: Sequence[Row[Spot]]) -> list[StoredChunk]:
    """Return chunks in order."""
    keys = [spot.key for spot in portion]
    wanted = _STORED.where(_CHUNK.key.in_(keys), _CHUNK.day.in_(sorted({spot.day for spot in portion})))
    found = {row.key: StoredChunk(*row) for row in await connection.execute(wanted)}
    return [found[key] for key in keys]


def _portions(part: Sequence[Row[Spot]]) -> Iterator[Sequence[Row[Spot]]]:
    """Divide chunks into those that are looked into at once, however many records are in one."""
    start = records = 0
    enough = _RECORDS.start
    for number, spot in enumerate(part):
        records += spot.last_key - spot.key + 1
        if records >= enough:
            yield part[start : number + 1]
            start, records, enough = number + 1, 0, min(2 * enough, _RECORDS.stop)
    if start < len(part):
        yield part[start:]


def _records(chunk: StoredChunk, writer: str, seen: int) -> list[Candidate]:
    """Return the records of a chunk behind a number; when it is damaged, one that says so in place of all."""
    text = chunk.text()
    if text is None:
        return [Candidate(Place(chunk.until, writer, chunk.last), chunk.day, chunk.damage())]
    return [
        Candidate(Place(time_of(body) or chunk.until, writer, seq), chunk.day, body)
        for seq, body in enumerate(chunk.bodies(text), chunk.first)
        if seq > seen
    ]


def _parts(candidates: Sequence[Candidate]) -> set[Part]:
    return {part for one in candidates for part in one.parts().values()}


def _whole(candidate: Candidate, said: Mapping[Part, Said]) -> StoredRecord:
    """Return a record with what is said of persons, as far as that is there."""
    personal = said_of(candidate.parts(), said)
    return StoredRecord(
        writer=candidate.place.writer,
        seq=candidate.place.seq,
        body=candidate.body if fields_of(candidate.body) is not None else gap(candidate.place.time),
        personal=orjson.dumps(personal) if personal else b"",
    )
