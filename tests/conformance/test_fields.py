"""Header fields arrive as they were sent, or not at all: order, case, multiplicity, bytes."""

import pytest
from support.conformance import Conversation, response

GET = b"GET /plain/x HTTP/1.1"
OURS = {"x-request-id", "x-forwarded-proto", "x-forwarded-for", "x-forwarded-host", "via", "traceparent"}
"""What the gateway adds to a request of nobody in particular."""


def refused_response(talk: Conversation, head: bytes) -> None:
    """Check that a response whose head is broken is a 502 that shows nothing of it."""
    answer = talk.answered(head, ends=True)
    assert answer.status == 502
    assert answer.slug == "upstream-protocol-error"
    assert b"xyz" not in answer.body
    assert answer.values("x-xyz") == []


def test_several_set_cookie_lines_stay_several_lines(talk: Conversation) -> None:
    """RFC 6265 3; Go httputil, node-http-proxy."""
    cookies = (b"Set-Cookie: a=1; Path=/", b"set-cookie: b=2", b"Set-Cookie: a=3")
    answer = talk.answered(response(*cookies))
    assert tuple(line for line in answer.lines if line.lower().startswith(b"set-cookie")) == cookies


def test_request_lines_that_differ_in_case_all_arrive_in_order(talk: Conversation) -> None:
    """RFC 9110 5.3."""
    seen = talk.forwarded(GET, b"x-dup: a", b"X-Other: o", b"X-DUP: b", b"x-Dup: c")
    assert seen.values("x-dup") == [b"a", b"b", b"c"]
    assert [line for line in seen.lines if line.lower().startswith(b"x-dup")] == [
        b"x-dup: a",
        b"X-DUP: b",
        b"x-Dup: c",
    ]


def test_response_lines_that_differ_in_case_all_arrive_in_order(talk: Conversation) -> None:
    """RFC 9110 5.3; Go httputil, YARP."""
    answer = talk.answered(response(b"X-Multi: 1", b"X-Other: o", b"X-MULTI: 2"))
    lines = [line for line in answer.lines if line.lower().startswith((b"x-multi", b"x-other"))]
    assert lines == [b"X-Multi: 1", b"X-Other: o", b"X-MULTI: 2"]


@pytest.mark.parametrize("value", [b"caf\xe9", "café €".encode(), bytes(range(0x80, 0x100)), b"a\tb"])
def test_a_value_beyond_ascii_arrives_byte_for_byte(talk: Conversation, value: bytes) -> None:
    """RFC 9110 5.5; YARP."""
    assert talk.forwarded(GET, b"X-Opaque: " + value).values("x-opaque") == [value]
    assert talk.answered(response(b"X-Opaque: " + value)).values("x-opaque") == [value]


def test_an_empty_value_arrives_empty(talk: Conversation) -> None:
    """RFC 9110 5.5; YARP."""
    assert talk.forwarded(GET, b"X-Empty:", b"X-After: 1").values("x-empty") == [b""]
    answer = talk.answered(response(b"X-Empty:", b"X-After: 1"))
    assert answer.values("x-empty") == [b""]
    assert answer.values("x-after") == [b"1"]


def test_names_keep_their_case(talk: Conversation) -> None:
    """node-http-proxy, httpx."""
    seen = talk.forwarded(GET, b"X-MiXed-case: 1", b"ACCEPT: */*", b"uSER-aGENT: u")
    assert {b"X-MiXed-case: 1", b"ACCEPT: */*", b"uSER-aGENT: u"} <= set(seen.lines)
    lines = (b'eTaG: "e"', b"X-MiXed-case: 1", b"content-TYPE: text/plain", b"set-cookie: a=b")
    assert set(lines) <= set(talk.answered(response(*lines)).lines)


def test_the_order_of_lines_is_kept(talk: Conversation) -> None:
    """RFC 9110 5.3."""
    sent = (b"B: 1", b"Host: gw.test", b"A: 2", b"C: 3", b"A: 4")
    seen = talk.forwarded(GET, *sent)
    assert tuple(line for line in seen.lines if line in sent) == sent
    answer = talk.answered(response(b"B: 1", b"A: 2", b"C: 3", b"A: 4"))
    assert [line for line in answer.lines if line[1:2] == b":"] == [b"B: 1", b"A: 2", b"C: 3", b"A: 4"]


def test_nothing_is_added_to_a_request_but_the_forwarding_fields(talk: Conversation) -> None:
    """RFC 9110 5.1; Go httputil (no User-Agent), YARP (no Accept, Accept-Encoding, Content-Type)."""
    seen = talk.forwarded(GET)
    assert sorted(seen.names()) == sorted({"host"} | OURS)


def test_nothing_is_added_to_a_response_but_the_request_id(talk: Conversation) -> None:
    """Traefik (no Content-Type), nginx proxy_merge_headers.t (no Server); RFC 9110 6.6.1 allows a Date."""
    answer = talk.answered(response())
    assert set(answer.names()) - {"date"} == {"content-length", "x-request-id"}


def test_the_server_field_passes_where_nothing_removes_it(talk: Conversation) -> None:
    """RFC 9110 7.7, 10.2.4; nginx proxy_merge_headers.t."""
    lines = (b"Server: Real/1.0 (x)", b"X-Powered-By: p", b"Date: Thu, 01 Jan 1970 00:00:00 GMT")
    answer = talk.answered(response(*lines), b"GET /bare/x HTTP/1.1", at="bare")
    assert tuple(line for line in answer.lines if line in lines) == lines


def test_the_server_field_is_removed_by_default_and_the_date_passes_once(talk: Conversation) -> None:
    """RFC 9110 10.2.4; nginx proxy_merge_headers.t."""
    answer = talk.answered(
        response(b"Server: Real/1.0", b"X-Powered-By: p", b"Date: Thu, 01 Jan 1970 00:00:00 GMT")
    )
    assert answer.values("server") == []
    assert answer.values("x-powered-by") == []
    assert answer.values("date") == [b"Thu, 01 Jan 1970 00:00:00 GMT"]


@pytest.mark.parametrize(
    "line", [b"HTTP/1.1 299 Odd Reason", b"HTTP/1.1 200 ", b"HTTP/1.1 404 caf\xe9", b"HTTP/1.1 200 OK  OK"]
)
def test_the_reason_phrase_passes(talk: Conversation, line: bytes) -> None:
    """RFC 9112 4."""
    assert talk.answered(response(start=line)).start == line


@pytest.mark.parametrize("status", [200, 207, 299, 300, 399, 400, 418, 451, 499, 500, 520, 599])
def test_an_unusual_status_passes(talk: Conversation, status: int) -> None:
    """RFC 9110 15; fastify-reply-from."""
    answer = talk.answered(response(start=b"HTTP/1.1 %d Odd" % status, body=b"whole"))
    assert answer.status == status
    assert answer.body == b"whole"


@pytest.mark.parametrize(
    "status", [b"000", b"099", b"600", b"888", b"999", b"20", b"2000", b"2x0", b"-20", b""]
)
def test_a_status_out_of_range_is_a_502(talk: Conversation, status: bytes) -> None:
    """RFC 9110 15; fastify-reply-from (888)."""
    refused_response(talk, b"HTTP/1.1 " + status + b" xyz\r\nX-Xyz: 1\r\nContent-Length: 0\r\n\r\n")


def test_no_cookie_is_lost_when_there_are_several_lines(talk: Conversation) -> None:
    """RFC 9113 8.2.3; YARP, nginx http_headers_multi.t."""
    seen = talk.forwarded(GET, b"Cookie: a=1; b=2", b"X-Other: o", b"cookie: c=3")
    assert b"; ".join(seen.values("cookie")) == b"a=1; b=2; c=3"


def test_authorization_that_is_not_a_bearer_token_passes_unchanged(talk: Conversation) -> None:
    """RFC 9110 11.6.2; node-http-proxy, requests' digest tests."""
    for value in (b"Basic YTpi", b'Digest username="u", realm="r", nonce="n,=", uri="/x"', b"basic  x"):
        assert talk.forwarded(GET, b"Authorization: " + value).values("authorization") == [value]


def test_a_challenge_passes_unchanged(talk: Conversation) -> None:
    """RFC 9110 11.6.1."""
    lines = (b'WWW-Authenticate: Basic realm="a, b"', b'www-authenticate: Digest realm="r", nonce="n=="')
    answer = talk.answered(response(*lines, start=b"HTTP/1.1 401 No"))
    assert tuple(line for line in answer.lines if line in lines) == lines


@pytest.mark.parametrize(
    "line",
    [
        b"Allow: GET,,put",
        b'ETag: W/"caf\xe9,"',
        b"ETag: unquoted",
        b"Last-Modified: yesterday",
        b"Content-Location: ../a/./b?c#d",
        b"Content-MD5: x==",
        b"Location: http://127.0.0.1:9/%7euser/../a?x=%zz#f",
        b'Cache-Control: no-store,private="set-cookie"',
        b"Age: 1",
        b"Expires: 0",
        b"Vary: *",
        b"Link: </a>; rel=preload, </b>",
        b"Refresh: 0;url=x",
        b"Strict-Transport-Security: max-age=1",
        b"Content-Range: bytes */5",
        b"Content-Type: text/plain;charset=",
        b"Retry-After: soon",
    ],
)
def test_a_response_field_that_a_proxy_may_not_modify_is_not_modified(
    talk: Conversation, line: bytes
) -> None:
    """RFC 9110 7.7, 10.2.1."""
    assert line in talk.answered(response(line)).lines


@pytest.mark.parametrize("name", ["X_Forwarded_For", "x.gateway.subject", "X_User", "X-User_Id", "Forwarded"])
def test_no_spelling_of_a_field_of_the_gateway_comes_from_a_client(talk: Conversation, name: str) -> None:
    """HAProxy restrict_req_hdr_names.vtc, Traefik, Caddy CVE-2026-52845."""
    seen = talk.forwarded(GET, name.encode() + b": forged")
    assert b"forged" not in b"\n".join(seen.lines)


def test_other_names_with_underscores_and_dots_pass(talk: Conversation) -> None:
    """RFC 9110 5.1; HAProxy restrict_req_hdr_names.vtc."""
    lines = (b"my_field: 1", b"a.b: 2", b"!#$%&'*+-.^_`|~9: 3")
    assert set(lines) <= set(talk.forwarded(GET, *lines).lines)
    assert set(lines) <= set(talk.answered(response(*lines)).lines)


def test_a_folded_line_in_a_request_is_refused(talk: Conversation) -> None:
    """RFC 9112 5.2."""
    client = talk.client().send(GET + b"\r\nHost: a\r\nX-Xyz: 1\r\n 2\r\n\r\n")
    answer = client.message()
    assert (answer.status, answer.slug) == (400, "malformed-request")
    assert client.has_ended()
    assert talk.nothing_was_forwarded()


def test_a_folded_line_in_a_response_is_joined_or_a_502(talk: Conversation) -> None:
    """RFC 9112 5.2."""
    answer = talk.answered(response(b"X-Xyz: 1\r\n 2"))
    assert answer.status == 502 or b" ".join(b"".join(answer.values("x-xyz")).split()) == b"1 2"


@pytest.mark.parametrize("space", [b" ", b"\t"])
def test_whitespace_before_the_colon_is_refused_in_requests(talk: Conversation, space: bytes) -> None:
    """RFC 9112 5.1; mitmproxy test_request_smuggling_whitespace."""
    client = talk.client().send(GET + b"\r\nHost: a\r\nX-Xyz" + space + b": 1\r\n\r\n")
    assert client.message().status == 400
    assert client.has_ended()
    assert talk.nothing_was_forwarded()


@pytest.mark.parametrize("name", [b"X-Xyz", b"Content-Length", b"Transfer-Encoding"])
def test_whitespace_before_the_colon_in_a_response_is_removed_or_a_502(
    talk: Conversation, name: bytes
) -> None:
    """RFC 9112 5.1."""
    answer = talk.answered(b"HTTP/1.1 200 OK\r\n" + name + b" : 0\r\nContent-Length: 0\r\n\r\n", ends=True)
    assert answer.status == 502 or name + b": 0" in answer.lines
    assert not any(line.partition(b":")[0].endswith(b" ") for line in answer.lines)


@pytest.mark.parametrize("byte", [b"\x00", b"\x01", b"\x08", b"\x0b", b"\x1b", b"\x1f", b"\x7f"])
def test_a_control_byte_in_a_response_field_is_a_502(talk: Conversation, byte: bytes) -> None:
    """RFC 9110 5.5; Apache httpd test_proxy_03_001."""
    refused_response(talk, response(b"Content-Type: text/html" + byte + b"xyz"))


@pytest.mark.parametrize(
    "head",
    [
        pytest.param(b"HTTP/1.1 200\rX-Xyz: xyz\r\nContent-Length: 0\r\n\r\n", id="status line"),
        pytest.param(b"HTTP/1.1 200 OK\rX-Xyz: xyz\r\nContent-Length: 0\r\n\r\n", id="reason"),
        pytest.param(b"HTTP/1.1 200 OK\r\nX-A: 1\rX-Xyz: xyz\r\nContent-Length: 0\r\n\r\n", id="value"),
        pytest.param(b"HTTP/1.1 200 OK\r\nX-A\rX-Xyz: xyz\r\nContent-Length: 0\r\n\r\n", id="name"),
        pytest.param(b"HTTP/1.1 103 Early\rX-Xyz: xyz\r\n\r\n" + response(), id="interim"),
        pytest.param(b"HTTP/1.1 200 OK\r\nX-Xyz: xyz\r\n\rContent-Length: 0\r\n\r\n", id="line"),
    ],
)
def test_a_bare_cr_of_an_upstream_never_reaches_the_client(talk: Conversation, head: bytes) -> None:
    """RFC 9112 2.2; Apache httpd test_06_interim_resp.py."""
    client = talk.client().send(b"GET /plain/x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    upstream, _ = talk.upstream().request()
    upstream.send(head)
    received = client.rest()
    assert b" 502 " in received.partition(b"\r\n")[0]
    assert b"xyz" not in received
    assert b"\r" not in received.replace(b"\r\n", b"")


@pytest.mark.parametrize(
    "line", [b"X Xyz: 1", b"X-\xe9Xyz: 1", b": xyz", b"xyz", b"X(Xyz): 1", b"X-A\x00bc: 1", b" X-Xyz: 1"]
)
def test_a_response_field_whose_name_is_no_token_is_a_502(talk: Conversation, line: bytes) -> None:
    """RFC 9110 5.1; HTTP Garden."""
    refused_response(talk, b"HTTP/1.1 200 OK\r\n" + line + b"\r\nContent-Length: 0\r\n\r\n")


def test_a_response_field_of_12_kilobytes_passes(talk: Conversation) -> None:
    """Traefik MaxHeaderBytes."""
    assert talk.answered(response(b"X-Long: " + b"a" * 12_000)).values("x-long") == [b"a" * 12_000]


def test_200_response_fields_pass(talk: Conversation) -> None:
    """RFC 9110 5.4."""
    lines = tuple(b"X-%d: %d" % (n, n) for n in range(200))
    answer = talk.answered(response(*lines))
    assert tuple(line for line in answer.lines if line in lines) == lines


def test_a_response_head_without_end_is_a_502(talk: Conversation) -> None:
    """RFC 9110 5.4; Traefik MaxHeaderBytes."""
    client = talk.client().send(b"GET /plain/x HTTP/1.1\r\nHost: a\r\n\r\n")
    upstream, _ = talk.upstream().request()
    upstream.send(b"HTTP/1.1 200 OK\r\n")
    upstream.pour(b"X-Xyz: " + b"a" * 1000 + b"\r\n", times=2000)
    answer = client.message()
    assert (answer.status, answer.slug) == (502, "upstream-protocol-error")


def test_a_field_that_the_configuration_sets_replaces_the_clients_and_the_upstreams(
    talk: Conversation,
) -> None:
    """Caddy headers_test.go; Envoy request_headers_to_add."""
    seen = talk.forwarded(
        b"GET /dressed/x HTTP/1.1", b"X-Set: theirs", b"x_set: theirs", b"X-Set: again", at="dressed"
    )
    assert seen.values("x-set") == [b"ours"]
    assert b"theirs" not in b"".join(seen.lines)
    answer = talk.answered(response(b"X-Dress: a", b"x-dress: b"), b"GET /dressed/x HTTP/1.1", at="dressed")
    assert answer.values("x-dress") == [b"ours"]


def test_a_field_that_the_configuration_removes_arrives_in_no_spelling(talk: Conversation) -> None:
    """nginx proxy_hide_header; Envoy request_headers_to_remove."""
    seen = talk.forwarded(
        b"GET /dressed/x HTTP/1.1",
        *(
            b"X-Out: secret",
            b"x_out: secret",
            b"X-Internal-A: secret",
            b"X.INTERNAL_b: secret",
            b"X-Outer: 1",
        ),
        at="dressed",
    )
    assert b"secret" not in b"".join(seen.lines)
    assert seen.values("x-outer") == [b"1"]
    answer = talk.answered(
        response(b"X-Secret-A: 1", b"x_secret_b: 2", b"X-Secretive: 3"),
        b"GET /dressed/x HTTP/1.1",
        at="dressed",
    )
    assert [name for name in answer.names() if "secret" in name] == ["x-secretive"]


def test_internal_fields_are_removed_by_default(talk: Conversation) -> None:
    """Envoy x-envoy-internal."""
    assert talk.forwarded(GET, b"X-Internal-User: root").values("x-internal-user") == []
