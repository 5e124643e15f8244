"""Conversations through a gateway, byte by byte: the test is the client, and the upstream as well.

Nothing runs beside the test. It says what the client sends, reads what the upstream gets, says what the upstream
answers, and reads what the client gets, each when it wants to: order is what the test says it is.
"""

import contextlib
import json
import select
import socket
import ssl
from collections.abc import Iterable, Iterator, Mapping
from typing import Self

from support.conformance_wire import OK, SECONDS, Ended, Message, Wire, request, response

__all__ = [
    "OK",
    "SECONDS",
    "Conversation",
    "Ended",
    "Message",
    "Upstream",
    "Wire",
    "listening",
    "request",
    "response",
]

Address = tuple[str, int] | str
"""Host and port, or the path of a unix socket."""


class Upstream:
    """A listening socket whose connections the test answers itself."""

    def __init__(self, listener: socket.socket, context: ssl.SSLContext | None = None) -> None:
        self.listener = listener
        self._context = context
        self._accepted: list[Wire] = []
        self.asked_names: list[str | None] = []
        """The server names that TLS clients asked for (RFC 6066 section 3)."""
        listener.settimeout(SECONDS)
        if context is not None:
            context.sni_callback = lambda _, name, __: self.asked_names.append(name)

    @property
    def port(self) -> int:
        """Where it listens."""
        port: int = self.listener.getsockname()[1]
        return port

    @property
    def path(self) -> str:
        """Where its unix socket is."""
        path: str = self.listener.getsockname()
        return path

    def accept(self) -> Wire:
        """Return the next connection that the gateway makes."""
        connection, _ = self.listener.accept()
        if self._context is not None:
            connection.settimeout(SECONDS)
            connection = self._context.wrap_socket(connection, server_side=True)
        self._accepted.append(wire := Wire(connection))
        return wire

    def request(self) -> tuple[Wire, Message]:
        """Return the next connection that the gateway makes, and the request on it, read whole."""
        wire = self.accept()
        return wire, wire.message()

    @property
    def has_accepted(self) -> bool:
        """Whether the test has accepted a connection."""
        return bool(self._accepted)

    def was_called(self) -> bool:
        """Say whether the gateway has connected."""
        return bool(self._accepted) or bool(called_among([self]))

    def connections(self) -> int:
        """Return how many connections the gateway has made."""
        while called_among([self]):
            self.accept()
        return len(self._accepted)

    def last(self) -> Wire:
        """Return the connection that was accepted last."""
        return self._accepted[-1]

    def forget(self) -> None:
        """End all connections that were accepted."""
        while self._accepted:
            self._accepted.pop().finish()

    def turn_away(self) -> None:
        """End a connection that nobody has accepted."""
        Wire(self.listener.accept()[0]).finish()


def called_among(upstreams: Iterable[Upstream], *, within: float = 0) -> list[Upstream]:
    """Return the upstreams that have a connection which nobody has accepted."""
    listeners = {upstream.listener: upstream for upstream in upstreams}
    return [listeners[listener] for listener in select.select([*listeners], [], [], within)[0]]


class Conversation:
    """Both ends of a gateway."""

    def __init__(self, address: Address, upstreams: Mapping[str, Upstream]) -> None:
        self.address = address
        self._upstreams = upstreams
        self._clients: list[Wire] = []

    def client(self, source: str = "127.0.0.1") -> Wire:
        """Return a new connection to the gateway; over IPv4, from an address of the loopback network."""
        if isinstance(self.address, str):
            sock = socket.socket(socket.AF_UNIX)
            sock.connect(self.address)
        else:
            sock = socket.create_connection(
                self.address, SECONDS, source_address=(source, 0) if self.address[0] == "127.0.0.1" else None
            )
        self._clients.append(wire := Wire(sock))
        return wire

    def upstream(self, name: str = "plain") -> Upstream:
        """Return an upstream."""
        return self._upstreams[name]

    def nothing_was_forwarded(self) -> bool:
        """Say whether no upstream has seen a connection."""
        upstreams = self._upstreams.values()
        return not called_among(upstreams) and not any(upstream.has_accepted for upstream in upstreams)

    def forwarded(self, start: bytes, *lines: bytes, body: bytes = b"", at: str = "plain") -> Message:
        """Send a request, answer it with 200, and return what the upstream got."""
        return self.forwarded_bytes(request(start, *lines, body=body), at=at)

    def forwarded_bytes(self, data: bytes, *, at: str = "plain", source: str = "127.0.0.1") -> Message:
        """Send bytes that are a request, answer it with 200, and return what the upstream got."""
        client = self.client(source).send(data)
        upstream, seen = self.upstream(at).request()
        upstream.send(OK)
        assert client.message(bodyless=data.startswith(b"HEAD")).status == 200
        upstream.finish()
        return seen

    def first(self, *ends: Wire | Upstream) -> Wire | Upstream:
        """Return the one that something comes for first: bytes, an end, or a connection."""
        sockets = {end.listener if isinstance(end, Upstream) else end.socket: end for end in ends}
        ready: list[socket.socket] = select.select([*sockets], [], [], SECONDS)[0]
        assert ready, "nothing came"
        return sockets[ready[0]]

    def called(self, *names: str) -> str:
        """Return which of these upstreams the gateway connects to next, or of all."""
        ends = {self._upstreams[name]: name for name in names or self._upstreams}
        called = [ends[upstream] for upstream in called_among(ends, within=SECONDS)]
        assert len(called) == 1, called
        return called[0]

    def routed(self, data: bytes) -> str:
        """Send a request, answer it with 200, and return the name of the upstream that got it."""
        client = self.client().send(data)
        name = self.called()
        upstream, _ = self.upstream(name).request()
        upstream.send(OK)
        assert client.message(bodyless=data.startswith(b"HEAD")).status == 200
        upstream.finish()
        return name

    def answered(
        self,
        answer: bytes,
        start: bytes = b"GET /plain/x HTTP/1.1",
        *lines: bytes,
        ends: bool = False,
        at: str = "plain",
    ) -> Message:
        """Send a request, answer it with these bytes, and return what the client got.

        `ends`: the upstream closes behind them.
        """
        client = self.client().send(request(start, *lines))
        upstream, _ = self.upstream(at).request()
        upstream.send(answer)
        if ends:
            upstream.half_close()
        received = client.message(bodyless=start.startswith(b"HEAD"))
        upstream.finish()
        return received

    def refused(self, data: bytes) -> Message:
        """Send bytes and return the gateway's own answer: nothing reached an upstream."""
        answer = self.client().send(data).message(bodyless=data.startswith(b"HEAD"))
        assert self.nothing_was_forwarded()
        return answer

    def asked(self, method: str, path: str, body: Mapping[str, object], token: str | None = None) -> Message:
        """Ask one of the gateway's own endpoints."""
        data = json.dumps(body).encode()
        lines = [b"Content-Type: application/json", b"Content-Length: %d" % len(data)]
        if token is not None:
            lines.append(b"Authorization: Bearer " + token.encode())
        return self.client().send(request(f"{method} {path} HTTP/1.1".encode(), *lines, body=data)).message()

    def account(self, name: str) -> str:
        """Make an account, and return an access token of it."""
        password = "a reader's password"
        account = {"username": name, "password": password, "email": f"{name}@example.com"}
        assert self.asked("POST", "/gateway/v1/auth/register", account).status == 201
        answer = self.asked("POST", "/gateway/v1/auth/login", {"username": name, "password": password})
        token: str = json.loads(answer.body)["access_token"]
        return token

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """End all connections, the clients' first."""
        while self._clients:
            self._clients.pop().close()
        for upstream in self._upstreams.values():
            upstream.forget()
        while called := called_among(self._upstreams.values()):
            for upstream in called:
                upstream.turn_away()


@contextlib.contextmanager
def listening(
    *, family: socket.AddressFamily = socket.AF_INET, at: str = "127.0.0.1"
) -> Iterator[socket.socket]:
    """Listen on loopback, or at a path."""
    with socket.socket(family) as listener:
        listener.bind(at if family == socket.AF_UNIX else (at, 0))
        listener.listen(64)
        yield listener
