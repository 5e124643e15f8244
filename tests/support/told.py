"""Clients that note what they were told: every answer of which they have read as much as the status line."""

import socket
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Self

ENOUGH = b"HTTP/1.1 200"
"""As much of an answer as says its status."""


@dataclass(slots=True)
class Told:
    """What clients have read so far."""

    ids: dict[str, int] = field(default_factory=dict)
    """Statuses, by request id, of answers whose head was read to that field at least."""
    marks: set[str] = field(default_factory=set)
    """Paths of which an answer began, each sent once: also of answers that broke off in their head."""
    unrecorded: int = 0
    """Answers that said they could not be recorded."""
    statuses: dict[int, int] = field(default_factory=dict)
    sent: set[str] = field(default_factory=set)
    """All marked paths, answered or not."""

    def __ior__(self, other: "Told") -> Self:
        self.ids.update(other.ids)
        self.marks |= other.marks
        self.sent |= other.sent
        self.unrecorded += other.unrecorded
        for status, count in other.statuses.items():
            self.statuses[status] = self.statuses.get(status, 0) + count
        return self


Ask = Callable[[str], tuple[bytes, str | None]]
"""Makes the bytes of a request from a text that occurs once, and says which path it has, if the record says so."""


def questions(token: str | None = None) -> Sequence[Ask]:
    """Return what a client may ask: allowed and refused, anonymous and as somebody, of a service and of the
    gateway itself, and what no parser takes."""
    bearer = b"" if token is None else b"Authorization: Bearer " + token.encode() + b"\r\n"

    def plain(template: str, *, fields: bytes = b"", method: str = "GET", body: bytes = b"") -> Ask:
        def ask(mark: str) -> tuple[bytes, str | None]:
            path = template.format(mark)
            length = b"Content-Length: %d\r\n" % len(body) if body else b""
            head = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\n".encode()
            return head + fields + length + b"\r\n" + body, path

        return ask

    def broken(mark: str) -> tuple[bytes, str | None]:
        # No path is known of what cannot be parsed; the connection is closed after it.
        return b"GET /broken/" + mark.encode() + b" HTTP/1.1\r\nHost: localhost\r\nBad Name: x\r\n\r\n", None

    return [
        plain("/open/{}"),
        plain("/orders/{}", fields=bearer),
        plain("/nowhere/{}"),
        plain("/orders/{}", fields=b"X-Api-Key: no such key\r\n"),
        plain("/open/{}", method="POST", body=b"x" * 500),
        plain("/gateway/v1/nothing-{}"),
        plain("/orders/{}", method="DELETE", fields=bearer),
        plain("/a%2f{}"),
        plain("/open/{}", fields=b"Expect: nonsense\r\n"),
        broken,
    ]


class Clients:
    """A few clients that ask until they are stopped, with a pause of some seconds in between. Use as a context
    manager."""

    def __init__(
        self, port: int, name: str, asks: Sequence[Ask], *, clients: int = 2, pause: float = 0.002
    ) -> None:
        self._pause = pause
        self._told = [Told() for _ in range(clients)]
        self._over = threading.Event()
        self._threads = [
            threading.Thread(target=self._run, args=(port, f"{name}-{number}", asks, number, told))
            for number, told in enumerate(self._told)
        ]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> Told:
        """Let every client end its question, and return what they were told."""
        self._over.set()
        for thread in self._threads:
            thread.join(30)
        assert not any(thread.is_alive() for thread in self._threads), "a request hangs"
        return self.told

    @property
    def told(self) -> Told:
        """What they have been told so far."""
        whole = Told()
        for one in self._told:
            whole |= one
        return whole

    @property
    def answers(self) -> int:
        """How many answers were read to the id of their request."""
        return sum(len(one.ids) for one in self._told)

    def _run(self, port: int, name: str, asks: Sequence[Ask], number: int, told: Told) -> None:
        turn = 0
        while not self._over.is_set():
            try:
                with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
                    while not self._over.is_set():
                        turn += 1
                        data, path = asks[(turn + number) % len(asks)](f"{name}-{turn}")
                        if path is not None:
                            told.sent.add(path)
                        connection.sendall(data)
                        if not _read(connection, path, told):
                            break
                        if self._pause:
                            time.sleep(self._pause)
            except TimeoutError:
                raise
            except OSError:
                # The process was killed under us, or is not there yet.
                self._over.wait(0.005)


def _read(connection: socket.socket, path: str | None, told: Told) -> bool:
    """Read one answer and note it. Return whether the connection can be used again."""
    data, whole = b"", False
    try:
        while b"\r\n\r\n" not in data:
            more = connection.recv(65536)
            if not more:
                return False
            data += more
        head, _, body = data.partition(b"\r\n\r\n")
        fields = _fields(head)
        while len(body) < int(fields.get(b"content-length", b"0")):
            more = connection.recv(65536)
            if not more:
                return False
            body += more
        data, whole = head + b"\r\n\r\n" + body, True
    finally:
        _note(data, path, told, whole=whole)
    return fields.get(b"connection") != b"close"


def _note(data: bytes, path: str | None, told: Told, *, whole: bool) -> None:
    if len(data) < len(ENOUGH):
        return
    status = int(data[9:12])
    if status == 503 and b"audit-unavailable" in data:
        told.unrecorded += 1
        return
    if status == 503 and not whole:
        # Nobody can say whether this was the one answer that has no record.
        return
    head, ended, _ = data.partition(b"\r\n\r\n")
    told.statuses[status] = told.statuses.get(status, 0) + 1
    if path is not None:
        told.marks.add(path)
    # A line is whole when another follows it.
    complete = head if ended else head.rpartition(b"\r\n")[0]
    request_id = _fields(complete).get(b"x-request-id")
    if request_id is not None:
        told.ids[request_id.decode()] = status
    else:
        assert not ended, f"an answer without an id: {head!r}"


def _fields(head: bytes) -> dict[bytes, bytes]:
    lines = (line.partition(b":") for line in head.split(b"\r\n")[1:])
    return {name.lower(): value.strip() for name, _, value in lines}


def wait_for_answers(clients: Clients, count: int, *, within: float = 20.0) -> None:
    """Return once so many answers were read."""
    deadline = time.monotonic() + within
    while clients.answers < count:
        assert time.monotonic() < deadline, f"{clients.answers} of {count} answers within {within} s"
        time.sleep(0.005)
