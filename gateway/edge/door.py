"""The clients' door: read the head, ask the enforcer, then forward, answer or refuse.

There is no path to the forwarder that does not go through a `Permit`.
"""

import asyncio
import time

from gateway.config import Plan
from gateway.edge.client_side import ClientSide
from gateway.edge.head import HeadReader
from gateway.edge.listener import Incoming
from gateway.edge.own import OwnEndpoints
from gateway.model import Completion, Outcome, Permit, Reason, Refusal, RequestHead
from gateway.observability import AccessLog, log
from gateway.pipeline import Enforcer
from gateway.proxy import BodyBroken, BodyTooLarge, Exchange, Forwarder, UpstreamFault, reason_for
from gateway.web import problem_for, rate_lines


class ClientsDoor:
    """Answers every request of the clients' listener."""

    def __init__(
        self,
        *,
        reader: HeadReader,
        enforcer: Enforcer,
        forwarder: Forwarder,
        own: OwnEndpoints,
        access_log: AccessLog,
        credential_fields: frozenset[bytes],
    ) -> None:
        self._reader = reader
        self._enforcer = enforcer
        self._forwarder = forwarder
        self._own = own
        self._access_log = access_log
        self._credential_fields = credential_fields
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
        """Note that whatever still runs is ended by us now, not by its client."""
        self._cutting = True

    async def _answer(self, incoming: Incoming) -> bool:
        connection = incoming.connection
        peername = connection.peername
        # A listener on `[::]` sees IPv4 clients as mapped addresses.
        peer = peername[0].removeprefix("::ffff:") if isinstance(peername, tuple) else ""
        if incoming.flaw is not None:
            head = self._reader.unreadable(peer)
            client = ClientSide(connection, head, incoming.body, keep_alive=False)
            await self._refuse(client, head, Refusal(head=head, reason=incoming.flaw, close=True))
            return False
        message = incoming.message
        head, refusal = self._reader.read(message, peer)
        # Bytes after an upgrade request mean different things to different parsers (RFC 9931): never reuse.
        keep_alive = not (message.should_close or message.upgrade or self._draining)
        client = ClientSide(connection, head, incoming.body, keep_alive=keep_alive)
        try:
            if refusal is not None:
                await self._refuse(client, head, refusal)
            elif self._own.owns(head, self._enforcer.snapshot):
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
        if isinstance(decision, Refusal):
            client.answer(problem_for(decision, request_id=head.id))
            self._access_log.refused(decision)
        else:
            await self._forward(client, decision, snapshot.plans[decision.route.id])

    async def _refuse(self, client: ClientSide, head: RequestHead, refusal: Refusal) -> None:
        refusal = await self._enforcer.refuse(refusal)
        client.answer(problem_for(refusal, request_id=head.id))
        self._access_log.refused(refusal)

    async def _fail(self, client: ClientSide, head: RequestHead) -> None:
        if client.started:
            client.abort()
        else:
            await self._refuse(client, head, Refusal(head=head, reason=Reason.INTERNAL, close=True))

    async def _forward(self, client: ClientSide, permit: Permit, plan: Plan) -> None:
        head = permit.head
        client.limit_body(plan.max_request)
        extra = [(b"X-Request-Id", head.id.encode()), *rate_lines(permit.tallies)]
        begun = time.perf_counter()
        reason, diagnosis = Reason.OK, ""
        exchange: Exchange | None = None
        outcome = Outcome.CUT
        try:
            exchange = await self._forwarder.forward(
                permit,
                plan.upstream,
                credential_fields=self._credential_fields,
                client=client,
                extra=extra,
            )
            outcome = exchange.outcome
            if exchange.fault is not None:
                reason, diagnosis = reason_for(exchange.fault), exchange.diagnosis or exchange.fault.value
        except UpstreamFault as fault:
            reason, diagnosis, outcome = reason_for(fault.fault), str(fault), Outcome.UPSTREAM_FAILED
            refusal = Refusal(head=head, reason=reason, tallies=permit.tallies, close=client.bytes_in > 0)
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
                refusal = Refusal(head=head, reason=reason, close=True)
                client.answer(problem_for(refusal, request_id=head.id))
        finally:
            completion = Completion(
                status=client.status,
                bytes_in=client.bytes_in,
                bytes_out=client.bytes_out,
                duration_ms=round((time.perf_counter() - begun) * 1000, 3),
                outcome=outcome,
                reason=reason,
                diagnosis=diagnosis,
            )
            self._enforcer.complete(permit, completion)
            self._access_log.completed(permit, completion)
