"""The three-valued combinators, on every pair of values."""

from itertools import product

import pytest

from gateway.policy import Facts, Test, Truth
from gateway.policy.logic import all_of, any_of, negated, none_of

VALUES: tuple[Truth, ...] = (True, False, None)


def constant(truth: Truth) -> Test:
    def test(_facts: Facts) -> Truth:
        return truth

    return test


@pytest.mark.parametrize(("one", "two"), list(product(VALUES, VALUES)))
def test_the_combinators_follow_kleene(one: Truth, two: Truth, anonymous: Facts) -> None:
    # False is the smallest, unknown between, true the largest: AND is the minimum, OR the maximum.
    order: dict[Truth, int] = {False: 0, None: 1, True: 2}
    tests = [constant(one), constant(two)]
    low, high = sorted((one, two), key=lambda truth: order[truth])
    assert all_of(tests)(anonymous) is low
    assert any_of(tests)(anonymous) is high
    assert none_of(tests)(anonymous) is (None if high is None else not high)


def test_the_opposite_of_unknown_is_unknown(anonymous: Facts) -> None:
    assert [negated(constant(truth))(anonymous) for truth in VALUES] == [False, True, None]
