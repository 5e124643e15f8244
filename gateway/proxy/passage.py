"""One exchange on its way: the steps, and what it holds while it takes them.

1. Borrow a connection to a target, opening one or trying another target if need be.
2. Send the head, with what the gateway says about the caller.
3. If there is a request body, carry it beside the rest. A client that waits to be asked for it is asked once
   the upstream asks, or has not answered for a moment.
4. Wait for the head of the response, and pass interim ones on. A request that has been sent is never sent
   again, whatever its method: nobody knows whether the upstream has acted on it, and there is one request
   for each permit. The exception has to be written in the configuration: an answer of 502 or 503 to a
   request that changes nothing, while the client has been sent nothing.
5. Where the response is encrypted, gather it, give the connection back, and seal it: until that is done the
   client is sent nothing, so that whatever fails is a proper answer.
6. Translate the head. From here on a failure cuts the client's connection: a truncated body must not look
   like a whole one.
7. Carry the response body, as fast as the slower side; or, behind a 101, whatever both sides send.
8. Stop the upload if the upstream did not want all of it, and end the client's response.
9. Give the connection back, or close it when the exchange was not whole.
"""

import asyncio
from collections.abc import Sequence
from typing import Final

from gateway.model import Framing, Line, Outcome, Permit, RequestHead, wants_websocket
from gateway.proxy.assertion import Assertions
from gateway.proxy.connection import Connection
from gateway.proxy.downstream import Downstream
from gateway.proxy.envelope import Envelope
from gateway.proxy.envelope_passing import gather, seal
from gateway.proxy.envelope_response import ResponseSealing
from gateway.proxy.exchange import Exchange
from gateway.proxy.faults import Fault, UpstreamFault
from gateway.proxy.fleet import Fleet, Loan
from gateway.proxy.handshake import accepts
from gateway.proxy.response import ResponseHead
from gateway.proxy.tunnel import Tunnel
from gateway.proxy.upload import Upload
from gateway.proxy.watch import Watch

# Looking up a member of an enum costs as much as ten of these (Python 3.11).
_CHUNKED: Final = Framing.CHUNKED
_LENGTH: Final = Framing.LENGTH
_NO_BODY: Final = Framing.NONE
_CONTINUE: Final = 100
_SWITCHING: Final = 101
_BAD_GATEWAY: Final = 502
_UNAVAILABLE: Final = 503
_UNUSUAL: Final = frozenset({_SWITCHING, _BAD_GATEWAY, _UNAVAILABLE})
_GRACE: Final = 0.1
"""Seconds that an upstream gets to say whether it wants a body, before the client is asked for it. Most never
say: the client's expectation ends at the gateway."""
_PIECE: Final = 65_536
"""Bytes of a sealed response that are written at once."""


class Passage:
    """One exchange. Whatever happens in `carry`, `end` gives back what it holds.

    It is `Ongoing` for the watch while a body, or an upgraded connection, is carried.
    """

    __slots__ = (
        "_answer",
        "_client",
        "_envelope",
        "_fleet",
        "_grace",
        "_has_told",
        "_head",
        "_is_watched",
        "_loan",
        "_tunnel",
        "_upload",
        "_watch",
        "bytes_in",
        "bytes_out",
        "fault",
        "permit",
        "status",
    )

    def __init__(
        self,
        fleet: Fleet,
        permit: Permit,
        client: Downstream,
        watch: Watch | None = None,
        envelope: Envelope | None = None,
    ) -> None:
        self._fleet = fleet
        self._client = client
        self._watch = watch
        self._envelope = envelope
        self._head = permit.head if envelope is None else envelope.head
        """What the upstream is asked."""
        self._loan: Loan | None = None
        self._answer: ResponseHead | None = None
        self._upload: Upload | None = None
        self._grace: asyncio.TimerHandle | None = None
        self._tunnel: Tunnel | None = None
        self._has_told = False
        self._is_watched = False
        self.permit = permit
        self.status = 0
        self.bytes_in = 0 if envelope is None else envelope.bytes_in
        self.bytes_out = 0
        self.fault: Fault | None = None
        """What ended it early; whoever finds out says it before `end`."""

    def __repr__(self) -> str:
        return f"Passage({self.permit.head.id}, status={self.status}, {self._loan!r})"

    @property
    def problem(self) -> Exception | None:
        """What ended the exchange with the upstream early."""
        return None if self._loan is None else self._loan.connection.problem

    @property
    def is_stream(self) -> bool:
        """Whether it goes on for as long as both sides want: upgraded, or server-sent events."""
        return self._tunnel is not None or (self._answer is not None and _is_event_stream(self._answer.lines))

    async def carry(
        self,
        *,
        assertions: Assertions,
        credential_fields: frozenset[bytes],
        extra: Sequence[Line],
    ) -> None:
        """Take steps 1 to 8. `assertions` makes what the upstream is told about the caller, if it is to be.

        Raises `UpstreamFault`, `EnvelopeRefused`, and what the client's side raises.
        """
        fleet, client, envelope = self._fleet, self._client, self._envelope
        # 1
        loan = self._loan = await fleet.borrow(self.permit)
        while True:
            connection = loan.connection
            # 2, 3
            self._send(loan, assertions, credential_fields)
            # 4
            answer = self._answer = await connection.head()
            loan.answered(answer.status)
            if answer.status not in _UNUSUAL or not self._may_repeat(answer.status, loan):
                break
            # What is left of the answer goes with its connection, or has come already.
            self._loan = None
            loan.give_back()
            loan = self._loan = await fleet.borrow(self.permit, after=loan)
        if self._grace is not None:
            await self._withdraw_question()
        # 5
        if envelope is not None and envelope.sealing is not None:
            await self._carry_sealed(envelope, envelope.sealing, loan, answer, extra)
            return
        # 6
        if answer.status == _SWITCHING:
            await self._switch(loan, answer, extra)
            return
        data = connection.body_so_far()
        if not data and not connection.complete and connection.problem is not None:
            # Not a byte of the body has come, nor will it: there is still time for a proper answer.
            raise connection.problem
        lines = fleet.responses.translate(answer, extra, version=self.permit.head.version)
        client.start(answer.status, answer.reason, lines, answer.framing)
        self.status = answer.status
        # 7
        if data:
            self.bytes_out = len(data)
            client.write(data)
        if not connection.complete:
            await self._carry_body(connection)
        # 8
        if self._upload is not None:
            await self._upload.stop()
        if answer.framing is _CHUNKED and (trailers := connection.trailers):
            client.finish(fleet.responses.trailers(trailers, answer.hop))
        else:
            client.finish()

    async def end(self) -> None:
        """Take step 9, also when the passage was cancelled."""
        if self._is_watched and self._watch is not None:
            self._watch.over(self)
        if self._grace is not None:
            self._grace.cancel()
        try:
            if self._upload is not None:
                await self._upload.stop()
        finally:
            loan, self._loan = self._loan, None
            if loan is not None:
                if self.fault is not None:
                    loan.failed(self.fault)
                loan.give_back()

    def recall(self, *, going_away: bool = False) -> None:
        """End it: the permit no longer holds, or the gateway is `going_away`."""
        if self._tunnel is not None:
            self._tunnel.recall(going_away=going_away)
            return
        if self._loan is not None:
            fault = Fault.GIVEN_UP if going_away else Fault.RECALLED
            self._loan.connection.fail(UpstreamFault(fault, "what was left of the response was cut"))
        self._wake()

    def ended(self, outcome: Outcome, fault: UpstreamFault | None = None) -> Exchange:
        """Return the account of the exchange."""
        # What was decrypted has another length than what came.
        bytes_in = self.bytes_in if self._upload is None or self.bytes_in else self._upload.bytes_in
        if fault is None:
            return Exchange(self.status, bytes_in, self.bytes_out, outcome)
        return Exchange(self.status, bytes_in, self.bytes_out, outcome, fault.fault, fault.diagnosis)

    def _send(self, loan: Loan, assertions: Assertions, credential_fields: frozenset[bytes]) -> None:
        fleet, permit, request = self._fleet, self.permit, self._head
        upstream = fleet.upstream
        heads = fleet.requests(credential_fields)
        assertion: bytes | None = None
        # By the rules that the head is written by, which may be others than when the exchange began.
        if upstream.forward.identity == "signed_jwt":
            if upstream.forward.binds_request:
                url = heads.url(request, scheme=loan.scheme, authority=loan.authority)
                assertion = assertions.about_request(permit, upstream.id, url=url)
            else:
                assertion = assertions.about(permit, upstream.id)
        switching = b"upgrade" in request.fields and wants_websocket(request.fields, request.version)
        connection = loan.connection
        connection.interim = self._pass_on_interim
        has_body = request.framing is not _NO_BODY and _has_body(request)
        connection.send_head(
            heads.write(
                permit, authority=loan.authority, assertion=assertion, switching=switching, head=request
            ),
            bodiless=request.method == "HEAD",
            body=has_body,
            chunked=request.framing is _CHUNKED,
            timeouts=upstream.timeouts,
            switching=switching,
        )
        if has_body:
            if _waits_to_be_asked(request):
                loop = asyncio.get_running_loop()
                self._grace = loop.call_later(_GRACE, self._ask)
            envelope = self._envelope
            opened = None if envelope is None else envelope.body
            self._upload = Upload(request, opened or self._client, connection)

    def _may_repeat(self, status: int, loan: Loan) -> bool:
        return (
            status != _SWITCHING and not self._has_told and self._fleet.may_repeat(self.permit, status, loan)
        )

    def _ask(self) -> None:
        """Ask a client that waits for it to send its body."""
        self._grace = None
        self._client.continue_()

    def _pass_on_interim(self, status: int, reason: bytes, lines: Sequence[Line]) -> None:
        self._has_told = True
        if status == _CONTINUE and self._grace is not None:
            self._grace.cancel()
            self._grace = None
        lines = self._fleet.responses.interim(lines)
        if self._envelope is not None and self._envelope.sealing is not None:
            lines = self._envelope.sealing.interim(lines)
        self._client.interim(status, reason, lines)

    def _wake(self) -> None:
        """End what waits for the client, who would else never be done. The end of its connection is told
        afterwards, when the exchange has ended for the reason that the upstream's connection knows."""
        if self._upload is not None:
            self._upload.cancel()
        self._client.abort()

    async def _withdraw_question(self) -> None:
        """The answer has come: a client that still waits to be asked for its body is not asked any more. What
        has been asked for is carried, for the upstream may need it to go on."""
        grace, self._grace = self._grace, None
        if grace is not None:
            grace.cancel()
        if self._upload is not None and not self._upload.bytes_in:
            await self._upload.stop()

    async def _carry_sealed(
        self,
        envelope: Envelope,
        sealing: ResponseSealing,
        loan: Loan,
        answer: ResponseHead,
        extra: Sequence[Line],
    ) -> None:
        """Take steps 5 to 8 where the response is encrypted."""
        fleet, client = self._fleet, self._client
        sealed = await self._sealed(envelope, sealing, loan, answer)
        lines = fleet.responses.translate(answer, extra, version=self.permit.head.version)
        lines = sealing.lines(lines, sealed)
        client.start(answer.status, answer.reason, lines, _NO_BODY if sealed is None else _LENGTH)
        self.status = answer.status
        if sealed:
            await self._pour(sealed, fleet.upstream.timeouts.idle)
        client.finish()

    async def _sealed(
        self, envelope: Envelope, sealing: ResponseSealing, loan: Loan, answer: ResponseHead
    ) -> bytes | None:
        """Return what the client gets as the body; None: nothing belongs there. What it was made from is gone
        then."""
        body: bytes | None = None
        if answer.framing is not _NO_BODY:
            body = await gather(loan.connection, answer, sealing, envelope.held, on_wait=self._be_watched)
        if self._upload is not None:
            await self._upload.stop()
        # The exchange with the upstream is over: sealing, and a slow client, need not hold its connection.
        self._loan = None
        loan.give_back()
        if body is None:
            return None
        # The key may have been rotated, and its older versions retired, since the upstream was asked.
        return await seal(sealing, await envelope.sealing_key(sealing.rules), answer, body)

    async def _pour(self, sealed: bytes, idle: float) -> None:
        """Write a response that is here already, as fast as the client takes it."""
        client = self._client
        for begin in range(0, len(sealed), _PIECE):
            if begin:
                self._be_watched()
                try:
                    async with asyncio.timeout(idle):
                        await client.drain()
                except TimeoutError:
                    diagnosis = "the client stopped reading the response body"
                    raise UpstreamFault(Fault.RESPONSE_BODY_CLIENT, diagnosis) from None
            piece = sealed[begin : begin + _PIECE]
            self.bytes_out += len(piece)
            client.write(piece)

    def _be_watched(self) -> None:
        if self._watch is not None and not self._is_watched:
            self._is_watched = True
            self._watch.begin(self)

    async def _carry_body(self, connection: Connection) -> None:
        client = self._client
        self._be_watched()
        connection.begin_body(on_stall=self._wake)
        # Sends the head, or the head and what came with it: the upstream may take its time with the rest.
        await client.drain()
        while data := await connection.body():
            self.bytes_out += len(data)
            client.write(data)
            if connection.complete:
                # `finish` sends the rest; the connection need not wait for a slow client.
                return
            await client.drain()

    async def _switch(self, loan: Loan, answer: ResponseHead, extra: Sequence[Line]) -> None:
        request = self.permit.head
        if (flaw := accepts(request, answer)) is not None:
            raise UpstreamFault(Fault.RESPONSE_HEAD, flaw)
        upstream, first = loan.connection.detach()
        try:
            lines = self._fleet.responses.translate(answer, extra)
            client = self._client.switch(answer.reason, lines)
        except BaseException:
            upstream.abort()
            raise
        self.status = answer.status
        tunnel = self._tunnel = Tunnel(client, upstream, first, idle=self._fleet.upstream.timeouts.idle)
        self._be_watched()
        ended = await tunnel.carry()
        self.bytes_in, self.bytes_out = ended.bytes_in, ended.bytes_out
        if ended.fault is not None:
            raise UpstreamFault(ended.fault, ended.diagnosis)


def _has_body(head: RequestHead) -> bool:
    return head.framing is _CHUNKED or (head.framing is _LENGTH and bool(head.content_length))


def _waits_to_be_asked(head: RequestHead) -> bool:
    """RFC 9110 section 10.1.1: an HTTP/1.0 client's expectation is ignored."""
    return b"expect" in head.fields and head.version >= (1, 1)


def _is_event_stream(lines: Sequence[Line]) -> bool:
    return any(
        name.lower() == b"content-type" and value.lower().startswith(b"text/event-stream")
        for name, value in lines
    )
