"""Which limits apply to a request, before and after it is known who asks."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction

from gateway.model import Limit

_MOST_CHOICES = 1024
"""Sets of roles whose limits are remembered: more than policies have, fewer than could fill the memory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitPlan:
    """The limits of one route, before it is known who asks."""

    defaults: tuple[Limit, ...] = ()
    route: tuple[Limit, ...] = ()
    by_role: Mapping[str, tuple[Limit, ...]] = field(default_factory=dict)
    """Limits of every role that has some."""
    address: tuple[Limit, ...] = field(init=False, repr=False, compare=False)
    """Those that count nothing but the client's address: what refused requests are charged to."""
    _chosen: dict[frozenset[str], tuple[Limit, ...]] = field(
        init=False, default_factory=dict, repr=False, compare=False
    )

    def __post_init__(self) -> None:
        object.__setattr__(
            self,
            "address",
            tuple(limit for limit in (*self.defaults, *self.route) if limit.per == ("client_ip",)),
        )

    def of(self, roles: frozenset[str], *, anonymous: bool) -> tuple[Limit, ...]:
        """Return the limits that apply to a principal with these roles.

        When one of the roles has limits, the default `per: principal` limits are dropped, and the role
        whose tightest limit is the most generous lends all of its limits; those of the route apply besides.
        """
        if anonymous or not self.by_role:
            roles = frozenset()
        chosen = self._chosen.get(roles)
        if chosen is None:
            if len(self._chosen) >= _MOST_CHOICES:
                self._chosen.clear()
            chosen = self._chosen[roles] = self._choose(roles)
        return chosen

    def _choose(self, roles: frozenset[str]) -> tuple[Limit, ...]:
        # Sorted, so that a tie between roles is broken the same way in every process.
        lists = [self.by_role[role] for role in sorted(roles & self.by_role.keys()) if self.by_role[role]]
        if not lists:
            return (*self.defaults, *self.route)
        kept = (limit for limit in self.defaults if limit.per != ("principal",))
        return (*kept, *max(lists, key=_tightest), *self.route)


def _tightest(limits: tuple[Limit, ...]) -> Fraction:
    return min(Fraction(limit.quota, limit.window_us) for limit in limits)
