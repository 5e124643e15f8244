"""Step 1: what is read, and what is refused because it could be read in two ways."""

import uuid

import pytest
from aiohttp import HttpVersion, HttpVersion10, HttpVersion11
from aiohttp.http_parser import RawRequestMessage
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from gateway.edge.head import HeadReader
from gateway.edge.request_id import request_id
from gateway.model import Framing, Reason, Refusal, RequestHead
from gateway.settings import load_settings

HOST = (b"Host", b"api.example.com")


def message(
    target: str = "/orders/17?a=1",
    *lines: tuple[bytes, bytes],
    method: str = "GET",
    version: HttpVersion = HttpVersion11,
    host: bool = True,
) -> RawRequestMessage:
    raw = (HOST, *lines) if host else lines
    chunked = any(name.lower() == b"transfer-encoding" for name, _ in raw)
    return RawRequestMessage(
        method, target, version, CIMultiDictProxy(CIMultiDict()), raw, False, None, False, chunked, URL("/")
    )


def read(given: RawRequestMessage, *, peer: str = "192.0.2.7", **environ: str) -> RequestHead | Refusal:
    settings = load_settings({f"GATEWAY_{name}": value for name, value in environ.items()})
    reader = HeadReader(settings)
    head, refusal = reader.read(given, reader.block(given, peer))
    return refusal or head


def test_a_block_of_lines_is_that_of_the_same_lines_in_the_same_version_only() -> None:
    block = HeadReader(load_settings({})).block(message("/a", (b"X-Key", b"secret")), "192.0.2.7")
    assert block.is_of(message("/b", (b"X-Key", b"secret"), method="POST"))
    assert not block.is_of(message("/a", (b"X-Key", b"other")))
    assert not block.is_of(message("/a", (b"x-key", b"secret")))
    assert not block.is_of(message("/a", (b"X-Key", b"secret"), (b"X-Key", b"secret")))
    assert not block.is_of(message("/a", (b"X-Key", b"secret"), version=HttpVersion10))
    assert block.size == len("Host: api.example.com\r\nX-Key: secret\r\n")
    assert "secret" not in repr(block)


def test_what_is_known_of_the_lines_holds_for_every_request_that_repeats_them() -> None:
    reader = HeadReader(load_settings({}))
    block = reader.block(message("/a"), "192.0.2.7")
    first, _ = reader.read(message("/a?x=1"), block)
    second, refused = reader.read(message("/b//c", method="POST"), block)
    third, flawed = reader.read(message("/" + "a" * 8192), block)
    assert (first.path, first.query, first.method) == ("/a", "x=1", "GET")
    assert (second.path, second.method, second.oddities) == ("/b//c", "POST", frozenset({"double_slash"}))
    assert refused is None
    assert flawed is not None
    assert flawed.reason is Reason.URI_TOO_LONG
    assert len({first.id, second.id, third.id}) == 3
    assert first.fields is second.fields


def test_a_plain_request_is_read_whole() -> None:
    head = read(message("/orders/b%20c/?a=1&b"))
    assert isinstance(head, RequestHead)
    assert (head.path, head.query, head.segments) == ("/orders/b%20c/", "a=1&b", ("orders", "b c", ""))
    assert (head.host, head.authority, head.client, head.framing) == (
        "api.example.com",
        "api.example.com",
        "192.0.2.7",
        Framing.NONE,
    )


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (message(version=HttpVersion(2, 0)), Reason.HTTP_VERSION),
        (message(version=HttpVersion(0, 9)), Reason.HTTP_VERSION),
        (message(method="CONNECT"), Reason.METHOD_NOT_ALLOWED),
        (message(method="TRACE"), Reason.METHOD_NOT_ALLOWED),
        (message(method="DESCRIBE"), Reason.NOT_IMPLEMENTED),
        (message("/" + "a" * 8192), Reason.URI_TOO_LONG),
        (message("/", *[(b"X-%d" % n, b"v" * 4000) for n in range(10)]), Reason.HEADERS_TOO_LARGE),
        (message("/", (b"Transfer-Encoding", b"gzip, chunked")), Reason.NOT_IMPLEMENTED),
        (message("/", (b"Transfer-Encoding", b"")), Reason.NOT_IMPLEMENTED),
        (message("/", (b"Transfer-Encoding", b",chunked")), Reason.NOT_IMPLEMENTED),
        (
            message("/", (b"Transfer-Encoding", b"chunked"), (b"Transfer-Encoding", b"chunked")),
            Reason.NOT_IMPLEMENTED,
        ),
        (
            message("/", (b"Transfer-Encoding", b"chunked"), (b"Content-Length", b"4")),
            Reason.MALFORMED_REQUEST,
        ),
        (message("/", (b"Transfer-Encoding", b"chunked"), version=HttpVersion10), Reason.MALFORMED_REQUEST),
        (message("/", (b"Content-Length", b"4"), (b"Content-Length", b"4")), Reason.MALFORMED_REQUEST),
        (message("/", (b"Content-Length", b"18446744073709551615")), Reason.MALFORMED_REQUEST),
        (message("/", (b"Content-Length", b"+4")), Reason.MALFORMED_REQUEST),
        (message("/", (b"Content-Length", b"")), Reason.MALFORMED_REQUEST),
        (message("/", (b"Content-Length", "٣".encode())), Reason.MALFORMED_REQUEST),
        (message("/", host=False), Reason.MALFORMED_REQUEST),
        (message("/", HOST), Reason.MALFORMED_REQUEST),
        (message("/", (b"Host", b"a,b"), host=False), Reason.MALFORMED_REQUEST),
        (message("/", (b"Host", b"user@api.example.com"), host=False), Reason.MALFORMED_REQUEST),
        (message("/", (b"Host", b""), host=False), Reason.MALFORMED_REQUEST),
        (message("/", (b"Expect", b"200-ok")), Reason.EXPECTATION_FAILED),
        (
            message("/", (b"Connection", b"Upgrade"), (b"Upgrade", b"websocket"), (b"Content-Length", b"4")),
            Reason.MALFORMED_REQUEST,
        ),
        (message("admin"), Reason.MALFORMED_REQUEST),
        (message("*"), Reason.MALFORMED_REQUEST),
        (message("http://evil.example.com/x"), Reason.MALFORMED_REQUEST),
        (message("http://user@api.example.com/x"), Reason.MALFORMED_REQUEST),
        (message("ftp://api.example.com/x"), Reason.MALFORMED_REQUEST),
        (message("/a/../b"), Reason.AMBIGUOUS_PATH),
        (message("/a%2f../b"), Reason.AMBIGUOUS_PATH),
        (message("/a#b"), Reason.AMBIGUOUS_PATH),
        (message("//../a"), Reason.AMBIGUOUS_PATH),
    ],
)
def test_what_could_be_read_in_two_ways_is_refused(given: RawRequestMessage, reason: Reason) -> None:
    refusal = read(given)
    assert isinstance(refusal, Refusal)
    assert refusal.reason is reason
    assert refusal.head is not None
    assert refusal.head.client == "192.0.2.7"


def test_the_absolute_form_of_our_own_host_becomes_the_origin_form() -> None:
    head = read(message("http://API.example.com?x=1"))
    assert isinstance(head, RequestHead)
    assert head.target == "/?x=1"


def test_options_for_the_server_itself_has_no_segments() -> None:
    head = read(message("*", method="OPTIONS"))
    assert isinstance(head, RequestHead)
    assert (head.path, head.segments) == ("*", ())


def test_options_for_our_host_without_a_path_are_for_the_server_itself() -> None:
    head = read(message("http://api.example.com", method="OPTIONS"))
    assert isinstance(head, RequestHead)
    assert (head.target, head.path, head.segments) == ("*", "*", ())
    with_path = read(message("http://api.example.com/", method="OPTIONS"))
    assert isinstance(with_path, RequestHead)
    assert with_path.target == "/"


def test_spellings_that_only_some_upstreams_take_are_named_and_not_refused_yet() -> None:
    head = read(message("/a;b%2fc?d//e"))
    assert isinstance(head, RequestHead)
    assert (head.target, head.segments) == ("/a;b%2fc?d//e", ("a;b/c",))
    assert head.oddities == {"semicolon", "encoded_slash"}


def test_a_handshake_may_say_that_it_has_no_body() -> None:
    upgrade = ((b"Connection", b"Upgrade"), (b"Upgrade", b"websocket"))
    assert isinstance(read(message("/", *upgrade, (b"Content-Length", b"0"))), RequestHead)


def test_http_1_0_needs_no_host() -> None:
    head = read(message(host=False, version=HttpVersion10))
    assert isinstance(head, RequestHead)
    assert head.host is None


def test_a_stranger_s_forwarding_fields_are_not_believed() -> None:
    head = read(message("/", (b"X-Forwarded-For", b"203.0.113.9"), (b"X-Forwarded-Proto", b"https")))
    assert isinstance(head, RequestHead)
    assert (head.client, head.scheme, head.peer_trusted) == ("192.0.2.7", "http", False)


@pytest.mark.parametrize(
    ("lines", "client"),
    [
        ([(b"X-Forwarded-For", b"198.51.100.1, 203.0.113.9, 192.0.2.8")], "203.0.113.9"),
        ([(b"X-Forwarded-For", b"198.51.100.1"), (b"X-Forwarded-For", b"203.0.113.9")], "203.0.113.9"),
        ([(b"X-Forwarded-For", b"203.0.113.9, garbage")], "192.0.2.7"),
        ([(b"X-Forwarded-For", b"203.0.113.9:4711")], "203.0.113.9"),
        ([(b"X-Forwarded-For", b"[2001:db8::1]:4711")], "2001:db8::1"),
        ([(b"X-Forwarded-For", b"::ffff:203.0.113.9")], "203.0.113.9"),
        ([(b"X-Forwarded-For", b"192.0.2.8, 192.0.2.9")], "192.0.2.8"),
        ([(b"Forwarded", b'for=198.51.100.1, for="[2001:db8::2]:80";proto=https')], "2001:db8::2"),
        ([], "192.0.2.7"),
    ],
)
def test_the_client_is_the_right_most_hop_that_is_not_trusted(
    lines: list[tuple[bytes, bytes]], client: str
) -> None:
    head = read(message("/", *lines), TRUSTED_PROXIES="192.0.2.0/24")
    assert isinstance(head, RequestHead)
    assert head.client == client


def test_a_unix_socket_is_trusted_only_when_the_settings_say_so() -> None:
    forwarded = message("/", (b"X-Forwarded-For", b"203.0.113.9"))
    believed = read(forwarded, peer="", TRUSTED_PROXIES="unix")
    ignored = read(forwarded, peer="")
    assert isinstance(believed, RequestHead)
    assert isinstance(ignored, RequestHead)
    assert (believed.client, ignored.client) == ("203.0.113.9", "")


def test_ids_are_different_uuids_that_grow_with_time() -> None:
    ids = {head.id for _ in range(2000) if isinstance(head := read(message()), RequestHead)}
    assert len(ids) == 2000
    assert all(uuid.UUID(text).version == 7 and uuid.UUID(text).variant == uuid.RFC_4122 for text in ids)
    assert request_id(1_000_000.0)[:13] < request_id(1_000_000.001)[:13] < request_id(2_000_000.0)[:13]
