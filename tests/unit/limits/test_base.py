"""Which limits apply."""

from typing import Any

from gateway.limits import LimitPlan

NOBODY: frozenset[str] = frozenset()


def test_without_limits_none_apply() -> None:
    plan = LimitPlan()
    assert plan.of(NOBODY, anonymous=True) == ()
    assert plan.of(frozenset({"customer"}), anonymous=False) == ()
    assert plan.address == ()


def test_a_role_with_limits_replaces_the_default_ones_per_principal(limit: Any) -> None:
    per_principal = limit("defaults:0")
    per_address = limit("defaults:1", per=("client_ip",))
    per_both = limit("defaults:2", per=("principal", "route"))
    of_role = limit("role:customer:0", quota=1)
    of_route = limit("route:orders:0")
    plan = LimitPlan(
        defaults=(per_principal, per_address, per_both), route=(of_route,), by_role={"customer": (of_role,)}
    )
    assert plan.of(frozenset({"customer", "other"}), anonymous=False) == (
        per_address,
        per_both,
        of_role,
        of_route,
    )
    assert plan.of(frozenset({"other"}), anonymous=False) == (per_principal, per_address, per_both, of_route)
    assert plan.of(NOBODY, anonymous=False) == (per_principal, per_address, per_both, of_route)


def test_nobody_has_the_limits_of_a_role(limit: Any) -> None:
    default = limit()
    plan = LimitPlan(defaults=(default,), by_role={"customer": (limit("role:customer:0"),)})
    assert plan.of(frozenset({"customer"}), anonymous=True) == (default,)


def test_among_roles_the_list_whose_tightest_limit_is_most_generous_wins_whole(limit: Any) -> None:
    # 600 and then at most 1/s, against 120/min alone: the tightest are 1/s and 2/s.
    burst = (limit("role:burst:0", quota=600, seconds=60), limit("role:burst:1", quota=60, seconds=60))
    steady = (limit("role:steady:0", quota=120, seconds=60),)
    plan = LimitPlan(by_role={"burst": burst, "steady": steady})
    assert plan.of(frozenset({"burst", "steady"}), anonymous=False) == steady
    assert plan.of(frozenset({"burst"}), anonymous=False) == burst


def test_rates_are_compared_exactly_whatever_their_windows(limit: Any) -> None:
    by_day = (limit("role:day:0", quota=86_401, seconds=86_400),)
    by_second = (limit("role:second:0", quota=1, seconds=1),)
    plan = LimitPlan(by_role={"day": by_day, "second": by_second})
    assert plan.of(frozenset({"day", "second"}), anonymous=False) == by_day


def test_a_tie_between_roles_is_broken_by_name(limit: Any) -> None:
    one, two = (limit("role:a:0"),), (limit("role:b:0"),)
    for by_role in ({"a": one, "b": two}, {"b": two, "a": one}):
        assert LimitPlan(by_role=by_role).of(frozenset({"a", "b"}), anonymous=False) == one


def test_a_role_with_an_empty_list_has_no_limits(limit: Any) -> None:
    default = limit()
    plan = LimitPlan(defaults=(default,), by_role={"customer": ()})
    assert plan.of(frozenset({"customer"}), anonymous=False) == (default,)


def test_the_choice_is_remembered_and_the_memory_is_bounded(limit: Any) -> None:
    plan = LimitPlan(defaults=(limit(),), by_role={"customer": (limit("role:customer:0"),)})
    asked = frozenset({"customer"})
    assert plan.of(asked, anonymous=False) is plan.of(asked, anonymous=False)
    for number in range(2000):
        plan.of(frozenset({f"claimed-{number}"}), anonymous=False)
    assert len(plan._chosen) <= 1024


def test_refused_requests_are_charged_to_limits_that_count_nothing_but_the_address(limit: Any) -> None:
    default = limit("defaults:1", per=("client_ip",))
    of_route = limit("route:orders:0", per=("client_ip",))
    plan = LimitPlan(
        defaults=(limit(), default),
        route=(of_route, limit("route:orders:1", per=("client_ip", "route"))),
        by_role={"customer": (limit("role:customer:0", per=("client_ip",)),)},
    )
    assert plan.address == (default, of_route)
