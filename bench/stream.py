"""One long response, taken as fast as it comes."""

import socket

from bench.load import BenchError

_PIECE = 1024 * 1024


def stream(port: int, path: str) -> int:
    """Return how many bytes came back. Raise `BenchError` when it was not a whole response."""
    buffer = bytearray(_PIECE)
    with socket.create_connection(("127.0.0.1", port), 60) as connection:
        request = f"GET {path} HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n"
        connection.sendall(request.encode())
        received = 0
        while got := connection.recv_into(buffer):
            received += got
    if not received > int(path.removeprefix("/")):
        raise BenchError(f"{received} bytes came of {path}")
    return received
