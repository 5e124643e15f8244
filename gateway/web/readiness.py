"""Whether this process should be sent requests, and what it lacks when it should not."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

_READY: Final = 200
_UNREADY: Final = 503
_DRAINING: Final = "the gateway is shutting down"


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
            failed["draining"] = _DRAINING
        degraded = {name: text for name, check in self.limps.items() if (text := check()) is not None}
        return _report(failed, degraded)


def merged_report(
    reports: Mapping[str, tuple[int, Mapping[str, object]] | str], *, draining: bool = False
) -> tuple[int, dict[str, object]]:
    """Return what several workers say of themselves as one report of the whole, in the form of `report`.

    `reports` is by worker: what its `Readiness.report` returned, or why it cannot be asked. The status is 503
    only when no worker can answer requests, or the whole is `draining`. What all of them say is said once,
    under the name of the check; what only some say stands under `worker NAME`.
    """
    faults: dict[str, dict[str, str]] = {}
    some_serve = False
    for name, report in reports.items():
        if isinstance(report, str):
            faults[name] = {"": report}
            continue
        status, body = report
        some_serve |= status == _READY
        faults[name] = _texts(body, "failed") if status != _READY else _texts(body, "degraded")
    said = _together(faults) if faults else {"workers": "none is running"}
    failed = {"draining": _DRAINING} if draining else {}
    if some_serve:
        return _report(failed, said)
    return _report(failed | said, {})


def _report(failed: Mapping[str, str], degraded: Mapping[str, str]) -> tuple[int, dict[str, object]]:
    status = "unready" if failed else "degraded" if degraded else "ready"
    return (_UNREADY if failed else _READY), {"status": status, "failed": failed, "degraded": degraded}


def _texts(body: Mapping[str, object], part: str) -> dict[str, str]:
    found = body.get(part)
    return {str(name): str(text) for name, text in found.items()} if isinstance(found, Mapping) else {}


def _together(faults: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
    """Return what is said by check where everybody says the same, and by worker where not."""
    first, *others = faults.values()
    shared = {
        check: text
        for check, text in first.items()
        if check and all(other.get(check) == text for other in others)
    }
    said = dict(shared)
    for name, one in faults.items():
        own = [f"{check}: {text}" if check else text for check, text in one.items() if check not in shared]
        if own:
            said[f"worker {name}"] = "; ".join(own)
    return said
