"""Clients of all kinds, polite and not, that keep an account of what they were answered."""

import asyncio
import contextlib
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import TypeVar

from support.chaos_client import Line, Wrong
from support.chaos_requests import Asking, Request
from support.tunnels import BINARY, CLOSE, frame

HUNG = 15.0
"""Seconds: three times as long as the configured timeouts allow for any request, for the machine may be busy."""
_Told = TypeVar("_Told")
_STUCK = 1.2
"""Seconds for which a rude client does nothing; longer than the idle timeout."""


@dataclass(slots=True)
class Account:
    """What became of the requests so far."""

    ends: dict[str, str] = field(default_factory=dict)
    """By path: `whole`, `cut`, `left`, `unanswered`, or the slug of a problem."""
    asked: dict[str, Request] = field(default_factory=dict)
    """By mark, everything that was sent."""
    wrongs: list[str] = field(default_factory=list)
    began: float = field(default_factory=time.monotonic)
    slowest: float = 0.0
    slowest_path: str = ""

    def __str__(self) -> str:
        counts = ", ".join(f"{count} {end}" for end, count in Counter(self.ends.values()).most_common())
        return f"{len(self.ends)} requests: {counts}; slowest {self.slowest:.2f} s, {self.slowest_path}"


class Client:
    """One client after another, until the time is up."""

    def __init__(self, port: int, account: Account, asking: Asking, *, until: float = 0.0) -> None:
        """`until`: moment of the monotonic clock after which nothing new is begun."""
        self._port = port
        self._until = until
        self._account = account
        self._asking = asking
        self._dice = asking.dice
        self._last: Request | None = None

    async def run(self) -> None:
        """Visit again and again."""
        visits: dict[Callable[[], Awaitable[None]], int] = {
            self.keep: 12,
            self.short: 6,
            self.pipeline: 3,
            self.leave: 4,
            self.slow: 2,
            self.stuck: 1,
            self.stuck_upload: 1,
            self.expect: 2,
            self.websocket: 3,
        }
        while time.monotonic() < self._until:
            await self.visit(self._dice.choices(list(visits), list(visits.values()))[0])

    async def visit(self, one: Callable[[], Awaitable[None]]) -> None:
        """Make one visit, and note what went wrong with it."""
        try:
            await one()
        except Wrong as wrong:
            assert self._last is not None
            self._account.ends[self._last.path] = "wrong"
            at = time.monotonic() - self._account.began
            self._account.wrongs.append(f"{at:.1f} s: {one.__name__}: {self._last}: {wrong}")

    async def ask(self, request: Request) -> str:
        """Send one request on a connection of its own, and return what became of it."""

        async def alone() -> None:
            async with self._line() as line:
                await self._exchange(line, request)

        await self.visit(alone)
        return self._account.ends[request.path]

    # Visits.

    async def keep(self) -> None:
        """Several requests on one connection."""
        async with self._line() as line:
            for _ in range(self._dice.randint(1, 8)):
                if not await self._exchange(line, self._asking.request()) or time.monotonic() > self._until:
                    return

    async def short(self) -> None:
        """A connection for one request."""
        request = self._asking.request()
        request.lines = ("Connection: close",)
        async with self._line() as line:
            if await self._exchange(line, request):
                raise Wrong("the connection was not closed")
            await self._within(line.at_end())

    async def pipeline(self) -> None:
        """Several requests at once."""
        requests = [self._asking.request(uploads=False) for _ in range(self._dice.randint(2, 4))]
        async with self._line() as line:
            self._asked(*requests)
            await line.send(b"".join(request.head for request in requests))
            is_open = True
            for request in requests:
                if is_open:
                    is_open = await self._answer(line, request)
                else:
                    self._account.ends[request.path] = "unanswered"

    async def leave(self) -> None:
        """Go away in the middle."""
        request = self._asking.large() if self._dice.random() < 0.4 else self._asking.request()
        async with self._line() as line:
            self._asked(request)
            pieces = request.pieces(self._dice)
            with contextlib.suppress(TimeoutError, EOFError, ConnectionError):
                async with asyncio.timeout(self._dice.choice((0.0, 0.01, 0.1, 0.4))):
                    await line.send(b"".join([request.head, *pieces[: self._dice.randint(0, len(pieces))]]))
                    await line.reader.readexactly(self._dice.choice((1, 1000, 100_000)))
            self._account.ends[request.path] = "left"
            if self._dice.random() < 0.5:
                line.reset()

    async def slow(self) -> None:
        """Take a large answer slowly."""
        async with self._line(receives=8192) as line:
            line.pace = 0.001
            await self._exchange(line, self._asking.large())

    async def stuck(self) -> None:
        """Stop reading for longer than is allowed."""
        request = self._asking.large()
        async with self._line(receives=8192) as line:
            self._asked(request)
            await line.send(request.head)
            await asyncio.sleep(_STUCK)
            await self._answer(line, request)

    async def stuck_upload(self) -> None:
        """Stop in the middle of a body for longer than is allowed."""
        request = self._asking.request(uploads=True)
        request.is_late = True
        async with self._line() as line:
            self._asked(request)
            pieces = request.pieces(self._dice, most=2000)
            await line.send(b"".join([request.head, *pieces[: len(pieces) // 2]]))
            await self._answer(line, request)

    async def expect(self) -> None:
        """Send a body once it is asked for."""
        request = self._asking.request(uploads=True)
        request.lines = ("Expect: 100-continue",)
        async with self._line() as line:
            await self._exchange(line, request)

    async def websocket(self) -> None:
        """Talk both ways."""
        dice = self._dice
        behaviour = dice.choice(
            ("ws_echo", "ws_echo", "ws_echo", "ws_reset", "ws_silent", "ws_wrong", "ws_refused")
        )
        request = self._asking.request(uploads=False, behaviour=behaviour)
        request.lines = (
            "Connection: Upgrade",
            "Upgrade: websocket",
            "Sec-WebSocket-Version: 13",
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        )
        async with self._line() as line:
            self._asked(request)
            await line.send(request.head)
            reply = await self._within(line.reply())
            if reply.status != 101:
                self._account.ends[request.path] = request.judge(reply)
                return
            if reply.fields.get("x-mark") != request.mark or behaviour in {"ws_wrong", "ws_refused"}:
                raise Wrong(f"switched for {reply.fields}")
            self._account.ends[request.path] = await self._within(self._talk(line, request))

    async def _talk(self, line: Line, request: Request) -> str:
        dice = self._dice
        for turn in range(dice.randint(1, 6)):
            text = f"{request.mark} {turn} ".encode() + dice.randbytes(dice.choice((0, 10, 200, 5_000)))
            await line.send(frame(BINARY, text, mask=dice.randbytes(4)))
            got = await _frame(line)
            if got is None or got[0] == CLOSE:
                return "tunnel cut"
            if got != (BINARY, text):
                raise Wrong(f"another frame came back: {got[0]} {got[1][:50]!r}")
        if dice.random() < 0.3:
            line.reset()
            return "tunnel left"
        await line.send(frame(CLOSE, b"\x03\xe8", mask=b"abcd"))
        got = await _frame(line)
        if got != (CLOSE, b"\x03\xe8"):
            return "tunnel cut"
        await line.at_end()
        return "tunnel whole"

    # Parts of them.

    @contextlib.asynccontextmanager
    async def _line(self, *, receives: int | None = None) -> AsyncIterator[Line]:
        line = await Line.open(self._port, receives=receives)
        try:
            yield line
        finally:
            line.close()

    def _asked(self, *requests: Request) -> None:
        for request in requests:
            self._last = request
            self._account.asked[request.mark] = request
            self._account.ends[request.path] = "pending"

    async def _exchange(self, line: Line, request: Request) -> bool:
        """Send a request and take its answer; say whether another may follow."""
        self._asked(request)
        sending = asyncio.create_task(self._send(line, request))
        try:
            return await self._answer(line, request, sending)
        finally:
            sending.cancel()
            await asyncio.wait([sending])

    async def _send(self, line: Line, request: Request) -> None:
        waits = any("100-continue" in text for text in request.lines)
        if request.framing == "none" or waits:
            await line.send(request.head)
        if request.framing == "none":
            return
        if waits and request.pieces(self._dice):
            await line.told.wait()
        pace = self._dice.choice((0.0, 0.0, 0.003))
        pieces = request.pieces(self._dice, most=30_000)
        if not waits:
            await line.send(request.head)
        for piece in pieces:
            await asyncio.sleep(pace)
            if not await line.send(piece):
                return

    async def _answer(
        self, line: Line, request: Request, sending: "asyncio.Task[None] | None" = None
    ) -> bool:
        self._last = request
        reply = await self._within(line.reply(bodiless=request.method == "HEAD"))
        self._account.ends[request.path] = request.judge(reply)
        if sending is not None and not sending.done() and not reply.closes:
            raise Wrong(f"the connection stays open in the middle of a request: {reply}")
        return not reply.closes

    async def _within(self, answer: Awaitable[_Told]) -> _Told:
        began = time.monotonic()
        try:
            async with asyncio.timeout(HUNG):
                return await answer
        except TimeoutError as hung:
            raise Wrong(f"no answer within {HUNG} s") from hung
        finally:
            took = time.monotonic() - began
            if took > self._account.slowest and self._last is not None:
                self._account.slowest, self._account.slowest_path = took, self._last.path


async def _frame(line: Line) -> tuple[int, bytes] | None:
    """Return the next frame of a service, None when the connection ended."""
    try:
        first, size = await line.reader.readexactly(2)
        if size > 126 or first & 0x70:
            raise Wrong(f"a frame that nobody sent: {first:x} {size:x}")
        if size == 126:
            size = int.from_bytes(await line.reader.readexactly(2))
        return first & 0x0F, await line.reader.readexactly(size)
    except (EOFError, ConnectionError):
        return None


async def clients(port: int, account: Account, *, seed: str, count: int, until: float) -> None:
    """Run so many clients until a moment of the monotonic clock."""
    async with asyncio.TaskGroup() as group:
        for number in range(count):
            asking = Asking(f"c{number}", random.Random(f"{seed} {number}"))
            group.create_task(Client(port, account, asking, until=until).run())
