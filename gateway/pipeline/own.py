"""One of the gateway's own endpoints, as far as enforcement is concerned."""

from dataclasses import dataclass

from gateway.model import Route


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnRoute:
    """Which endpoint, and whether it is for identified callers only."""

    route: Route
    needs_principal: bool
