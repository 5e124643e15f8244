"""Roles: sets of scopes, with everything they inherit already in them."""

from collections.abc import Iterable, Mapping, Sequence

from gateway.policy.scope import expand_scope

_MOST_SETS = 4096
"""Sets of roles whose scopes are remembered."""


class Roles:
    """The roles of one policy. Purely additive: a role can grant, never take away."""

    def __init__(
        self, defined: Mapping[str, tuple[Sequence[str], Sequence[str]]], vocabulary: Iterable[str]
    ) -> None:
        """`defined` maps a role to its scopes, as written, and the roles it inherits.

        Scopes that match nothing and unknown inherited roles grant nothing, a cycle makes its roles equal:
        finding all three is the configuration's business.
        """
        vocabulary = frozenset(vocabulary)
        own = {
            role: frozenset[str]().union(*(expand_scope(text, vocabulary) for text in texts))
            for role, (texts, _) in defined.items()
        }
        self._scopes = {
            role: frozenset[str]().union(*(own[each] for each in _with_inherited(role, defined)))
            for role in defined
        }
        self.names = frozenset(defined)
        self._known: dict[frozenset[str], frozenset[str]] = {}

    def scopes_of(self, roles: frozenset[str]) -> frozenset[str]:
        """Return the scopes that these roles grant together; an unknown role grants nothing."""
        scopes = self._known.get(roles)
        if scopes is None:
            if len(self._known) >= _MOST_SETS:
                self._known.clear()
            scopes = frozenset[str]().union(*(self._scopes.get(role, ()) for role in roles))
            self._known[roles] = scopes
        return scopes

    def __repr__(self) -> str:
        return f"Roles({', '.join(sorted(self.names))})"


def find_cycle(inherits: Mapping[str, Sequence[str]]) -> tuple[str, ...] | None:
    """Return a cycle of inheritance, its first role repeated at the end, or None.

    Roles that are inherited but not defined are passed over.
    """
    done: set[str] = set()
    for start in inherits:
        path: list[str] = []
        # What is still to be tried, for each role of the path.
        pending = [iter((start,))]
        while pending:
            role = next(pending[-1], None)
            if role is None:
                pending.pop()
                if path:
                    done.add(path.pop())
            elif role in path:
                return (*path[path.index(role) :], role)
            elif role not in done:
                path.append(role)
                pending.append(iter(tuple(inherits.get(role, ()))))
    return None


def _with_inherited(role: str, defined: Mapping[str, tuple[Sequence[str], Sequence[str]]]) -> set[str]:
    found: set[str] = set()
    pending = [role]
    while pending:
        each = pending.pop()
        if each in defined and each not in found:
            found.add(each)
            pending.extend(defined[each][1])
    return found
