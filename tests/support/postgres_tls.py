"""TLS in front of a PostgreSQL server, for builds of the server that have none."""

import contextlib
import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

_ASKS_FOR_TLS = (8).to_bytes(4) + (80877103).to_bytes(4)
"""`SSLRequest` (PostgreSQL manual, 55.7)."""


@contextlib.contextmanager
def tls_in_front(port: int, *, certificate: Path, key: Path) -> Iterator[int]:
    """Lend a port of this machine that takes nothing but TLS, and passes on what is inside to another port."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        accepting = threading.Thread(target=_accept, args=(listener, context, port))
        accepting.start()
        try:
            yield listener.getsockname()[1]
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            accepting.join()


def _accept(listener: socket.socket, context: ssl.SSLContext, port: int) -> None:
    serving: list[threading.Thread] = []
    while True:
        try:
            client, _ = listener.accept()
        except OSError:
            break
        serving.append(threading.Thread(target=_serve, args=(client, context, port)))
        serving[-1].start()
    for thread in serving:
        thread.join()


def _serve(client: socket.socket, context: ssl.SSLContext, port: int) -> None:
    # A client that refuses the certificate leaves in the middle of the handshake.
    with contextlib.suppress(OSError), client:
        if client.recv(8, socket.MSG_WAITALL) != _ASKS_FOR_TLS:
            return
        client.sendall(b"S")
        with (
            context.wrap_socket(client, server_side=True) as inside,
            socket.create_connection(("127.0.0.1", port)) as server,
        ):
            answers = threading.Thread(target=_pass_on, args=(server, inside))
            answers.start()
            _pass_on(inside, server)
            answers.join()


def _pass_on(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_RDWR)
