"""Upstreams that speak WebSocket: a real server that does what the path asks for, and one of raw bytes."""

import contextlib
import json
import socket
import socketserver
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from queue import Queue
from typing import cast
from urllib.parse import parse_qs, urlsplit

from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.sync.server import ServerConnection, serve
from websockets.typing import Subprotocol
from websockets.utils import accept_key

Ending = tuple[int, str] | None
"""Code and reason of a close frame, None when there was none."""


class WebsocketUpstream:
    """A real server. Paths begin with anything; their last segment says what to do."""

    def __init__(self) -> None:
        self.port = 0
        self.endings: Queue[Ending] = Queue()
        """What each client that asked for `wait` closed with."""
        self.pongs: Queue[float] = Queue()
        """Seconds that each client that asked for `ping` took to answer."""

    def refuse(self, _: ServerConnection, request: Request) -> Response | None:
        """Answer `refuse-STATUS` without switching."""
        name = _name(request.path)
        if not name.startswith("refuse-"):
            return None
        status = HTTPStatus(int(name.removeprefix("refuse-")))
        fields = Headers({"Content-Type": "text/plain", "Content-Length": "7", "X-From": "upstream"})
        return Response(status.value, "For A Reason", fields, b"refused")

    def serve(self, connection: ServerConnection) -> None:
        """Do what the path says."""
        assert connection.request is not None
        path = connection.request.path
        with contextlib.suppress(ConnectionClosed):
            match _name(path):
                case "echo":
                    for message in connection:
                        connection.send(message)
                case "fragments":
                    for number in range(3):
                        connection.send(iter([f"{number}a", f"{number}b", f"{number}c"]))
                case "seen":
                    fields = list(connection.request.headers.raw_items())
                    connection.send(json.dumps({"path": path, "fields": fields}))
                case "close":
                    asked = parse_qs(urlsplit(path).query)
                    connection.close(int(asked["code"][0]), asked["reason"][0])
                case "drop":
                    connection.recv()
                    reset(connection.socket)
                case "ping":
                    begun = time.monotonic()
                    if connection.ping(b"are you there?").wait(5):
                        self.pongs.put(time.monotonic() - begun)
                case "many":
                    for number in range(2000):
                        connection.send(str(number))
                case "wait":
                    self._wait(connection)
                case _:
                    pass

    def _wait(self, connection: ServerConnection) -> None:
        try:
            connection.send("here")
            connection.recv(timeout=20)
        except ConnectionClosed as closed:
            received = closed.rcvd
            self.endings.put(None if received is None else (received.code, received.reason))


def _name(path: str) -> str:
    return path.partition("?")[0].rpartition("/")[2]


def reset(sock: socket.socket) -> None:
    """Close a connection with a TCP reset."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


@contextmanager
def websocket_upstream() -> Iterator[WebsocketUpstream]:
    """Run the real server for the length of the block."""
    upstream = WebsocketUpstream()
    protocols = [cast("Subprotocol", name) for name in ("chat", "superchat")]
    with serve(
        upstream.serve,
        "127.0.0.1",
        0,
        process_request=upstream.refuse,
        subprotocols=protocols,
        select_subprotocol=lambda _, offered: next((one for one in protocols if one in offered), None),
        max_size=None,
        ping_interval=None,
        close_timeout=3,
    ) as server:
        upstream.port = server.socket.getsockname()[1]
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield upstream
        finally:
            server.shutdown()
            thread.join(10)


class RawAnswers(socketserver.ThreadingTCPServer):
    """Answers each handshake with the bytes that are set for the last segment of its path, `{accept}` filled
    in, and then says whatever the client says until the client has ended its sending, in one piece."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _RawAnswer)
        self.answers: dict[str, bytes] = {}
        self.requests: list[bytes] = []
        """Request lines that came."""

    @property
    def port(self) -> int:
        """Where it listens."""
        port: int = self.socket.getsockname()[1]
        return port


class _RawAnswer(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        server = cast("RawAnswers", self.server)
        line = self.rfile.readline()
        if not line:
            return
        key = ""
        while field := self.rfile.readline().strip():
            name, _, value = field.partition(b":")
            if name.lower() == b"sec-websocket-key":
                key = value.decode().strip()
        server.requests.append(line)
        answer = server.answers[_name(line.decode().split(" ")[1])]
        with contextlib.suppress(ConnectionError):
            self.wfile.write(answer.replace(b"{accept}", accept_key(key).encode()))
            if answer.startswith(b"HTTP/1.1 101"):
                self.wfile.write(self.rfile.read())


@contextmanager
def raw_answers() -> Iterator[RawAnswers]:
    """Run the raw server for the length of the block."""
    with RawAnswers() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join(10)
