"""What is asked of records, before one is read: a text without a match is passed by, one with a match never."""

import json

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.model import Comparison, Term
from gateway.stores.sql.audit_asked import Asked, actors_of, names_in

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=6) | st.sampled_from(
    ['"', "\\", "\n\x1f\x7f", "/", "\u2028é😀", "12", "true", "usr_1", "x" * 300]
)
VALUE = st.one_of(TEXT, st.integers(0, 600), st.lists(TEXT, max_size=3), st.none())
RECORD = st.fixed_dictionaries(
    {
        "route": VALUE,
        "status": VALUE,
        "roles": VALUE,
        "actor": st.none() | st.fixed_dictionaries({"id": TEXT, "kind": TEXT}, optional={"name": TEXT}),
        "attributes": st.dictionaries(TEXT, VALUE, max_size=2),
    }
)
FIELD = st.sampled_from(
    ["route", "status", "roles", "actor", "actor.id", "actor.kind", "actor.name", "attributes.12", "path"]
)


def as_the_gateway_writes(record: object) -> bytes:
    """Return JSON as it is put together from texts."""
    return json.dumps(record, ensure_ascii=False, separators=(",", ":")).encode()


@given(
    RECORD,
    FIELD,
    st.lists(TEXT, min_size=1, max_size=3),
    st.sampled_from([Comparison.IS, Comparison.LIKE]),
    st.booleans(),
)
@example(
    {"route": "a\nb", "status": 12, "roles": [], "actor": None, "attributes": {}},
    "status",
    ["12"],
    Comparison.IS,
    False,
)
@example({"route": "a\nb", "actor": {"id": "x" * 300}}, "actor", ["x" * 300], Comparison.IS, False)
@example({"route": 'a"\n/b'}, "route", ['*"*b', "x"], Comparison.LIKE, False)
def test_a_text_that_is_passed_by_has_no_record_that_meets_the_term(
    record: dict[str, object], field: str, values: list[str], comparison: Comparison, negated: bool
) -> None:
    asked = Asked.of(Term(field=field, values=tuple(values), comparison=comparison, negated=negated), {})
    if asked.is_met_by(record):
        assert asked.may_be_in(orjson.dumps(record))
        assert asked.may_be_in(b"before" + as_the_gateway_writes(record))


@given(
    RECORD, FIELD, st.lists(TEXT, min_size=1, max_size=3), st.sampled_from(list(Comparison)), st.booleans()
)
def test_a_term_is_met_as_everybody_else_understands_it(
    record: dict[str, object], field: str, values: list[str], comparison: Comparison, negated: bool
) -> None:
    term = Term(field=field, values=tuple(values), comparison=comparison, negated=negated)
    assert Asked.of(term, {}).is_met_by(record) is term.is_met_by(record)


@pytest.mark.parametrize(
    ("field", "comparison", "values"),
    [
        ("route", Comparison.IS, ("x",)),
        ("route", Comparison.LIKE, ("*x", "y")),
        ("status", Comparison.IS, ("403",)),
        ("actor", Comparison.IS, ("usr_1",)),
        ("actor.id", Comparison.IS, ("usr_1",)),
    ],
)
def test_most_texts_are_passed_by(field: str, comparison: Comparison, values: tuple[str, ...]) -> None:
    asked = Asked.of(Term(field=field, values=values, comparison=comparison), {})
    assert not asked.may_be_in(b'{"route":"orders"}')


@pytest.mark.parametrize("field", ["actor.name", "source_ip", "user_agent", "attributes.x"])
def test_what_may_be_apart_is_not_looked_for_in_the_record(field: str) -> None:
    asked = Asked.of(Term(field=field, values=("x",)), {})
    assert asked.may_be_apart
    assert asked.may_be_in(b"{}")


def test_an_actor_is_the_same_by_any_name_it_has_had() -> None:
    term = Term(field="actor", values=("alice", "usr_2"))
    named = {"alice": frozenset({"usr_1"})}
    assert names_in([term, Term(field="route", values=("r",))]) == {"alice", "usr_2"}
    assert actors_of(term, named) == frozenset({"usr_1", "usr_2", "alice"})
    asked = Asked.of(term, named)
    assert not asked.may_be_apart
    assert asked.is_met_by({"actor": {"id": "usr_1", "name": "alicia"}})
    assert asked.is_met_by({"actor": {"id": "usr_9", "name": "alice"}})
    assert not asked.is_met_by({"actor": {"id": "usr_9", "name": "bob"}})
    assert not asked.is_met_by({"actor": None})


def test_names_are_only_asked_for_where_they_are_meant() -> None:
    like = Term(field="actor", values=("al*",), comparison=Comparison.LIKE)
    by_id = Term(field="actor.id", values=("alice",))
    assert names_in([like, by_id]) == frozenset()
    assert actors_of(like, {}) is None
    assert actors_of(by_id, {"alice": frozenset({"usr_1"})}) == frozenset({"alice"})
