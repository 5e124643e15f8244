"""Wildcards of roles."""

import pytest

from gateway.policy import BUILT_IN_SCOPES, expand_scope, is_wildcard

VOCABULARY = ("orders:read", "orders:write", "ordersx:read", "plain")


@pytest.mark.parametrize(
    ("text", "scopes"),
    [
        ("*", set(VOCABULARY)),
        ("orders:*", {"orders:read", "orders:write"}),
        ("orders:read", {"orders:read"}),
        ("plain", {"plain"}),
        ("gateway:*", set(BUILT_IN_SCOPES)),
        ("gateway:audit", {"gateway:audit"}),
        ("orders", set()),
        ("orders:re*", set()),
        ("order:*", set()),
        ("orders:wrte", set()),
        ("", set()),
    ],
)
def test_a_scope_of_a_role_stands_for_these(text: str, scopes: set[str]) -> None:
    assert expand_scope(text, VOCABULARY) == scopes


def test_a_star_never_includes_the_scopes_of_the_gateway() -> None:
    assert expand_scope("*", (*VOCABULARY, "gateway:audit")) == set(VOCABULARY)


def test_only_a_star_and_a_prefix_are_wildcards() -> None:
    assert [is_wildcard(text) for text in ("*", "orders:*", "orders:re*", "orders:read")] == [
        True,
        True,
        False,
        False,
    ]
