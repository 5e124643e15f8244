"""What the forwarder needs from the client's side of an exchange. The edge implements it."""

from collections.abc import Sequence
from typing import Protocol

from gateway.model import Framing, Line
from gateway.proxy.tunnel import Switched


class ClientLeft(Exception):
    """The client closed its connection, or the connection broke."""


class BodyTooLarge(Exception):
    """The request body is longer than the route allows."""


class BodyBroken(Exception):
    """The framing of the request body is broken: a bad chunk, or more or fewer bytes than announced."""


class Downstream(Protocol):
    """One client connection, for the length of one exchange.

    The forwarder calls `interim` any number of times, then `start` once, then `write` any number of times,
    then `finish` or `abort`; or `switch` instead of `start`, after which nothing else is called but `abort`.
    """

    @property
    def started(self) -> bool:
        """Whether `start` has been called, so that a problem can no longer be sent instead."""

    async def read(self) -> bytes:
        """Return the next bytes of the request body, without framing; b"" at its end.

        Called by one task at a time, which may be another than the one that called `forward`, and which
        may be cancelled while it waits. Raises `ClientLeft`, `BodyTooLarge`, `BodyBroken`.
        """

    def continue_(self) -> None:
        """Send `HTTP/1.1 100 Continue` to a client that still waits for it before it sends the body; nothing
        to any other."""

    def interim(self, status: int, reason: bytes, lines: Sequence[Line]) -> None:
        """Send an interim response (1xx) at once, before `start`; later ones are dropped.

        Nothing is sent to an HTTP/1.0 client (RFC 9110 section 15.2). A `100` is sent once to a client that
        waits for it.
        """

    def start(self, status: int, reason: bytes, lines: Sequence[Line], framing: Framing) -> None:
        """Take the head of the response.

        `lines` are sent in order, as they are; they hold Content-Length when the upstream sent one, and
        never Transfer-Encoding or Connection, which are the edge's business. `CHUNKED` and `CLOSE` become
        what the client's HTTP version allows. With `NONE` (HEAD, 204, 304) no body byte may be sent and no
        Content-Length may be invented. The head may be held back until the next `write`, `drain` or
        `finish`.
        """

    def write(self, data: bytes) -> None:
        """Take bytes of the response body, without framing. Never blocks."""

    async def drain(self) -> None:
        """Send what was held back, and return at once unless the client is slow.

        Raises `ClientLeft`, also when `abort` is called while it waits.
        """

    def finish(self, trailers: Sequence[Line] = ()) -> None:
        """End the response properly. The connection must be closed when the request body was not read to
        its end.

        `trailers` are sent as they are behind the last chunk (RFC 9112 section 7.1.2), and dropped where the
        client's response is not chunked.
        """

    def switch(self, reason: bytes, lines: Sequence[Line]) -> Switched:
        """Send a `101` with these lines and return the connection, raw from here on (RFC 9110 section 7.8).

        `lines` hold Upgrade and never Connection. Raises `ClientLeft`.
        """

    def abort(self) -> None:
        """Cut the connection, so that a truncated body cannot be mistaken for a whole one. May be called
        more than once."""
