from hypothesis import given
from hypothesis import strategies as st

from gateway.stores.redis.breaker import Breaker


def breaker() -> tuple[Breaker, list[str]]:
    made = Breaker()
    opened: list[str] = []
    made.on_open = opened.append
    return made, opened


def test_five_timeouts_in_a_row_open_it() -> None:
    subject, opened = breaker()
    subject.timed_out(4, 0.0)
    subject.answered(1)
    subject.timed_out(4, 10.0)
    assert opened == []
    subject.timed_out(1, 20.0)
    assert (subject.is_open, subject.refusing) == (True, False)
    assert opened == ["it answers too slowly"]


def test_more_failures_than_answers_within_a_second_open_it() -> None:
    subject, opened = breaker()
    for at in range(9):
        subject.refused("OOM", at / 10)
    subject.answered(9)
    subject.refused("OOM", 0.9)
    assert subject.is_open
    assert subject.refusing
    assert opened == ["it refuses commands with OOM"]


def test_as_many_answers_as_failures_leave_it_closed() -> None:
    subject, _ = breaker()
    subject.timed_out(1, 0.0)
    subject.answered(1)
    for _ in range(50):
        subject.answered(1)
        subject.timed_out(1, 0.0)
    assert not subject.is_open


def test_failures_of_another_second_do_not_count() -> None:
    subject, _ = breaker()
    for at in range(9):
        subject.refused("OOM", at / 10)
    for at in range(9):
        subject.refused("OOM", 1 + at / 10)
    assert not subject.is_open


def test_three_good_probes_in_a_row_close_it() -> None:
    subject, opened = breaker()
    subject.timed_out(5, 0.0)
    assert [subject.probed(good=good) for good in (True, True, False, True, True)] == [False] * 5
    assert subject.probed(good=True)
    assert not subject.is_open
    subject.timed_out(4, 0.1)
    assert len(opened) == 1
    subject.timed_out(1, 0.2)
    assert len(opened) == 2


@given(st.lists(st.tuples(st.sampled_from("atrgb"), st.integers(1, 12), st.floats(0, 0.7))))
def test_it_opens_only_for_a_reason_and_closes_only_by_probes(steps: list[tuple[str, int, float]]) -> None:
    subject, opened = breaker()
    now, in_a_row, good, failures = 0.0, 0, 0, [0.0]
    for kind, count, pause in steps:
        now += pause
        was_open = subject.is_open
        match kind:
            case "a":
                subject.answered(count)
                in_a_row = 0
            case "t":
                subject.timed_out(count, now)
                in_a_row += count
                failures += [now] * count
            case "r":
                subject.refused("ERR", now)
                in_a_row = 0
                failures.append(now)
            case _:
                subject.probed(good=kind == "g")
        good = good + 1 if kind == "g" else 0 if kind == "b" else good
        if subject.is_open and not was_open:
            assert in_a_row >= 5 or len([at for at in failures if now - at < 1]) >= 10
            good = 0
        if was_open and not subject.is_open:
            assert good >= 3
            in_a_row = 0
    assert len(opened) >= subject.is_open
