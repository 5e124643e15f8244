"""What the parser's complaints mean, whatever else is in the line."""

import asyncio

import pytest
from aiohttp.base_protocol import BaseProtocol
from aiohttp.http_parser import HttpRequestParser

from gateway.edge.flaws import flaw_of

TARGET = 256
FIELD = 1024

HEADS = [
    (b"FOO / HTTP/1.1\r\n", "not-implemented"),
    (b"get / HTTP/1.1\r\n", "not-implemented"),
    (b"GETX / HTTP/1.1\r\n", "not-implemented"),
    (b"VERSION-CONTROL / HTTP/1.1\r\n", "not-implemented"),
    (b"!#$%&'*+ / HTTP/1.1\r\n", "not-implemented"),
    (b"\x16\x03\x01\x02\x00", "malformed-request"),
    (b"\x80\x01", "malformed-request"),
    (b"{GET / HTTP/1.1\r\n", "malformed-request"),
    (b"GET\x00/ HTTP/1.1\r\n", "malformed-request"),
    (b"GET\t/ HTTP/1.1\r\n", "malformed-request"),
    (b"GET\r\nHost: a\r\n\r\n", "malformed-request"),
    (b"GE\r\n", "malformed-request"),
    (b"FOO\r\n", "not-implemented"),
    (b"(GET)\n", "malformed-request"),
    (b"GET / HTTP/3.0\r\n", "http-version"),
    (b"GET / HTTP/1.2\r\n", "http-version"),
    (b"GET /Invalid%20HTTP%20version: HTTQ/1.1\r\n", "malformed-request"),
    (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "http-version"),
    (b"GET / HTTQ/1.1\r\n", "malformed-request"),
    (b"GET / \r\n\r\n", "malformed-request"),
    (b"GET /a b HTTP/1.1\r\n", "malformed-request"),
    (b"GET /\xff HTTP/1.1\r\n", "ambiguous-path"),
    (b"GET /" + b"a" * TARGET + b" HTTP/1.1\r\n", "uri-too-long"),
    (b"GET / HTTP/1.1\r\nX-256: " + b"2" * FIELD + b"\r\n", "headers-too-large"),
    (b"GET / HTTP/1.1\r\n" + b"256" * FIELD + b": a\r\n", "headers-too-large"),
    (b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 300, "headers-too-large"),
    (b"GET / HTTP/1.1\r\nToo many headers received\r\n\r\n", "malformed-request"),
    (b"GET / HTTP/1.1\r\nX: a\x00b\r\n\r\n", "malformed-request"),
    (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", "malformed-request"),
    (b"GET / HTTP/1.1\r\n\r\n", "malformed-request"),
    (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: " + b"9" * 900 + b"\r\n\r\n", "malformed-request"),
]


@pytest.mark.parametrize("step", [1, 7, 100_000])
@pytest.mark.parametrize(("head", "reason"), HEADS)
async def test_a_flaw_has_its_reason_in_whatever_pieces_it_comes(head: bytes, reason: str, step: int) -> None:
    loop = asyncio.get_running_loop()
    parser = HttpRequestParser(
        BaseProtocol(loop), loop, 2**16, max_line_size=TARGET, max_field_size=FIELD, max_headers=256
    )
    error = None
    try:
        for at in range(0, len(head), step):
            parser.feed_data(head[at : at + step])
    except Exception as complaint:  # noqa: BLE001 - whatever the parser raises
        error = complaint
    assert error is not None
    found, diagnosis = flaw_of(error, longest_target=TARGET)
    assert found == reason
    assert 0 < len(diagnosis) < 50


def test_an_unknown_complaint_is_400() -> None:
    assert flaw_of(ValueError("canary"), longest_target=TARGET)[0] == "malformed-request"
    assert "canary" not in flaw_of(ValueError("canary"), longest_target=TARGET)[1]
