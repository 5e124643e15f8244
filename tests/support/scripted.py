"""An upstream that answers each path as a test says, byte for byte, and keeps what it was sent."""

import contextlib
import re
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import cast


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One request that came."""

    method: str
    target: str
    fields: Mapping[str, str]
    """By name in small letters; those that occur more than once as one list."""
    body: bytes = field(repr=False)


@dataclass(slots=True)
class Scripted:
    """What it answers, and what it was asked. The last step of a path names the answer."""

    answers: dict[str, bytes] = field(default_factory=dict)
    """Whole responses by name; what has no `Content-Length` ends with the connection."""
    asked: list[Asked] = field(default_factory=list)
    port: int = 0

    @property
    def address(self) -> str:
        """Where it listens: `host:port`."""
        return f"127.0.0.1:{self.port}"

    def says(self, name: str, body: bytes, *lines: str, status: str = "200 OK", whole: bool = True) -> None:
        """Answer a name with a body; not `whole`: the connection ends before the body does."""
        length = len(body) if whole else len(body) + 100
        head = "\r\n".join([f"HTTP/1.1 {status}", f"Content-Length: {length}", *lines])
        self.answers[name] = head.encode() + b"\r\n\r\n" + body

    def last(self, name: str) -> Asked:
        """Return the last request for a name."""
        return [one for one in self.asked if one.target.split("?")[0].endswith(f"/{name}")][-1]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def _answer(self) -> None:
        scripted = cast("_Server", self.server).scripted
        fields: dict[str, str] = {}
        for name, value in self.headers.items():
            key = name.lower()
            fields[key] = f"{fields[key]}, {value}" if key in fields else value
        scripted.asked.append(Asked(method=self.command, target=self.path, fields=fields, body=self._body()))
        answer = scripted.answers[self.path.partition("?")[0].rpartition("/")[2]]
        head, mark, body = answer.partition(b"\r\n\r\n")
        is_head = self.command == "HEAD"
        with contextlib.suppress(OSError):
            self.wfile.write(head + mark if is_head else answer)
        length = re.search(rb"content-length: (\d+)", head.lower())
        is_whole = length is not None and int(length[1]) == len(body)
        self.close_connection = not (is_whole or is_head or head.split(b" ")[1] in {b"204", b"304"})

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = do_OPTIONS = _answer  # noqa: N815 - as the library calls them

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", "0")))
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    scripted: Scripted

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing of connections that end in the middle."""


@contextlib.contextmanager
def scripted() -> Iterator[Scripted]:
    """Run one for the length of the block."""
    with _Server(("127.0.0.1", 0), _Handler) as server:
        server.scripted = Scripted(port=server.server_address[1])
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield server.scripted
        finally:
            server.shutdown()
            thread.join()
