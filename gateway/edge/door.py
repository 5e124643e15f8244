"""The clients' door: read the head, ask the enforcer, then forward, answer or refuse.

There is no path to the forwarder that does not go through a `Permit`.
"""

import asyncio
import time
from typing import Final

from gateway.config import Plan, Respond, Snapshot, Upstream
from gateway.edge.client_side import ClientSide
from gateway.edge.connection import Incoming
from gateway.edge.described import is_check
from gateway.edge.forward_auth import ForwardAuth
from gateway.edge.head import HeadReader
from gateway.edge.opening import given_up, refused_to_open
from gateway.edge.own import OwnEndpoints
from gateway.edge.vigil import Vigil
from gateway.model import (
    Completion,
    Line,
    Outcome,
    Permit,
    Preflight,
    Reason,
    Refusal,
    RequestHead,
    Unsettled,
)
from gateway.observability import AccessLog, log
from gateway.pipeline import PREFLIGHT_STATUS, Enforcer, page_lines
from gateway.proxy import (
    BodyBroken,
    BodyTooLarge,
    Envelope,
    EnvelopeRefused,
    Envelopes,
    Exchange,
    Forwarder,
    UpstreamFault,
    goes_no_further,
    outcome_of,
    reason_for,
)
from gateway.web import Answer, problem_for, rate_lines

_SWITCHING = 101
# Looking up a member of an enum costs as much as ten of these (Python 3.11).
_CUT: Final = Outcome.CUT
_OK: Final = Reason.OK
_LARGEST_KEPT: Final = 2048
"""Bytes of header lines that are kept until the next request of a connection, which may be idle."""
_NO_FURTHER: Final = Respond(status=204)
"""The answer to a request that asks about the gateway itself."""


class ClientsDoor:
    """Answers every request of the clients' listener."""

    def __init__(
        self,
        *,
        reader: HeadReader,
        enforcer: Enforcer,
        forwarder: Forwarder,
        envelopes: Envelopes,
        own: OwnEndpoints,
        forward_auth: ForwardAuth,
        access_log: AccessLog,
        credential_fields: frozenset[bytes],
        vigil: Vigil,
    ) -> None:
        self._reader = reader
        self._enforcer = enforcer
        self._forwarder = forwarder
        self._envelopes = envelopes
        self._own = own
        self._forward_auth = forward_auth
        self._access_log = access_log
        self._credential_fields = credential_fields
        self._vigil = vigil
        self.in_flight = 0
        self._draining = self._cutting = False
        self._idle = asyncio.Event()

    async def __call__(self, incoming: Incoming) -> bool:
        """Answer one request. Never raises, but for cancellation."""
        self.in_flight += 1
        try:
            return await self._answer(incoming)
        finally:
            self.in_flight -= 1
            if self._draining and not self.in_flight:
                self._idle.set()

    async def drain(self) -> None:
        """Close each connection after its next answer from now on, and return when nothing runs any more."""
        self._draining = True
        if self.in_flight:
            self._idle.clear()
            await self._idle.wait()

    def cut(self) -> None:
        """End what goes on for long, and note that whatever else still runs is ended by us."""
        self._cutting = True
        self._vigil.end_all(going_away=True)

    async def _answer(self, incoming: Incoming) -> bool:
        connection = incoming.connection
        peer = connection.peer
        if incoming.flaw is not None:
            head = self._reader.unreadable(peer)
            client = ClientSide(connection, head, incoming.body, keep_alive=False)
            flaw, diagnosis = incoming.flaw, incoming.diagnosis
            unread = Refusal(head=head, reason=flaw, diagnosis=diagnosis, close=True)
            await self._refuse(client, head, unread)
            return False
        message = incoming.message
        block = connection.block
        if block is None or not block.is_of(message):
            block = self._reader.block(message, peer, connection.certificate)
            connection.block = block if block.size <= _LARGEST_KEPT else None
        head, refusal = self._reader.read(message, block)
        # Bytes after an upgrade request mean different things to different parsers (RFC 9931): never reuse.
        keep_alive = not (message.should_close or message.upgrade)
        client = ClientSide(connection, head, incoming.body, keep_alive=keep_alive)
        try:
            if refusal is not None:
                await self._refuse(client, head, refusal)
            elif self._own.owns(head, self._enforcer.snapshot):
                if is_check(head):
                    await self._forward_auth.answer(client, head)
                else:
                    await self._own.answer(client, head)
            else:
                await self._decide(client, head)
        except asyncio.CancelledError:
            raise
        except Exception as error:  # noqa: BLE001 - the outer net: a bug is a 500 with an id, never a traceback
            log.error("request_failed", request_id=head.id, error=type(error).__name__, exc_info=error)
            await self._fail(client, head)
        return client.keep_alive

    async def _decide(self, client: ClientSide, head: RequestHead) -> None:
        decision, snapshot = await self._enforcer.decide(head)
        if isinstance(decision, Preflight):
            self._allow_page(client, decision)
        elif isinstance(decision, Unsettled):
            await self._settle(client, decision.permit, snapshot)
        else:
            await self._act(client, head, decision, snapshot)

    async def _settle(self, client: ClientSide, permit: Permit, snapshot: Snapshot) -> None:
        """Find out whether what is encrypted of an exchange can be, and go on with what is decided then."""
        plan = snapshot.plans[permit.route.id]
        envelope = self._envelopes.of(permit, response=plan.encrypt_response, request=plan.decrypt_request)
        refusal = None
        client.limit_body(plan.max_request)
        try:
            if isinstance(plan.destination, Upstream):
                idle = plan.destination.timeouts.idle
                try:
                    refusal = await refused_to_open(envelope, client, permit, plan, idle=idle)
                except asyncio.CancelledError:
                    # Whoever leaves before all of the body is there was here all the same.
                    gone = given_up(permit)
                    await self._enforcer.settle(gone, snapshot, waited=False)
                    self._access_log.refused(gone)
                    raise
            decision = await self._enforcer.settle(refusal or permit, snapshot, waited=envelope.bytes_in > 0)
            await self._act(client, permit.head, decision, snapshot, envelope)
        finally:
            envelope.let_go()

    async def _act(
        self,
        client: ClientSide,
        head: RequestHead,
        decision: Permit | Refusal,
        snapshot: Snapshot,
        envelope: Envelope | None = None,
    ) -> None:
        if isinstance(decision, Refusal):
            if decision.route is not None:
                _tell_pages(client, head, snapshot.plans[decision.route.id])
            client.answer(problem_for(decision, request_id=head.id))
            self._access_log.refused(decision)
            return
        plan = snapshot.plans[decision.route.id]
        _tell_pages(client, head, plan)
        if isinstance(plan.destination, Respond):
            self._respond(client, decision, plan.destination)
        elif head.method == "OPTIONS" and goes_no_further(head):
            self._respond(client, decision, _NO_FURTHER)
        else:
            await self._forward(client, decision, plan, plan.destination, envelope)

    def _allow_page(self, client: ClientSide, preflight: Preflight) -> None:
        head = preflight.head
        lines = (*preflight.lines, (b"X-Request-Id", head.id.encode()))
        client.answer(Answer(status=PREFLIGHT_STATUS, lines=lines))
        self._access_log.answered(
            head, route=preflight.route.id, status=PREFLIGHT_STATUS, actor=None, reason=Reason.OK
        )

    async def _refuse(self, client: ClientSide, head: RequestHead, refusal: Refusal) -> None:
        refusal = await self._enforcer.refuse(refusal)
        client.answer(problem_for(refusal, request_id=head.id))
        self._access_log.refused(refusal)

    async def _fail(self, client: ClientSide, head: RequestHead) -> None:
        if client.started:
            client.abort()
        else:
            await self._refuse(client, head, Refusal(head=head, reason=Reason.INTERNAL, close=True))

    def _respond(self, client: ClientSide, permit: Permit, respond: Respond) -> None:
        begun = time.perf_counter()
        lines = (*respond.lines, *_extra_lines(permit))
        client.answer(Answer(status=respond.status, lines=lines, body=respond.body))
        completion = Completion(
            status=client.status,
            bytes_in=client.bytes_in,
            bytes_out=client.bytes_out,
            duration_ms=round((time.perf_counter() - begun) * 1000, 3),
            outcome=Outcome.COMPLETE if client.started else Outcome.CLIENT_LEFT,
        )
        self._enforcer.complete(permit, completion)
        self._access_log.completed(permit, completion)

    async def _forward(
        self,
        client: ClientSide,
        permit: Permit,
        plan: Plan,
        upstream: Upstream,
        envelope: Envelope | None,
    ) -> None:
        head = permit.head
        client.limit_body(plan.max_request)
        begun = time.perf_counter()
        reason, diagnosis = _OK, ""
        exchange: Exchange | None = None
        outcome = _CUT
        try:
            exchange = await self._forwarder.forward(
                permit,
                upstream,
                credential_fields=self._credential_fields,
                client=client,
                extra=_extra_lines(permit),
                envelope=envelope,
            )
            outcome = exchange.outcome
            if exchange.fault is not None:
                reason, diagnosis = reason_for(exchange.fault), exchange.diagnosis or exchange.fault.value
        except UpstreamFault as fault:
            reason, diagnosis, outcome = reason_for(fault.fault), str(fault), outcome_of(fault.fault)
            refusal = Refusal(head=head, reason=reason, tallies=permit.tallies, close=client.bytes_in > 0)
            client.answer(problem_for(refusal, request_id=head.id))
        except EnvelopeRefused as refused:
            reason, diagnosis = refused.reason, refused.diagnosis
            refusal = Refusal(head=head, reason=reason, detail=refused.detail, tallies=permit.tallies)
            client.answer(problem_for(refusal, request_id=head.id))
        except BodyTooLarge:
            reason = Reason.BODY_TOO_LARGE
            detail = f"The body may have at most {plan.max_request} bytes."
            refusal = Refusal(head=head, reason=reason, detail=detail, tallies=permit.tallies, close=True)
            client.answer(problem_for(refusal, request_id=head.id))
        except BodyBroken:
            reason, diagnosis = Reason.MALFORMED_REQUEST, "body framing"
            client.answer(problem_for(Refusal(head=head, reason=reason, close=True), request_id=head.id))
        except asyncio.CancelledError:
            # aiohttp cancels the handler when its client leaves; a drain that ran out of time does it too.
            outcome = Outcome.CUT if self._cutting else Outcome.CLIENT_LEFT
            raise
        except Exception as error:  # noqa: BLE001 - a bug: the permit stands in the trail, and so must its end
            reason, diagnosis = Reason.INTERNAL, type(error).__name__
            log.error("forwarding_failed", request_id=head.id, error=diagnosis, exc_info=error)
            if client.started:
                client.abort()
            else:
                client.answer(problem_for(Refusal(head=head, reason=reason, close=True), request_id=head.id))
        finally:
            if self._vigil.verdicts and (verdict := self._vigil.verdict(permit)) is not None:
                outcome, reason, diagnosis = Outcome.CUT, verdict, "ended by the gateway while it went on"
            # What passes through an upgraded connection is seen by the forwarder only.
            counted = client if exchange is None or client.status != _SWITCHING else exchange
            completion = Completion(
                status=client.status,
                bytes_in=counted.bytes_in,
                bytes_out=counted.bytes_out,
                duration_ms=round((time.perf_counter() - begun) * 1000, 3),
                outcome=outcome,
                reason=reason,
                diagnosis=diagnosis,
            )
            self._enforcer.complete(permit, completion)
            self._access_log.completed(permit, completion)


def _extra_lines(permit: Permit) -> list[Line]:
    """Return what every answer that was permitted says besides, whoever gives it."""
    lines = [(b"X-Request-Id", permit.head.id.encode())]
    if permit.tallies:
        lines += rate_lines(permit.tallies)
    return lines


def _tell_pages(client: ClientSide, head: RequestHead, plan: Plan) -> None:
    if plan.cors is not None:
        client.tell_pages(page_lines(plan.cors, head))
