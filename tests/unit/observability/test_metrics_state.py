"""Merging is a law: in any order, in any grouping, and nothing that was counted is lost with its process."""

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.observability import MetricsState, families, lasting, merged_state, state_of
from gateway.observability.metrics_families import FAMILIES, Family, Kind
from gateway.observability.metrics_state import key_of, labels_of

WORDS = st.sampled_from(["a", "b", "none", "gateway:own", 'quote"\\\n', "ü", ""])


@st.composite
def states(draw: st.DrawFn) -> MetricsState:
    """Any state that a process may send, of numbers that floating point adds without rounding."""
    state: MetricsState = {}
    for family in draw(st.lists(st.sampled_from(list(FAMILIES.values())), unique=True)):
        length = len(family.bounds) + 2 if family.kind is Kind.HISTOGRAM else 1
        numbers: st.SearchStrategy[list[int | float]] = st.lists(
            st.integers(0, 2**40), min_size=length, max_size=length
        )
        if family.kind is Kind.INFO:
            numbers = st.just([1])
        elif family.kind is Kind.GAUGE:
            numbers = st.integers(0, 2**40).map(lambda number: [number / 8])
        labels = st.tuples(*[WORDS] * len(family.labels))
        series = draw(st.dictionaries(labels, numbers, max_size=3))
        state[family.name] = {key_of(family, each, "1"): value for each, value in series.items()}
    return state


@given(states(), states(), states())
def test_merging_is_associative_and_commutative(
    one: MetricsState, other: MetricsState, third: MetricsState
) -> None:
    assert merged_state([one, other]) == merged_state([other, one])
    together = merged_state([one, other, third])
    assert merged_state([merged_state([one, other]), third]) == together
    assert merged_state([one, merged_state([other, third])]) == together


@given(st.lists(states(), max_size=4))
def test_merging_changes_nothing_that_was_given_and_survives_json(given_: list[MetricsState]) -> None:
    before = orjson.dumps(given_)
    merged = merged_state(given_)
    assert orjson.loads(orjson.dumps(merged)) == merged
    assert orjson.dumps(given_) == before


@given(states())
def test_a_state_alone_is_itself_and_nothing_adds_nothing(state: MetricsState) -> None:
    assert merged_state([state]) == state
    assert merged_state([{}, state, {}]) == state


@given(st.data(), st.sampled_from(list(FAMILIES.values())))
def test_labels_come_back_in_order(data: st.DataObject, family: Family) -> None:
    labels = data.draw(st.tuples(*[WORDS] * len(family.labels)))
    key = key_of(family, labels, "w")
    assert dict(zip(family.all_labels, labels_of(key, family), strict=True)) == dict(
        zip(family.all_labels, ("w", *labels) if family.per_worker else labels, strict=True)
    )


def test_counts_are_summed_ages_are_the_worst_and_descriptions_stay_descriptions() -> None:
    merged = merged_state(
        [
            state_of({families.IN_FLIGHT: 2, families.AUDIT_LAG: 0.5, families.CONFIGURATION: {"r1": 1}}),
            state_of({families.IN_FLIGHT: 3, families.AUDIT_LAG: 70.0, families.CONFIGURATION: {"r1": 1}}),
            state_of({families.AUDIT_LAG: 1.0, families.CONFIGURATION: {"r2": 1}}),
        ]
    )
    assert merged == state_of(
        {families.IN_FLIGHT: 5, families.AUDIT_LAG: 70.0, families.CONFIGURATION: {"r1": 1, "r2": 1}}
    )


def test_what_makes_no_sum_is_kept_per_worker() -> None:
    merged = merged_state([state_of({families.REDIS_UP: up}, worker=str(up)) for up in (0, 1)])
    assert merged == {families.REDIS_UP.name: {"0": [0], "1": [1]}}


def test_labels_must_be_as_many_as_the_metric_has() -> None:
    with pytest.raises(ValueError, match=r"gateway_requests_total has the labels"):
        state_of({families.REQUESTS: {"orders": 1}})
    with pytest.raises(ValueError, match=r"gateway_workers has the labels"):
        state_of({families.WORKERS: {"one": 1}})


def test_a_counter_never_falls_when_a_process_ends_and_another_takes_its_place() -> None:
    one = state_of({families.AUDIT_SHIPPED: 12, families.IN_FLIGHT: 3})
    two = state_of({families.AUDIT_SHIPPED: 5, families.IN_FLIGHT: 1})
    assert merged_state([one, two])[families.AUDIT_SHIPPED.name][""][0] == 17
    gone = merged_state([{}, lasting(one)])
    assert merged_state([gone, two]) == state_of({families.AUDIT_SHIPPED: 17, families.IN_FLIGHT: 1})
    again = state_of({families.AUDIT_SHIPPED: 1})
    assert merged_state([gone, two, again])[families.AUDIT_SHIPPED.name][""][0] == 18
    gone = merged_state([gone, lasting(again)])
    assert merged_state([gone, two])[families.AUDIT_SHIPPED.name][""][0] == 18
    together = merged_state([gone, two, state_of({families.WORKERS: 1})])
    assert together[families.WORKERS.name] == {"": [1]}


@given(states())
def test_what_stays_of_a_process_are_its_counts(state: MetricsState) -> None:
    kept = lasting(state)
    assert {FAMILIES[name].kind for name in kept} <= {Kind.COUNTER, Kind.HISTOGRAM}
    assert all(series == state[name] for name, series in kept.items())
