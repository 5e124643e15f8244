"""Scopes: the vocabulary of a policy, and the wildcards that roles may use."""

from collections.abc import Iterable

BUILT_IN_SCOPES = frozenset(
    {
        "gateway:users",
        "gateway:clients",
        "gateway:keys",
        "gateway:audit",
        "gateway:config",
        "gateway:blocks",
        "gateway:crypto",
        "gateway:introspect",
    }
)
"""What the gateway's own endpoints ask for. `*` does not include them; `gateway:*` does."""


def is_wildcard(text: str) -> bool:
    """Say whether a role's scope stands for several: `*` or `prefix:*`."""
    return text == "*" or text.endswith(":*")


def expand_scope(text: str, vocabulary: Iterable[str]) -> frozenset[str]:
    """Return the scopes that a role's scope stands for; empty when it matches nothing, which is a mistake.

    `*` is every scope of the vocabulary, `orders:*` those that begin with `orders:`, anything else itself.
    """
    listed = frozenset(vocabulary) - BUILT_IN_SCOPES
    if text == "*":
        return listed
    if is_wildcard(text):
        prefix = text[:-1]
        return frozenset(scope for scope in listed | BUILT_IN_SCOPES if scope.startswith(prefix))
    return frozenset({text}) & (listed | BUILT_IN_SCOPES)
