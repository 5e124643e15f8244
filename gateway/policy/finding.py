"""How the parts of a condition's compiler say what is wrong, and what they need to know to say it."""

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network

from gateway.policy.schedule import Schedule


class Flaw(Exception):
    """One thing that is wrong with a condition as written."""

    def __init__(
        self, code: str, message: str, suggestion: str | None = None, *, within: tuple[str | int, ...] = ()
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.suggestion = suggestion
        """What to write in its place; None when nothing comes near."""
        self.within = within
        """Where in the operand."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """What a condition may refer to."""

    networks: Mapping[str, tuple[IPv4Network | IPv6Network, ...]]
    schedules: Mapping[str, Schedule]
    params: frozenset[str] | None
    """Parameters of the path; None where there is no route."""
    roles: frozenset[str]
