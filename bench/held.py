"""Connections that have asked once and then wait, as browsers and pools keep them."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from bench.load import BenchError


@contextmanager
def held_connections(port: int, count: int, *, path: str) -> Iterator[None]:
    """Hold so many connections open, each after one answered request. Raise `BenchError`."""
    request = f"GET {path} HTTP/1.1\r\nHost: bench\r\n\r\n".encode()
    with ExitStack() as stack:
        for _ in range(count):
            connection = stack.enter_context(socket.create_connection(("127.0.0.1", port), 10))
            connection.sendall(request)
            answer = connection.recv(65536)
            if not answer.startswith(b"HTTP/1.1 200"):
                raise BenchError(f"an idle connection began with {answer[:40]!r}")
        yield
