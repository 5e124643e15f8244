"""A connection to a receiver that takes a stream and never answers, on which nothing is lost unnoticed.

A `send` that returns means only that the kernel has the bytes. Whoever wants to know more asks the kernel how
many of them the other side's has not confirmed yet. What a receiver that dies has in its own memory is lost;
nothing in the protocol tells.
"""

import array
import contextlib
import fcntl
import select
import socket
import ssl
import termios
import time
from threading import Event, Lock
from typing import Final

from gateway.outlets.tls import TlsFiles, said
from gateway.ports import OutletUnavailable

_PATIENCE: Final = 8.0
"""Seconds for connecting, and for sending until it is confirmed."""
_LEAST_WAIT: Final = 0.1
"""Seconds that a server has at least to refuse our certificate."""
_FIRST_PAUSE, _LONGEST_PAUSE = 0.0005, 0.02


class Connection:
    """Connects when there is something to send. Every method blocks."""

    def __init__(self, host: str, port: int, tls: TlsFiles | None) -> None:
        self._host = host
        self._port = port
        self._tls = tls
        self._socket: socket.socket | None = None
        # Whoever was cancelled leaves a thread behind that still sends.
        self._turn = Lock()

    def send(self, data: bytes, given_up: Event) -> None:
        """Return once the receiver's machine has confirmed everything. Raise `OutletUnavailable`; then the
        connection has ended, because nobody knows where in the stream it stopped.

        Who does not want to wait any more sets `given_up`, and then calls `interrupt`.
        """
        with self._turn:
            try:
                sock = self._connected()
                _check_wanted(given_up)
                sock.settimeout(_PATIENCE)
                sock.sendall(data)
                _confirmed(sock)
            except OSError as error:
                self._end()
                raise OutletUnavailable(said(error)) from None
            except BaseException:
                self._end()
                raise

    def interrupt(self) -> None:
        """Make a `send` that another thread is in fail soon, unless it is connecting."""
        sock = self._socket
        if sock is not None:
            with contextlib.suppress(OSError):
                socket.socket.shutdown(sock, socket.SHUT_RDWR)

    def close(self) -> None:
        """End the connection."""
        with self._turn:
            if isinstance(self._socket, ssl.SSLSocket):
                with contextlib.suppress(OSError, ValueError):
                    # RFC 5425 section 4.4: the receiver is told that this is the end.
                    self._socket.settimeout(1.0)
                    self._socket.unwrap()
            self._end()

    def _connected(self) -> socket.socket:
        if self._socket is not None:
            try:
                _check_open(self._socket)
            except OSError:
                self._end()
        if self._socket is None:
            self._socket = self._connect()
        return self._socket

    def _connect(self) -> socket.socket:
        context = None if self._tls is None else self._tls.context()
        sock = socket.create_connection((self._host, self._port), timeout=_PATIENCE)
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if context is not None:
                began = time.monotonic()
                sock = context.wrap_socket(sock, server_hostname=self._host)
                _check_accepted(sock, time.monotonic() - began)
        except BaseException:
            sock.close()
            raise
        return sock

    def _end(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None


def _check_wanted(given_up: Event) -> None:
    if given_up.is_set():
        raise ConnectionAbortedError(None, "nobody waits for it any more")


def _confirmed(sock: socket.socket) -> None:
    """Wait until the other machine has confirmed all bytes. Raise `OSError` when it does not, or has left."""
    ends = time.monotonic() + _PATIENCE
    pause = _FIRST_PAUSE
    unconfirmed = array.array("i", [0])
    while True:
        # SIOCOUTQ of tcp(7): bytes in the send queue, which leave it when they are confirmed.
        fcntl.ioctl(sock.fileno(), termios.TIOCOUTQ, unconfirmed)
        if unconfirmed[0] == 0:
            break
        if time.monotonic() > ends:
            raise TimeoutError
        time.sleep(pause)
        pause = min(2 * pause, _LONGEST_PAUSE)
    _check_open(sock)


def _check_accepted(sock: socket.socket, handshake: float) -> None:
    """Wait for what a server says to our certificate, which in TLS 1.3 comes after the handshake, that took
    so many seconds. Raise `OSError` when it ends the connection."""
    readable = select.poll()
    readable.register(sock, select.POLLIN)
    if readable.poll(1000 * max(2 * handshake, _LEAST_WAIT)):
        _check_open(sock)


def _check_open(sock: socket.socket) -> None:
    """Raise `OSError` when the other side has closed the connection; what it says is of no interest."""
    sock.settimeout(0.0)
    try:
        while sock.recv(4096):
            pass
    except (BlockingIOError, ssl.SSLWantReadError):
        return
    raise ConnectionResetError(None, "the receiver closed the connection")
