"""Roles and what they inherit."""

from gateway.policy import BUILT_IN_SCOPES, Roles, find_cycle

VOCABULARY = ("orders:read", "orders:write", "orders:refund", "profile:read", "reports:read")
ROLES = Roles(
    {
        "customer": (["orders:read", "profile:read"], []),
        "support": (["orders:write"], ["customer"]),
        "finance": (["orders:*", "reports:read"], ["support"]),
        "admin": (["*", "gateway:*"], []),
        "typo": (["orders:wrte", "nothing:*"], ["absent"]),
        "both": ([], ["support", "finance", "customer"]),
    },
    VOCABULARY,
)


def test_a_role_has_what_it_inherits() -> None:
    assert ROLES.scopes_of(frozenset({"support"})) == {"orders:read", "orders:write", "profile:read"}
    assert ROLES.scopes_of(frozenset({"finance"})) == set(VOCABULARY)
    assert ROLES.scopes_of(frozenset({"both"})) == set(VOCABULARY)


def test_several_roles_grant_together() -> None:
    assert ROLES.scopes_of(frozenset({"customer", "typo"})) == {"orders:read", "profile:read"}


def test_a_star_is_every_listed_scope_and_not_those_of_the_gateway() -> None:
    assert ROLES.scopes_of(frozenset({"admin"})) == set(VOCABULARY) | BUILT_IN_SCOPES
    assert Roles({"a": (["*"], [])}, VOCABULARY).scopes_of(frozenset({"a"})) == set(VOCABULARY)


def test_unknown_roles_and_scopes_grant_nothing() -> None:
    assert ROLES.scopes_of(frozenset()) == frozenset()
    assert ROLES.scopes_of(frozenset({"nobody"})) == frozenset()
    assert ROLES.scopes_of(frozenset({"typo"})) == frozenset()
    assert "typo" in ROLES.names


def test_the_answer_is_remembered_and_the_memory_is_bounded() -> None:
    roles = Roles({"a": (["x"], [])}, ["x"])
    asked = frozenset({"a"})
    assert roles.scopes_of(asked) is roles.scopes_of(asked)
    for number in range(5000):
        roles.scopes_of(frozenset({f"claimed-{number}"}))
    assert len(roles._known) <= 4096
    assert roles.scopes_of(asked) == {"x"}


def test_a_cycle_is_found_wherever_it_begins() -> None:
    assert find_cycle({"a": ["b"], "b": ["c"], "c": ["b"]}) == ("b", "c", "b")
    assert find_cycle({"a": ["a"]}) == ("a", "a")
    assert find_cycle({"a": ["b", "c"], "b": ["d"], "c": ["d"], "d": [], "e": ["unknown"]}) is None
    assert find_cycle({}) is None


def test_a_long_chain_is_no_problem() -> None:
    chain = {f"r{n}": [f"r{n + 1}"] for n in range(5000)}
    assert find_cycle(chain) is None
    roles = Roles(
        {"r5000": (["x"], []), **{name: ([], parents) for name, parents in list(chain.items())[-50:]}}, ["x"]
    )
    assert roles.scopes_of(frozenset({"r4950"})) == {"x"}


def test_a_cycle_of_roles_neither_hangs_nor_widens() -> None:
    roles = Roles({"a": (["x"], ["b"]), "b": (["y"], ["a"]), "c": (["z"], [])}, ["x", "y", "z"])
    assert roles.scopes_of(frozenset({"a"})) == roles.scopes_of(frozenset({"b"})) == {"x", "y"}
