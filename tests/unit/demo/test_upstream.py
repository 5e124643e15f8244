"""The demo's service, in its own process and in ours."""

import asyncio
import hashlib
import json
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer

from gateway.demo.upstream import make_app

Client = TestClient[Any, Any]


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    async with TestClient(TestServer(make_app()), auto_decompress=False) as client:
        yield client


async def test_orders_can_be_listed_created_shown_and_refunded_once(client: Client) -> None:
    assert [order["id"] for order in (await (await client.get("/orders")).json())["items"]] == [1, 2, 3]
    created = await client.post("/orders", json={"item": "Filter", "total": 300})
    assert (created.status, created.headers["location"]) == (201, "/orders/4")
    assert (await (await client.get("/orders/4")).json())["status"] == "paid"
    assert (await (await client.post("/orders/4/refund")).json())["status"] == "refunded"
    assert (await client.post("/orders/4/refund")).status == 409


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{", b"\xff", b'{"item": "", "total": 1}', b'{"item": "x", "total": true}']
)
async def test_an_order_that_makes_no_sense_is_answered_400(client: Client, body: bytes) -> None:
    answer = await client.post("/orders", data=body)
    assert answer.status == 400
    assert "error" in await answer.json()


@pytest.mark.parametrize("id", ["0", "99", "x", "٣", "1" * 5000])
async def test_an_order_that_does_not_exist_is_answered_404(client: Client, id: str) -> None:
    assert (await client.get(f"/orders/{id}")).status == 404
    assert (await client.post(f"/orders/{id}/refund")).status == 404


async def test_a_user_and_the_health_answer(client: Client) -> None:
    assert (await (await client.get("/users/usr_1")).json())["id"] == "usr_1"
    assert (await client.get("/healthz")).status == 200


async def test_a_report_has_figures_when_there_is_one(client: Client) -> None:
    assert await (await client.get("/reports/2026-q2")).json() == {
        "id": "2026-q2",
        "revenue": 4531000,
        "profit": 748000,
    }
    assert (await client.get("/reports/1999-q1")).status == 404


async def test_echo_tells_the_target_the_header_lines_in_order_and_the_body(client: Client) -> None:
    body = b"\x00\xff" * 1000
    head = b"PATCH /echo/a%2Fb%0a?x=%zz HTTP/1.1\r\nHost: h\r\nX-Dup: a\r\nx-dup: b\r\nContent-Length: 2000\r\n\r\n"
    reader, writer = await asyncio.open_connection(client.host, client.port)
    writer.write(head + body)
    raw_head = await reader.readuntil(b"\r\n\r\n")
    length = int(raw_head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
    told = json.loads(await reader.readexactly(length))
    writer.close()
    await writer.wait_closed()
    assert (told["method"], told["target"]) == ("PATCH", "/echo/a%2Fb%0a?x=%zz")
    assert told["headers"][1:3] == [["X-Dup", "a"], ["x-dup", "b"]]
    assert told["body"] == {"bytes": 2000, "sha256": hashlib.sha256(body).hexdigest()}


async def test_a_stream_sends_each_chunk_when_it_is_made(client: Client) -> None:
    async with client.get("/stream", params={"chunks": 2, "interval": 30}) as answer:
        assert await answer.content.readline() == b"chunk 1\n"
        assert not answer.content.at_eof()


async def test_events_are_server_sent_events(client: Client) -> None:
    answer = await client.get("/events?chunks=2&interval=0")
    assert answer.content_type == "text/event-stream"
    assert await answer.text() == "id: 1\ndata: chunk 1\n\nid: 2\ndata: chunk 2\n\n"


@pytest.mark.parametrize("size", [0, 1, 65536, 65537, 3_000_000])
async def test_a_download_has_the_length_that_it_announces(client: Client, size: int) -> None:
    answer = await client.get(f"/download?bytes={size}")
    assert answer.headers["content-length"] == str(size)
    assert len(await answer.read()) == size


async def test_an_upload_is_counted_and_not_kept(client: Client) -> None:
    body = b"x" * 3_000_000
    answer = await client.put("/upload", data=BytesIO(body))
    assert await answer.json() == {"bytes": len(body), "sha256": hashlib.sha256(body).hexdigest()}


@pytest.mark.parametrize("query", ["bytes=-1", "bytes=x", "bytes=nan", "bytes=inf", "bytes=1e99"])
async def test_a_number_that_is_none_is_answered_400(client: Client, query: str) -> None:
    assert (await client.get(f"/download?{query}")).status == 400


@pytest.fixture
def process() -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "gateway.demo.upstream", "--port", "0", "--until-stdin-ends"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        try:
            yield process
        finally:
            process.kill()


def test_the_process_says_where_it_listens_and_ends_with_its_standard_input(
    process: subprocess.Popen[bytes],
) -> None:
    assert process.stdout is not None
    assert process.stdin is not None
    assert process.stdout.readline().startswith(b"demo upstream listens on http://127.0.0.1:")
    process.stdin.close()
    assert process.wait(timeout=10) == 0


def test_the_process_ends_with_a_signal(process: subprocess.Popen[bytes]) -> None:
    assert process.stdout is not None
    process.stdout.readline()
    process.terminate()
    assert process.wait(timeout=10) == 0


def test_a_taken_port_is_said_and_nothing_starts(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        command = [sys.executable, "-m", "gateway.demo.upstream", "--port", str(port)]
        ended = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False, cwd=tmp_path)
    assert ended.returncode == 1
    assert ended.stderr.startswith(f"cannot listen on 127.0.0.1:{port}: ")
    assert "Traceback" not in ended.stderr
