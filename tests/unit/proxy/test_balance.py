"""Whose turn it is."""

from gateway.proxy.balance import RoundRobin


def test_heavier_targets_have_more_turns_spread_evenly() -> None:
    balance = RoundRobin([5, 1, 1])
    assert [balance.turn() for _ in range(14)] == [0, 0, 1, 0, 2, 0, 0] * 2


def test_equal_targets_take_turns() -> None:
    balance = RoundRobin([1, 1, 1])
    assert [balance.turn() for _ in range(6)] == [0, 1, 2, 0, 1, 2]


def test_one_target_always_has_the_turn_until_it_was_tried() -> None:
    balance = RoundRobin([3])
    assert balance.turn() == 0
    assert balance.turn((0,)) is None


def test_tried_targets_are_passed_over() -> None:
    balance = RoundRobin([5, 1])
    assert balance.turn((0,)) == 1
    assert balance.turn((0, 1)) is None


def test_without_targets_nobody_has_the_turn() -> None:
    assert RoundRobin([]).turn() is None
