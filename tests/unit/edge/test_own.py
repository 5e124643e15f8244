"""The gateway's own endpoints wait for nobody for ever."""

import asyncio
import json
import os
from dataclasses import replace
from pathlib import Path

import pytest
from aiohttp import StreamReader
from aiohttp.base_protocol import BaseProtocol
from support.auditing import auditor_on
from support.heads import HEAD, head_for

from gateway.config import Current, load_configuration
from gateway.edge import own
from gateway.edge.client_side import ClientSide
from gateway.edge.own import Call, Endpoint, OwnEndpoints
from gateway.model import Fields, Framing, Reason, Refusal
from gateway.observability import AccessLog, Metrics
from gateway.pipeline import Enforcer, Stages
from gateway.ports import SystemClock
from gateway.stores.memory import MemoryCounters
from gateway.stores.spool import SpoolWriter
from gateway.web import Answer

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


async def test_an_answer_that_cannot_be_written_down_is_logged_as_what_is_sent_instead(
    tmp_path: Path,
) -> None:
    (tmp_path / "policies.yaml").write_text("version: 1\nroutes: []\n")
    (tmp_path / "upstreams.yaml").write_text("version: 1\nupstreams: {}\n")
    snapshot = load_configuration(
        tmp_path / "policies.yaml", tmp_path / "upstreams.yaml", environ={}
    ).snapshot
    assert snapshot is not None
    spool, clock = SpoolWriter.open(tmp_path / "spool"), SystemClock()
    enforcer = Enforcer(
        current=Current(snapshot),
        stages=Stages(authenticators={}, counters=MemoryCounters(clock)),
        auditor=auditor_on(spool, clock),
        metrics=Metrics(),
    )

    async def answer(_call: Call) -> Answer:
        spool.close()
        return Answer(status=200, body=b"a token")

    reading, writing = os.pipe()
    log = AccessLog(enabled=True, as_json=True, descriptor=writing)
    log.start()
    endpoint = Endpoint(method="GET", path="/gateway/v1/x", name="gateway:x", answer=answer)
    endpoints = OwnEndpoints([endpoint], enforcer=enforcer, authenticators=(), access_log=log)
    client = side(ended=True)
    # Its client has left, which changes nothing about the log.
    client._connection.transport = None
    await endpoints.answer(client, head_for("/gateway/v1/x"))
    log.stop()
    os.close(writing)
    line = json.loads(os.read(reading, 4096))
    os.close(reading)
    assert (line["status"], line["reason"]) == (503, "audit-unavailable")
