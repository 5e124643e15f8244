"""Responses as raw bytes: what is written, when, and what never is."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, cast

import pytest
from aiohttp import EMPTY_PAYLOAD, StreamReader
from aiohttp.base_protocol import BaseProtocol
from support.heads import HEAD

from gateway.edge.client_side import ClientSide
from gateway.edge.connection import Connection
from gateway.model import Fields, Framing, Line, RequestHead
from gateway.proxy import BodyTooLarge, ClientLeft
from gateway.web import Answer


class Written(asyncio.Transport):
    """A transport that remembers each write."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[bytes] = []
        self.aborted = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.writes.append(bytes(data))

    def writelines(self, list_of_data: Any) -> None:
        self.writes.append(b"".join(list_of_data))

    def is_closing(self) -> bool:
        return self.aborted

    def abort(self) -> None:
        self.aborted = True


class Wire(BaseProtocol):
    """As much of a client connection as a response needs."""

    def __init__(self) -> None:
        super().__init__(asyncio.get_running_loop())
        self.written = Written()
        self.transport = self.written
        self.ends = False
        self.ends_answer = False
        self.interim = 0

    def cut(self) -> None:
        self.written.abort()

    def note_interim(self) -> None:
        self.interim += 1


class Client:
    """One exchange."""

    def __init__(
        self, head: RequestHead = HEAD, *, keep_alive: bool = True, body: StreamReader = EMPTY_PAYLOAD
    ) -> None:
        self.wire = Wire()
        self.side = ClientSide(cast("Connection", self.wire), head, body, keep_alive=keep_alive)

    @property
    def text(self) -> bytes:
        return b"".join(self.wire.written.writes)


def respond(
    client: Client, framing: Framing, *chunks: bytes, status: int = 200, lines: Sequence[Line] = ()
) -> bytes:
    client.side.start(status, b"OK", lines, framing)
    for chunk in chunks:
        client.side.write(chunk)
    client.side.finish()
    return client.text


async def test_head_and_body_go_out_in_one_write_and_lines_as_they_came() -> None:
    client = Client()
    text = respond(client, Framing.LENGTH, b"abc", lines=[(b"ETag", b'"1"'), (b"content-length", b"3")])
    assert text == b'HTTP/1.1 200 OK\r\nETag: "1"\r\ncontent-length: 3\r\n\r\nabc'
    assert len(client.wire.written.writes) == 1


async def test_a_body_without_a_length_is_chunked() -> None:
    text = respond(Client(), Framing.CHUNKED, b"abc", b"", b"de")
    assert text.endswith(b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")


async def test_for_http_1_0_it_ends_with_the_connection() -> None:
    client = Client(replace(HEAD, version=(1, 0)))
    text = respond(client, Framing.CHUNKED, b"abc")
    assert text == b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nabc"
    assert not client.side.keep_alive
    assert client.wire.ends_answer


async def test_http_1_0_is_told_that_its_connection_stays() -> None:
    text = respond(Client(replace(HEAD, version=(1, 0))), Framing.LENGTH, lines=[(b"Content-Length", b"0")])
    assert b"Connection: keep-alive\r\n" in text


@pytest.mark.parametrize(("method", "status"), [("HEAD", 200), ("GET", 204), ("GET", 304)])
@pytest.mark.parametrize("framing", [Framing.LENGTH, Framing.CHUNKED, Framing.NONE, Framing.CLOSE])
async def test_what_has_no_body_gets_none(method: str, status: int, framing: Framing) -> None:
    client = Client(replace(HEAD, method=method))
    text = respond(client, framing, b"abc", status=status)
    assert text.endswith(b"\r\n\r\n")
    assert b"abc" not in text
    assert b"chunked" not in text
    assert client.side.keep_alive


async def test_a_connection_whose_request_body_is_not_read_is_not_used_again() -> None:
    body = StreamReader(Wire(), 2**16, loop=asyncio.get_running_loop())
    client = Client(replace(HEAD, framing=Framing.LENGTH, content_length=3), body=body)
    assert b"Connection: close\r\n" in respond(client, Framing.LENGTH, lines=[(b"Content-Length", b"0")])
    assert not client.side.keep_alive


async def test_the_head_is_not_held_back_from_a_client_that_waits() -> None:
    client = Client()
    client.side.start(200, b"OK", [], Framing.CHUNKED)
    assert client.text == b""
    await client.side.drain()
    assert client.text.startswith(b"HTTP/1.1 200 OK\r\n")


async def test_an_abort_sends_nothing_more() -> None:
    client = Client()
    client.side.start(200, b"OK", [(b"Content-Length", b"5")], Framing.LENGTH)
    client.side.abort()
    client.side.abort()
    assert client.text == b""
    assert client.wire.written.aborted
    assert not client.side.keep_alive


async def test_a_client_that_has_left_is_found_out_when_draining() -> None:
    client = Client()
    client.wire.transport = None
    client.side.start(200, b"OK", [], Framing.CHUNKED)
    client.side.write(b"abc")
    with pytest.raises(ClientLeft):
        await client.side.drain()
    assert client.side.status == 0


async def test_a_body_longer_than_allowed_is_not_read_on() -> None:
    body = StreamReader(Wire(), 2**16, loop=asyncio.get_running_loop())
    client = Client(replace(HEAD, framing=Framing.CHUNKED), body=body)
    client.side.limit_body(4)
    body.feed_data(b"abcd")
    assert await client.side.read() == b"abcd"
    body.feed_data(b"e")
    with pytest.raises(BodyTooLarge):
        await client.side.read()


async def test_100_continue_is_sent_once_and_only_to_those_who_wait() -> None:
    waiting = replace(
        HEAD, framing=Framing.LENGTH, content_length=3, fields=Fields([(b"Expect", b"100-continue")])
    )
    body = StreamReader(Wire(), 2**16, loop=asyncio.get_running_loop())
    client = Client(waiting, body=body)
    client.side.continue_()
    client.side.continue_()
    assert client.text == b"HTTP/1.1 100 Continue\r\n\r\n"
    other = Client(replace(HEAD, framing=Framing.LENGTH, content_length=3), body=body)
    other.side.continue_()
    assert other.text == b""


async def test_an_answer_of_our_own_has_length_and_date() -> None:
    client = Client()
    client.side.answer(Answer(status=200, lines=((b"Content-Type", b"text/plain"),), body=b"hi", close=True))
    assert b"Content-Length: 2\r\n" in client.text
    assert b"Date: " in client.text
    assert b"Connection: close\r\n" in client.text
    assert client.text.endswith(b"\r\n\r\nhi")


def waiting_client() -> tuple[Client, StreamReader]:
    """A client that waits to be asked for its body."""
    fields = Fields([(b"Expect", b"100-continue")])
    body = StreamReader(Wire(), 2**16, loop=asyncio.get_running_loop())
    return Client(replace(HEAD, framing=Framing.LENGTH, content_length=3, fields=fields), body=body), body


async def test_an_interim_response_goes_out_at_once_and_before_the_answer_only() -> None:
    client = Client()
    client.side.interim(103, b"Early Hints", [(b"Link", b"</a>"), (b"link", b"</b>")])
    assert client.text == b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nlink: </b>\r\n\r\n"
    client.side.interim(100, b"", [])
    assert client.text.endswith(b"\r\n\r\nHTTP/1.1 100 \r\n\r\n")
    before = client.text
    assert respond(client, Framing.LENGTH, lines=[(b"Content-Length", b"0")]).startswith(before)
    assert client.side.keep_alive
    before = client.text
    client.side.interim(103, b"Late", [])
    assert client.text == before
    assert client.wire.interim == 2


async def test_http_1_0_knows_no_interim_responses() -> None:
    client = Client(replace(HEAD, version=(1, 0)))
    client.side.interim(103, b"Early Hints", [(b"Link", b"</a>")])
    assert client.text == b""


async def test_a_client_that_waits_for_100_gets_one_whoever_says_it() -> None:
    client, _ = waiting_client()
    client.side.interim(103, b"Early Hints", [])
    client.side.interim(100, b"Go On", [(b"X-A", b"b")])
    client.side.interim(100, b"Continue", [])
    client.side.continue_()
    assert client.text == b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 100 Go On\r\nX-A: b\r\n\r\n"
    asked, _ = waiting_client()
    asked.side.continue_()
    asked.side.interim(100, b"Continue", [])
    assert asked.text == b"HTTP/1.1 100 Continue\r\n\r\n"


async def test_nobody_is_asked_for_what_has_begun_to_come() -> None:
    client, body = waiting_client()
    body.feed_data(b"a")
    client.side.continue_()
    client.side.interim(100, b"Continue", [])
    assert client.text == b""
    client, body = waiting_client()
    body.feed_data(b"a")
    await client.side.read()
    client.side.interim(100, b"Continue", [])
    assert client.text == b""


async def test_a_client_that_still_waits_may_send_its_body_after_the_answer_and_is_closed() -> None:
    client, _ = waiting_client()
    assert b"Connection: close\r\n" in respond(client, Framing.LENGTH, lines=[(b"Content-Length", b"0")])
    client.side.continue_()
    assert b" 100 " not in client.text


async def test_trailers_follow_the_last_chunk() -> None:
    client = Client()
    client.side.start(200, b"OK", [(b"Trailer", b"X-Sum")], Framing.CHUNKED)
    client.side.write(b"abc")
    client.side.finish([(b"X-Sum", b"1"), (b"x-SUM", b"caf\xe9")])
    assert client.text.endswith(b"3\r\nabc\r\n0\r\nX-Sum: 1\r\nx-SUM: caf\xe9\r\n\r\n")


@pytest.mark.parametrize(
    ("head", "framing"),
    [
        (replace(HEAD, version=(1, 0)), Framing.CHUNKED),
        (HEAD, Framing.LENGTH),
        (replace(HEAD, method="HEAD"), Framing.CHUNKED),
    ],
)
async def test_without_chunks_there_are_no_trailers(head: RequestHead, framing: Framing) -> None:
    client = Client(head)
    client.side.start(200, b"OK", [], framing)
    client.side.finish([(b"X-Sum", b"1")])
    assert b"X-Sum" not in client.text


async def test_a_426_names_the_upgrade_in_its_connection() -> None:
    text = respond(Client(), Framing.NONE, status=426, lines=[(b"upgrade", b"websocket")])
    assert b"upgrade: websocket\r\nConnection: Upgrade\r\n" in text
    assert b"Connection" not in respond(Client(), Framing.NONE, status=426)


async def test_whoever_waits_for_a_slow_client_hears_of_an_abort_before_it_is_cancelled() -> None:
    client = Client()
    client.side.start(200, b"OK", [], Framing.CHUNKED)
    client.wire.pause_writing()
    waiting = asyncio.ensure_future(client.side.drain())
    await asyncio.sleep(0)
    client.side.abort()
    # As the end of the connection does, which is told later.
    asyncio.get_running_loop().call_soon(waiting.cancel)
    with pytest.raises(ClientLeft):
        await waiting
    client.wire.resume_writing()
