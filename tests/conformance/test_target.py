"""The target of a request: one reading of it, decided on and forwarded byte for byte."""

import pytest
from support.conformance import OK, Conversation, request


def get(target: bytes, *lines: bytes) -> bytes:
    return request(b"GET " + target + b" HTTP/1.1", *lines)


def target_seen(talk: Conversation, target: bytes) -> bytes:
    """Return the target that the upstream gets for a target."""
    return talk.forwarded_bytes(get(target)).target


@pytest.mark.parametrize(
    "path",
    [
        b"/plain/a%20b+c",
        b"/plain/a=b,c'(d)!@:&$*~._-",
        b"/plain/%7Euser/%41",
        b"/plain/%c3%a9%C3%A9",
        b"/plain/",
        b"/plain/x/",
        b'/plain/[a]{b}|^`"<>',
        b"/plain/...",
        b"/plain/a..b/.c",
        b"/plain/%3Fa%3Db%23c",
        b"/plain/a%3Bb%3b",
    ],
)
def test_a_path_is_forwarded_byte_for_byte(talk: Conversation, path: bytes) -> None:
    """RFC 9110 7.7; YARP MakeDestinationAddress, ValidPathCharacters."""
    assert target_seen(talk, path) == path


@pytest.mark.parametrize(
    "query",
    [
        b"?",
        b"?a=1&a=2&=3&b",
        b"?y=%zz",
        b"?a;b",
        b"?a=%2F%2e%2e/../b//c",
        b"?a=b c".replace(b" ", b"+"),
        b"??a=?",
        b"?[a]=\\&b=\"'<>{}|^`",
        b"?%00%0d%0aX:1",
        b"?a=http://x/y?z",
        b"?" + b"a" * 4000,
    ],
)
def test_a_query_is_forwarded_byte_for_byte(talk: Conversation, query: bytes) -> None:
    """RFC 9110 7.7; Go QueryParameterSmuggling, Traefik TestEncodeSemicolons, node-http-proxy."""
    assert target_seen(talk, b"/plain/q" + query) == b"/plain/q" + query


@pytest.mark.parametrize(
    "path",
    [
        pytest.param(b"/plain/a%2fb", id="encoded slash"),
        pytest.param(b"/plain/a%2Fb", id="encoded slash, upper case"),
        pytest.param(b"/plain/a%5cb", id="encoded backslash"),
        pytest.param(b"/plain/a\\b", id="backslash"),
        pytest.param(b"/plain//b", id="double slash"),
        pytest.param(b"//plain/b", id="double slash in front"),
        pytest.param(b"/plain/x//", id="double slash at the end"),
        pytest.param(b"/plain/a;b=c", id="semicolon"),
        pytest.param(b"/plain/x#frag", id="fragment"),
        pytest.param(b"/plain/x?a#frag", id="fragment behind a query"),
        pytest.param(b"/plain/x#/../secret", id="fragment with a path"),
        pytest.param(b"/plain/./x", id="dot segment"),
        pytest.param(b"/plain/.", id="dot segment at the end"),
        pytest.param(b"/plain/../plain/x", id="double dot segment"),
        pytest.param(b"/plain/x/..", id="double dot segment at the end"),
        pytest.param(b"/plain/%2e%2e/x", id="encoded double dot"),
        pytest.param(b"/plain/.%2E/x", id="half-encoded double dot"),
        pytest.param(b"/plain/%2e/x", id="encoded dot"),
        pytest.param(b"/plain/%252e%252e/x", id="encoded twice"),
        pytest.param(b"/plain/%2541", id="an encoded escape"),
        pytest.param(b"/plain/%00", id="NUL"),
        pytest.param(b"/plain/%0d%0aX:1", id="CRLF"),
        pytest.param(b"/plain/%09", id="tab"),
        pytest.param(b"/plain/%7f", id="DEL"),
        pytest.param(b"/plain/%ff", id="not UTF-8"),
        pytest.param(b"/plain/%c0%af", id="overlong UTF-8"),
        pytest.param(b"/plain/%c1%9c", id="overlong backslash"),
        pytest.param(b"/plain/%ed%a0%80", id="surrogate"),
        pytest.param(b"/plain/%c2%85", id="C1 control"),
        pytest.param(b"/plain/%", id="lone percent sign"),
        pytest.param(b"/plain/%4", id="short escape"),
        pytest.param(b"/plain/%zz", id="escape that is none"),
        pytest.param(b"/plain/%u0041", id="escape of another kind"),
        pytest.param(b"/nowhere/%2e%2e/x", id="before it is told that there is no route"),
    ],
)
def test_a_path_that_can_be_read_in_two_ways_is_refused(talk: Conversation, path: bytes) -> None:
    """RFC 3986 6.2.2; Traefik TestDenyFragment and TestSanitizePath, nginx http_uri.t, fastify GHSA-2q7r."""
    answer = talk.refused(get(path))
    assert (answer.status, answer.slug) == (400, "ambiguous-path")


@pytest.mark.parametrize("byte", [b"\x80", b"\xff", b"\xc3\xa9", b"\x01", b"\x7f", b"\x00", b"\t"])
@pytest.mark.parametrize("place", [b"/plain/%b", b"/plain/x?a=%b"])
def test_a_raw_octet_beyond_visible_ascii_in_the_target_is_refused(
    talk: Conversation, byte: bytes, place: bytes
) -> None:
    """RFC 3986 2; HAProxy, H1Spec."""
    assert talk.refused(get(place % byte)).status == 400


@pytest.mark.parametrize(
    "target", [b"*", b"*/x", b"plain/x", b"gw.test:80", b"haproxy.org:80", b"?a", b"./plain/x", b"%2fplain/x"]
)
def test_a_target_that_is_no_path_is_refused(talk: Conversation, target: bytes) -> None:
    """RFC 9112 3.2; HAProxy h1_request_target_validation.vtc."""
    client = talk.client().send(get(target))
    assert client.message().status == 400
    assert client.has_ended()
    assert talk.nothing_was_forwarded()


@pytest.mark.parametrize("line", [b"GET /plain/x y HTTP/1.1", b"GET /plain/x", b"GET", b"GET HTTP/1.1"])
def test_a_request_line_of_other_than_three_words_is_refused(talk: Conversation, line: bytes) -> None:
    """RFC 9112 3; H1Spec."""
    client = talk.client().send(line + b"\r\nHost: gw.test\r\n\r\n")
    assert client.message().status in {400, 505}
    assert client.has_ended()
    assert talk.nothing_was_forwarded()


def test_more_than_one_space_in_a_request_line_is_read_as_one(talk: Conversation) -> None:
    """RFC 9112 3: "recipients MAY instead parse on whitespace-delimited word boundaries"."""
    seen = talk.forwarded_bytes(b"GET  /plain/x HTTP/1.1\r\nHost: gw.test\r\n\r\n")
    assert seen.start == b"GET /plain/x HTTP/1.1"


def test_options_for_the_whole_server_is_answered_by_the_gateway(talk: Conversation) -> None:
    """RFC 9110 9.3.7; HAProxy h1_request_target_validation.vtc."""
    assert talk.refused(request(b"OPTIONS * HTTP/1.1")).status == 204


@pytest.mark.parametrize("host", [b"gw.test", b"gw.test:8080", b"GW.test"])
def test_an_absolute_target_is_forwarded_as_a_path(talk: Conversation, host: bytes) -> None:
    """RFC 9112 3.2.2; nginx http_uri.t."""
    seen = talk.forwarded_bytes(get(b"http://" + host + b"/plain/p%20q?a=%2F", b"Host: " + host))
    assert seen.target == b"/plain/p%20q?a=%2F"
    assert seen.values("host") == [host]


@pytest.mark.parametrize(("target", "path"), [(b"http://gw.test", b"/"), (b"http://gw.test?a=b", b"/?a=b")])
def test_an_absolute_target_without_a_path_means_the_root(
    talk: Conversation, target: bytes, path: bytes
) -> None:
    """RFC 9112 3.2.1."""
    assert target_seen(talk, target) == path


def test_an_absolute_options_target_without_a_path_means_the_whole_server(talk: Conversation) -> None:
    """RFC 9112 3.2.4."""
    assert talk.refused(request(b"OPTIONS http://gw.test HTTP/1.1")).status == 204


@pytest.mark.parametrize(
    "target",
    [
        b"http://other.test/plain/x",
        b"http://gw.test:81/plain/x",
        b"http://user@gw.test/plain/x",
        b"http://gw.test@other.test/plain/x",
        b"ftp://gw.test/plain/x",
        b"http:///plain/x",
        b"http:/plain/x",
        b"http://gw.test\\@other/plain/x",
    ],
)
def test_an_absolute_target_whose_authority_is_not_the_host_is_refused(
    talk: Conversation, target: bytes
) -> None:
    """RFC 9112 3.2.2; HAProxy h1_host_normalization.vtc."""
    answer = talk.refused(get(target))
    assert (answer.status, answer.slug) == (400, "malformed-request")


@pytest.mark.parametrize(
    "lines",
    [
        pytest.param((), id="none"),
        pytest.param((b"Host: gw.test", b"Host: gw.test"), id="twice"),
        pytest.param((b"Host: gw.test", b"hOST: other.test"), id="two"),
        *(
            pytest.param((b"Host: " + value,), id=repr(value))
            for value in (
                *(
                    b"",
                    b"a b",
                    b"a,b",
                    b"user@gw.test",
                    b"gw.test/x",
                    b"gw.test:x",
                    b"gw.test:99999",
                    b"a:1:2",
                ),
                *(
                    b"[::1",
                    b"::1",
                    b"gw.test:-1",
                    b"gw.te\xc3\xa9st",
                    b"http://gw.test",
                    b"gw.test?x",
                    b"gw\\test",
                ),
            )
        ),
    ],
)
def test_a_host_that_is_not_one_host_is_refused(talk: Conversation, lines: tuple[bytes, ...]) -> None:
    """RFC 9112 3.2; H1Spec, nginx http_host.t."""
    client = talk.client().send(b"\r\n".join([b"GET /plain/x HTTP/1.1", *lines, b"", b""]))
    answer = client.message()
    assert (answer.status, answer.slug) == (400, "malformed-request")
    assert client.has_ended()
    assert talk.nothing_was_forwarded()


def test_an_http_1_0_client_without_host_is_served_and_the_upstream_gets_one(talk: Conversation) -> None:
    """RFC 9112 3.2; nginx http_headers_multi.t."""
    seen = talk.forwarded_bytes(b"GET /plain/x HTTP/1.0\r\n\r\n")
    assert len(seen.values("host")) == 1
    assert seen.values("host")[0]


@pytest.mark.parametrize("host", [b"gw.test", b"gw.test:8080", b"GW.test.", b"[::1]", b"127.0.0.1:1"])
def test_the_host_is_preserved_with_its_port_and_case(talk: Conversation, host: bytes) -> None:
    """RFC 9112 3.2; Go httputil, Traefik PassHostHeader."""
    assert talk.forwarded_bytes(get(b"/plain/x", b"Host: " + host)).values("host") == [host]


def test_the_upstreams_own_host_is_sent_where_the_configuration_says_so(talk: Conversation) -> None:
    """RFC 9112 3.2; node-http-proxy changeOrigin, Go TestSetURL."""
    seen = talk.forwarded_bytes(get(b"/renamed/x"), at="renamed")
    assert seen.values("host") == [b"127.0.0.1:%d" % talk.upstream("renamed").port]


@pytest.mark.parametrize("target", [b"gw.test:80", b"127.0.0.1:22", b"/plain/x", b"gw.test", b"*"])
def test_connect_is_refused_and_ends_the_connection(talk: Conversation, target: bytes) -> None:
    """RFC 9110 9.3.6, RFC 9931; Traefik TestConnectRequest, nginx http_method.t."""
    client = talk.client().send(request(b"CONNECT " + target + b" HTTP/1.1") + get(b"/plain/smuggled"))
    answer = client.message()
    assert (answer.status, answer.slug) == (405, "method-not-allowed")
    assert answer.values("allow")
    assert client.has_ended()
    assert talk.nothing_was_forwarded()


def test_trace_is_refused_and_ends_the_connection(talk: Conversation) -> None:
    """RFC 9110 9.3.8."""
    client = talk.client().send(request(b"TRACE /plain/x HTTP/1.1", b"Cookie: secret"))
    answer = client.message()
    assert answer.status == 405
    assert b"secret" not in answer.body
    assert client.has_ended()
    assert talk.nothing_was_forwarded()


@pytest.mark.parametrize("method", [b"POST", b"PUT", b"PATCH", b"DELETE", b"OPTIONS", b"QUERY", b"M-SEARCH"])
def test_every_listed_method_passes(talk: Conversation, method: bytes) -> None:
    """RFC 9110 9.1; YARP GetHttpMethod_Unknown_Works."""
    assert (
        talk.forwarded_bytes(request(method + b" /plain/x HTTP/1.1")).start == method + b" /plain/x HTTP/1.1"
    )


@pytest.mark.parametrize("method", [b"FOO", b"BREW", b"VERSION-CONTROL", b"get", b"Get", b"GETT"])
def test_a_method_that_the_gateway_does_not_know_is_not_implemented(
    talk: Conversation, method: bytes
) -> None:
    """RFC 9110 9.1, 15.6.2."""
    client = talk.client().send(request(method + b" /plain/x HTTP/1.1"))
    answer = client.message()
    assert (answer.status, answer.slug) == (501, "not-implemented")
    assert client.has_ended()
    assert talk.nothing_was_forwarded()


def test_a_request_of_two_segments_is_answered_once(talk: Conversation) -> None:
    """RFC 9112 2.2; H1Spec: fragmented request lines."""
    client = talk.client().send_slowly(get(b"/plain/x"))
    upstream, seen = talk.upstream().request()
    upstream.send(OK)
    assert seen.target == b"/plain/x"
    assert client.message().body == b"ok"
    assert client.is_quiet()
