"""One exchange on its way: the steps, and what it holds while it takes them.

1. Take a connection to the target whose turn it is, opening one or trying another target if need be.
2. Send the head, with what the gateway says about the caller.
3. If there is a request body, ask for it when the client waits to be asked, and carry it beside the rest.
4. Wait for the head of the response. A request that has been sent is never sent again, whatever its method:
   nobody knows whether the upstream has acted on it, and there is one request for each permit.
5. Translate the head. From here on a failure cuts the client's connection: a truncated body must not look
   like a whole one.
6. Carry the response body, as fast as the slower side.
7. Stop the upload if the upstream did not want all of it, and end the client's response.
8. Give the connection back, or close it when the exchange was not whole.
"""

from collections.abc import Sequence
from typing import Final

from gateway.model import Framing, Line, Outcome, Permit, RequestHead
from gateway.proxy.connection import Connection
from gateway.proxy.downstream import Downstream
from gateway.proxy.exchange import Exchange
from gateway.proxy.faults import UpstreamFault
from gateway.proxy.fleet import Fleet
from gateway.proxy.pool import Pool
from gateway.proxy.upload import Upload

# Looking up a member of an enum costs as much as ten of these (Python 3.11).
_CHUNKED: Final = Framing.CHUNKED
_LENGTH: Final = Framing.LENGTH


class Passage:
    """One exchange. Whatever happens in `carry`, `end` gives back what it holds."""

    __slots__ = (
        "_client",
        "_connection",
        "_fleet",
        "_has_body",
        "_permit",
        "_pool",
        "_upload",
        "bytes_out",
        "status",
    )

    def __init__(self, fleet: Fleet, permit: Permit, client: Downstream) -> None:
        self._fleet = fleet
        self._permit = permit
        self._client = client
        self._has_body = _has_body(permit.head)
        self._pool: Pool | None = None
        self._connection: Connection | None = None
        self._upload: Upload | None = None
        self.status = 0
        self.bytes_out = 0

    def __repr__(self) -> str:
        return f"Passage({self._permit.head.id}, status={self.status}, {self._connection!r})"

    @property
    def problem(self) -> Exception | None:
        """What ended the exchange with the upstream early."""
        return None if self._connection is None else self._connection.problem

    async def carry(
        self, *, assertion: bytes | None, credential_fields: frozenset[bytes], extra: Sequence[Line]
    ) -> None:
        """Take steps 1 to 7. Raises `UpstreamFault`, and what the client's side raises."""
        fleet, client, request = self._fleet, self._client, self._permit.head
        # 1
        pool, connection = self._pool, self._connection = await fleet.reach()
        # 2
        head = fleet.requests(credential_fields).write(
            self._permit, authority=pool.authority, assertion=assertion
        )
        self._send(connection, head)
        # 3
        if self._has_body:
            if _waits_to_be_asked(request):
                client.continue_()
            self._upload = Upload(request, client, connection)
        # 4
        answer = await connection.head()
        # 5
        data = connection.body_so_far()
        if not data and not connection.complete and connection.problem is not None:
            # Not a byte of the body has come, nor will it: there is still time for a proper answer.
            raise connection.problem
        lines = fleet.responses.translate(answer.status, answer.lines, answer.hop, extra)
        client.start(answer.status, answer.reason, lines, answer.framing)
        self.status = answer.status
        # 6
        if data:
            self.bytes_out = len(data)
            client.write(data)
        if not connection.complete:
            await self._carry_body(connection)
        # 7
        if self._upload is not None:
            await self._upload.stop()
        client.finish()

    async def end(self) -> None:
        """Take step 8, also when the passage was cancelled."""
        try:
            if self._upload is not None:
                await self._upload.stop()
        finally:
            connection, self._connection = self._connection, None
            if connection is not None and self._pool is not None:
                self._pool.give_back(connection)

    def ended(self, outcome: Outcome, fault: UpstreamFault | None = None) -> Exchange:
        """Return the account of the exchange."""
        return Exchange(
            status=self.status,
            bytes_in=0 if self._upload is None else self._upload.bytes_in,
            bytes_out=self.bytes_out,
            outcome=outcome,
            fault=None if fault is None else fault.fault,
            diagnosis="" if fault is None else fault.diagnosis,
        )

    def _send(self, connection: Connection, head: bytes) -> None:
        self._connection = connection
        request = self._permit.head
        connection.send_head(
            head,
            bodiless=request.method == "HEAD",
            body=self._has_body,
            chunked=request.framing is _CHUNKED,
            timeouts=self._fleet.upstream.timeouts,
        )

    async def _carry_body(self, connection: Connection) -> None:
        client = self._client
        connection.begin_body(on_stall=client.abort)
        # Sends the head, or the head and what came with it: the upstream may take its time with the rest.
        await client.drain()
        while data := await connection.body():
            self.bytes_out += len(data)
            client.write(data)
            if connection.complete:
                # `finish` sends the rest; the connection need not wait for a slow client.
                return
            await client.drain()


def _has_body(head: RequestHead) -> bool:
    return head.framing is _CHUNKED or (head.framing is _LENGTH and bool(head.content_length))


def _waits_to_be_asked(head: RequestHead) -> bool:
    """RFC 9110 section 10.1.1: an HTTP/1.0 client's expectation is ignored."""
    expectation = head.fields.one(b"expect")
    return expectation is not None and head.version >= (1, 1) and expectation.lower() == b"100-continue"
