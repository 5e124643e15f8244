"""The enforcement point: one snapshot a request, a decision, and its record before it counts."""

from asyncio import CancelledError
from collections.abc import Mapping, Sequence
from time import perf_counter, time
from typing import Final

from gateway.audit import Auditor
from gateway.config import Current, Plan, Respond, Snapshot
from gateway.identity import Authenticator
from gateway.model import (
    ANONYMOUS,
    Completion,
    Decision,
    Outcome,
    Permit,
    Preflight,
    Principal,
    Reason,
    Refusal,
    RequestHead,
    Routed,
    Tally,
    Unsettled,
    status_of,
)
from gateway.observability import Metrics
from gateway.pipeline.again import known_now, refused_now
from gateway.pipeline.authenticate import authenticate
from gateway.pipeline.chain import Stages, chain, charge, guard, shut_out, unanswered
from gateway.pipeline.limit import charge_own, charge_values, exhausted
from gateway.pipeline.own import OwnRoute, lacks_scope
from gateway.pipeline.recorded import recorded_at, recorded_of
from gateway.ports import AuditUnavailable, StoreUnavailable

PREFLIGHT_STATUS = 204
"""Of the answer to a preflight that says yes."""
CHECK_STATUS = 200
"""Of the answer to a proxy that may forward what it asked about."""
_NOT_BEGUN: Final = Completion(
    status=0, bytes_in=0, bytes_out=0, duration_ms=0.0, outcome=Outcome.CLIENT_LEFT
)
"""Of a permit whose client left before anything was done."""


class Enforcer:
    """Every door asks here. Nothing is forwarded and nothing is answered before its record is durable."""

    def __init__(self, *, current: Current, stages: Stages, auditor: Auditor, metrics: Metrics) -> None:
        self._current = current
        self._stages = stages
        self._auditor = auditor
        self._metrics = metrics
        # Events are written before the first decision, too.
        auditor.adopt(current.snapshot.recording.redaction)

    @property
    def snapshot(self) -> Snapshot:
        """The configuration in force."""
        return self._current.snapshot

    async def decide(self, head: RequestHead) -> tuple[Decision | Unsettled, Snapshot]:
        """Return the decision on a proxied request, recorded, and the configuration it was made by.

        Where its route encrypts or decrypts, a permit is left to `settle`. Fail closed: a question that
        nobody could answer, or a permit that nobody could write down, is answered no.
        """
        begun = perf_counter()
        snapshot = self._current.snapshot
        decision = await chain(head, snapshot, self._stages)
        if snapshot.encrypts and isinstance(decision, Permit) and snapshot.plans[decision.route.id].encrypts:
            self._metrics.took(perf_counter() - begun)
            return Unsettled(permit=decision), snapshot
        decision = await self._record(decision, snapshot, is_check=False) or decision
        self._metrics.took(perf_counter() - begun)
        return decision, snapshot

    async def settle(
        self, decision: Permit | Refusal, snapshot: Snapshot, *, waited: bool
    ) -> Permit | Refusal:
        """Return the decision on a request whose permit was left open, recorded: a permit, or the refusal of
        what could not be decrypted or will not be encrypted. `waited`: for the client, so that the permit may
        not hold any more."""
        if waited and isinstance(decision, Permit):
            decision = await self._unless_recalled(decision)
        return await self._record(decision, snapshot, is_check=False) or decision

    async def check(self, head: RequestHead) -> tuple[Decision, Snapshot]:
        """Return the decision on a request that somebody else forwards, recorded, and the configuration it
        was made by. No completion will follow."""
        begun = perf_counter()
        snapshot = self._current.snapshot
        decision = await chain(head, snapshot, self._stages)
        if isinstance(decision, Permit):
            decision = _unless_encrypted(decision, snapshot.plans[decision.route.id])
        decision = await self._record(decision, snapshot, is_check=True) or decision
        self._metrics.took(perf_counter() - begun)
        return decision, snapshot

    async def refuse(self, refusal: Refusal, *, is_check: bool = False) -> Refusal:
        """Return the refusal of a request that could not be read, charged to its address and recorded."""
        snapshot = self._current.snapshot
        try:
            refusal = await charge(refusal, snapshot.own_limits, self._stages)
        except StoreUnavailable as fault:
            refusal = unanswered(refusal.head, fault, close=refusal.close)
        return await self._record(refusal, snapshot, is_check=is_check) or refusal

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
            blocked = self._stages.blocked
            if blocked.any and (refusal := shut_out(head, blocked)) is not None:
                return refusal
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
                identified = await authenticate(routed, authenticators)
                if isinstance(identified, Refusal):
                    return await charge(identified, limits, self._stages)
                principal = identified.principal
                if found.scope is not None:
                    refusal = lacks_scope(head, principal, found.scope, snapshot.roles)
                    if refusal is not None:
                        return await charge(refusal, limits, self._stages)
            refused = await charge_own(
                head, limits, self._stages.counters, principal=principal, route=found.route.id
            )
        except StoreUnavailable as fault:
            return unanswered(head, fault)
        return principal if refused is None else refused

    async def charge_values(
        self, head: RequestHead, snapshot: Snapshot, *, principal: Principal, route: str, count: int
    ) -> tuple[Tally, ...] | Refusal:
        """Charge the values that one request has encrypted or decrypted, by the configuration that it was
        admitted by (`admit_own`); return what the limits said, or the refusal. Raise `StoreUnavailable`.
        """
        return await charge_values(
            head, snapshot, self._stages.counters, principal=principal, route=route, count=count
        )

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
        snapshot = self._current.snapshot
        if refusal is not None and refusal.principal is not None:
            # Who was refused on the way to the endpoint is known all the same.
            principal = refusal.principal
        try:
            await self._auditor.own(
                head,
                action=action,
                route=name,
                principal=principal,
                status=status,
                recording=snapshot.recording,
                reason=Reason.OK if refusal is None else refusal.reason,
                rule=None if refusal is None else refusal.rule,
                diagnosis="" if refusal is None else refusal.diagnosis,
                attributes=recorded_at(head, None, principal, snapshot),
                broken=refusal is not None and refusal.broken,
                about=None if refusal is None else refusal.subject,
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

    def refuses_now(self, permit: Permit) -> Reason | None:
        """Return why the configuration in force would refuse at this moment what was permitted before, or
        that the credential has expired or the address is blocked; None while it would not."""
        blocked = self._stages.blocked
        if blocked.any and blocked.holds(permit.head.client) is not None:
            return Reason.ADDRESS_BLOCKED
        return refused_now(permit, permit.principal, self.snapshot, now=time())

    async def has_recalled(self, permit: Permit, *, is_stream: bool) -> Reason | None:
        """Return why a permit does not hold any more by what is known of its caller by now.

        That is its revocation, and for a stream whatever the policy says of a caller that has changed. Raise
        `StoreUnavailable`.
        """
        before = permit.principal
        principal = await known_now(before, self._stages)
        if principal is None:
            return Reason.CREDENTIALS_INVALID
        if not is_stream or principal is before or principal == before:
            return None
        return refused_now(permit, principal, self.snapshot, now=time())

    async def _unless_recalled(self, permit: Permit) -> Permit | Refusal:
        """Return the permit if it still holds, else the refusal."""
        head, blocked = permit.head, self._stages.blocked
        if blocked.any and (shut := shut_out(head, blocked)) is not None:
            return shut
        try:
            reason = await self.has_recalled(permit, is_stream=False)
        except StoreUnavailable as fault:
            return unanswered(head, fault, route=permit.route)
        if reason is None:
            return permit
        challenge = self._stages.authenticators[permit.principal.authn].challenge(rejected=True)
        return Refusal(
            head=head,
            reason=reason,
            route=permit.route,
            principal=permit.principal,
            diagnosis="ended while the body of the request came",
            challenges=() if challenge is None else (challenge,),
        )

    def complete(self, permit: Permit, completion: Completion) -> None:
        """Write down how an exchange ended. Not awaited: a missing completion says "outcome unknown"."""
        self._auditor.completion(permit, completion, recording=self._current.snapshot.recording)
        self._metrics.completed(permit, completion)

    async def _record(self, decision: Decision, snapshot: Snapshot, *, is_check: bool) -> Refusal | None:
        """Write a decision down; return what takes its place when that is not possible."""
        replaced: Refusal | None = None
        try:
            attributes = recorded_of(decision, snapshot)
            if is_check:
                attributes = {**attributes, "forward_auth": True}
            if isinstance(decision, Preflight):
                await self._record_preflight(decision, snapshot, attributes)
            else:
                status = _status_of(decision, snapshot, is_check=is_check)
                await self._auditor.decision(
                    decision, recording=snapshot.recording, status=status, attributes=attributes
                )
        except AuditUnavailable as fault:
            close = isinstance(decision, Refusal) and decision.close
            replaced = unanswered(decision.head, fault, route=decision.route, close=close)
        except CancelledError:
            if isinstance(decision, Permit) and not is_check:
                # It stands in the trail, and nothing will come of it: that much is known.
                self.complete(decision, _NOT_BEGUN)
            raise
        finally:
            # Also when the client has left meanwhile: what is in the trail is counted.
            told = replaced or decision
            if isinstance(told, Preflight):
                self._metrics.answered(told.route.id, PREFLIGHT_STATUS)
            elif is_check and isinstance(told, Permit):
                self._metrics.answered(told.route.id, CHECK_STATUS)
            else:
                self._metrics.decided(told)
        return replaced

    async def _record_preflight(
        self, preflight: Preflight, snapshot: Snapshot, attributes: Mapping[str, object]
    ) -> None:
        route = preflight.route
        await self._auditor.own(
            preflight.head,
            action=f"{preflight.head.method} {route.path}",
            route=route.id,
            rule=route.rule,
            principal=None,
            status=PREFLIGHT_STATUS,
            reason=Reason.OK,
            recording=snapshot.recording,
            attributes=attributes,
        )


def _unless_encrypted(permit: Permit, plan: Plan) -> Permit | Refusal:
    """Return the permit of a request that somebody else forwards, or the refusal where the gateway would have
    to encrypt or decrypt: what is carried elsewhere would pass as it is."""
    if plan.encrypt_response is not None:
        reason, verb = Reason.RESPONSE_NOT_ENCRYPTABLE, "encrypts"
    elif plan.decrypt_request is not None:
        reason, verb = Reason.DECRYPTION_FAILED, "decrypts"
    else:
        return permit
    return Refusal(
        head=permit.head,
        reason=reason,
        diagnosis=f"the gateway {verb} only what it forwards itself, and this is forwarded by another proxy",
        route=permit.route,
        principal=permit.principal,
        tallies=permit.tallies,
    )


def _status_of(decision: Permit | Refusal, snapshot: Snapshot, *, is_check: bool) -> int | None:
    """Return the status of an answer that the gateway makes itself."""
    if isinstance(decision, Refusal):
        return status_of(decision.reason)
    if is_check:
        return CHECK_STATUS
    if decision.route.upstream:
        return None
    destination = snapshot.plans[decision.route.id].destination
    return destination.status if isinstance(destination, Respond) else None
