"""One connection to Redis, over which commands are pipelined: all commands of a loop turn in one write.

Replies come in the order of the commands, so a reply belongs to the oldest command that has none. That holds
whatever became of whoever asked: a command that was given up, or whose time is over, still takes its reply.
A command whose reply is missing is never sent again, because nobody knows whether it was executed.
"""

import asyncio
import contextlib
import socket
from collections import deque
from collections.abc import Callable, Sequence
from time import monotonic
from typing import Final, NoReturn, cast

import hiredis

from gateway.ports import StoreUnavailable
from gateway.stores.redis.breaker import Breaker
from gateway.stores.redis.encoding import encode
from gateway.stores.redis.faults import ErrorReply, Refused, Reply

MAX_REPLY: Final = 1_048_576
"""Bytes after which something that is not yet a whole reply ends the connection."""

_GRACE: Final = 0.001
_KEEPALIVE: Final = ((socket.TCP_KEEPIDLE, 15), (socket.TCP_KEEPINTVL, 5), (socket.TCP_KEEPCNT, 3))
_MOVED_AWAY: Final = frozenset({"READONLY", "MASTERDOWN"})
_STUCK: Final = 20
"""Timeouts that a command may be without reply while other bytes trickle in."""
_NOT_YET: Final = object()
_SENT_TWICE: Final = b""

_Waiting = tuple[asyncio.Future[Reply], bytes | None]
"""Who waits, and what to send again if the script is missing; None for what the link itself asks."""


class Connection(asyncio.Protocol):
    """A connection. `opening` holds the replies to the commands it began with; then `send`.

    `timeout` is in seconds from the write of a command to its reply; after twice that without a byte the
    connection is given up.
    """

    __slots__ = (
        "__weakref__",
        "_answered",
        "_batches",
        "_broken",
        "_create_future",
        "_expired",
        "_first",
        "_heard_at",
        "_held",
        "_loop",
        "_max_bytes",
        "_max_waiting",
        "_partial",
        "_place",
        "_reader",
        "_reloading",
        "_scripts",
        "_sent",
        "_timeout",
        "_timer",
        "_transport",
        "_unsent",
        "_unsent_bytes",
        "_waiting",
        "breaker",
        "closed",
        "late",
        "on_late",
        "on_lost",
        "opening",
    )

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        place: str,
        *,
        first: Sequence[bytes],
        scripts: Sequence[bytes],
        timeout: float,
        max_waiting: int,
        max_bytes: int,
    ) -> None:
        self._loop = loop
        self._create_future: Callable[[], asyncio.Future[Reply]] = loop.create_future
        self._place = place
        self._first = first
        self._scripts = scripts
        self._timeout = timeout
        self._max_waiting = max_waiting
        self._max_bytes = max_bytes
        self._transport: asyncio.Transport | None = None
        self._reader = hiredis.Reader(
            protocolError=hiredis.ProtocolError,
            # The stubs want an exception; any value will do, and an error inside an array is a value.
            replyError=cast("Callable[[str], Exception]", ErrorReply),
            notEnoughData=_NOT_YET,
        )
        self._unsent: list[bytes] = []
        self._unsent_bytes = 0
        self._waiting: deque[_Waiting] = deque()
        # Commands whose time is over: who waited until then, if anybody, and when they were written.
        self._expired: deque[tuple[asyncio.Future[Reply] | None, float]] = deque()
        # Commands are numbered in the order of sending. A batch is one write: when, and its last command.
        self._batches: deque[tuple[float, int]] = deque()
        self._sent = 0
        self._answered = 0
        self._partial = 0
        self._heard_at = 0.0
        self._held = False
        self._broken: str | None = None
        self._reloading: asyncio.Future[Reply] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self.opening: list[asyncio.Future[Reply]] = []
        """The replies to the commands that the connection began with."""
        self.breaker: Breaker | None = None
        """Who hears how commands end."""
        self.closed = False
        self.late = 0
        """Replies that came after the time of their command was over."""
        self.on_late: Callable[[asyncio.Future[Reply], Reply], None] | None = None
        """Called with a future that failed because its time was over, and the reply. Must not raise."""
        self.on_lost: Callable[[str], None] | None = None
        """Called once with the reason when the connection ends."""

    def __repr__(self) -> str:
        return f"Connection({self._place}, {'closed' if self.closed else 'open'}, waiting={self.waiting})"

    @property
    def waiting(self) -> int:
        """Commands without a reply, those whose time is over included."""
        return len(self._waiting) + len(self._expired)

    def send(self, command: bytes) -> asyncio.Future[Reply]:
        """Send an encoded command together with the others of this loop turn; the future gives its reply.

        Raises `StoreUnavailable` when too much waits already. The future raises it when the reply does not
        come in time or the connection ends, and `Refused` when the reply is an error.
        """
        waiting = self._waiting
        if (
            self._held
            or len(waiting) + len(self._expired) >= self._max_waiting
            or self._unsent_bytes > self._max_bytes
        ):
            self._turn_away()
        future = self._create_future()
        unsent = self._unsent
        if not unsent:
            self._loop.call_soon(self._flush)
        unsent.append(command)
        self._unsent_bytes += len(command)
        waiting.append((future, command))
        return future

    def ask(self, command: bytes) -> asyncio.Future[Reply]:
        """Send a command of the link's own: never again, and nobody is told when its reply is late."""
        future = self._create_future()
        if self.closed:
            future.set_exception(StoreUnavailable(f"{self._place}: the connection is closed"))
        else:
            self._append(future, command, None)
        return future

    def end(self, why: str) -> None:
        """Close at once. Every command that waits fails, and nothing is left behind."""
        if self.closed:
            return
        self.closed = self._held = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._transport is not None:
            self._transport.abort()
        self._unsent = []
        for future, _ in self._waiting:
            if not future.done():
                future.set_exception(StoreUnavailable(f"{self._place}: {why}"))
        self._waiting.clear()
        self._expired.clear()
        self._batches.clear()
        on_lost, self.on_lost, self.on_late, self.breaker = self.on_lost, None, None, None
        if on_lost is not None:
            on_lost(why)

    # What the event loop calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport, and write the first commands: whatever follows finds them done."""
        # The transports of uvloop do not descend from asyncio's.
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(high=self._max_bytes)
        sock = transport.get_extra_info("socket")
        if sock.family != socket.AF_UNIX:
            # The loop has set TCP_NODELAY.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            for option, value in _KEEPALIVE:
                sock.setsockopt(socket.IPPROTO_TCP, option, value)
        self.opening = [self.ask(command) for command in self._first]
        self._flush()

    def data_received(self, data: bytes) -> None:
        """Give every reply to its command."""
        self._heard_at = monotonic()
        reader = self._reader
        next_reply = reader.gets
        waiting = self._waiting
        answered = self._answered
        good = 0
        try:
            reader.feed(data)
            while (reply := next_reply()) is not _NOT_YET:
                if answered == self._sent:
                    self._broken = "it sent something that nobody asked for"
                    break
                answered += 1
                if self._expired:
                    self._take_late(reply)
                    continue
                future, command = waiting.popleft()
                if reply.__class__ is ErrorReply:
                    self._take_error(future, command, reply)
                    continue
                good += 1
                if not future.done():
                    future.set_result(reply)
        except hiredis.ProtocolError:
            self._broken = "it does not speak the protocol of Redis"
        self._partial = 0 if answered != self._answered else self._partial + len(data)
        self._answered = answered
        if good and self.breaker is not None:
            self.breaker.answered(good)
        if self._partial > MAX_REPLY:
            self._broken = "its reply is too long"
        if self._broken is not None:
            self.end(self._broken)

    def pause_writing(self) -> None:
        """Turn commands away: Redis does not read."""
        self._held = True

    def resume_writing(self) -> None:
        """Take commands again."""
        self._held = self.closed

    def eof_received(self) -> None:
        """Take the end of what Redis says: no reply will come any more."""
        self.end("it closed the connection")

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - the loop's signature
        """Take the end of the connection, whoever wanted it."""
        self.end("the connection was lost")
        self._transport = None

    # Below: private.

    def _turn_away(self) -> NoReturn:
        if self.closed:
            raise StoreUnavailable(f"{self._place}: the connection is closed")
        raise StoreUnavailable(f"{self._place}: too many commands wait for it")

    def _append(self, future: asyncio.Future[Reply], command: bytes, again: bytes | None) -> None:
        if not self._unsent:
            self._loop.call_soon(self._flush)
        self._unsent.append(command)
        self._waiting.append((future, again))

    def _flush(self) -> None:
        unsent = self._unsent
        if not unsent or self._transport is None:
            return
        self._unsent = []
        self._unsent_bytes = 0
        self._transport.write(b"".join(unsent))
        # The loop's own time may be as old as this turn is long.
        now = monotonic()
        self._sent += len(unsent)
        self._batches.append((now, self._sent))
        if self._timer is None:
            self._timer = self._loop.call_later(self._timeout, self._look_at_clock)

    def _take_late(self, reply: Reply) -> None:
        future, _ = self._expired.popleft()
        self.late += 1
        if future is not None and self.on_late is not None:
            self.on_late(future, reply)

    def _take_error(self, future: asyncio.Future[Reply], command: bytes | None, error: ErrorReply) -> None:
        code = error.code
        if code == "NOSCRIPT" and command and not future.done():
            # It did not run, so running it is no second time.
            self._reload()
            self._append(future, command, _SENT_TWICE)
            return
        if not future.done():
            future.set_exception(Refused(self._place, code))
        if self.breaker is not None:
            self.breaker.refused(code, self._heard_at)
        if code in _MOVED_AWAY:
            # The name may lead to another server: the one that became the primary.
            self._broken = f"it refused with {code}"

    def _reload(self) -> None:
        """Load the scripts, unless that is on its way: what is sent next finds them loaded."""
        if self._reloading is not None and not self._reloading.done():
            return
        for script in self._scripts:
            self._reloading = self.ask(encode(b"SCRIPT", b"LOAD", script))
            self._reloading.add_done_callback(_settle)

    # The clock.

    def _look_at_clock(self) -> None:
        """Find commands whose time is over. They get one more turn of the loop: it may have been this process
        that was slow, with the replies waiting in the socket all the while."""
        batches = self._batches
        while batches and batches[0][1] <= self._answered:
            batches.popleft()
        now = monotonic()
        due = self._next_due()
        if due is None:
            self._timer = None
        elif due <= now:
            self._timer = self._loop.call_later(_GRACE, self._expire, now)
        else:
            self._timer = self._loop.call_later(max(due - now, _GRACE), self._look_at_clock)

    def _next_due(self) -> float | None:
        due = self._batches[0][0] + self._timeout if self._batches else None
        if not self._expired:
            return due
        silent = self._silent_at()
        return silent if due is None else min(silent, due)

    def _silent_at(self) -> float:
        written = self._expired[0][1]
        return min(max(self._heard_at, written) + 2 * self._timeout, written + _STUCK * self._timeout)

    def _expire(self, now: float) -> None:
        expired = self._expired
        batches = self._batches
        if expired and self._silent_at() <= now:
            self.end("it has fallen silent")
            return
        timeouts = 0
        while batches and batches[0][0] + self._timeout <= now:
            written, last = batches.popleft()
            for _ in range(last - self._answered - len(expired)):
                future, again = self._waiting.popleft()
                is_told = again is not None and not future.done()
                if not future.done():
                    future.set_exception(StoreUnavailable(f"{self._place}: no answer in time"))
                expired.append((future if is_told else None, written))
                timeouts += 1
        if timeouts and self.breaker is not None:
            self.breaker.timed_out(timeouts, now)
        self._look_at_clock()


def _settle(future: asyncio.Future[Reply]) -> None:
    """Take note of how a future ended, so that the loop does not report it as forgotten."""
    with contextlib.suppress(asyncio.CancelledError):
        future.exception()
