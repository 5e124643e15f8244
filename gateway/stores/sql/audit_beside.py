"""What must be beside chunks in other tables: terms that lead to them, what is said of persons, and names."""

from collections.abc import Collection, Mapping, Sequence
from typing import Final, NamedTuple

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.crypto import Sealer
from gateway.stores.sql.audit_chunk import noted
from gateway.stores.sql.audit_erasure import erased_among
from gateway.stores.sql.audit_examined import Examined
from gateway.stores.sql.audit_notes import Actor
from gateway.stores.sql.audit_opening import PersonalParts, Said, batches
from gateway.stores.sql.audit_personal import Part, name_hash
from gateway.stores.sql.audit_tables import audit_actors, audit_terms

_KNOWN: Final = 50_000


class _Name(NamedTuple):
    """A name that must be in the table of actors."""

    hash: str
    id: str
    subject: str
    """Whose it is; empty when the record does not say."""

    def is_met_by(self, subject: str | None) -> bool:
        """Say whether it is there, for whom it says or for nobody in particular; None: it is not."""
        return subject is not None and subject in {"", self.id, self.subject}


class Beside:
    """Looks for what belongs to chunks of one writer, and notes damage where it is not."""

    def __init__(self, sealer: Sealer, names_key: bytes) -> None:
        self._personal = PersonalParts(sealer)
        self._names_key = names_key
        self._said: dict[Part, Said] = {}
        """What is said of persons again and again."""
        self._actors: set[Actor] = set()
        """Actors whose names are where they must be."""

    async def look_for_terms(self, connection: AsyncConnection, found: Sequence[Examined]) -> None:
        """See that every term of the chunks leads to them."""
        columns = audit_terms.c
        terms = sorted(frozenset[str]().union(*(one.terms for one in found)))
        chunks = {one.row.chunk.key for one in found}
        days = {one.row.chunk.day for one in found}
        there: set[tuple[str, int, int]] = set()
        for some in batches(terms):
            query = select(columns.term, columns.day, columns.chunk).where(
                columns.term.in_(some),
                columns.day.in_(days),
                columns.chunk.in_(chunks),
            )
            there |= {(row.term, row.day, row.chunk) for row in await connection.execute(query)}
        for one in found:
            chunk = one.row.chunk
            missing = {term for term in one.terms if (term, chunk.day, chunk.key) not in there}
            if missing:
                one.damage(
                    f"the entry by which {_some(missing)} is found was removed or changed",
                    place=f"audit_terms, chunk {chunk.key}",
                )

    async def look_for_persons(self, connection: AsyncConnection, found: Sequence[Examined]) -> None:
        """See that what is said of persons is there, and who has which name, unless it was erased."""
        said = await self._open(connection, {part for one in found for part, _ in one.parts})
        unsaid = {
            (part, subject)
            for one in found
            for part, subject in one.parts
            if part not in said or said[part].subject != subject
        }
        names = [self._names_of(one, said) for one in found]
        missing = await _missing(connection, set[_Name]().union(*(named.values() for named in names)))
        about = {subject for _, subject in unsaid} | {name.id for name in missing}
        erased = await erased_among(connection, about)
        for one, named in zip(found, names, strict=True):
            for (part, subject), (first, last) in one.parts.items():
                if (part, subject) in unsaid and subject not in erased:
                    one.damage(
                        f"what the record says of {subject} was removed or changed",
                        first=first,
                        last=last,
                        place=f"audit_personal, day {part.day}, commitment {part.commitment}",
                    )
            self._actors |= {actor for actor, name in named.items() if name not in missing}
            unnamed = {name.id for name in missing.intersection(named.values())} - erased
            if unnamed:
                one.damage(
                    f"the name by which {_some(unnamed)} is found was removed or changed",
                    place="audit_actors",
                )

    async def _open(self, connection: AsyncConnection, wanted: set[Part]) -> Mapping[Part, Said]:
        if len(self._said) > _KNOWN:
            self._said.clear()
        if new := wanted - self._said.keys():
            self._said |= await self._personal.open(connection, new)
        return self._said

    def _names_of(self, one: Examined, said: Mapping[Part, Said]) -> Mapping[Actor, _Name]:
        """Return the names of a chunk's actors that have not been looked for yet."""
        if len(self._actors) > _KNOWN:
            self._actors.clear()
        names: dict[Actor, _Name] = {}
        for actor in one.actors - self._actors:
            part = said.get(Part(one.row.chunk.day, actor.commitment))
            name = actor.name if part is None else part.fields.get("name")
            subject = "" if part is None else part.subject
            if isinstance(name, str) and name:
                names[actor] = _Name(name_hash(self._names_key, name), noted(actor.id), subject)
        return names


async def _missing(connection: AsyncConnection, names: set[_Name]) -> set[_Name]:
    """Return those of names that are not in the table of actors."""
    columns = audit_actors.c
    hashes = sorted({name.hash for name in names})
    there: dict[tuple[str, str], str] = {}
    for some in batches(hashes):
        query = select(columns.name_hash, columns.id, columns.subject).where(columns.name_hash.in_(some))
        there |= {(row.name_hash, row.id): row.subject for row in await connection.execute(query)}
    return {name for name in names if not name.is_met_by(there.get((name.hash, name.id)))}


def _some(texts: Collection[str]) -> str:
    """Name one of several."""
    first = min(texts)
    return first if len(texts) == 1 else f"{first}, with {len(texts) - 1} more,"
