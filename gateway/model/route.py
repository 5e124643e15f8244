"""A route as the policy names it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """Which requests are meant, and where they go. What they must prove is the plan's business."""

    id: str
    host: str | None
    """Exact host, `*.suffix`, or None for any."""
    methods: frozenset[str]
    """As written; `GET` includes `HEAD`."""
    path: str
    """Template: literals, `{param}`, `**` as the last segment."""
    upstream: str
    place: str
    """`policies.yaml:41`."""

    @property
    def rule(self) -> str:
        """How the audit record names it."""
        return f"{self.id} {self.place}"
