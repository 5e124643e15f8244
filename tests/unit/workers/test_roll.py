"""What the operators' process knows of the workers, and what it makes of it."""

import orjson
import pytest

from gateway.web import merged_report
from gateway.workers import Roll
from gateway.workers.roll import departed_line, draining_line, endings_line, entry_line, metrics_line

READY = {"status": 200, "body": {"status": "ready", "failed": {}, "degraded": {}}, "open": 3, "in_flight": 1}


class Now:
    def __init__(self) -> None:
        self.time = 100.0

    def __call__(self) -> float:
        return self.time


def serving(name: str, pid: int = 7, standing: object = READY) -> bytes:
    return entry_line(name, pid=pid, fault=None, standing=orjson.dumps(standing))


def test_a_worker_that_serves_is_passed_on_as_it_stands() -> None:
    roll = Roll()
    roll.hear(serving("1"))
    assert roll.reports() == {"1": (200, READY["body"])}
    assert roll.details() == {"1": {"pid": 7, "connections": 3, "in_flight": 1}}


def test_a_worker_that_is_missing_says_why() -> None:
    roll = Roll()
    roll.hear(serving("1"))
    roll.hear(entry_line("2", pid=None, fault="is being restarted (killed by SIGKILL)", standing=None))
    status, body = merged_report(roll.reports())
    assert (status, body["status"]) == (200, "degraded")
    assert body["degraded"] == {"worker 2": "is being restarted (killed by SIGKILL)"}
    assert roll.details()["2"] == {"pid": None, "connections": 0, "in_flight": 0}


def test_a_worker_that_is_silent_cannot_answer() -> None:
    now = Now()
    roll = Roll(now)
    roll.hear(serving("1"))
    now.time += 2.9
    roll.hear(serving("2"))
    assert merged_report(roll.reports())[1]["status"] == "ready"
    now.time += 1.5
    status, body = merged_report(roll.reports())
    assert (status, body["degraded"]) == (200, {"worker 1": "has not been heard of for 4 s"})
    now.time += 10
    status, body = merged_report(roll.reports())
    assert (status, body["status"]) == (503, "unready")


def test_nobody_serves_before_the_first_report() -> None:
    roll = Roll()
    assert merged_report(roll.reports())[0] == 503
    roll.hear(entry_line("1", pid=7, fault=None, standing=None))
    assert merged_report(roll.reports())[1]["failed"] == {"worker 1": "is starting"}


def test_what_ended_workers_had_counted_stays_and_is_not_counted_twice() -> None:
    roll = Roll()
    roll.hear(metrics_line("1", 7, b'{"a":1}'))
    roll.hear(metrics_line("2", 8, b'{"a":2}'))
    roll.hear(metrics_line("2", 8, b'{"a":3}'))
    assert roll.metrics() == [{"a": 1}, {"a": 3}]
    roll.hear(departed_line(b'{"a":3}', {"2": 8}))
    assert roll.metrics() == [{"a": 1}, {"a": 3}]
    roll.hear(metrics_line("2", 9, b'{"a":0}'))
    assert roll.metrics() == [{"a": 1}, {"a": 0}, {"a": 3}]


def test_the_order_in_which_lines_wait_does_not_count_a_worker_twice() -> None:
    roll = Roll()
    roll.hear(departed_line(b'{"a":3}', {"2": 8}))
    # Its last word waited behind the line of a death before, which the newer one has replaced.
    roll.hear(metrics_line("2", 8, b'{"a":3}'))
    assert roll.metrics() == [{"a": 3}]


def test_it_is_whole_with_the_last_line_of_a_beginning() -> None:
    roll = Roll()
    roll.hear(serving("1"))
    roll.hear(departed_line(b'{"a":3}', {"1": 6}))
    before = roll.is_whole
    roll.hear(endings_line({}))
    assert (before, roll.is_whole) == (False, True)


def test_all_are_stuck_when_none_that_served_is_heard_of_for_long() -> None:
    now = Now()
    roll = Roll(now)
    # Whoever waits for a database, or is being started again, is not stuck.
    roll.hear(entry_line("1", pid=7, fault="waits: the database", standing=None))
    now.time += 60
    before = roll.is_stuck
    roll.hear(serving("2"))
    roll.hear(serving("3"))
    now.time += 14
    roll.hear(serving("3"))
    now.time += 14
    while_one_is_heard = roll.is_stuck
    now.time += 2
    assert (before, while_one_is_heard, roll.is_stuck) == (False, False, True)
    roll.hear(serving("2"))
    assert not roll.is_stuck


def test_the_whole_drains_when_the_supervisor_says_so() -> None:
    roll = Roll()
    roll.hear(serving("1"))
    before = roll.draining
    roll.hear(draining_line())
    assert (before, roll.draining) == (False, True)
    status, body = merged_report(roll.reports(), draining=roll.draining)
    assert (status, body["status"]) == (503, "unready")
    assert body["failed"] == {"draining": "the gateway is shutting down"}


def test_endings_that_nobody_asked_for_are_counted() -> None:
    roll = Roll()
    roll.hear(serving("1"))
    roll.hear(entry_line("2", pid=None, fault="is being restarted (exit code 3)", standing=None))
    roll.hear(endings_line({"exit code 3": 2}))
    assert (roll.endings, roll.running) == ({"exit code 3": 2}, 1)


def test_a_line_of_no_kind_is_refused() -> None:
    with pytest.raises(ValueError, match="not a line of the roll"):
        Roll().hear(b'{"whatever": 1}')
