"""Kleene's logic of three values: unknown spreads only where the answer depends on it."""

from collections.abc import Sequence

from gateway.policy.base import Facts, Test, Truth


def all_of(tests: Sequence[Test]) -> Test:
    """Return a test that is false when one of these is, else unknown when one is, else true."""
    if len(tests) == 1:
        return tests[0]
    parts = tuple(tests)

    def every(facts: Facts) -> Truth:
        answer: Truth = True
        for test in parts:
            truth = test(facts)
            if truth is False:
                return False
            if truth is None:
                answer = None
        return answer

    return every


def any_of(tests: Sequence[Test]) -> Test:
    """Return a test that is true when one of these is, else unknown when one is, else false."""
    if len(tests) == 1:
        return tests[0]
    parts = tuple(tests)

    def some(facts: Facts) -> Truth:
        answer: Truth = False
        for test in parts:
            truth = test(facts)
            if truth is True:
                return True
            if truth is None:
                answer = None
        return answer

    return some


def none_of(tests: Sequence[Test]) -> Test:
    """Return a test that is true when all of these are false."""
    return negated(any_of(tests))


def negated(test: Test) -> Test:
    """Return the opposite; of unknown, unknown."""

    def opposite(facts: Facts) -> Truth:
        truth = test(facts)
        return None if truth is None else not truth

    return opposite
