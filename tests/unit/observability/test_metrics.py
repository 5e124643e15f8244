"""Counting: what was done is what is shown, per route, upstream and reason."""

import platform

import orjson
import pytest
from structlog.testing import capture_logs
from support.heads import HEAD

from gateway import __version__
from gateway.model import (
    ANONYMOUS,
    Algorithm,
    Completion,
    Grant,
    Limit,
    Outcome,
    Permit,
    Reason,
    Refusal,
    Route,
    Tally,
)
from gateway.observability import Metrics, MetricsState, families
from gateway.observability.metrics_families import Family

ROUTE = Route(
    id="orders", host=None, methods=frozenset({"GET"}), path="/orders", upstream="service", place="p:1"
)
PERMIT = Permit(
    head=HEAD,
    route=ROUTE,
    params={},
    principal=ANONYMOUS,
    grant=Grant(scopes=frozenset(), required=frozenset()),
    tallies=(),
)


def completion(
    *, status: int = 200, milliseconds: float = 1.0, outcome: Outcome = Outcome.COMPLETE
) -> Completion:
    return Completion(status=status, bytes_in=2, bytes_out=30, duration_ms=milliseconds, outcome=outcome)


def limit(name: str) -> Limit:
    return Limit(
        id=name, place="p:9", algorithm=Algorithm.WINDOW, per=("all",), quota=1, window_us=10**6, burst=1
    )


def series(state: MetricsState, family: Family) -> dict[tuple[str, ...], float]:
    return {tuple(key.split("\x1f")): numbers[0] for key, numbers in state.get(family.name, {}).items()}


@pytest.fixture
def metrics() -> Metrics:
    return Metrics(worker="2")


def test_decisions_are_counted_by_route_decision_and_reason(metrics: Metrics) -> None:
    metrics.decided(PERMIT)
    metrics.decided(PERMIT)
    metrics.decided(Refusal(head=HEAD, reason=Reason.INSUFFICIENT_SCOPE, route=ROUTE))
    metrics.decided(Refusal(head=HEAD, reason=Reason.NO_ROUTE))
    metrics.decided(Refusal(head=None, reason=Reason.MALFORMED_REQUEST))
    assert series(metrics.state(), families.REQUESTS) == {
        ("orders", "allow", "ok"): 2,
        ("orders", "deny", "insufficient-scope"): 1,
        ("none", "deny", "no-route"): 1,
        ("none", "deny", "malformed-request"): 1,
    }


def test_every_refusal_is_an_answer_with_the_status_of_its_reason(metrics: Metrics) -> None:
    metrics.decided(Refusal(head=HEAD, reason=Reason.NO_ROUTE))
    metrics.decided(Refusal(head=HEAD, reason=Reason.DENIED))
    metrics.decided(Refusal(head=HEAD, reason=Reason.AUDIT_UNAVAILABLE, route=ROUTE))
    metrics.completed(PERMIT, completion(status=502, outcome=Outcome.UPSTREAM_FAILED))
    metrics.completed(PERMIT, completion(status=0, outcome=Outcome.CLIENT_LEFT))
    metrics.completed(PERMIT, completion(status=799))
    assert series(metrics.state(), families.RESPONSES) == {
        ("none", "4xx"): 2,
        ("orders", "5xx"): 2,
        ("orders", "none"): 1,
        ("orders", "other"): 1,
    }


def test_the_gateway_s_own_endpoints_are_counted_under_their_names(metrics: Metrics) -> None:
    metrics.answered("gateway:auth.login", 201)
    metrics.refused("gateway:auth.login", Refusal(head=HEAD, reason=Reason.CREDENTIALS_INVALID))
    state = metrics.state()
    assert series(state, families.REQUESTS) == {
        ("gateway:auth.login", "allow", "ok"): 1,
        ("gateway:auth.login", "deny", "credentials-invalid"): 1,
    }
    assert series(state, families.RESPONSES) == {
        ("gateway:auth.login", "2xx"): 1,
        ("gateway:auth.login", "4xx"): 1,
    }


def test_exchanges_are_counted_by_upstream_and_ending(metrics: Metrics) -> None:
    for outcome in (Outcome.COMPLETE, Outcome.COMPLETE, Outcome.CUT, Outcome.CLIENT_LEFT):
        metrics.completed(PERMIT, completion(outcome=outcome))
    state = metrics.state()
    assert series(state, families.EXCHANGES) == {
        ("service", "complete"): 2,
        ("service", "cut"): 1,
        ("service", "client_left"): 1,
    }
    assert series(state, families.REQUEST_BYTES) == {("service",): 8}
    assert series(state, families.RESPONSE_BYTES) == {("service",): 120}


def test_a_duration_is_in_the_first_bucket_that_is_not_too_short(metrics: Metrics) -> None:
    for milliseconds in (0.0, 1.0, 1.001, 60_000.0, 60_000.001):
        metrics.completed(PERMIT, completion(milliseconds=milliseconds))
    (numbers,) = metrics.state()[families.REQUEST_SECONDS.name].values()
    assert numbers == [120_002_002, 2, 1, *[0] * 12, 1, 1]
    for seconds in (0.0001, 0.00011, 5.0):
        metrics.took(seconds)
    (numbers,) = metrics.state()[families.DECISION_SECONDS.name].values()
    assert numbers == [5_000_210, 1, 1, *[0] * 10, 1]


def test_a_429_is_counted_for_each_limit_that_refused_and_no_other(metrics: Metrics) -> None:
    tallies = (Tally(limit("a"), 0, 5, 0), Tally(limit("b"), 1, 0, 1), Tally(limit("c"), 9, 0, 9))
    metrics.decided(Refusal(head=HEAD, reason=Reason.RATE_EXCEEDED, route=ROUTE, tallies=tallies))
    metrics.decided(Refusal(head=HEAD, reason=Reason.BODY_TOO_LARGE, route=ROUTE, tallies=tallies))
    assert series(metrics.state(), families.LIMIT_REFUSALS) == {("b",): 1, ("c",): 1}


def test_a_refusal_for_want_of_an_attribute_is_counted_by_route(metrics: Metrics) -> None:
    metrics.decided(Refusal(head=HEAD, reason=Reason.DENIED, route=ROUTE, broken=True))
    metrics.decided(Refusal(head=HEAD, reason=Reason.DENIED, route=ROUTE))
    assert series(metrics.state(), families.BROKEN_CONDITIONS) == {(ROUTE.id,): 1}


def test_what_is_kept_elsewhere_is_read_when_somebody_looks(metrics: Metrics) -> None:
    asked: list[str] = []
    metrics.watch(families.IN_FLIGHT, lambda: len(asked))
    metrics.watch(families.UPSTREAM_WAITING, lambda: {"service": 3})
    metrics.watch(families.LIMIT_CHECKS, lambda: {("exact", "admitted"): 4})
    metrics.watch(families.REDIS_UP, lambda: 1)
    metrics.watch(families.DATABASE_ERRORS, lambda: None)
    asked.append("once")
    state = metrics.state()
    assert series(state, families.IN_FLIGHT) == {("",): 1}
    assert series(state, families.UPSTREAM_WAITING) == {("service",): 3}
    assert series(state, families.LIMIT_CHECKS) == {("exact", "admitted"): 4}
    assert series(state, families.REDIS_UP) == {("2",): 1}
    assert families.DATABASE_ERRORS.name not in state


def test_a_source_that_fails_hides_no_other_and_is_complained_about_once(metrics: Metrics) -> None:
    def broken() -> int:
        raise ZeroDivisionError

    metrics.watch(families.IN_FLIGHT, broken)
    metrics.watch(families.LIMIT_CHECKS, lambda: {"one label instead of two": 1})
    metrics.watch(families.CLIENT_CONNECTIONS, lambda: 7)
    with capture_logs() as logs:
        metrics.state()
        state = metrics.state()
    assert [(entry["event"], entry["metric"]) for entry in logs] == [
        ("metric_unreadable", "gateway_requests_in_flight"),
        ("metric_unreadable", "gateway_limit_checks_total"),
    ]
    assert families.IN_FLIGHT.name not in state
    assert series(state, families.CLIENT_CONNECTIONS) == {("",): 7}


def test_a_histogram_is_not_read_from_elsewhere(metrics: Metrics) -> None:
    with pytest.raises(ValueError, match="histogram"):
        metrics.watch(families.DECISION_SECONDS, lambda: 1)


def test_the_process_is_described_under_its_name_among_its_siblings(metrics: Metrics) -> None:
    state = metrics.state()
    assert series(state, families.BUILD) == {(__version__, platform.python_version()): 1}
    for family in (families.PROCESS_CPU, families.PROCESS_MEMORY, families.PROCESS_FILES):
        (value,) = series(state, family).items()
        assert value[0] == ("2",)
        assert value[1] > 0


def test_a_state_is_a_value_of_its_own_and_survives_json(metrics: Metrics) -> None:
    metrics.decided(PERMIT)
    metrics.completed(PERMIT, completion())
    state = metrics.state()
    sent = orjson.dumps(state)
    metrics.decided(PERMIT)
    metrics.completed(PERMIT, completion())
    assert orjson.dumps(state) == sent
    assert orjson.loads(sent) == state
