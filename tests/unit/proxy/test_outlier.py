"""How long a target is left out, and whether it may be."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.config import OutlierRules
from gateway.proxy.outlier import LONGEST, Failures, may_eject

RULES = OutlierRules(consecutive_errors=3, eject_for=30.0, max_ejected=0.5)


def test_failures_in_a_row_are_too_many_at_some_point() -> None:
    failures = Failures()
    assert [failures.bad(RULES) for _ in range(4)] == [False, False, True, True]


def test_a_good_exchange_begins_the_count_anew() -> None:
    failures = Failures()
    failures.bad(RULES)
    failures.bad(RULES)
    failures.good()
    assert [failures.bad(RULES) for _ in range(3)] == [False, False, True]


def test_an_ejection_begins_the_count_anew() -> None:
    failures = Failures()
    while not failures.bad(RULES):
        pass
    failures.eject(RULES, 0.0)
    assert not failures.bad(RULES)


def test_each_ejection_that_follows_another_lasts_longer_up_to_a_bound() -> None:
    failures = Failures()
    now, found = 0.0, []
    for _ in range(12):
        found.append(failures.eject(RULES, now))
        now += found[-1] + 1
    assert found[:4] == [30, 60, 90, 120]
    assert found[-2:] == [LONGEST, LONGEST]


def test_time_without_an_ejection_is_forgiving() -> None:
    failures = Failures()
    assert failures.eject(RULES, 0) == 30
    assert failures.eject(RULES, 40) == 60
    # Back at 100; one more is forgiven for every thirty seconds.
    assert failures.eject(RULES, 131) == 60
    assert failures.eject(RULES, 1000) == 30


def test_a_long_ejection_is_not_shortened() -> None:
    assert Failures().eject(OutlierRules(eject_for=900.0), 0) == 900


@pytest.mark.parametrize(
    ("share", "targets", "ejected", "may"),
    [
        (0.5, 4, 1, True),
        (0.5, 4, 2, False),
        (0.1, 4, 0, True),
        (0.1, 4, 1, False),
        (0.0, 2, 0, True),
        (1.0, 4, 3, False),
        (1.0, 1, 0, False),
    ],
)
def test_a_share_of_the_targets_may_be_ejected(share: float, targets: int, ejected: int, may: bool) -> None:
    rules = OutlierRules(max_ejected=share)
    assert may_eject(rules, targets=targets, ejected=ejected, usable=targets - ejected) is may


@given(st.floats(0, 1), st.integers(1, 20), st.data())
def test_the_last_usable_target_is_never_ejected(share: float, targets: int, data: st.DataObject) -> None:
    usable = data.draw(st.integers(0, targets))
    ejected = data.draw(st.integers(0, targets - usable))
    may = may_eject(OutlierRules(max_ejected=share), targets=targets, ejected=ejected, usable=usable)
    assert not (may and usable <= 1)
