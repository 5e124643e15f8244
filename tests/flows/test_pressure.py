"""Clients that are too slow, too many or no clients at all: each gets an answer, and each answer is recorded."""

import json
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from flows_gateway import POLICIES, UPSTREAMS
from support.gateway import Gateway, eventually, running_gateway
from support.raw import Raw, RawReply

HOST = b"Host: localhost\r\n"
GET = b"GET /healthz HTTP/1.1\r\n" + HOST + b"\r\n"
CANARY = "canary-4711"
MOST = 4


@pytest.fixture(scope="module")
def strict(service: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway that waits for nobody and lets few in."""
    environ = {
        "TEST_SERVICE": service,
        "GATEWAY_HEADER_TIMEOUT": "400ms",
        "GATEWAY_MAX_CONNECTIONS": str(MOST),
        "GATEWAY_MAX_TARGET_BYTES": "256B",
        "GATEWAY_MAX_HEADER_BYTES": "1KiB",
    }
    with running_gateway(
        tmp_path_factory.mktemp("strict"), policies=POLICIES, upstreams=UPSTREAMS, environ=environ
    ) as gateway:
        yield gateway


def is_problem(reply: RawReply | None, status: int, slug: str) -> str:
    """Return the request id of a problem that ends its connection and repeats nothing."""
    assert reply is not None
    body = json.loads(reply.body)
    assert (reply.status, body["type"]) == (status, f"urn:gateway:problem:{slug}")
    assert reply.header("content-type") == "application/problem+json"
    assert reply.header("connection") == "close"
    assert CANARY.encode() not in reply.head + reply.body
    request_id = reply.header("x-request-id")
    assert request_id is not None
    return request_id


def recorded(gateway: Gateway, *request_ids: str) -> dict[str, dict[str, Any]]:
    """Return the decisions on these requests, and check that nothing of a line is anywhere."""
    found = eventually(
        lambda: (
            (all_of_them := {one["request_id"]: one for one in gateway.audit("--kind", "decision")})
            and set(request_ids) <= set(all_of_them)
            and all_of_them
        )
    )
    assert CANARY not in json.dumps(found)
    assert not [line for line in gateway.lines if CANARY in line]
    return {request_id: found[request_id] for request_id in request_ids}


def sent(raw: Raw, data: bytes, how: str) -> None:
    if how == "at once":
        raw.send(data)
    elif how == "at line ends":
        raw.send_split([line + b"\n" for line in data.split(b"\n")[:-1]], pause=0.001)
    else:
        # What is long is long all the same in larger pieces, and on a busy machine in time.
        singly = [data[at : at + 1] for at in range(min(len(data), 200))]
        raw.send_split([*singly, *(data[at : at + 32] for at in range(200, len(data), 32))], pause=0)


SECRET = CANARY.encode()
GARBAGE = [
    pytest.param(b"GET / HTTP/1.1\r\nbad " + SECRET + b"\r\n\r\n", 400, "malformed-request", id="400"),
    pytest.param(b"BREW /" + SECRET + b" HTTP/1.1\r\n\r\n", 501, "not-implemented", id="501"),
    pytest.param(b"GET /" + SECRET + b" HTTP/3.0\r\n\r\n", 505, "http-version", id="505"),
    pytest.param(b"GET /" + SECRET + b"a" * 300 + b" HTTP/1.1\r\n\r\n", 414, "uri-too-long", id="414"),
    pytest.param(
        b"GET / HTTP/1.1\r\nX: " + SECRET + b"a" * 1100 + b"\r\n\r\n", 431, "headers-too-large", id="431"
    ),
    pytest.param(b"\x16\x03\x01" + SECRET + b"\r\n\r\n", 400, "malformed-request", id="TLS"),
]


@pytest.mark.parametrize("how", ["at once", "at line ends", "byte by byte"])
@pytest.mark.parametrize(("garbage", "status", "slug"), GARBAGE)
def test_a_request_before_garbage_is_answered_and_then_the_garbage_is_refused(
    strict: Gateway, garbage: bytes, status: int, slug: str, how: str
) -> None:
    with Raw(strict.port) as raw:
        sent(raw, GET + garbage + GET, how)
        assert answered(raw) == 200
        is_problem(raw.reply(), status, slug)
        assert raw.is_closed()


def test_garbage_is_in_the_trail_beside_what_came_before_it(strict: Gateway) -> None:
    expected: dict[str, tuple[str, int, str]] = {}
    for case in GARBAGE:
        garbage, status, slug = case.values
        assert isinstance(garbage, bytes)
        assert isinstance(status, int)
        with Raw(strict.port) as raw:
            raw.send(GET + garbage)
            first = raw.reply()
            assert first is not None
            expected[first.header("x-request-id") or ""] = ("allow", 0, "ok")
            expected[is_problem(raw.reply(), status, str(slug))] = ("deny", status, str(slug))
    records = recorded(strict, *expected)
    assert expected == {
        request_id: (one["decision"], one["status"] or 0, one["reason"])
        for request_id, one in records.items()
    }
    assert {one["source_ip"] for one in records.values()} == {"127.0.0.1"}


def test_a_head_that_does_not_end_is_408_and_recorded(strict: Gateway) -> None:
    answered: set[str] = set()
    starts = (b"G", b"GET /x HTTP/1.1\r\n" + HOST, b"GET /x HTTP/1.1\r\nAuthorization: Bearer " + SECRET)
    with ExitStack() as stack:
        raws = [stack.enter_context(Raw(strict.port)) for _ in starts]
        begun = time.monotonic()
        for raw, start in zip(raws, starts, strict=True):
            raw.send(start)
        for raw in raws:
            answered.add(is_problem(raw.reply(), 408, "request-timeout"))
            assert raw.is_closed()
        assert 0.3 < time.monotonic() - begun < 2.0
    assert {one["status"] for one in recorded(strict, *answered).values()} == {408}


def test_whoever_says_nothing_is_closed_without_a_word(strict: Gateway) -> None:
    with Raw(strict.port, timeout=3.0) as raw:
        assert raw.is_closed()


def test_one_client_too_many_is_503_and_recorded_and_the_others_do_not_notice(strict: Gateway) -> None:
    with ExitStack() as stack:
        inside = [stack.enter_context(Raw(strict.port)) for _ in range(MOST)]
        for one in inside:
            one.send(GET)
            assert answered(one) == 200
        with Raw(strict.port) as raw:
            raw.send(b"POST /upload HTTP/1.1\r\n" + HOST + b"Content-Length: 900000\r\n\r\n" + b"x" * 900_000)
            reply = raw.reply()
            request_id = is_problem(reply, 503, "overloaded")
            assert reply is not None
            assert reply.header("retry-after") == "1"
        for one in inside:
            one.send(GET)
            assert answered(one) == 200
    assert recorded(strict, request_id)[request_id]["reason"] == "overloaded"
    eventually(lambda: strict.request("GET", "/healthz").status == 200)


def answered(raw: Raw) -> int | None:
    reply = raw.reply()
    return None if reply is None else reply.status


@pytest.mark.parametrize(
    ("over", "status"), [(-1, 404), (0, 404), (1, 414)], ids=["below the limit", "at the limit", "over it"]
)
def test_the_limit_of_a_target_is_exact(strict: Gateway, over: int, status: int) -> None:
    with Raw(strict.port) as raw:
        raw.send(b"GET /" + b"a" * (255 + over) + b" HTTP/1.1\r\n" + HOST + b"\r\n")
        assert answered(raw) == status


@pytest.mark.parametrize(
    ("over", "status"), [(-1, 200), (0, 200), (1, 431)], ids=["below the limit", "at the limit", "over it"]
)
@pytest.mark.parametrize("lines", [1, 7])
def test_the_limit_of_fields_is_exact(strict: Gateway, over: int, status: int, lines: int) -> None:
    left = 1024 - len(HOST) + over
    fields = [b"X: %b\r\n" % (b"a" * (left // lines - 5)) for _ in range(lines - 1)]
    fields.append(b"X: %b\r\n" % (b"a" * (left - sum(map(len, fields)) - 5)))
    with Raw(strict.port) as raw:
        raw.send(b"GET /healthz HTTP/1.1\r\n" + HOST + b"".join(fields) + b"\r\n")
        assert answered(raw) == status


def test_an_upload_that_stalls_is_408(service: str, tmp_path: Path) -> None:
    impatient = UPSTREAMS.replace("idle: 20s", "idle: 300ms")
    with (
        running_gateway(
            tmp_path / "own", policies=POLICIES, upstreams=impatient, environ={"TEST_SERVICE": service}
        ) as gateway,
        Raw(gateway.port) as raw,
    ):
        raw.send(b"POST /upload HTTP/1.1\r\n" + HOST + b"Content-Length: 10\r\n\r\nabc")
        is_problem(raw.reply(), 408, "request-timeout")
        assert raw.is_closed()
