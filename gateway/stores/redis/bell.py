"""Tells every process at once that there is something new in the change feed.

The feed in the database is the truth, and is polled anyway: a ring that is lost costs a fraction of a second,
so nothing here waits for Redis, nothing is sent twice, and nothing is kept for later.
"""

import asyncio
import contextlib
from typing import Final, TypeAlias, cast

from redis.asyncio import Redis

from gateway.stores.redis.address import RedisAddress
from gateway.stores.redis.outage import FAULTS, Outage, close, end_if_cancelled
from gateway.stores.redis.spread import about

KEY: Final = "gateway:changes"
LENGTH: Final = 1000
"""About how many rings the stream keeps. One would do: a ring says nothing but that it rang."""
BLOCK_SECONDS: Final = 1.0
"""How long Redis holds a question for news before it answers that there is none."""
ANSWER_SECONDS: Final = 1.0
RETRY_SECONDS: Final = 0.5
GATHER_SECONDS: Final = 0.03
"""How long a ring is held back for others, so that a flood of changes is not a flood of polls."""

_Rings: TypeAlias = list[tuple[bytes, object]]
"""Entries of the stream: id and fields."""


class Bell:
    """Rung by whoever announced a change; heard by every process, this one included."""

    def __init__(self, address: RedisAddress) -> None:
        self._address = address
        self._to_ring = asyncio.Event()
        self._heard = asyncio.Event()
        self._listening = Outage("listening for changes", address)
        self._ringing = Outage("announcing changes", address)

    def ring(self) -> None:
        """Have every process look at the feed. Never raises and never waits: `run` or `flush` sends it, many
        rings as one."""
        self._to_ring.set()

    async def wait(self, seconds: float) -> None:
        """Return when somebody has rung since the last call ended, else after `seconds`. For one caller."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._heard.wait()
                await asyncio.sleep(GATHER_SECONDS)
        self._heard.clear()

    async def flush(self, within: float = 1.0) -> None:
        """Send what was rung, for a process that ends soon and does not `run`. Never raises; gives up after
        `within` seconds."""
        if not self._to_ring.is_set():
            return
        client = self._client()
        try:
            with contextlib.suppress(*FAULTS):
                async with asyncio.timeout(within):
                    await self._send(client)
        finally:
            await close(client)

    async def run(self) -> None:
        """Listen and ring for ever. Raises nothing but its cancellation."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._listen(), name="bell: listen")
            tasks.create_task(self._send_rung(), name="bell: ring")

    async def _listen(self) -> None:
        client = self._client()
        try:
            while True:
                try:
                    await self._hear(client)
                except FAULTS as fault:
                    self._listening.began(fault)
                end_if_cancelled()
                await asyncio.sleep(about(RETRY_SECONDS))
        finally:
            await close(client)

    async def _hear(self, client: Redis) -> None:
        """Wake the waiting for every ring, until Redis fails."""
        newest = cast("_Rings", await client.xrevrange(KEY, count=1))
        end_if_cancelled()
        last = newest[0][0] if newest else b"0-0"
        self._listening.ended()
        # Whoever rang before this was not heard.
        self._heard.set()
        while True:
            answer = await client.xread({KEY: last}, block=int(BLOCK_SECONDS * 1000))
            end_if_cancelled()
            for _, rings in cast("list[tuple[bytes, _Rings]]", answer or ()):
                last = rings[-1][0]
                self._heard.set()

    async def _send_rung(self) -> None:
        client = self._client()
        try:
            while True:
                await self._to_ring.wait()
                try:
                    await self._send(client)
                except FAULTS as fault:
                    end_if_cancelled()
                    self._ringing.began(fault)
                    await asyncio.sleep(about(RETRY_SECONDS))
                else:
                    end_if_cancelled()
                    self._ringing.ended()
        finally:
            await close(client)

    async def _send(self, client: Redis) -> None:
        # Cleared first: who rings while this is on its way may have a change that nobody would look for.
        self._to_ring.clear()
        await client.xadd(KEY, {"rung": "1"}, maxlen=LENGTH, approximate=True)

    def _client(self) -> Redis:
        return self._address.client(socket_timeout=BLOCK_SECONDS + ANSWER_SECONDS, max_connections=1)
