"""The way to Redis for what happens per request: one connection, kept up for as long as the gateway runs."""

import asyncio
import contextlib
import ssl
from collections.abc import Callable, Sequence
from time import monotonic
from typing import Final

import structlog

from gateway.ports import StoreUnavailable
from gateway.stores.redis.address import RedisAddress
from gateway.stores.redis.breaker import Breaker
from gateway.stores.redis.connection import Connection
from gateway.stores.redis.faults import RedisUnusable, Reply
from gateway.stores.redis.handshake import PING, check, commands
from gateway.stores.redis.spread import about

FIRST_PAUSE: Final = 0.05
"""Seconds before the first attempt to connect again; each further pause is twice as long."""
MAX_PAUSE: Final = 1.0
UNUSABLE_PAUSE: Final = 5.0
"""Seconds between attempts while only an operator can help."""
PROBE_PAUSE: Final = 0.25
"""Seconds between probes of a server that fails them, or fails again soon after it passed them."""
FIRST_PROBE_PAUSE: Final = 0.05
"""Seconds between probes before: most stalls are over when they are noticed."""
CONNECT_SECONDS: Final = 0.8
START_SECONDS: Final = 1.0
_LASTED: Final = 2.0
"""Seconds after which a connection was a good one, so that the pauses begin anew."""
_SOON: Final = 1.0
"""Seconds within which a server that fails again has never been well."""

_log: structlog.typing.FilteringBoundLogger = structlog.get_logger("gateway.redis")


class Link:
    """Sends commands to one Redis server, as soon as it can and never later.

    `scripts` are loaded into every connection before it is used, and again when the server has lost them.
    `timeout` is in seconds per command; beyond `max_waiting` commands or `max_bytes` unsent bytes, `send`
    raises.
    """

    def __init__(
        self,
        address: RedisAddress,
        *,
        scripts: Sequence[bytes] = (),
        timeout: float = 0.05,
        max_waiting: int = 10_000,
        max_bytes: int = 4 * 1_048_576,
    ) -> None:
        self._address = address
        self._place = str(address)
        self._scripts = tuple(scripts)
        self._timeout = timeout
        self._max_waiting = max_waiting
        self._max_bytes = max_bytes
        self._breaker = Breaker()
        self._breaker.on_open = self._on_open
        self._usable: Connection | None = None
        self._connection: Connection | None = None
        self._task: asyncio.Task[None] | None = None
        self._wake = asyncio.Event()
        self._first: asyncio.Future[None] | None = None
        self._reason = StoreUnavailable(f"{self._place}: not connected yet")
        self._logged: type[StoreUnavailable] | None = None
        self._next_trial = 0.0
        self._probe_pause = FIRST_PROBE_PAUSE
        self._up_at = float("-inf")
        self._late = 0
        self.on_up: Callable[[], None] | None = None
        """Called whenever Redis becomes usable, the first time included. Must not raise."""
        self.on_late: Callable[[asyncio.Future[Reply], Reply], None] | None = None
        """Called with the future of a command that timed out before, and the reply that has come after all;
        never for a command whose connection was lost. Must not raise."""

    def __repr__(self) -> str:
        return f"Link({self._place}, {self.fault or 'usable'})"

    @property
    def fault(self) -> str | None:
        """Why Redis cannot be used at the moment, None when it can."""
        return None if self._usable is not None else str(self._reason)

    @property
    def waiting(self) -> int:
        """Commands without a reply."""
        return 0 if self._connection is None else self._connection.waiting

    @property
    def late(self) -> int:
        """Replies that came after their command had timed out."""
        return self._late + (0 if self._connection is None else self._connection.late)

    async def start(self) -> None:
        """Begin to connect, and wait up to a second until that succeeds; a server that is away is no error.

        Raises `RedisUnusable` for what waiting cannot heal: wrong credentials, a certificate that is refused.
        """
        self._first = asyncio.get_running_loop().create_future()
        self._task = asyncio.create_task(self._run(), name="redis link")
        self._task.add_done_callback(self._on_end)
        try:
            async with asyncio.timeout(START_SECONDS):
                await self._first
        except TimeoutError:
            return
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """End. Whoever waits is told, and nothing is left running."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task])
        self._usable = None
        self._reason = StoreUnavailable(f"{self._place}: closed")

    def send(self, command: bytes) -> asyncio.Future[Reply]:
        """Send one encoded command; the future gives its reply. All commands of a loop turn are one write.

        Raises `StoreUnavailable` at once while Redis cannot be used or too much waits already. The future
        raises it when no reply comes in time, or the connection ends, which leaves open whether the command
        was executed; and `Refused` when the reply is an error. Cancelling the future is always safe.
        """
        connection = self._usable
        if connection is None:
            return self._try(command)
        return connection.send(command)

    # Below: private. The task.

    async def _run(self) -> None:
        pause = FIRST_PAUSE
        while True:
            began = monotonic()
            wait = pause
            try:
                connection = await self._open()
                await self._keep(connection)
            except RedisUnusable as fault:
                wait = UNUSABLE_PAUSE
                self._down(fault)
            except StoreUnavailable as fault:
                self._down(fault)
            # No failed attempt takes this long.
            if monotonic() - began >= _LASTED:
                wait = pause = FIRST_PAUSE
            await asyncio.sleep(about(wait))
            pause = min(2 * pause, MAX_PAUSE)

    async def _open(self) -> Connection:
        """Return a connection that is ready for commands. Raises `StoreUnavailable`."""
        loop = asyncio.get_running_loop()
        first = commands(self._address, self._scripts)
        names = [name for name, _ in first]

        def new() -> Connection:
            return Connection(
                loop,
                self._place,
                first=[command for _, command in first],
                scripts=self._scripts,
                timeout=self._timeout,
                max_waiting=self._max_waiting,
                max_bytes=self._max_bytes,
            )

        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                connection = await self._address.connect(new)
        except TimeoutError:
            hint = "" if self._address.tls is None else "; does this port speak TLS?"
            raise StoreUnavailable(
                f"{self._place}: no connection within {CONNECT_SECONDS:g} s{hint}"
            ) from None
        except OSError as error:
            raise _translated(self._place, error) from None
        try:
            await self._greet(connection, names)
        except BaseException:
            connection.end("it was not ready")
            raise
        return connection

    async def _greet(self, connection: Connection, names: Sequence[str]) -> None:
        outcomes = await asyncio.gather(*connection.opening, return_exceptions=True)
        check(self._address, names, outcomes, hung_up=connection.closed)
        if connection.closed:
            raise StoreUnavailable(f"{self._place}: the connection was lost")

    async def _keep(self, connection: Connection) -> None:
        """Use a connection until it ends, probing it while the breaker is open."""
        breaker = self._breaker
        self._connection = connection
        connection.breaker = breaker
        connection.on_late = self._on_late
        connection.on_lost = self._on_lost
        try:
            if not breaker.is_open:
                self._up(connection)
            elif not breaker.refusing:
                self._probed(good=True)
            while not connection.closed:
                self._wake.clear()
                if not breaker.is_open or breaker.refusing:
                    await self._wake.wait()
                else:
                    await self._probe(connection)
        finally:
            connection.on_lost = None
            connection.end("closed")
            self._late += connection.late
            self._connection = None

    async def _probe(self, connection: Connection) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(about(self._probe_pause)):
                await self._wake.wait()
                return
        try:
            await connection.ask(PING)
        except StoreUnavailable:
            self._probe_pause = PROBE_PAUSE
            self._probed(good=False)
        else:
            self._probed(good=True)

    # What changes whether Redis can be used.

    def _try(self, command: bytes) -> asyncio.Future[Reply]:
        """Send one command now and then while Redis refuses them: nothing else tells when that has ended."""
        connection = self._connection
        now = monotonic()
        if connection is None or not self._breaker.refusing or now < self._next_trial:
            raise StoreUnavailable(str(self._reason))
        self._next_trial = now + about(PROBE_PAUSE)
        future = connection.send(command)
        future.add_done_callback(self._on_tried)
        return future

    def _on_tried(self, future: asyncio.Future[Reply]) -> None:
        if not future.cancelled():
            self._probed(good=future.exception() is None)

    def _probed(self, *, good: bool) -> None:
        connection = self._connection
        if self._breaker.probed(good=good) and connection is not None and not connection.closed:
            self._up(connection)

    def _on_open(self, why: str) -> None:
        now = monotonic()
        self._next_trial = now + about(PROBE_PAUSE)
        self._probe_pause = FIRST_PROBE_PAUSE if now - self._up_at >= _SOON else PROBE_PAUSE
        self._down(StoreUnavailable(f"{self._place}: {why}"))

    def _on_lost(self, why: str) -> None:
        self._down(StoreUnavailable(f"{self._place}: {why}"))

    def _on_late(self, future: asyncio.Future[Reply], reply: Reply) -> None:
        if self.on_late is not None:
            self.on_late(future, reply)

    def _on_end(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (bug := task.exception()) is not None:
            _log.error("redis.link_stopped", exc_info=bug)
            self._down(StoreUnavailable(f"{self._place}: the link has stopped"))

    def _up(self, connection: Connection) -> None:
        self._usable = connection
        self._up_at = monotonic()
        self._logged = None
        _log.info("redis.available", address=self._place)
        if self._first is not None and not self._first.done():
            self._first.set_result(None)
        if self.on_up is not None:
            self.on_up()

    def _down(self, fault: StoreUnavailable) -> None:
        self._usable = None
        self._reason = fault
        self._wake.set()
        severity = type(fault)
        if self._logged is None or (severity is RedisUnusable and self._logged is not RedisUnusable):
            self._logged = severity
            _log.warning("redis.unavailable", address=self._place, detail=str(fault))
        if isinstance(fault, RedisUnusable) and self._first is not None and not self._first.done():
            self._first.set_exception(fault)


def _translated(place: str, error: OSError) -> StoreUnavailable:
    if isinstance(error, ssl.SSLCertVerificationError):
        return RedisUnusable(f"{place}: its certificate was refused: {error.verify_message}")
    if isinstance(error, ssl.SSLError) and not isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError):
        return RedisUnusable(f"{place}: TLS failed ({error.reason}): does this port speak TLS?")
    return StoreUnavailable(f"{place}: {error.strerror or error}")
