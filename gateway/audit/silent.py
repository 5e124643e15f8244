"""`GATEWAY_AUDIT_DURABILITY=off`: what proxying costs without a trail. For benchmarks only."""

from gateway.audit.auditor import Auditor


class SilentAuditor(Auditor):
    """Writes down what happens to accounts, keys and the gateway itself, and nothing of any request."""

    async def decision(self, *_: object, **__: object) -> None:
        """Do nothing."""

    async def own(self, *_: object, **__: object) -> None:
        """Do nothing."""

    def completion(self, *_: object, **__: object) -> None:
        """Do nothing."""
