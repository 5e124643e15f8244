"""`GATEWAY_AUDIT_DURABILITY=off`: what proxying costs without a trail. For benchmarks only."""

from collections.abc import Mapping

from gateway.audit.auditor import Auditor
from gateway.audit.recording import Recording
from gateway.model import Completion, Permit, Principal, Reason, Refusal, RequestHead

_NONE: Mapping[str, object] = {}


class SilentAuditor(Auditor):
    """Writes down what happens to accounts, keys and the gateway itself, and nothing of any request."""

    async def decision(
        self,
        decision: Permit | Refusal,
        *,
        recording: Recording,
        status: int | None = None,
        attributes: Mapping[str, object] = _NONE,
    ) -> None:
        """Do nothing."""

    async def own(
        self,
        head: RequestHead,
        *,
        route: str,
        principal: Principal | None,
        status: int,
        reason: Reason,
        recording: Recording | None = None,
        action: str | None = None,
        rule: str | None = None,
        diagnosis: str = "",
        attributes: Mapping[str, object] = _NONE,
        broken: bool = False,
        about: str | None = None,
    ) -> None:
        """Do nothing."""

    def completion(self, permit: Permit, completion: Completion, *, recording: Recording) -> None:
        """Do nothing."""
