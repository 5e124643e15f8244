"""`GATEWAY_AUDIT_DURABILITY=off`: what proxying costs without a trail. For benchmarks only."""

from gateway.audit.auditor import Auditor
from gateway.model import Completion, Decision, Permit, Principal, Reason, RequestHead


class SilentAuditor(Auditor):
    """Writes down what happens to accounts, keys and the gateway itself, and nothing of any request."""

    async def decision(self, decision: Decision, *, revision: str, status: int | None = None) -> None:
        """Do nothing."""

    async def own(
        self,
        head: RequestHead,
        *,
        route: str,
        principal: Principal | None,
        status: int,
        reason: Reason,
        revision: str | None = None,
        action: str | None = None,
        rule: str | None = None,
        diagnosis: str = "",
    ) -> None:
        """Do nothing."""

    def completion(self, permit: Permit, completion: Completion) -> None:
        """Do nothing."""
