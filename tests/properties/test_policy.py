"""Laws of policy: Kleene's logic, and that a deny rule can only take away."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st
from support.heads import HEAD

from gateway.model import Principal, PrincipalKind
from gateway.policy import Condition, DenyRule, Facts, Roles, Schedule, Truth, compile_condition, find_cycle

ALICE = Principal(
    id="usr_1",
    kind=PrincipalKind.USER,
    name="alice",
    authn="gateway",
    authn_kind="gateway_jwt",
    claims={"yes": True, "no": False},
)
FACTS = Facts(HEAD, {}, ALICE, 0.0)

ATOMS: list[object] = [
    {"claims.yes": {"is": True}},
    {"claims.no": {"is": True}},
    {"claims.unknown": {"is": True}},
]
TREES = st.recursive(
    st.sampled_from(ATOMS),
    lambda trees: st.builds(
        lambda name, parts: {name: parts},
        st.sampled_from(["any_of", "all_of", "none_of"]),
        st.lists(trees, min_size=1, max_size=4),
    ),
    max_leaves=8,
)


def compiled(tree: object) -> Condition:
    findings: list[object] = []
    condition = compile_condition(
        tree,
        place=lambda _path: "policies.yaml:1",
        networks={},
        schedules={},
        params=frozenset(),
        roles=frozenset(),
        report=lambda *finding: findings.append(finding),
    )
    assert condition is not None, findings
    return condition


def truth(tree: object) -> Truth:
    return compiled(tree).test(FACTS)


def reference(tree: object, unknown: bool) -> bool:
    """Two-valued truth, when everything unknown is taken to be the same."""
    assert isinstance(tree, dict)
    ((name, operand),) = tree.items()
    if name == "any_of":
        return any(reference(part, unknown) for part in operand)
    if name == "all_of":
        return all(reference(part, unknown) for part in operand)
    if name == "none_of":
        return not any(reference(part, unknown) for part in operand)
    return {"claims.yes": True, "claims.no": False, "claims.unknown": unknown}[name]


@given(TREES)
def test_a_definite_answer_does_not_depend_on_what_is_unknown(tree: object) -> None:
    answer = truth(tree)
    if answer is not None:
        assert reference(tree, unknown=True) is reference(tree, unknown=False) is answer


@given(TREES, TREES)
def test_the_combinators_obey_the_laws_of_kleene(one: object, two: object) -> None:
    assert truth({"all_of": [one, two]}) is truth({"all_of": [two, one]})
    assert truth({"any_of": [one, two]}) is truth({"any_of": [two, one]})
    assert truth({"any_of": [one, one]}) is truth(one) is truth({"all_of": [one, one]})
    assert truth({"all_of": [one, {"any_of": [one, two]}]}) is truth(one)
    assert truth({"none_of": [{"none_of": [one]}]}) is truth(one)
    # De Morgan.
    assert truth({"none_of": [one, two]}) is truth({"all_of": [{"none_of": [one]}, {"none_of": [two]}]})
    assert truth({"none_of": [{"all_of": [one, two]}]}) is truth(
        {"any_of": [{"none_of": [one]}, {"none_of": [two]}]}
    )


def allowed(when: Condition, rules: list[DenyRule]) -> bool:
    return when.test(FACTS) is True and all(rule.truth(FACTS) is False for rule in rules)


@given(TREES, st.lists(TREES, max_size=3), TREES)
def test_adding_a_deny_rule_never_widens(when: object, denied: list[object], added: object) -> None:
    condition = compiled(when)
    rules = [DenyRule(id="d", routes=None, condition=compiled(tree)) for tree in denied]
    more = [*rules, DenyRule(id="added", routes=None, condition=compiled(added))]
    assert not allowed(condition, more) or allowed(condition, rules)


@given(TREES)
def test_unknown_refuses_on_both_sides(tree: object) -> None:
    if truth(tree) is None:
        assert not allowed(compiled(tree), [])
        assert DenyRule(id="d", routes=None, condition=compiled(tree)).truth(FACTS) is None


SCOPES = ["a:x", "a:y", "b:x"]
NAMES = ["r0", "r1", "r2", "r3"]
ROLES = st.fixed_dictionaries(
    {
        name: st.tuples(
            st.lists(st.sampled_from([*SCOPES, "*", "a:*", "nothing"]), max_size=2),
            st.lists(st.sampled_from([*NAMES, "undefined"]), max_size=2),
        )
        for name in NAMES
    }
)


@given(ROLES, st.sets(st.sampled_from([*NAMES, "undefined"])), st.sampled_from(NAMES))
def test_roles_only_add_and_have_all_that_they_inherit(
    defined: dict[str, tuple[list[str], list[str]]], held: set[str], another: str
) -> None:
    roles = Roles(defined, SCOPES)
    scopes = roles.scopes_of(frozenset(held))
    assert scopes <= set(SCOPES)
    assert scopes <= roles.scopes_of(frozenset(held | {another}))
    for name, (_, parents) in defined.items():
        for parent in parents:
            assert roles.scopes_of(frozenset({parent})) <= roles.scopes_of(frozenset({name}))


@given(ROLES)
def test_a_cycle_is_found_exactly_when_there_is_one(defined: dict[str, tuple[list[str], list[str]]]) -> None:
    inherits = {name: parents for name, (_, parents) in defined.items()}
    cycle = find_cycle(inherits)
    if cycle is not None:
        assert cycle[0] == cycle[-1]
        assert all(after in inherits[role] for role, after in pairwise(cycle))
        return
    # Without a cycle, roles can be taken away one by one, those without parents first.
    left = {name: set(parents) & set(NAMES) for name, parents in inherits.items()}
    while left:
        free = {name for name, parents in left.items() if not parents & left.keys()}
        assert free
        left = {name: parents for name, parents in left.items() if name not in free}


ZONES = st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe"])
MINUTES = st.integers(0, 24 * 60 - 1)


@given(ZONES, MINUTES, MINUTES, st.sets(st.integers(0, 6), min_size=1), st.integers(0, 2**31))
def test_a_schedule_and_the_rest_of_the_day_never_cover_the_same_moment(
    zone: str, start: int, end: int, days: set[int], now: int
) -> None:
    if start == end:
        return
    names = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
    written = [names[day] for day in sorted(days)]
    begin, finish = (f"{minute // 60:02}:{minute % 60:02}" for minute in (start, end))
    hours = Schedule.parse(written, begin, finish, zone)
    rest = Schedule.parse("mon-sun", finish, begin, zone)
    assert not (hours.covers(now) and rest.covers(now))
    every_day = Schedule.parse("mon-sun", begin, finish, zone)
    assert every_day.covers(now) is not rest.covers(now)
    assert not hours.covers(now) or every_day.covers(now)
    if zone == "UTC" and hours.covers(now):
        moment = datetime.fromtimestamp(now, UTC)
        began = moment if moment.hour * 60 + moment.minute >= start else moment - timedelta(days=1)
        assert began.weekday() in days
