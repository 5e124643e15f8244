"""When an upstream is left alone."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from structlog.testing import capture_logs

from gateway.config import CircuitRules, OpenAfter
from gateway.proxy import Fault, UpstreamFault
from gateway.proxy.circuit import Circuit

OPEN_AFTER = OpenAfter(errors=0.5, within=10.0, at_least=4)


class Timed:
    """A circuit with a clock that moves by hand."""

    def __init__(self, rules: CircuitRules) -> None:
        self.time = 100.0
        self.circuit = Circuit("orders", rules, lambda: self.time)

    def exchange(self, *, good: bool) -> bool:
        """Carry one; return whether it was a probe."""
        is_probe = self.circuit.enter()
        self.circuit.count(good=good, is_probe=is_probe)
        self.circuit.leave(is_probe=is_probe)
        return is_probe

    def refusal(self) -> Fault:
        with pytest.raises(UpstreamFault) as caught:
            self.circuit.enter()
        return caught.value.fault


def state_of(timed: Timed) -> str:
    return timed.circuit.state


def breaking() -> Timed:
    return Timed(CircuitRules(open_after=OPEN_AFTER, probe_every=1.0))


def opened() -> Timed:
    timed = breaking()
    for _ in range(4):
        timed.exchange(good=False)
    assert timed.circuit.state == "open"
    return timed


def test_more_than_the_most_are_refused_at_once() -> None:
    timed = Timed(CircuitRules(max_concurrent=2))
    timed.circuit.enter()
    timed.circuit.enter()
    assert timed.refusal() is Fault.TOO_MANY
    timed.circuit.leave(is_probe=False)
    timed.circuit.enter()
    assert timed.circuit.active == 2


def test_failures_open_nothing_that_was_not_asked_for() -> None:
    timed = Timed(CircuitRules(max_concurrent=2))
    for _ in range(100):
        timed.exchange(good=False)
    assert timed.circuit.state == "closed"


def test_too_many_failures_open_it() -> None:
    timed = breaking()
    with capture_logs() as logs:
        for good in (True, True, False, False):
            timed.exchange(good=good)
    assert timed.refusal() is Fault.CIRCUIT_OPEN
    assert [(entry["event"], entry["failed"], entry["of"]) for entry in logs] == [("circuit_opened", 2, 4)]


@pytest.mark.parametrize(
    "results", [[False] * 3, [True, True, True, False, False], [False, True, True, True]]
)
def test_too_few_exchanges_or_failures_do_not(results: list[bool]) -> None:
    timed = breaking()
    for good in results:
        timed.exchange(good=good)
    assert timed.circuit.state == "closed"


def test_what_is_older_than_the_time_looked_at_is_forgotten() -> None:
    timed = breaking()
    for _ in range(3):
        timed.exchange(good=False)
    timed.time += 10.5
    timed.exchange(good=False)
    assert timed.circuit.state == "closed"


def test_what_is_not_older_still_counts() -> None:
    timed = breaking()
    for _ in range(3):
        timed.exchange(good=False)
    timed.time += 8.9
    timed.exchange(good=False)
    assert timed.circuit.state == "open"


def test_an_open_circuit_lets_one_probe_through_each_time() -> None:
    timed = opened()
    assert timed.refusal() is Fault.CIRCUIT_OPEN
    for _ in range(3):
        timed.time += 1.0
        assert timed.circuit.enter()
        assert state_of(timed) == "probing"
        assert timed.refusal() is Fault.CIRCUIT_OPEN
        timed.circuit.leave(is_probe=True)
        assert state_of(timed) == "open"


def test_a_probe_that_never_ends_does_not_keep_others_from_trying() -> None:
    timed = opened()
    timed.time += 1.0
    timed.circuit.enter()
    timed.time += 1.0
    assert timed.exchange(good=True)
    assert timed.circuit.state == "closed"


def test_a_good_probe_closes_it_and_the_past_is_forgotten() -> None:
    timed = opened()
    timed.time += 1.0
    with capture_logs() as logs:
        assert timed.exchange(good=True)
    assert [entry["event"] for entry in logs] == ["circuit_closed"]
    for _ in range(3):
        assert not timed.exchange(good=False)
    assert timed.circuit.state == "closed"


def test_a_bad_probe_leaves_it_open() -> None:
    timed = opened()
    timed.time += 1.0
    assert timed.exchange(good=False)
    assert timed.refusal() is Fault.CIRCUIT_OPEN


def test_exchanges_from_before_it_opened_neither_close_it_nor_count() -> None:
    timed = breaking()
    timed.circuit.enter()
    for _ in range(4):
        timed.exchange(good=False)
    timed.circuit.count(good=True, is_probe=False)
    timed.circuit.leave(is_probe=False)
    assert timed.circuit.state == "open"
    assert timed.circuit.active == 0


def test_other_rules_keep_the_state_unless_they_count_differently() -> None:
    timed = opened()
    timed.circuit.follow(CircuitRules(max_concurrent=5, open_after=OPEN_AFTER))
    assert state_of(timed) == "open"
    timed.circuit.follow(CircuitRules(max_concurrent=5))
    assert state_of(timed) == "closed"


class CircuitMachine(RuleBasedStateMachine):
    """Whatever happens, what was let through is what has not left."""

    def __init__(self) -> None:
        super().__init__()
        self.timed = Timed(CircuitRules(max_concurrent=3, open_after=OPEN_AFTER, probe_every=1.0))
        self.inside: list[bool] = []

    @rule()
    def enter(self) -> None:
        was_closed = self.timed.circuit.state == "closed"
        if len(self.inside) == 3:
            assert self.timed.refusal() is Fault.TOO_MANY
            return
        try:
            is_probe = self.timed.circuit.enter()
        except UpstreamFault:
            assert not was_closed
        else:
            assert is_probe is not was_closed
            self.inside.append(is_probe)

    @precondition(lambda self: bool(self.inside))
    @rule(good=st.sampled_from([True, False, None]))
    def end(self, good: bool | None) -> None:
        is_probe = self.inside.pop(0)
        if good is not None:
            self.timed.circuit.count(good=good, is_probe=is_probe)
        self.timed.circuit.leave(is_probe=is_probe)

    @rule(seconds=st.floats(0, 15))
    def wait(self, seconds: float) -> None:
        self.timed.time += seconds

    @invariant()
    def places_add_up(self) -> None:
        assert self.timed.circuit.active == len(self.inside) <= 3
        assert not (self.timed.circuit.state == "probing" and not any(self.inside))


TestCircuit = CircuitMachine.TestCase
TestCircuit.settings = settings(max_examples=30, stateful_step_count=30)


@given(st.lists(st.tuples(st.booleans(), st.floats(0, 3)), max_size=60))
@settings(max_examples=50)
def test_it_opens_when_the_share_is_reached_within_about_the_time(events: list[tuple[bool, float]]) -> None:
    """Slots round the time by a tenth: what is older never counts, what is nine tenths as old always does."""
    timed = breaking()
    past: list[tuple[float, bool]] = []
    for good, pause in events:
        timed.time += pause
        timed.exchange(good=good)
        past.append((timed.time, good))
        if timed.circuit.state == "open":
            within = [one for at, one in past if at > timed.time - 10.0]
            shorter = [one for at, one in past if at > timed.time - 9.0]
            assert max(len(within), len(shorter)) >= 4
            assert not good
            return
        sure = [one for at, one in past if at > timed.time - 9.0]
        older = [one for at, one in past if timed.time - 10.0 <= at <= timed.time - 9.0]
        if not good and not older:
            assert len(sure) < 4 or sure.count(False) < 0.5 * len(sure)
