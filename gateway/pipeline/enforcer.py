"""The enforcement point: one snapshot a request, a decision, and its record before it counts."""

from collections.abc import Sequence
from time import perf_counter

from gateway.audit import Auditor
from gateway.config import Current, Snapshot
from gateway.identity import Authenticator
from gateway.model import (
    ANONYMOUS,
    Completion,
    Decision,
    Permit,
    Principal,
    Reason,
    Refusal,
    RequestHead,
    Routed,
    status_of,
)
from gateway.observability import Metrics
from gateway.pipeline.authenticate import authenticate
from gateway.pipeline.chain import Stages, chain, charge, guard, unanswered
from gateway.pipeline.limit import charge_own, exhausted
from gateway.pipeline.own import OwnRoute
from gateway.ports import AuditUnavailable, StoreUnavailable


class Enforcer:
    """Every door asks here. Nothing is forwarded and nothing is answered before its record is durable."""

    def __init__(self, *, current: Current, stages: Stages, auditor: Auditor, metrics: Metrics) -> None:
        self._current = current
        self._stages = stages
        self._auditor = auditor
        self._metrics = metrics

    @property
    def snapshot(self) -> Snapshot:
        """The configuration in force."""
        return self._current.snapshot

    async def decide(self, head: RequestHead) -> tuple[Decision, Snapshot]:
        """Return the decision on a proxied request, recorded, and the configuration it was made by.

        Fail closed: a question that nobody could answer, or a permit that nobody could write down, is
        answered no.
        """
        begun = perf_counter()
        snapshot = self._current.snapshot
        try:
            decision = await chain(head, snapshot, self._stages)
        except StoreUnavailable as fault:
            decision = unanswered(head, fault)
        decision = await self._record(decision, snapshot) or decision
        self._metrics.took(perf_counter() - begun)
        return decision, snapshot

    async def refuse(self, refusal: Refusal) -> Refusal:
        """Return the refusal of a request that could not be read, charged to its address and recorded."""
        snapshot = self._current.snapshot
        try:
            refusal = await charge(refusal, snapshot.own_limits, self._stages)
        except StoreUnavailable as fault:
            refusal = unanswered(refusal.head, fault)
        return await self._record(refusal, snapshot) or refusal

    async def admit_own(
        self, head: RequestHead, found: OwnRoute | Refusal, authenticators: Sequence[Authenticator]
    ) -> Principal | Refusal:
        """Say who may go on to one of the gateway's own endpoints (step 4), or return the refusal.

        The endpoint's answer is recorded with `record_own` before its first byte; so is this refusal.
        """
        if not self._auditor.available:
            return Refusal(head=head, reason=Reason.AUDIT_UNAVAILABLE, retry_after=1)
        snapshot = self._current.snapshot
        limits = snapshot.own_limits
        try:
            refusal = guard(head, snapshot) or await exhausted(
                head, limits, self._stages.counters, route=None
            )
            if refusal is not None:
                return await charge(refusal, limits, self._stages)
            if isinstance(found, Refusal):
                return await charge(found, limits, self._stages)
            principal = ANONYMOUS
            if found.needs_principal:
                routed = Routed(head=head, route=found.route, params={})
                identified = await authenticate(routed, authenticators, public=False)
                if isinstance(identified, Refusal):
                    return await charge(identified, limits, self._stages)
                principal = identified.principal
            refused = await charge_own(
                head, limits, self._stages.counters, principal=principal, route=found.route.id
            )
        except StoreUnavailable as fault:
            return unanswered(head, fault)
        return principal if refused is None else refused

    async def record_own(
        self,
        head: RequestHead,
        *,
        route: OwnRoute | None,
        principal: Principal,
        status: int,
        refusal: Refusal | None,
    ) -> bool:
        """Write down the answer of one of the gateway's own endpoints; False when it cannot be."""
        action = "request" if route is None else f"{head.method} {route.route.path}"
        name = "gateway:unknown" if route is None else route.route.id
        try:
            await self._auditor.own(
                head,
                action=action,
                route=name,
                principal=principal,
                status=status,
                revision=self._current.snapshot.revision,
                reason=Reason.OK if refusal is None else refusal.reason,
                rule=None if refusal is None else refusal.rule,
                diagnosis="" if refusal is None else refusal.diagnosis,
            )
        except AuditUnavailable:
            refusal = Refusal(head=head, reason=Reason.AUDIT_UNAVAILABLE)
            return False
        finally:
            if refusal is None:
                self._metrics.answered(name, status)
            else:
                self._metrics.refused(name, refusal)
        return True

    def complete(self, permit: Permit, completion: Completion) -> None:
        """Write down how an exchange ended. Not awaited: a missing completion says "outcome unknown"."""
        self._auditor.completion(permit, completion)
        self._metrics.completed(permit, completion)

    async def _record(self, decision: Decision, snapshot: Snapshot) -> Refusal | None:
        """Write a decision down; return what takes its place when that is not possible."""
        replaced: Refusal | None = None
        try:
            status = None if isinstance(decision, Permit) else status_of(decision.reason)
            await self._auditor.decision(decision, revision=snapshot.revision, status=status)
        except AuditUnavailable as fault:
            replaced = Refusal(
                head=decision.head, reason=Reason.AUDIT_UNAVAILABLE, diagnosis=str(fault), retry_after=1
            )
        finally:
            # Also when the client has left meanwhile: what is in the trail is counted.
            self._metrics.decided(replaced or decision)
        return replaced
