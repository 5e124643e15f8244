"""The link and a real Redis: in good days, and through everything that may happen to one."""

import asyncio
import hashlib
import re
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager

import pytest
from structlog.testing import capture_logs
from support.redis_peer import GREETING, answering, commands, forwarding, serving
from support.servers import RedisServer, empty_redis_url

from gateway.ports import StoreUnavailable
from gateway.stores.redis import Link, RedisAddress, RedisUnusable, Refused, Reply, encode
from gateway.stores.redis import link as link_module

COUNT = b"return redis.call('INCRBY', KEYS[1], ARGV[1])"
SHA = hashlib.sha1(COUNT, usedforsecurity=False).hexdigest().encode()
SLACK = 0.1
"""Seconds that a loaded machine may add to what is promised."""


def count(key: bytes, by: int = 1) -> bytes:
    return encode(b"EVALSHA", SHA, b"1", key, b"%d" % by)


@pytest.fixture
def server() -> Iterator[RedisServer]:
    """A Redis that the test may stop."""
    with RedisServer() as server:
        yield server


def running() -> int:
    """Count the tasks of links."""
    return len([task for task in asyncio.all_tasks() if task.get_name() == "redis link"])


@asynccontextmanager
async def linked(url: str, *, timeout: float = 0.05, max_waiting: int = 10_000) -> AsyncIterator[Link]:
    """Lend a link with the script `COUNT`; at the end no task of it is left."""
    link = Link(RedisAddress.parse(url), scripts=[COUNT], timeout=timeout, max_waiting=max_waiting)
    before = running()
    await link.start()
    try:
        yield link
    finally:
        await link.close()
        assert running() == before


async def until(check: Callable[[], object], within: float = 10.0) -> None:
    async with asyncio.timeout(within):
        while not check():
            await asyncio.sleep(0.005)


async def asked(link: Link, *parts: bytes) -> Reply:
    return await link.send(encode(*parts))


def at_once(link: Link) -> str:
    """Return why a command is not even sent."""
    with pytest.raises(StoreUnavailable) as caught:
        _ = link.send(count(b"k"))
    return str(caught.value)


class Load:
    """Many who count, each one call after the other, and what became of their calls."""

    def __init__(self, link: Link, key: bytes = b"load") -> None:
        self.link = link
        self.key = key
        self.counted: list[int] = []
        self.failures: list[str] = []
        self.longest = 0.0
        self._stopping = False

    async def _count(self) -> None:
        while not self._stopping:
            began = time.monotonic()
            try:
                reply = await self.link.send(count(self.key))
            except StoreUnavailable as fault:
                self.failures.append(str(fault))
            else:
                assert isinstance(reply, int)
                self.counted.append(reply)
            self.longest = max(self.longest, time.monotonic() - began)
            await asyncio.sleep(0.001)

    @asynccontextmanager
    async def running(self, many: int = 20) -> AsyncIterator["Load"]:
        async with asyncio.TaskGroup() as tasks:
            for _ in range(many):
                tasks.create_task(self._count())
            try:
                yield self
            finally:
                self._stopping = True


async def test_commands_are_answered_and_the_scripts_are_there() -> None:
    async with linked(empty_redis_url()) as link:
        assert link.fault is None
        assert await link.send(count(b"k", 3)) == 3
        assert await asked(link, b"CLIENT", b"GETNAME") == b"gateway"
        with pytest.raises(Refused) as caught:
            await asked(link, b"INCR", b"k", b"secret", b"words")
        assert caught.value.code == "ERR"
        assert "secret" not in str(caught.value)
    assert "closed" in at_once(link)


async def test_a_database_is_selected() -> None:
    url = empty_redis_url()
    async with linked(url) as plain, linked(f"{url.rsplit('/', 1)[0]}/9") as other:
        await plain.send(count(b"k"))
        assert await asked(other, b"EXISTS", b"k") == 0
        assert "db=9" in str(await asked(other, b"CLIENT", b"INFO"))


async def test_commands_of_a_turn_share_a_write() -> None:
    seen: list[bytes] = []
    address = RedisAddress.parse(empty_redis_url())
    async with (
        serving(forwarding((address.host, address.port), seen=seen.append)) as port,
        linked(f"redis://127.0.0.1:{port}/{address.db}", timeout=5) as link,
    ):
        seen.clear()
        assert await asyncio.gather(*(link.send(count(b"k")) for _ in range(100))) == list(range(1, 101))
        assert seen == [count(b"k") * 100]


async def test_replies_keep_to_their_commands_under_cancellation() -> None:
    async with linked(empty_redis_url(), timeout=5) as link:

        async def echo(number: int) -> None:
            for turn in range(20):
                text = b"%d-%d" % (number, turn)
                assert await asked(link, b"ECHO", text) == text

        tasks = [asyncio.create_task(echo(number)) for number in range(200)]
        for index, task in enumerate(tasks):
            if index % 3 == 0:
                await asyncio.sleep(0)
                task.cancel()
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    assert {type(outcome) for outcome in outcomes} <= {type(None), asyncio.CancelledError}
    assert outcomes.count(None) >= 2 * len(tasks) // 3


async def test_a_huge_pipeline_is_answered_in_order() -> None:
    async with linked(empty_redis_url(), timeout=20) as link:
        waiting = [link.send(encode(b"ECHO", b"%d" % number)) for number in range(10_000)]
        assert "too many commands wait" in at_once(link)
        assert await asyncio.gather(*waiting) == [b"%d" % number for number in range(10_000)]
        assert link.fault is None


async def test_scripts_that_were_flushed_under_load_are_loaded_and_nothing_counts_twice(
    server: RedisServer,
) -> None:
    async with linked(server.url, timeout=2) as link, Load(link).running(50) as load:
        for turn in range(30):
            await asked(link, b"SCRIPT", b"FLUSH")
            while len(load.counted) < 200 * turn:
                await asyncio.sleep(0.005)
    assert not load.failures
    # Every number exactly once: no call ran twice, none got the answer of another.
    assert sorted(load.counted) == list(range(1, len(load.counted) + 1))


async def test_a_script_that_nobody_loaded_is_not_asked_for_ever() -> None:
    async with linked(empty_redis_url()) as link:
        with pytest.raises(Refused, match="NOSCRIPT"):
            await asked(link, b"EVALSHA", b"0" * 40, b"0")
        assert await link.send(count(b"k")) == 1


async def test_a_killed_redis_fails_at_once_and_its_successor_is_found(server: RedisServer) -> None:
    ups: list[str] = []
    async with linked(server.url) as link:
        link.on_up = lambda: ups.append("up")
        with capture_logs() as logs:
            async with Load(link).running() as load:
                await until(lambda: len(load.counted) > 100)
                server.stop("kill")
                await until(lambda: link.fault is not None)
                assert re.search("lost|closed|refused|Connect", at_once(link))
                before = len(load.counted)
                server.start()
                await until(lambda: link.fault is None)
                await until(lambda: len(load.counted) > before + 100)
        # The new server is empty and knew no script.
        assert min(load.counted[before:]) <= 20
        assert load.longest < 2 * 0.05 + SLACK
    assert ups == ["up"]
    assert [entry["event"] for entry in logs] == ["redis.unavailable", "redis.available"]


async def test_a_stalled_redis_holds_nobody_up_and_confuses_nobody(server: RedisServer) -> None:
    async with linked(server.url) as link:
        with capture_logs() as logs:
            async with Load(link).running() as load:
                await until(lambda: len(load.counted) > 100)
                server.pause()
                await until(lambda: link.fault is not None)
                await asyncio.sleep(1.5)
                assert at_once(link)
                server.resume()
                await until(lambda: link.fault is None)
                before = len(load.counted)
                await until(lambda: len(load.counted) > before + 100)
        assert load.longest < 2 * 0.05 + SLACK
        # Nobody got the answer to the command of another, neither old nor new.
        assert len(set(load.counted)) == len(load.counted)
        total = await link.send(count(b"load", 0))
        assert isinstance(total, int)
        assert len(load.counted) <= total <= len(load.counted) + len(load.failures)
    assert [entry["event"] for entry in logs] == ["redis.unavailable", "redis.available"]


async def test_after_a_short_stall_late_replies_are_told_and_the_connection_stays(
    server: RedisServer,
) -> None:
    late: list[tuple[asyncio.Future[Reply], Reply]] = []
    async with linked(server.url, timeout=0.2) as link:
        link.on_late = lambda future, reply: late.append((future, reply))
        connection = link._connection
        server.pause()
        first = link.send(count(b"k", 10))
        with pytest.raises(StoreUnavailable, match="no answer in time"):
            await first
        second = link.send(count(b"k", 5))
        server.resume()
        assert await second == 15
        assert late == [(first, 10)]
        assert link.late == 1
        assert link._connection is connection
        assert link.fault is None


async def test_a_slow_redis_is_not_waited_for() -> None:
    """Every answer comes, but later than it is of use."""

    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        loop = asyncio.get_running_loop()
        async for command in commands(reader):
            loop.call_later(delay, writer.write, GREETING.get(command[0], b":1\r\n"))

    delay = 0.0
    async with serving(slow) as port, linked(f"redis://127.0.0.1:{port}", timeout=0.05) as link:
        assert await link.send(count(b"k")) == 1
        delay = 0.08
        outcomes = await asyncio.gather(*(link.send(count(b"k")) for _ in range(5)), return_exceptions=True)
        assert all("no answer in time" in str(outcome) for outcome in outcomes)
        assert "answers too slowly" in str(link.fault)
        assert "answers too slowly" in at_once(link)
        # Probes are slow as well, so it stays open.
        await asyncio.sleep(0.8)
        assert link.fault is not None
        assert link.late >= 5
        delay = 0.0
        began = time.monotonic()
        await until(lambda: link.fault is None)
        # Three probes, a quarter of a second apart.
        assert 0.3 < time.monotonic() - began < 2.0
        assert await link.send(count(b"k")) == 1


async def test_a_stall_that_is_over_soon_does_not_cost_long(server: RedisServer) -> None:
    async with linked(server.url, timeout=0.08) as link:

        async def stall() -> float:
            server.pause()
            sent = [link.send(count(b"k")) for _ in range(5)]
            await asyncio.gather(*sent, return_exceptions=True)
            assert "answers too slowly" in str(link.fault)
            server.resume()
            began = time.monotonic()
            await until(lambda: link.fault is None)
            return time.monotonic() - began

        # Three probes in both cases, but a server that stalls again and again is given more time.
        link._up_at -= 10
        assert await stall() < 0.5
        assert await stall() > 0.5


async def test_a_redis_without_memory_is_asked_now_and_then_until_it_has_some(server: RedisServer) -> None:
    async with linked(server.url, timeout=1) as link:
        with capture_logs() as logs:
            await asked(link, b"CONFIG", b"SET", b"maxmemory-policy", b"noeviction")
            await asked(link, b"CONFIG", b"SET", b"maxmemory", b"1")
            async with Load(link).running(2) as load:
                await until(lambda: link.fault is not None)
                assert "refuses commands with OOM" in str(link.fault)
                await asyncio.sleep(1.2)
                # It was not declared well in between, and few commands reached it.
                assert [entry["event"] for entry in logs] == ["redis.unavailable"]
                assert sum("refused with OOM" in failure for failure in load.failures) < 30
                async with linked(server.url) as operator:
                    await asked(operator, b"CONFIG", b"SET", b"maxmemory", b"0")
                await until(lambda: link.fault is None)
                await until(lambda: len(load.counted) > 20)
    events = [entry["event"] for entry in logs if entry["log_level"] == "warning"]
    assert events == ["redis.unavailable"]


async def test_a_primary_that_became_a_replica_is_left_until_it_is_one_again(server: RedisServer) -> None:
    with RedisServer() as other:
        async with linked(server.url) as link, linked(server.url) as operator:
            await asked(operator, b"REPLICAOF", b"127.0.0.1", b"%d" % other.port)
            with pytest.raises(Refused, match="READONLY"):
                await link.send(count(b"k"))
            await until(lambda: "replica" in str(link.fault))
            assert "replica" in at_once(link)
            await asked(operator, b"REPLICAOF", b"NO", b"ONE")
            await until(lambda: link.fault is None)
            assert await link.send(count(b"k")) == 1


async def test_a_redis_that_is_away_at_the_start_is_found_later() -> None:
    server = RedisServer()
    with server:
        url = server.url
        server.stop()
        began = time.monotonic()
        async with linked(url) as link:
            assert 0.9 < time.monotonic() - began < 2.0
            assert link.fault is not None
            assert at_once(link)
            server.start()
            await until(lambda: link.fault is None)
            assert await link.send(count(b"k")) == 1


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Do not wait long for a start that cannot succeed."""
    monkeypatch.setattr(link_module, "START_SECONDS", 0.2)


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("said", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"+OK\r\n" * 9, b"$100\r\nhalf", b""])
async def test_what_answers_nonsense_is_never_used(said: bytes) -> None:
    async def nonsense(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(said)
        await asyncio.sleep(60)

    async with serving(nonsense) as port, linked(f"redis://127.0.0.1:{port}") as link:
        assert link.fault is not None
        assert at_once(link)


async def test_half_a_reply_and_then_silence_fails_in_time() -> None:
    half = answering({b"SCRIPT": b"+ok\r\n", b"EVALSHA": b"*2\r\n:1\r\n"})
    async with serving(half) as port, linked(f"redis://127.0.0.1:{port}") as link:
        began = time.monotonic()
        with pytest.raises(StoreUnavailable):
            await link.send(count(b"k"))
        assert time.monotonic() - began < 2 * 0.05 + SLACK
        await until(lambda: link.fault is not None)


@pytest.mark.usefixtures("impatient")
async def test_a_server_that_hangs_up_on_everybody_is_not_hammered() -> None:
    arrivals: list[float] = []

    async def busy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        arrivals.append(time.monotonic())
        writer.write(b"-ERR max number of clients reached\r\n")

    async with serving(busy) as port, linked(f"redis://127.0.0.1:{port}") as link:
        assert link.fault is not None
        await asyncio.sleep(0.8)
        assert 3 <= len(arrivals) <= 9


async def test_closing_tells_whoever_waits(server: RedisServer) -> None:
    async with linked(server.url, timeout=5) as link:
        server.pause()
        waiting = [link.send(count(b"k")) for _ in range(3)]
        await asyncio.sleep(0)
        unsent = link.send(count(b"k"))
        await link.close()
        for future in [*waiting, unsent]:
            with pytest.raises(StoreUnavailable, match="closed"):
                await future
        server.resume()


@pytest.mark.parametrize("kind", [b"cluster", b"sentinel"])
async def test_a_server_of_a_kind_that_is_not_supported_is_refused_at_the_start(kind: bytes) -> None:
    hello = b"*4\r\n$4\r\nmode\r\n$%d\r\n%b\r\n$4\r\nrole\r\n$6\r\nmaster\r\n" % (len(kind), kind)
    async with serving(answering({b"HELLO": hello, b"SCRIPT": b"+ok\r\n"})) as port:
        link = Link(RedisAddress.parse(f"redis://127.0.0.1:{port}"))
        with pytest.raises(RedisUnusable, match="not supported yet"):
            await link.start()
