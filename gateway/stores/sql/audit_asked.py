"""What is asked of records, made ready for a look through chunks of them: where it can surely not be met is
seen without reading a record, and who is meant by a name is known."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Self

import orjson

from gateway.model import RECORD_FIELDS, Comparison, Term
from gateway.stores.sql.audit_chunk import noted, unshortened

_ACTOR: Final = "actor"
_WRITTEN: Final = frozenset(RECORD_FIELDS) - {
    *("writer", "seq", "time", "actor", "source_ip", "user_agent"),
    *("bytes_in", "bytes_out", "duration_ms", "attributes"),
} | {"actor.id", "actor.kind"}
"""Fields whose values are texts or whole numbers and stand in the record itself: whoever looks for one looks
for its JSON."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One term, for a look through chunks."""

    term: Term
    ids: frozenset[str] | None = None
    """Of a term on actors: the ids that are meant, as `noted`."""
    texts: tuple[bytes, ...] = ()
    """The JSON of every record that meets the term has one of these in it. None: nothing is known of it."""

    @classmethod
    def of(cls, term: Term, named: Mapping[str, frozenset[str]]) -> Self:
        """Return a term made ready. `named`: ids, as `noted`, of the actors that have had a name."""
        ids = actors_of(term, named)
        return cls(term=term, ids=ids, texts=() if term.negated else _texts(term, ids))

    @property
    def may_be_apart(self) -> bool:
        """Whether what is kept apart from the record, because it is personal, may decide."""
        return self.ids is None and self.term.may_be_personal

    def may_be_in(self, text: bytes) -> bool:
        """Say whether a record that meets the term may be in the text of records. Never wrongly no."""
        return not self.texts or any(wanted in text for wanted in self.texts)

    def possible(self, records: list[tuple[int, bytes]]) -> list[tuple[int, bytes]]:
        """Return those of numbered records that may meet the term. Never wrongly leaves one out."""
        match self.texts:
            case ():
                return records
            case (wanted,):
                return [record for record in records if wanted in record[1]]
            case _:
                return [record for record in records if self.may_be_in(record[1])]

    def is_met_by(self, record: Mapping[str, object]) -> bool:
        """Say whether a record meets the term."""
        if self.ids is None or self.term.field != _ACTOR:
            return self.term.is_met_by(record)
        return self.term.negated is not self._means(record.get(_ACTOR))

    def _means(self, actor: object) -> bool:
        if not isinstance(actor, dict) or self.ids is None:
            return False
        actor_id = actor.get("id")
        # Whoever has a name now, or has had it: an actor is the same by any of them.
        return actor.get("name") in self.term.values or (
            isinstance(actor_id, str) and noted(actor_id) in self.ids
        )


def names_in(terms: Sequence[Term]) -> frozenset[str]:
    """Return what terms ask for that may be the name of an actor."""
    return frozenset(
        value
        for term in terms
        if term.field == _ACTOR and term.comparison is Comparison.IS
        for value in term.values
    )


def actors_of(term: Term, named: Mapping[str, frozenset[str]]) -> frozenset[str] | None:
    """Return the ids of the actors that a term means, as `noted`; None when it names none."""
    if term.comparison is not Comparison.IS or term.field not in {_ACTOR, "actor.id"}:
        return None
    ids = frozenset(map(noted, term.values))
    if term.field == _ACTOR:
        ids = ids.union(*(named.get(value, ()) for value in term.values))
    return ids


def _texts(term: Term, ids: frozenset[str] | None) -> tuple[bytes, ...]:
    try:
        if ids is not None:
            return tuple(orjson.dumps(unshortened(id_))[:-1] for id_ in ids)
        if term.field not in _WRITTEN:
            return ()
        match term.comparison:
            case Comparison.IS:
                return tuple(orjson.dumps(value)[1:-1] for value in term.values)
            case Comparison.LIKE:
                pieces = [max(value.split("*"), key=len) for value in term.values]
                return tuple(orjson.dumps(piece)[1:-1] for piece in pieces) if all(pieces) else ()
            case _:
                return ()
    except TypeError:
        # Half of a surrogate pair, which is in no record.
        return ()
