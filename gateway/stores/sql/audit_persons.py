"""What is kept beside shipped records: what they say of persons, and who has which name."""

from asyncio import to_thread
from collections.abc import Iterable, Mapping, Sequence
from operator import itemgetter
from typing import Final, NamedTuple, Self

import structlog
from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.crypto import PersonalPart, SealBroken, Sealer, open_parts
from gateway.stores.sql.audit_chunk import Chunk, noted
from gateway.stores.sql.audit_erasure import keys_of
from gateway.stores.sql.audit_notes import Actor
from gateway.stores.sql.audit_personal import name_hash, sealed_part
from gateway.stores.sql.audit_tables import audit_actors, audit_personal, audit_plain_names
from gateway.stores.sql.engine import engine_of

_KNOWN: Final = 20_000
_LONGEST_KNOWN: Final = 2048
"""Bytes of what is said of a person, beyond which it costs too much memory to know that it is kept."""
_USER: Final = "usr_"

Dated = tuple[int, Chunk]
"""A chunk, and the day that it is kept under."""


Name = tuple[str, str, str]
"""A name, the id of the actor who has it, and the subject that it is erased with."""


class Kept(NamedTuple):
    """What one transaction keeps, once it is committed."""

    actors: frozenset[Actor]
    personal: frozenset[tuple[int, bytes]]
    names: frozenset[Name]


class _Said(NamedTuple):
    """What is said of somebody, opened."""

    subject: str
    commitment: str
    plain: bytes
    name: object
    """The actor's, if it is the actor whom this is about."""

    @classmethod
    def of(cls, part: PersonalPart) -> Self:
        return cls(noted(part.subject), part.commitment, part.plain, part.fields.get("name"))


class Persons:
    """Keeps it in the transaction that stores the records, as part of what one process ships.

    What it knows to be there already costs nothing: who has asked once today asks again.
    """

    def __init__(self, sealer: Sealer, names_key: bytes) -> None:
        self._sealer = sealer
        self._names_key = names_key
        self._actors: set[Actor] = set()
        self._names: set[Name] = set()
        self._personal: set[tuple[int, bytes]] = set()
        """What is kept, as it came, with the day that it is kept for."""
        self._plain_names = True
        """Whether names may be left of an older schema."""

    async def keep(self, connection: AsyncConnection, dated: Sequence[Dated]) -> Kept:
        """Keep what chunks say of persons, unless erased; return what to `remember` after the commit."""
        actors = frozenset[Actor]().union(*(chunk.actors for _, chunk in dated)) - self._actors
        personal = (
            frozenset((day, sealed) for day, chunk in dated for sealed in chunk.personal) - self._personal
        )
        if self._plain_names:
            await self._hash_plain_names(connection)
        if not (actors or personal):
            return Kept(actors, personal, frozenset())
        await self._sealer.ready_for(*(sealed for _, sealed in personal))
        said = await to_thread(self._opened, {sealed for _, sealed in personal})
        known = {one.commitment for found in said.values() for one in found}
        if not known.issuperset(actor.commitment for actor in actors if actor.commitment):
            # Somebody else is called the same by the same words.
            others = frozenset[bytes]().union(*(chunk.personal for _, chunk in dated)).difference(said)
            await self._sealer.ready_for(*others)
            said |= await to_thread(self._opened, others)
        subjects = {one.subject for found in said.values() for one in found}
        keys = await keys_of(connection, self._sealer, subjects)
        engine = engine_of(connection)
        await engine.insert_new(connection, audit_personal, await to_thread(_rows, personal, said, keys))
        names = _named(actors, said, keys) - self._names
        await engine.insert_new(connection, audit_actors, self._hashed(names))
        return Kept(actors, personal, names)

    def remember(self, kept: Kept) -> None:
        """Note that a transaction was committed."""
        if len(self._actors) + len(self._personal) > _KNOWN:
            self._actors.clear()
            self._names.clear()
            self._personal.clear()
        self._actors |= kept.actors
        self._names |= kept.names
        self._personal |= {one for one in kept.personal if len(one[1]) <= _LONGEST_KNOWN}
        self._plain_names = False

    def _opened(self, sealed: Iterable[bytes]) -> dict[bytes, Sequence[_Said]]:
        return {one: self._open(one) for one in sealed}

    def _open(self, sealed: bytes) -> Sequence[_Said]:
        try:
            return [_Said.of(part) for part in open_parts(self._sealer, sealed)]
        except (SealBroken, ValueError) as error:
            why = str(error)
        # The record itself is whole, and says who it was and what was decided.
        logger: structlog.typing.FilteringBoundLogger = structlog.get_logger("gateway.stores")
        logger.error("audit.personal_lost", detail=why)
        return ()

    def _hashed(self, names: Iterable[Name]) -> list[Name]:
        """Return rows of `audit_actors`, in an order that all who insert them have."""
        return sorted((name_hash(self._names_key, name), id_, subject) for name, id_, subject in names)

    async def _hash_plain_names(self, connection: AsyncConnection) -> None:
        """Turn the names that an older schema left into hashes."""
        found = (await connection.execute(select(audit_plain_names))).all()
        if found:
            names = [(row.name, row.id, row.id if row.id.startswith(_USER) else "") for row in found]
            await engine_of(connection).insert_new(connection, audit_actors, self._hashed(names))
            await connection.execute(delete(audit_plain_names))


def _named(
    actors: Iterable[Actor], said: Mapping[bytes, Sequence[_Said]], keys: Mapping[str, bytes]
) -> frozenset[Name]:
    """Return who has which name: none of those who were erased."""
    apart = {one.commitment: one for found in said.values() for one in found}
    names: set[Name] = set()
    for actor in actors:
        one = apart.get(actor.commitment)
        if one is None:
            if actor.name:
                names.add((actor.name, noted(actor.id), ""))
        elif isinstance(one.name, str) and one.name and one.subject in keys:
            names.add((one.name, noted(actor.id), one.subject))
    return frozenset(names)


def _rows(
    personal: Iterable[tuple[int, bytes]],
    said: Mapping[bytes, Sequence[_Said]],
    keys: Mapping[str, bytes],
) -> list[tuple[int, str, str, bytes]]:
    """Return rows of `audit_personal`, in an order that all who insert them have."""
    wanted = {(day, one.commitment): one for day, sealed in personal for one in said[sealed]}
    return [
        (day, commitment, one.subject, sealed_part(keys[one.subject], commitment, one.plain))
        for (day, commitment), one in sorted(wanted.items(), key=itemgetter(0))
        if one.subject in keys
    ]
