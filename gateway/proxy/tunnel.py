"""An upgraded connection: bytes both ways, as they come, until both sides have ended.

How it ends:

- A side that ends its sending has that passed on; the other goes on for as long as it wants.
- A side whose connection breaks takes the other with it, once that has been sent what had come before.
- When nobody has sent anything for the idle time, or the permit is recalled, both sides are sent a close
  frame between two frames, and nothing else from then on.
"""

import asyncio
from collections.abc import Callable
from typing import Final, NamedTuple

from gateway.proxy.faults import Fault
from gateway.proxy.side import Side

_GOING_AWAY: Final = 1001
_POLICY: Final = 1008
_WHOLE_FRAME_WITHIN: Final = 0.5
"""Seconds that a frame in progress gets to become whole before a close frame."""
_CLOSED_WITHIN: Final = 1.0
"""Seconds that a side gets to answer a close frame before it is cut."""
_RESOLUTION: Final = 0.001
"""Seconds by which the loop's timers may come too early."""


class Switched(NamedTuple):
    """A client's connection behind its 101."""

    transport: asyncio.Transport
    first: bytes
    """What the client has sent behind its request."""
    is_slow: bool
    """Whether the transport has told its protocol to stop writing."""


class Ended(NamedTuple):
    """How a tunnel ended."""

    bytes_in: int
    """Bytes of the client that were passed on."""
    bytes_out: int
    """Bytes of the upstream that were passed on."""
    fault: Fault | None = None
    """None when both sides ended in good order."""
    diagnosis: str = ""


class Tunnel:
    """Two connections that have become one."""

    __slots__ = (
        "_client",
        "_done",
        "_ending",
        "_firsts",
        "_idle",
        "_is_slow",
        "_loop",
        "_timer",
        "_upstream",
    )

    def __init__(self, client: Switched, upstream: asyncio.Transport, first: bytes, *, idle: float) -> None:
        """Nothing happens before `carry`, which has to be called in the same turn of the loop.

        `first` is what the upstream has sent behind its 101. `idle` seconds without a byte from either side
        end the tunnel. Both transports become the tunnel's; what was their protocol gets `connection_lost`.
        """
        self._loop = loop = asyncio.get_running_loop()
        self._client = Side(
            client.transport, loop, is_upstream=False, on_end=self._one_ended, on_lost=self._one_lost
        )
        self._upstream = Side(
            upstream, loop, is_upstream=True, on_end=self._one_ended, on_lost=self._one_lost
        )
        self._client.other, self._upstream.other = self._upstream, self._client
        self._firsts = client.first, first
        self._is_slow = client.is_slow
        self._idle = idle
        self._timer: asyncio.TimerHandle | None = None
        self._done: asyncio.Future[None] = loop.create_future()
        self._ending: tuple[Fault | None, str] | None = None
        """Set as soon as it is clear how it ends."""

    def __repr__(self) -> str:
        return f"Tunnel({self._client!r}, {self._upstream!r}, ending={self._ending})"

    async def carry(self) -> Ended:
        """Carry bytes both ways until both connections have ended, and return how. Cancelled, cut both."""
        client, upstream = self._client, self._upstream
        try:
            self._then(self._idle, self._look_at_clock)
            self._begin()
            await self._done
        finally:
            if self._timer is not None:
                self._timer.cancel()
            self._cut()
        fault, diagnosis = self._ending or (None, "")
        return Ended(client.bytes, upstream.bytes, fault, diagnosis)

    def recall(self, *, going_away: bool = False) -> None:
        """End it with a close frame to both sides: 1008, because the permit no longer holds, or 1001, because
        the gateway is `going_away` (RFC 6455 section 7.4.1). Both connections have ended 1.5 s later."""
        if going_away:
            self._part(_GOING_AWAY, Fault.GIVEN_UP, "the gateway is stopping")
        else:
            self._part(_POLICY, Fault.RECALLED, "the permit no longer holds")

    def _begin(self) -> None:
        client, upstream = self._client, self._upstream
        client.take()
        upstream.take()
        client.go_on()
        if self._is_slow:
            upstream.hold()
        else:
            upstream.go_on()
        for side, first in zip((client, upstream), self._firsts, strict=True):
            if first:
                side.data_received(first)
        for side in (client, upstream):
            if side.is_lost:
                self._one_lost(side, None)

    def _one_ended(self, side: Side) -> None:
        other = side.other
        if self._ending is not None:
            if side.is_told:
                side.transport.close()
        elif other.has_ended:
            self._ending = None, ""
            side.transport.close()
            other.transport.close()
        elif other.transport.is_closing():
            # It is about to tell its end, which ends this side too.
            pass
        elif other.transport.can_write_eof():
            other.transport.write_eof()
        elif not side.frames.closed:
            # Over TLS the only way to say it is to close. After a close frame the other side does that.
            self._ending = None, ""
            other.transport.close()

    def _one_lost(self, side: Side, exc: Exception | None) -> None:
        if self._ending is None:
            self._ending = self._how(side, exc)
        if not side.other.is_lost:
            # What has come before is still sent (RFC 9110 section 9.3.6), for the idle time at most.
            side.other.transport.close()
        elif not self._done.done():
            self._done.set_result(None)

    def _how(self, side: Side, exc: Exception | None) -> tuple[Fault | None, str]:
        if side.frames.closed or side.other.frames.closed or (side.has_ended and exc is None):
            return None, ""
        if exc is None:
            return Fault.GIVEN_UP, "the gateway closed its connections"
        if side is self._client:
            return Fault.CLIENT_LEFT, ""
        return Fault.RESPONSE_BODY_UPSTREAM, f"the connection broke: {exc}"

    def _part(self, code: int, fault: Fault, diagnosis: str) -> None:
        if self._ending is not None:
            return
        self._ending = fault, diagnosis
        sides = self._client, self._upstream
        for side in sides:
            side.code = code
        for side in sides:
            if side.other.frames.between:
                side.say_close()
        if all(side.is_told for side in sides):
            self._then(_CLOSED_WITHIN, self._cut)
        else:
            self._then(_WHOLE_FRAME_WITHIN, self._stop_waiting)

    def _stop_waiting(self) -> None:
        for side in (self._client, self._upstream):
            if not side.is_told:
                side.transport.abort()
        self._then(_CLOSED_WITHIN, self._cut)

    def _cut(self) -> None:
        self._client.transport.abort()
        self._upstream.transport.abort()

    def _then(self, seconds: float, step: Callable[[], None]) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_later(seconds, step)

    def _look_at_clock(self) -> None:
        quiet = self._loop.time() - max(self._client.heard, self._upstream.heard)
        if quiet + _RESOLUTION < self._idle:
            self._then(self._idle - quiet, self._look_at_clock)
        elif self._ending is not None:
            self._cut()
        else:
            self._part(_GOING_AWAY, Fault.TUNNEL_IDLE, f"nothing was sent for {self._idle:g} s")
