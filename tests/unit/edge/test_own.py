"""The gateway's own endpoints wait for nobody for ever."""

import asyncio
from dataclasses import replace

import pytest
from aiohttp import StreamReader
from aiohttp.base_protocol import BaseProtocol
from support.heads import HEAD

from gateway.edge import own
from gateway.edge.client_side import ClientSide
from gateway.model import Fields, Framing, Reason, Refusal

JSON = replace(
    HEAD,
    method="POST",
    framing=Framing.LENGTH,
    content_length=20,
    fields=Fields([(b"Content-Type", b"application/json; charset=utf-8")]),
)


class Wire(BaseProtocol):
    """As much of a client connection as a request body needs."""


@pytest.fixture
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(own, "BODY_SECONDS", 0.02)


def side(*parts: bytes, ended: bool) -> ClientSide:
    loop = asyncio.get_running_loop()
    wire = Wire(loop)
    wire.transport = asyncio.Transport()
    body = StreamReader(wire, 2**16, loop=loop)
    for part in parts:
        body.feed_data(part)
    if ended:
        body.feed_eof()
    return ClientSide(wire, JSON, body, keep_alive=True)  # type: ignore[arg-type] # a part of one is enough


@pytest.mark.usefixtures("_soon")
async def test_a_body_that_does_not_arrive_is_408() -> None:
    refusal = await own._read_json(side(b'{"a"', ended=False), JSON)
    assert isinstance(refusal, Refusal)
    assert (refusal.reason, refusal.close) == (Reason.REQUEST_TIMEOUT, True)


async def test_a_body_in_parts_is_one_object() -> None:
    assert await own._read_json(side(b'{"a"', b": [1]}", ended=True), JSON) == {"a": [1]}


@pytest.mark.parametrize(
    "text",
    [
        b"[]",
        b"1",
        b"{",
        b"\xff",
        b'{"a": NaN}',
        b"[" * 100_000,
        b'{"a": 1, "a": 2}',
        b'{"a": {"b": 1, "b": 1}}',
    ],
)
async def test_what_is_not_one_plain_object_is_refused(text: bytes) -> None:
    refusal = await own._read_json(side(text, ended=True), JSON)
    assert isinstance(refusal, Refusal)
    assert refusal.reason in {Reason.INVALID_REQUEST, Reason.BODY_TOO_LARGE}
