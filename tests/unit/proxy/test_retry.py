"""How many retries an upstream may be troubled with."""

from gateway.proxy.retry import RetryBudget


def test_a_quiet_upstream_may_be_retried_ten_times() -> None:
    budget = RetryBudget(0.2)
    assert [budget.spend() for _ in range(11)] == [True] * 10 + [False]


def test_every_exchange_earns_its_share() -> None:
    budget = RetryBudget(0.25)
    while budget.spend():
        pass
    for _ in range(4):
        budget.earn()
    assert budget.spend()
    assert not budget.spend()


def test_what_is_earned_in_quiet_times_is_bounded() -> None:
    budget = RetryBudget(1)
    for _ in range(1000):
        budget.earn()
    assert sum(budget.spend() for _ in range(100)) == 10


def test_a_share_of_zero_allows_none() -> None:
    budget = RetryBudget(0)
    budget.earn()
    assert not budget.spend()
