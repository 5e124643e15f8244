"""Whether this process should be sent requests, and what it lacks when it should not."""

from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(slots=True)
class Readiness:
    """Answers `/readyz`: 503 only when the gateway cannot answer requests; what limps is `degraded`."""

    checks: dict[str, Callable[[], str | None]] = field(default_factory=dict)
    """By name: what is wrong right now, or None. A check must not block."""
    limps: dict[str, Callable[[], str | None]] = field(default_factory=dict)
    """The same for what only degrades the service."""
    draining: bool = False

    def report(self) -> tuple[int, dict[str, object]]:
        """Return the status and the body of `/readyz`."""
        failed = {name: text for name, check in self.checks.items() if (text := check()) is not None}
        if self.draining:
            failed["draining"] = "the gateway is shutting down"
        degraded = {name: text for name, check in self.limps.items() if (text := check()) is not None}
        status = "unready" if failed else "degraded" if degraded else "ready"
        body: dict[str, object] = {"status": status, "failed": failed, "degraded": degraded}
        return (503 if failed else 200), body
