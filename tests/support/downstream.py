"""The client's side of an exchange, for tests of the proxy: requests to send, and a client that records."""

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Sequence

from gateway.model import (
    ANONYMOUS,
    Fields,
    Framing,
    Grant,
    Line,
    Permit,
    Principal,
    PrincipalKind,
    RequestHead,
    Route,
)
from gateway.proxy import ClientLeft, Switched

REQUEST_ID = "0b1c2d3e-4f50-4617-8a9b-0c1d2e3f4a5b"
ALICE = Principal(
    id="usr_alice",
    kind=PrincipalKind.USER,
    name="alice",
    authn="gateway",
    authn_kind="gateway_jwt",
    roles=frozenset({"support", "customer"}),
    session="ses_1",
)


def head_of(
    *lines: Line,
    method: str = "GET",
    target: str = "/orders/1",
    framing: Framing | None = None,
    length: int | None = None,
    host: bytes | None = b"api.example.com",
    version: tuple[int, int] = (1, 1),
    peer: str = "192.0.2.7",
    trusted: bool = False,
    scheme: str = "http",
) -> RequestHead:
    """Return a request head as the edge would build it."""
    path, mark, query = target.partition("?")
    first: list[Line] = [] if host is None else [(b"Host", host)]
    if framing is None:
        framing = Framing.NONE if length is None else Framing.LENGTH
    return RequestHead(
        id=REQUEST_ID,
        received=1_700_000_000.0,
        method=method,
        target=target,
        path=path,
        query=query if mark else None,
        segments=tuple(path.split("/")[1:]),
        host=None if host is None else host.decode(),
        authority=None if host is None else host.decode(),
        scheme=scheme,
        version=version,
        fields=Fields([*first, *lines]),
        framing=framing,
        content_length=length,
        peer=peer,
        client=peer,
        peer_trusted=trusted,
    )


def upload_head(length: int | None = None, *lines: Line, version: tuple[int, int] = (1, 1)) -> RequestHead:
    """Return the head of a POST with a body of known length, else a chunked one."""
    framing = (b"Transfer-Encoding", b"chunked") if length is None else (b"Content-Length", b"%d" % length)
    return head_of(
        framing,
        *lines,
        method="POST",
        framing=Framing.CHUNKED if length is None else Framing.LENGTH,
        length=length,
        version=version,
    )


def permit_for(
    head: RequestHead, *, principal: Principal = ANONYMOUS, scopes: frozenset[str] = frozenset()
) -> Permit:
    """Return a permit as the chain would."""
    route = Route(
        id="orders",
        host=None,
        methods=frozenset({"GET"}),
        path="/**",
        upstream="orders",
        place="policies.yaml:1",
    )
    grant = Grant(scopes=scopes, required=frozenset())
    return Permit(head=head, route=route, params={}, principal=principal, grant=grant, tallies=())


class RecordingClient:
    """A client that sends what it is given and keeps what it gets."""

    def __init__(self, body: AsyncIterable[bytes] | Sequence[bytes] = ()) -> None:
        self._body = body if isinstance(body, AsyncIterable) else _each(body)
        self._iterator = aiter(self._body)
        self.reads = 0
        self.drains = 0
        self.continued = 0
        self.interims: list[tuple[int, bytes, list[Line]]] = []
        self.trailers: list[Line] = []
        self.status = 0
        self.reason = b""
        self.lines: list[Line] = []
        self.framing: Framing | None = None
        self.parts: list[bytes] = []
        self.size = 0
        self.keeps = True
        """Whether parts are kept, or only counted."""
        self.ending: str | None = None
        self.reading = asyncio.Event()
        """Cleared: the client does not read."""
        self.reading.set()
        self.has_left = False
        self.arrived = asyncio.Event()
        """Set whenever something arrives; tests clear it."""

    @property
    def started(self) -> bool:
        return self.status != 0

    @property
    def body(self) -> bytes:
        return b"".join(self.parts)

    def values(self, name: bytes) -> list[bytes]:
        """Return the values of a response field."""
        return [value for other, value in self.lines if other.lower() == name.lower()]

    async def until(self, size: int) -> None:
        """Wait until that many bytes have arrived."""
        while self.size < size:
            self.arrived.clear()
            await self.arrived.wait()

    async def read(self) -> bytes:
        self.reads += 1
        try:
            return await anext(self._iterator)
        except StopAsyncIteration:
            return b""

    def continue_(self) -> None:
        self.continued += 1
        self.arrived.set()

    def interim(self, status: int, reason: bytes, lines: Sequence[Line]) -> None:
        assert not self.started
        self.interims.append((status, reason, list(lines)))
        self.arrived.set()

    def switch(self, reason: bytes, lines: Sequence[Line]) -> Switched:
        raise NotImplementedError("a recorder has no connection to give away")

    def start(self, status: int, reason: bytes, lines: Sequence[Line], framing: Framing) -> None:
        assert not self.started
        assert self.ending is None
        self.status, self.reason, self.lines, self.framing = status, reason, list(lines), framing
        self.arrived.set()

    def write(self, data: bytes) -> None:
        assert self.started
        assert self.ending is None
        assert data
        self.size += len(data)
        if self.keeps:
            self.parts.append(data)
        self.arrived.set()

    async def drain(self) -> None:
        self.drains += 1
        if not self.reading.is_set():
            await self.reading.wait()
        if self.has_left:
            raise ClientLeft

    def finish(self, trailers: Sequence[Line] = ()) -> None:
        assert self.started
        assert self.ending is None
        self.trailers = list(trailers)
        self.ending = "finished"

    def abort(self) -> None:
        assert self.ending != "finished"
        self.ending = "aborted"
        self.leave()

    def leave(self) -> None:
        """Close the connection from the client's side."""
        self.has_left = True
        self.reading.set()


async def _each(parts: Sequence[bytes]) -> AsyncIterable[bytes]:
    for part in parts:
        yield part


class Tap:
    """A request body that a test lets out piece by piece."""

    def __init__(self) -> None:
        self._queue: asyncio.Queue[bytes | Exception | None] = asyncio.Queue()
        self.ended = False

    def let_out(self, piece: bytes | Exception | None) -> None:
        """Send a piece, break with an exception, or end."""
        self._queue.put_nowait(piece)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            while (piece := await self._queue.get()) is not None:
                if isinstance(piece, Exception):
                    raise piece
                yield piece
        finally:
            self.ended = True
