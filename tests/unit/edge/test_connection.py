"""A client's connection on real sockets: order, time, pressure, and its end."""

import asyncio
import itertools

import pytest
from support.listening import EchoDoor, Listening, listening
from support.running import soon

from gateway.edge import connection as connection_file
from gateway.edge import listener as listener_file
from gateway.edge.connection import READ_AHEAD, Connection

HOST = b"Host: a\r\n"


def get(target: str, *lines: bytes) -> bytes:
    return b"GET %b HTTP/1.1\r\n%b%b\r\n" % (target.encode(), HOST, b"".join(lines))


def pieces_of(data: bytes, how: str) -> list[bytes]:
    if how == "at once":
        return [data]
    if how == "at line ends":
        return [line + b"\n" for line in data.split(b"\n")[:-1]]
    return [data[at : at + 1] for at in range(len(data))]


SEGMENTS = pytest.mark.parametrize("how", ["at once", "at line ends", "byte by byte"])


def only(server: Listening) -> Connection:
    (one,) = server.listener.connections
    return one


@SEGMENTS
async def test_requests_are_answered_in_the_order_in_which_they_came(how: str) -> None:
    async with listening() as server:
        client = await server.connect()
        await client.send_each(pieces_of(b"".join(get(f"/{n}") for n in range(5)), how))
        assert [await client.answer() for _ in range(5)] == [f"/{n}" for n in range(5)]


@SEGMENTS
@pytest.mark.parametrize(
    ("rest", "reason"),
    [
        (b"\x00\x01garbage\r\n\r\n", "malformed-request"),
        (b"GET / HTTP/1.1\r\nHost: a\r\nbad line\r\n\r\n", "malformed-request"),
        (b"BREW / HTTP/1.1\r\nHost: a\r\n\r\n", "not-implemented"),
        (b"GET / HTTP/3.0\r\nHost: a\r\n\r\n", "http-version"),
        (b"GET /" + b"a" * 300 + b" HTTP/1.1\r\nHost: a\r\n\r\n", "uri-too-long"),
        (b"GET / HTTP/1.1\r\nX: " + b"a" * 1100 + b"\r\n\r\n", "headers-too-large"),
    ],
)
async def test_what_comes_before_garbage_is_answered_before_it_is_refused(
    how: str, rest: bytes, reason: str
) -> None:
    async with listening(max_target_bytes=256, max_header_bytes=1024) as server:
        client = await server.connect()
        await client.send_each(pieces_of(get("/one") + get("/two") + rest + get("/later"), how))
        assert await client.answers() == ["/one", "/two", reason]
        assert server.door.asked == ["/one", "/two", reason]


@SEGMENTS
async def test_nothing_is_read_behind_a_last_request(how: str) -> None:
    async with listening() as server:
        client = await server.connect()
        last = get("/last", b"Connection: close\r\n")
        await client.send_each(pieces_of(get("/one") + last + get("/later") + b"\x00\r\n\r\n", how))
        assert await client.answers() == ["/one", "/last"]
        assert server.door.asked == ["/one", "/last"]


@SEGMENTS
async def test_a_body_is_followed_by_the_next_request(how: str) -> None:
    async with listening() as server:
        client = await server.connect()
        length = b"POST /a HTTP/1.1\r\n" + HOST + b"Content-Length: 5\r\n\r\nGET /"
        chunked = b"POST /b HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
        await client.send_each(pieces_of(length + chunked + get("/c", b"Connection: close\r\n"), how))
        assert await client.answers() == ["/aGET /", "/babc", "/c"]


async def test_one_request_is_parsed_and_the_rest_of_a_flood_waits_outside() -> None:
    async with listening() as server:
        client = await server.connect()
        client.send(get("/wait"))
        await soon(lambda: server.door.asked == ["/wait"])
        flood = get("/x", b"X-Large: " + b"a" * 8000 + b"\r\n") * 4000
        client.send(flood)
        for _ in range(200):
            await asyncio.sleep(0.001)
        assert server.door.asked == ["/wait"]
        held = len(only(server)._held or b"")
        # What the limit let in, and one read of the event loop.
        assert READ_AHEAD <= held <= READ_AHEAD + 262_144
        assert len(flood) - held > 2**24
        server.door.go.set()
        assert await client.answer() == "/wait"
        most = 0
        for _ in range(4000):
            assert await client.answer() == "/x"
            most = max(most, len(only(server)._held or b""))
        assert most <= READ_AHEAD + 262_144


async def test_a_client_that_does_not_read_is_asked_for_nothing_more() -> None:
    async with listening(keepalive_timeout=0.3) as server:
        client = await server.connect(receives=4096)
        client.stop_reading()
        client.send(get("/big") * 200)
        await soon(lambda: not server.listener.connections)
        # As many as the system and one buffer of the transport take.
        assert len(server.door.asked) * EchoDoor.BIG < 8_000_000


async def test_a_client_that_reads_late_gets_everything() -> None:
    async with listening() as server:
        client = await server.connect(receives=4096)
        client.stop_reading()
        client.send(get("/big") * 30)
        await soon(lambda: only(server)._state is connection_file._State.STALLED)
        client.read_again()
        for _ in range(30):
            assert len(await client.answer() or "") == EchoDoor.BIG


# Time


@pytest.mark.parametrize("start", [b"G", b"GET /", get("/")[:-2], b"\r\n\r\nGET / HTTP/1.1\r\n"])
async def test_a_head_that_does_not_end_is_408(start: bytes) -> None:
    async with listening(header_timeout=0.1) as server:
        client = await server.connect()
        client.send(start)
        assert await client.answers() == ["request-timeout"]
        assert server.door.asked == ["request-timeout"]


async def test_a_trickle_does_not_win_time() -> None:
    async with listening(header_timeout=0.15) as server:
        loop = asyncio.get_running_loop()
        client = await server.connect()
        begun = loop.time()
        client.send(b"GET / HTTP/1.1\r\n")
        for _ in range(200):
            if server.door.asked:
                break
            client.send(b"X: y\r\n")
            await asyncio.sleep(0.01)
        assert 0.1 < loop.time() - begun < 1.0
        assert await client.answers() == ["request-timeout"]


async def test_who_never_says_anything_is_closed_without_a_word() -> None:
    async with listening(header_timeout=0.1) as server:
        client = await server.connect()
        client.send(b"\r\n")
        assert await client.reader.read() == b""
        assert server.door.asked == []


async def test_an_idle_connection_is_closed_without_a_word() -> None:
    async with listening(keepalive_timeout=0.1, header_timeout=5.0) as server:
        client = await server.connect()
        client.send(get("/a"))
        assert await client.answer() == "/a"
        client.send(b"\r\n")
        assert await client.reader.read() == b""
        assert server.door.asked == ["/a"]


@pytest.mark.parametrize("apart", [False, True])
async def test_the_time_of_a_later_head_begins_with_its_first_byte(apart: bool) -> None:
    async with listening(header_timeout=0.1, keepalive_timeout=5.0) as server:
        client = await server.connect()
        if apart:
            client.send(get("/a"))
            assert await client.answer() == "/a"
            await asyncio.sleep(0.15)
            client.send(b"GET /b HT")
        else:
            client.send(get("/a") + b"GET /b HT")
            assert await client.answer() == "/a"
        assert await client.answers() == ["request-timeout"]


async def test_an_answer_may_take_longer_than_a_head() -> None:
    async with listening(header_timeout=0.05, keepalive_timeout=0.05) as server:
        client = await server.connect()
        client.send(get("/wait"))
        await soon(lambda: server.door.asked)
        await asyncio.sleep(0.15)
        server.door.go.set()
        assert await client.answers() == ["/wait"]


async def test_a_connection_has_one_timer_however_many_requests() -> None:
    async with listening() as server:
        client = await server.connect()
        client.send(get("/a"))
        assert await client.answer() == "/a"
        timer = only(server)._deadline._timer
        for _ in range(20):
            client.send(get("/a"))
            assert await client.answer() == "/a"
        assert only(server)._deadline._timer is timer


# Size


async def test_a_head_is_bounded_as_a_whole() -> None:
    async with listening(max_header_bytes=1024, max_target_bytes=256) as server:
        client = await server.connect()
        client.send(b"GET / HTTP/1.1\r\n" + HOST)
        for number in itertools.count():
            # Padding counts for nothing in a field, but it must not be without end either.
            client.send(b"X-%d:%b\r\n" % (number, b" " * 200))
            await asyncio.sleep(0)
            if server.door.asked:
                break
            assert number < 50
        assert await client.answers() == ["headers-too-large"]


PADDED = b"GET / HTTP/1.1\r\n" + HOST + b"X:%b1\r\n\r\n"


@pytest.mark.parametrize("over", [0, 1])
@pytest.mark.parametrize("cuts", [[], [1], [30, 900], [1343]])
@pytest.mark.parametrize("before", [b"", get("/one")])
async def test_the_bound_of_a_head_does_not_depend_on_where_it_is_cut(
    over: int, cuts: list[int], before: bytes
) -> None:
    async with listening(max_header_bytes=1024, max_target_bytes=256) as server:
        client = await server.connect()
        largest = server.listener.largest_head
        wire = PADDED % (b" " * (largest + over - len(PADDED % b"")))
        at = [0, *cuts, len(wire)]
        await client.send_each([before, *(wire[start:end] for start, end in itertools.pairwise(at))])
        if before:
            assert await client.answer() == "/one"
        assert await client.answer() == ("headers-too-large" if over else "/")


async def test_a_head_is_not_charged_with_what_is_behind_line_ends_before_it() -> None:
    async with listening(max_header_bytes=1024, max_target_bytes=256) as server:
        client = await server.connect()
        client.send(b"\n\r\n\r\n" + get("/one") * 100)
        for _ in range(100):
            assert await client.answer() == "/one"


CHUNKED = b"POST /up HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    "padding",
    [
        pytest.param([b"1;" + b"a" * 60] + [b"a" * 4000] * 10, id="one long extension"),
        pytest.param([b"1;" + b"e" * 300 + b"\r\nx\r\n"] * 200, id="many extensions"),
        pytest.param([b"0" * 4000] * 10, id="zeros before a size"),
        pytest.param([b"3\r\nabc\r\n0\r\n"] + [b"T: " + b"t" * 900 + b"\r\n"] * 40, id="trailers"),
    ],
)
async def test_a_chunked_body_that_is_mostly_not_body_is_broken(padding: list[bytes]) -> None:
    async with listening() as server:
        client = await server.connect()
        client.send(CHUNKED)
        await client.send_each(padding)
        assert await client.answers() == ["broken"]
        assert server.door.broken == ["/up"]


async def test_small_chunks_are_a_body_like_any_other() -> None:
    async with listening() as server:
        client = await server.connect()
        client.send(CHUNKED + b"1;x=y\r\na\r\n" * 30_000 + b"0\r\nTrailer: t\r\n\r\n")
        assert await client.answer() == "/up" + "a" * 30_000
        client.send(get("/next"))
        assert await client.answer() == "/next"


@pytest.mark.parametrize("chunk", [b"zz\r\n", b"-1\r\n", b"3\r\nabcX", b"1\n"])
async def test_a_body_that_breaks_ends_for_its_reader_and_the_connection_with_it(chunk: bytes) -> None:
    async with listening() as server:
        client = await server.connect()
        await client.send_each([CHUNKED, b"3\r\nabc\r\n", chunk, get("/later")])
        assert await client.answers() == ["broken"]
        assert server.door.asked == ["/up"]


@pytest.mark.parametrize(
    "rest", [b"\nzz\r\n", b"\n0\r\nbad trailer\r\n\r\n", b"\n0\r\nHost: b\r\nT: 1\r\n\r\n"]
)
async def test_a_body_that_breaks_with_the_end_of_a_chunk_ends_for_its_reader(rest: bytes) -> None:
    async with listening() as server:
        client = await server.connect()
        # The end of the chunk wakes the reader, for whom there is nothing.
        await client.send_each([CHUNKED, b"1\r\na\r", rest])
        async with asyncio.timeout(2):
            assert await client.answers() == ["broken"]


# The end


async def test_a_client_that_still_sends_reads_its_answer() -> None:
    async with listening() as server:
        client = await server.connect()
        client.send(b"POST /drop HTTP/1.1\r\n" + HOST + b"Content-Length: 100000000\r\n\r\n")
        for _ in range(40):
            client.send(b"x" * 100_000)
            await asyncio.sleep(0.001)
        assert await client.answers() == ["/drop"]


async def test_a_client_that_never_stops_sending_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listener_file, "_LINGER", 0.1)
    async with listening() as server:
        client = await server.connect()
        client.send(b"POST /drop HTTP/1.1\r\n" + HOST + b"Content-Length: 100000000\r\n\r\n")
        assert await client.answer() == "/drop"
        await soon(lambda: not server.listener.connections, within=2.0)


async def test_the_last_answer_reaches_a_slow_client_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listener_file, "_LINGER", 0.1)
    monkeypatch.setattr(connection_file, "_STUCK", 0.3)
    monkeypatch.setattr(EchoDoor, "BIG", 6_000_000)
    async with listening() as server:
        client = await server.connect(receives=4096)
        client.send(get("/big", b"Connection: close\r\n"))
        got = 0
        while data := await client.reader.read(400_000):
            got += len(data)
            await asyncio.sleep(0.03)
        assert got > EchoDoor.BIG


async def test_a_client_that_takes_nothing_of_its_last_answer_is_cut_off(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(listener_file, "_LINGER", 0.1)
    monkeypatch.setattr(connection_file, "_STUCK", 0.1)
    monkeypatch.setattr(EchoDoor, "BIG", 12_000_000)
    async with listening() as server:
        client = await server.connect(receives=4096)
        client.stop_reading()
        client.send(get("/big", b"Connection: close\r\n"))
        await soon(lambda: server.door.asked and not server.listener.connections, within=3.0)


async def test_a_client_that_leaves_takes_what_it_asked_for_with_it() -> None:
    async with listening() as server:
        client = await server.connect()
        client.send(get("/never"))
        await soon(lambda: server.door.asked)
        client.reset()
        await soon(lambda: not server.listener.connections)


async def test_a_client_that_leaves_at_once_leaves_nothing_behind() -> None:
    async with listening() as server:
        for _ in range(20):
            client = await server.connect()
            client.send(get("/a"))
            client.reset()
        await soon(lambda: not server.listener.connections)


@SEGMENTS
@pytest.mark.parametrize("upgrade", [b"websocket", b"websocket, foo", b"foo"])
async def test_whoever_takes_a_connection_over_gets_every_byte_behind_the_request(
    how: str, upgrade: bytes
) -> None:
    async with listening() as server:
        client = await server.connect()
        asked = get("/wait", b"Connection: Upgrade\r\n", b"Upgrade: " + upgrade + b"\r\n")
        await client.send_each(pieces_of(asked + b"\x81\x85abcd\r\n\r\n", how))
        await soon(lambda: server.door.asked)
        await soon(lambda: how == "at once" or (only(server)._held or b"").endswith(b"\r\n\r\n"))
        assert only(server).let_go() == b"\x81\x85abcd\r\n\r\n"
