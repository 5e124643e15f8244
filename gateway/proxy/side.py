"""One of the two connections of a tunnel, as a protocol for its transport: what comes is written to the
other one, and no faster than that takes it."""

import asyncio
import secrets
from collections.abc import Callable
from typing import Final, cast

from gateway.proxy.frames import Frames, close_frame

HIGH_WATER: Final = 65_536
"""Bytes that may wait to be sent to one side before the other is no longer read."""

_MASK_SIZE: Final = 4


class Side(asyncio.Protocol):
    """A side. `other` is set before `take`."""

    __slots__ = (
        "_former",
        "_on_end",
        "_on_lost",
        "_time",
        "bytes",
        "code",
        "frames",
        "has_ended",
        "heard",
        "is_lost",
        "is_told",
        "is_upstream",
        "other",
        "transport",
    )

    other: "Side"

    def __init__(
        self,
        transport: asyncio.Transport,
        loop: asyncio.AbstractEventLoop,
        *,
        is_upstream: bool,
        on_end: "Callable[[Side], None]",
        on_lost: "Callable[[Side, Exception | None], None]",
    ) -> None:
        self.transport = transport
        self.is_upstream = is_upstream
        self.frames = Frames()
        """Follows what this side has sent."""
        self.bytes = 0
        """How many bytes of this side have been passed on."""
        self.heard = loop.time()
        """When it sent something last, in the time of the loop."""
        self.code = 0
        """What close frames say, once nothing else is to be passed on."""
        self.has_ended = False
        """Whether it has ended its sending."""
        self.is_told = False
        """Whether it has been sent all it will ever be."""
        self.is_lost = False
        """Whether its connection is gone."""
        self._former = cast("asyncio.BaseProtocol | None", transport.get_protocol())
        self._time = loop.time
        self._on_end = on_end
        self._on_lost = on_lost

    def __repr__(self) -> str:
        return f"Side({'upstream' if self.is_upstream else 'client'}, {self.bytes} bytes, {self.frames!r})"

    def take(self) -> None:
        """Take the transport from whoever had it."""
        transport = self.transport
        if self._former is None:
            # It had its end, and told it, before anybody could listen here.
            self.is_lost = True
        else:
            transport.set_protocol(self)
        if transport.is_closing():
            self.has_ended = True
        else:
            transport.set_write_buffer_limits(high=HIGH_WATER)

    def hold(self) -> None:
        """Read no more for now."""
        if not self.has_ended:
            self.transport.pause_reading()

    def go_on(self) -> None:
        """Read again."""
        if not (self.has_ended or self.transport.is_closing()):
            self.transport.resume_reading()

    def say_close(self) -> None:
        """Send this side a close frame, unless the other has, and nothing of the other from then on."""
        self.is_told = True
        other, transport = self.other, self.transport
        if not (other.frames.closing or other.has_ended or transport.is_closing()):
            mask = secrets.token_bytes(_MASK_SIZE) if self.is_upstream else b""
            transport.write(close_frame(self.code, mask))
        if self.frames.closed or self.has_ended:
            transport.close()
        # The other is read only for its own close frame, and that must not wait for a slow side.
        other.go_on()

    # What the event loop calls.

    def data_received(self, data: bytes) -> None:
        """Pass bytes on to the other side."""
        self.heard = self._time()
        if self.code:
            self._take_last(data)
            return
        self.frames.feed(data)
        self.bytes += len(data)
        transport = self.other.transport
        # A connection that broke in this turn of the loop tells it in the next.
        if not transport.is_closing():
            transport.write(data)

    def eof_received(self) -> bool:
        """Note that this side has ended its sending. TLS cannot be kept open for the other direction."""
        self.has_ended = True
        if not self.transport.can_write_eof():
            return False
        self._on_end(self)
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        """Take the end of the connection, and tell whoever had it before."""
        self.is_lost = True
        former, self._former = self._former, None
        if former is not None:
            former.connection_lost(exc)
        self._on_lost(self, exc)

    def pause_writing(self) -> None:
        """Hold the other side back."""
        if not self.is_told:
            self.other.hold()

    def resume_writing(self) -> None:
        """Let the other side go on."""
        self.other.go_on()

    def _take_last(self, data: bytes) -> None:
        """Pass on the rest of the frame in progress, and look out for the close frame."""
        other, frames = self.other, self.frames
        if not other.is_told:
            size = frames.rest(data)
            self.bytes += size
            if not other.transport.is_closing():
                other.transport.write(data[:size])
            if not frames.between:
                return
            data = data[size:]
            other.say_close()
        frames.feed(data)
        if self.is_told and frames.closed:
            self.transport.close()
