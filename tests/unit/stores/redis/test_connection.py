"""One connection against a peer that the test plays, byte by byte."""

import asyncio
import contextlib
import socket
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import pytest
import uvloop
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.ports import StoreUnavailable
from gateway.stores.redis import Refused, Reply, encode
from gateway.stores.redis.breaker import Breaker
from gateway.stores.redis.connection import MAX_REPLY, Connection

PING = encode(b"PING")


@asynccontextmanager
async def connected(
    *,
    timeout: float = 0.05,
    max_waiting: int = 1000,
    max_bytes: int = 1_048_576,
    scripts: tuple[bytes, ...] = (),
) -> AsyncIterator[tuple[Connection, socket.socket]]:
    """Lend a connection and the other end of it."""
    loop = asyncio.get_running_loop()
    ours, theirs = socket.socketpair()
    theirs.setblocking(False)
    with theirs:
        _, connection = await loop.create_connection(
            lambda: Connection(
                loop,
                "redis://test",
                first=(),
                scripts=scripts,
                timeout=timeout,
                max_waiting=max_waiting,
                max_bytes=max_bytes,
            ),
            sock=ours,
        )
        try:
            yield connection, theirs
        finally:
            connection.end("over")


async def heard(peer: socket.socket, size: int) -> bytes:
    """Return what was sent to the peer, once it is that many bytes."""
    got = b""
    while len(got) < size:
        got += await asyncio.get_running_loop().sock_recv(peer, 65536)
    return got


async def failure(future: "asyncio.Future[Reply]") -> str:
    with pytest.raises(StoreUnavailable) as caught:
        await future
    return str(caught.value)


async def until(check: Callable[[], object], within: float = 2.0) -> None:
    async with asyncio.timeout(within):
        while not check():
            await asyncio.sleep(0.002)


def test_a_command_is_an_array_of_bulk_strings() -> None:
    assert encode(b"SET", b"k\r\n", b"") == b"*3\r\n$3\r\nSET\r\n$3\r\nk\r\n\r\n$0\r\n\r\n"
    assert encode(b"PING") == b"*1\r\n$4\r\nPING\r\n"


async def test_all_commands_of_a_turn_are_one_write() -> None:
    async with connected() as (connection, peer):
        before = [connection.send(encode(b"ECHO", b"%d" % number)) for number in range(50)]
        assert peer_is_silent(peer)
        # One call of `recv` after the turn has all of it.
        assert await asyncio.get_running_loop().sock_recv(peer, 65536) == b"".join(
            encode(b"ECHO", b"%d" % number) for number in range(50)
        )
        peer.sendall(b"".join(b":%d\r\n" % number for number in range(50)))
        assert await asyncio.gather(*before) == list(range(50))


def peer_is_silent(peer: socket.socket) -> bool:
    try:
        return not peer.recv(1, socket.MSG_PEEK)
    except BlockingIOError:
        return True


async def test_every_kind_of_reply_comes_as_it_was_said() -> None:
    said = b"+OK\r\n:-7\r\n$-1\r\n*-1\r\n$3\r\na\r\n\r\n*3\r\n:1\r\n*1\r\n$1\r\nx\r\n-WRONGTYPE of k\r\n-ERR no\r\n"
    async with connected() as (connection, peer):
        waiting = [connection.send(PING) for _ in range(7)]
        # One byte at a time: where a read ends means nothing.
        await heard(peer, 7 * len(PING))
        for index in range(len(said)):
            peer.sendall(said[index : index + 1])
            if index % 8 == 0:
                await asyncio.sleep(0)
        outcomes = await asyncio.gather(*waiting, return_exceptions=True)
    assert outcomes[:5] == [b"OK", -7, None, None, b"a\r\n"]
    assert repr(outcomes[5]) == "[1, [b'x'], ErrorReply('WRONGTYPE')]"
    assert repr(outcomes[6]) == "Refused('redis://test: refused with ERR')"


async def test_an_error_is_named_by_its_first_word_alone() -> None:
    texts = [
        b"-WRONGTYPE key secret",
        b"-secret key",
        b"-",
        b"-\xff\xfe secret",
        b"-READONLYsecret",
        b"-ERR max number of clients reached",
        b"-ERR Error running script (call to f_ab): @user_script:1: @user_script: 1: -OOM command not allowed",
    ]
    async with connected() as (connection, peer):
        waiting = [connection.send(PING) for _ in texts]
        await heard(peer, len(texts) * len(PING))
        peer.sendall(b"\r\n".join(texts) + b"\r\n")
        outcomes = await asyncio.gather(*waiting, return_exceptions=True)
    refusals = [outcome for outcome in outcomes if isinstance(outcome, Refused)]
    assert [refused.code for refused in refusals] == [
        "WRONGTYPE",
        "ERR",
        "ERR",
        "ERR",
        "ERR",
        "MAXCLIENTS",
        "OOM",
    ]
    assert "secret" not in repr(outcomes)


async def test_a_cancelled_command_still_takes_its_reply() -> None:
    async with connected() as (connection, peer):
        unsent, sent, kept = (connection.send(PING) for _ in range(3))
        unsent.cancel()
        await heard(peer, 3 * len(PING))
        sent.cancel()
        peer.sendall(b"+unsent\r\n+sent\r\n+kept\r\n")
        assert await kept == b"kept"
        assert connection.waiting == 0


async def test_a_late_reply_is_for_nobody_and_is_told() -> None:
    late: list[tuple[asyncio.Future[Reply], Reply]] = []
    async with connected(timeout=0.04) as (connection, peer):
        connection.on_late = lambda future, reply: late.append((future, reply))
        first = connection.send(PING)
        gone = connection.send(PING)
        own = connection.ask(PING)
        gone.cancel()
        assert "no answer in time" in await failure(first)
        assert "no answer in time" in await failure(own)
        second = connection.send(PING)
        await heard(peer, 4 * len(PING))
        peer.sendall(b":1\r\n:2\r\n:3\r\n:4\r\n")
        assert await second == 4
        assert late == [(first, 1)]
        assert connection.late == 3
        assert not connection.closed


async def test_a_timeout_is_kept_for_every_command() -> None:
    async with connected(timeout=0.05) as (connection, peer):
        began = time.monotonic()
        ends: list[float] = []
        for _ in range(6):
            future = connection.send(PING)
            future.add_done_callback(
                lambda future: ends.append(time.monotonic()) if future.exception() else None
            )
            await asyncio.sleep(0.008)
        # Something is heard all the time, so the connection stays.
        for _ in range(12):
            peer.sendall(b"*")
            await asyncio.sleep(0.01)
            if connection.closed:
                break
        assert len(ends) == 6
        assert all(0.045 <= end - began <= 0.25 for end in ends)


async def test_replies_that_waited_while_we_were_slow_are_in_time() -> None:
    async with connected(timeout=0.05) as (connection, peer):
        breaker = connection.breaker = Breaker()
        for _ in range(5):
            waiting = [connection.send(PING) for _ in range(20)]
            await heard(peer, 20 * len(PING))
            peer.sendall(b":1\r\n" * 20)
            # Whatever else the process does takes longer than a timeout.
            time.sleep(0.13)
            assert await asyncio.gather(*waiting) == [1] * 20
        assert not breaker.is_open
        assert connection.late == 0


async def test_time_counts_from_the_write() -> None:
    async with connected(timeout=0.05) as (connection, peer):
        time.sleep(0.1)
        waiting = connection.send(PING)
        time.sleep(0.1)
        await heard(peer, len(PING))
        await asyncio.sleep(0.02)
        peer.sendall(b":1\r\n")
        assert await waiting == 1


async def test_silence_ends_the_connection() -> None:
    async with connected(timeout=0.03) as (connection, _):
        ended: list[str] = []
        connection.on_lost = ended.append
        first = connection.send(PING)
        assert "no answer in time" in await failure(first)
        second = connection.send(PING)
        assert "fallen silent" in await failure(second)
        assert connection.closed
        assert len(ended) == 1
        with pytest.raises(StoreUnavailable, match="the connection is closed"):
            _ = connection.send(PING)
        assert "closed" in await failure(connection.ask(PING))


async def test_bytes_that_never_become_a_reply_end_the_connection() -> None:
    async with connected(timeout=0.01) as (connection, peer):
        peer.sendall(b"*9999\r\n")
        waiting = connection.send(PING)
        await failure(waiting)
        began = time.monotonic()
        while not connection.closed and time.monotonic() - began < 2:
            with contextlib.suppress(OSError):
                peer.sendall(b":1\r\n")
            await asyncio.sleep(0.005)
        assert connection.closed
        assert time.monotonic() - began < 1


async def test_a_reply_without_end_is_not_kept() -> None:
    async with connected(timeout=1) as (connection, peer):
        waiting = connection.send(PING)
        await heard(peer, len(PING))
        loop = asyncio.get_running_loop()
        with contextlib.suppress(OSError):
            await loop.sock_sendall(peer, b"$%d\r\n" % (100 * MAX_REPLY))
            for _ in range(40):
                await loop.sock_sendall(peer, bytes(65536))
        assert "too long" in await failure(waiting)


@pytest.mark.parametrize(
    "said",
    [
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"\x15\x03\x01\x00\x02\x02\x46",
        b"\0" * 40,
        b"$-5\r\n",
        b":one\r\n",
    ],
)
async def test_what_is_not_the_protocol_ends_the_connection(said: bytes) -> None:
    async with connected() as (connection, peer):
        waiting = connection.send(PING)
        await heard(peer, len(PING))
        peer.sendall(said)
        assert "protocol" in await failure(waiting)


async def test_a_reply_that_nobody_asked_for_ends_the_connection() -> None:
    async with connected() as (connection, peer):
        peer.sendall(b"+hello\r\n")
        await until(lambda: connection.closed)
    async with connected() as (connection, peer):
        # Nor can a command be answered before it was sent.
        loop = asyncio.get_running_loop()
        first = connection.send(PING)
        await heard(peer, len(PING))
        peer.sendall(b"+one\r\n+two\r\n")
        unsent: list[asyncio.Future[Reply]] = []
        first.add_done_callback(lambda _: unsent.append(loop.create_future()))
        assert await first == b"one"
        await until(lambda: connection.closed)


async def test_the_peers_end_fails_whoever_waits() -> None:
    async with connected() as (connection, peer):
        waiting = connection.send(PING)
        await heard(peer, len(PING))
        late = connection.send(PING)
        peer.shutdown(socket.SHUT_WR)
        assert "closed the connection" in await failure(waiting)
        assert "closed the connection" in await failure(late)


async def test_no_more_commands_wait_than_allowed() -> None:
    async with connected(max_waiting=10, timeout=0.03) as (connection, peer):
        waiting = [connection.send(PING) for _ in range(10)]
        with pytest.raises(StoreUnavailable, match="too many"):
            _ = connection.send(PING)
        waiting[0].cancel()
        for future in waiting[1:]:
            await failure(future)
        # A command whose time is over still takes its place: its reply may come.
        with pytest.raises(StoreUnavailable, match="too many"):
            _ = connection.send(PING)
        await heard(peer, 10 * len(PING))
        peer.sendall(b":1\r\n" * 10)
        await until(lambda: connection.waiting == 0)
        again = connection.send(PING)
        await heard(peer, len(PING))
        peer.sendall(b":2\r\n")
        assert await again == 2


async def test_no_more_bytes_wait_than_allowed() -> None:
    big = encode(b"ECHO", bytes(20_000))
    async with connected(max_bytes=100_000, timeout=5) as (connection, peer):
        # Within a turn, counted here.
        waiting = [connection.send(big) for _ in range(5)]
        with pytest.raises(StoreUnavailable, match="too many"):
            _ = connection.send(big)
        # Over turns, counted by the transport: the peer does not read.
        for _ in range(100):
            await asyncio.sleep(0)
            try:
                waiting.append(connection.send(big))
            except StoreUnavailable:
                break
        else:
            pytest.fail("it never stopped")
        await heard(peer, len(waiting) * len(big))
        peer.sendall(b":1\r\n" * len(waiting))
        assert await asyncio.gather(*waiting) == [1] * len(waiting)


async def test_the_end_leaves_no_timer_and_no_one_waiting() -> None:
    async with connected() as (connection, peer):
        waiting = [connection.send(PING), connection.send(PING)]
        await heard(peer, len(PING))
        waiting.append(connection.send(PING))
        connection.end("closed")
        assert [await failure(future) for future in waiting] == ["redis://test: closed"] * 3
        assert connection._timer is None
        assert connection.waiting == 0


class Replies:
    """What the loop reports when nobody takes a failure."""

    def __init__(self) -> None:
        self.complaints: list[dict[str, Any]] = []

    def run(self, story: Coroutine[Any, Any, None]) -> None:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.get_loop().set_exception_handler(lambda _, context: self.complaints.append(context))
            runner.run(story)
        assert not self.complaints


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("send"), st.integers(1, 5)),
        st.tuples(st.just("cancel"), st.integers(0, 50)),
        st.tuples(st.just("reply"), st.integers(1, 60)),
        st.tuples(st.just("turn"), st.integers(1, 3)),
        st.tuples(st.just("expire"), st.just(0)),
    ),
    max_size=40,
)


@settings(max_examples=150)
@given(STEPS)
def test_every_reply_belongs_to_its_command(steps: list[tuple[str, int]]) -> None:
    Replies().run(_every_reply_belongs_to_its_command(steps))


async def _every_reply_belongs_to_its_command(steps: list[tuple[str, int]]) -> None:
    late: list[tuple[asyncio.Future[Reply], Reply]] = []
    async with connected(timeout=1000) as (connection, peer):
        connection.on_late = lambda future, reply: late.append((future, reply))
        futures: list[asyncio.Future[Reply]] = []
        expired: set[int] = set()
        cancelled: set[int] = set()
        written = replied = sent_bytes = 0
        replies = b""

        async def flush() -> None:
            nonlocal written, replies, sent_bytes
            size = sum(len(encode(b"ECHO", b"%d" % number)) for number in range(written, len(futures)))
            if size:
                await heard(peer, size)
            replies += b"".join(b":%d\r\n" % number for number in range(written, len(futures)))
            written = len(futures)

        for step, size in steps:
            match step:
                case "send":
                    for _ in range(size):
                        futures.append(connection.send(encode(b"ECHO", b"%d" % len(futures))))
                case "cancel" if futures:
                    number = size % len(futures)
                    if futures[number].cancel():
                        cancelled.add(number)
                case "reply":
                    await flush()
                    peer.sendall(replies[replied : replied + size])
                    replied = min(len(replies), replied + size)
                case "expire":
                    await flush()
                    before = {number for number, future in enumerate(futures) if not future.done()}
                    connection._expire(time.monotonic() + 1001)
                    expired |= {number for number in before if futures[number].done()}
                case _:
                    for _ in range(size):
                        await asyncio.sleep(0)
        await flush()
        peer.sendall(replies[replied:])
        outcomes = await asyncio.gather(*futures, return_exceptions=True)
        await until(lambda: connection.waiting == 0)

    for number, outcome in enumerate(outcomes):
        if number in cancelled:
            assert isinstance(outcome, asyncio.CancelledError)
        elif number in expired:
            assert isinstance(outcome, StoreUnavailable)
        else:
            assert outcome == number
    assert late == [(futures[number], number) for number in sorted(expired)]
