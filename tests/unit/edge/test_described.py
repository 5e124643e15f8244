"""What a proxy says of a request, and the law that it is read as the request itself would be."""

from dataclasses import replace

import pytest
from aiohttp import HttpVersion11
from aiohttp.http_parser import RawRequestMessage
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict, CIMultiDictProxy
from support.heads import HEAD, head_for
from yarl import URL

from gateway.edge.described import described, is_check
from gateway.edge.head import HeadReader
from gateway.model import Fields, Line, Refusal, RequestHead, wants_websocket
from gateway.settings import load_settings

PEER = "10.0.0.1"
READER = HeadReader(load_settings({"GATEWAY_TRUSTED_PROXIES": "10.0.0.0/8"}))
SAID: dict[bytes, bytes] = {
    b"X-Forwarded-Method": b"GET",
    b"X-Forwarded-Proto": b"https",
    b"X-Forwarded-Host": b"api.example.com",
    b"X-Forwarded-Uri": b"/orders?a=1",
    b"X-Forwarded-For": b"192.0.2.7",
}


def asked(*lines: Line, path: str = "/gateway/v1/check", **changes: str) -> RequestHead:
    said = {**SAID, **{f"X-Forwarded-{name}".encode(): value.encode() for name, value in changes.items()}}
    return replace(
        head_for(path), fields=Fields(((b"Host", b"gw"), *said.items(), *lines)), peer_trusted=True
    )


def read(message: object) -> tuple[RequestHead, Refusal | None]:
    assert isinstance(message, RawRequestMessage)
    return READER.read(message, READER.block(message, PEER))


def test_the_head_is_that_of_the_original_request() -> None:
    head, refusal = read(described(asked((b"Authorization", b"Bearer x"))))
    assert refusal is None
    assert (head.method, head.target, head.host, head.scheme) == (
        "GET",
        "/orders?a=1",
        "api.example.com",
        "https",
    )
    assert (head.peer, head.client, head.peer_trusted) == (PEER, "192.0.2.7", True)
    assert head.fields.one(b"authorization") == b"Bearer x"
    assert head.certificate is None


def test_nothing_is_left_of_the_way_from_the_proxy() -> None:
    message = described(
        asked(
            *((b"Content-Length", b"5"), (b"Expect", b"100-continue"), (b"Connection", b"close, x")),
            *((b"Transfer-Encoding", b"chunked"), (b"Upgrade", b"h2c")),
        )
    )
    head, refusal = read(message)
    assert refusal is None
    assert head.content_length is None
    assert {name.lower() for name, _ in head.fields.lines} == {
        b"host",
        b"x-forwarded-proto",
        b"x-forwarded-for",
    }


@pytest.mark.parametrize("scheme", ["http", "https", "ws", "wss"])
def test_a_handshake_comes_by_http(scheme: str) -> None:
    head, _ = read(described(asked(Proto=scheme)))
    assert head.scheme == {"ws": "http", "wss": "https"}.get(scheme, scheme)


def test_the_key_of_a_handshake_makes_it_one() -> None:
    head, _ = read(described(asked((b"Sec-WebSocket-Key", b"x"))))
    assert wants_websocket(head.fields, head.version)
    head, _ = read(described(asked((b"Connection", b"upgrade"), (b"Upgrade", b"WebSocket"))))
    assert wants_websocket(head.fields, head.version)
    head, _ = read(described(asked()))
    assert not wants_websocket(head.fields, head.version)


def test_everything_that_is_missing_is_said_at_once() -> None:
    flaws = described(replace(asked(), fields=Fields(((b"Host", b"gw"),))))
    assert not isinstance(flaws, RawRequestMessage)
    assert {flaw["field"] for flaw in flaws} == {name.decode() for name in SAID}


@pytest.mark.parametrize(
    "hops", ["192.0.2.7", "unknown, 192.0.2.7", "192.0.2.7, 10.0.0.9", '"[2001:db8::1]:47"']
)
def test_the_client_is_the_right_most_hop_that_is_not_a_proxy(hops: str) -> None:
    head, _ = read(described(asked(For=hops)))
    assert head.client in {"192.0.2.7", "2001:db8::1"}


@pytest.mark.parametrize("hops", ["unknown", "192.0.2.7,", "192.0.2.7, _hidden"])
def test_a_client_without_an_address_is_not_taken_for_the_proxy(hops: str) -> None:
    assert described(asked(For=hops)) == (
        {"field": "X-Forwarded-For", "message": "does not end with an address"},
    )


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/gateway/v1/check", True),
        ("/gateway/v1/check/", True),
        ("/gateway/v1/check/x", True),
        ("/gateway/v1/checks", False),
        ("/gateway/v1", False),
        ("/x/gateway/v1/check", False),
    ],
)
def test_the_check_is_at_its_path_and_below(path: str, expected: bool) -> None:
    assert is_check(head_for(path)) is expected


TARGETS = st.one_of(
    st.lists(
        st.sampled_from(
            ["a", "orders", "%2f", "%41", "%", "%zz", ".", "..", "", ";x", "\\", "%00", "{", "#"]
        ),
        max_size=5,
    ).map(lambda parts: "/" + "/".join(parts)),
    st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), max_size=30).map(lambda text: "/" + text),
)
HOSTS = st.sampled_from(
    ["api.example.com", "API.example.com.:8080", "a b", "[::1]:80", "u@h", "a,b", "x:99999"]
)
METHODS = st.sampled_from(["GET", "POST", "TRACE", "CONNECT", "DESCRIBE", "PROPFIND"])


@given(target=TARGETS, host=HOSTS, method=METHODS)
def test_what_is_described_is_read_as_if_it_had_come_itself(target: str, host: str, method: str) -> None:
    lines = ((b"Host", host.encode()), (b"X-Forwarded-Proto", b"https"), (b"X-Forwarded-For", b"192.0.2.7"))
    itself = RawRequestMessage(
        method,
        target,
        HttpVersion11,
        CIMultiDictProxy(CIMultiDict()),
        lines,
        False,
        None,
        False,
        False,
        URL(),
    )
    head, refusal = read(described(asked(Uri=target, Host=host, Method=method)))
    same, same_refusal = read(itself)
    assert (head.method, head.target, head.segments, head.query) == (
        same.method,
        same.target,
        same.segments,
        same.query,
    )
    assert (head.oddities, head.host, head.client, head.scheme) == (
        same.oddities,
        same.host,
        same.client,
        same.scheme,
    )
    assert (refusal and refusal.reason) == (same_refusal and same_refusal.reason)


@pytest.mark.parametrize("target", ["/orders?x=1", "/", "/a%2fb", "/a?status=auth", "/a//b"])
def test_the_path_below_the_check_is_that_of_the_original_request(target: str) -> None:
    given = replace(
        head_for("/gateway/v1/check" + target),
        method="POST",
        fields=Fields(((b"Host", b"api.example.com"), (b"X-Forwarded-For", b"192.0.2.7"))),
        peer_trusted=True,
    )
    head, _ = read(described(given))
    assert (head.method, head.target, head.host, head.client) == (
        "POST",
        target,
        "api.example.com",
        "192.0.2.7",
    )


def test_the_path_below_the_check_needs_a_client_too() -> None:
    given = replace(head_for("/gateway/v1/check/x"), fields=HEAD.fields)
    assert described(given) == ({"field": "X-Forwarded-For", "message": "is missing"},)
