"""A listening socket is closed, and nobody is lost on its doorstep."""

import socket
import sys

import pytest

from gateway.workers import let_nobody_begin, waiting_at


@pytest.mark.skipif(sys.platform != "linux", reason="The filter is the Linux kernel's.")
def test_who_has_connected_is_let_in_and_nobody_else_connects() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.setblocking(False)
        with socket.create_connection(listening.getsockname()) as early:
            early.sendall(b"before")
            let_nobody_begin(listening)
            early.sendall(b" and after")
            with pytest.raises(TimeoutError):
                socket.create_connection(listening.getsockname(), timeout=0.1)
            (found,) = waiting_at(listening)
            with found:
                assert found.recv(100) == b"before and after"
            assert not list(waiting_at(listening))


def test_a_unix_socket_is_left_alone(tmp_path: object) -> None:
    with socket.socket(socket.AF_UNIX) as listening, socket.socket(socket.AF_UNIX) as client:
        listening.bind(f"{tmp_path}/s")
        listening.listen()
        listening.setblocking(False)
        let_nobody_begin(listening)
        client.connect(f"{tmp_path}/s")
        (found,) = waiting_at(listening)
        found.close()
