"""What is known of one target, and what follows from it."""

import asyncio

import pytest
from structlog.testing import capture_logs

from gateway.config import HealthRules, OutlierRules, PoolRules, Target
from gateway.proxy import UpstreamFault
from gateway.proxy.instance import Instance
from gateway.proxy.line import Line
from gateway.proxy.pool import Pool

HEALTH = HealthRules(path="/healthz", healthy_after=2, unhealthy_after=3)
OUTLIER = OutlierRules(consecutive_errors=2, eject_for=0.02)


def instance() -> Instance:
    target = Target(scheme="http", host="127.0.0.1", port=80, weight=2)
    rules = PoolRules(max_connections=1, max_waiting=1, keepalive=1)
    return Instance("orders", target, Pool(target, rules, Line("orders")))


def checked(one: Instance, results: str) -> None:
    for result in results:
        one.checked(HEALTH, None if result == "+" else "status 500")


@pytest.mark.parametrize(
    ("results", "state"),
    [
        ("", "healthy"),
        ("--", "healthy"),
        ("--+--", "healthy"),
        ("---", "unhealthy"),
        ("---+", "unhealthy"),
        ("---+-+", "unhealthy"),
        ("---++", "healthy"),
        ("---++--", "healthy"),
    ],
)
async def test_only_several_checks_in_a_row_change_what_is_thought_of_it(results: str, state: str) -> None:
    one = instance()
    checked(one, results)
    assert one.state == state
    assert one.is_out is (state != "healthy")
    assert one.checks == {"good": results.count("+"), "bad": results.count("-")}


async def test_changes_are_said_once() -> None:
    one = instance()
    with capture_logs() as logs:
        checked(one, "-----" + "++++")
    assert [entry["event"] for entry in logs] == ["target_unhealthy", "target_healthy"]
    assert logs[0]["error"] == "status 500"
    assert logs[0]["target"] == "http://127.0.0.1:80"


async def test_whoever_is_not_checked_any_more_is_taken_for_healthy() -> None:
    one = instance()
    checked(one, "---")
    one.is_checked_no_more()
    assert (one.state, one.is_out) == ("healthy", False)


async def test_an_ejected_target_comes_back_by_itself() -> None:
    one = instance()
    assert [one.failed(OUTLIER) for _ in range(2)] == [False, True]
    with capture_logs() as logs:
        one.eject(OUTLIER)
        assert (one.state, one.is_out, one.is_ejected, one.ejections) == ("ejected", True, True, 1)
        # Exchanges from before do not prolong it.
        assert [one.failed(OUTLIER) for _ in range(3)] == [False] * 3
        while one.is_out:
            await asyncio.sleep(0.001)
    assert [entry["event"] for entry in logs] == ["target_ejected", "target_returned"]
    assert not one.failed(OUTLIER)


async def test_a_good_exchange_in_between_keeps_it_in() -> None:
    one = instance()
    one.failed(OUTLIER)
    one.went_well()
    assert not one.failed(OUTLIER)


async def test_it_is_out_as_long_as_there_is_one_reason() -> None:
    one = instance()
    one.eject(OUTLIER)
    checked(one, "---")
    assert one.state == "unhealthy"
    while one.is_ejected:
        await asyncio.sleep(0.001)
    assert one.is_out
    checked(one, "++")
    assert not one.is_out


async def test_a_pardon_ends_an_ejection_and_its_timer() -> None:
    one = instance()
    one.eject(OutlierRules(eject_for=3600))
    one.pardon()
    assert (one.state, one.is_out) == ("healthy", False)


async def test_a_target_that_is_no_longer_named_gets_nobody_from_the_line_whatever_becomes_of_it() -> None:
    one = instance()
    line = one.pool._line
    checked(one, "---")
    one.eject(OUTLIER)
    waiting = asyncio.ensure_future(line.wait(0.05, 1, ()))
    await asyncio.sleep(0)
    one.retire()
    assert [one.failed(OUTLIER) for _ in range(3)] == [False] * 3
    checked(one, "++")
    one.is_checked_no_more()
    with pytest.raises(UpstreamFault):
        await waiting
    assert not one.is_ejected
    assert one.pool.count == 0
