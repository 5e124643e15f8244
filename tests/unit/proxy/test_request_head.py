"""The head that an upstream gets, line by line."""

from dataclasses import replace

import pytest
from support.downstream import ALICE, REQUEST_ID, head_of, permit_for
from support.upstream import rules

from gateway.config import ForwardRules, Rewrite
from gateway.model import ANONYMOUS, Framing, Line, Permit, Principal, RequestHead
from gateway.proxy.request_head import RequestHeads, goes_no_further

CREDENTIALS = frozenset({b"authorization", b"x-api-key"})
OURS = {
    b"via",
    b"traceparent",
    b"x-request-id",
    b"x-forwarded-for",
    b"x-forwarded-proto",
    b"x-forwarded-host",
}
CLAIMED = [
    "X-Gateway-Subject",
    "X-Gateway-Roles",
    "X-Gateway-Assertion",
    "X-Gateway-Whatever",
    "X-Request-Id",
    "Forwarded",
    "X-Forwarded-For",
    "X-Forwarded-Proto",
    "X-Forwarded-Host",
    "X-Forwarded-Port",
    "X-Forwarded-Client-Cert",
    "X-Real-IP",
    "X-Client-IP",
    "True-Client-IP",
    "CF-Connecting-IP",
    "X-Cluster-Client-IP",
    "X-Original-URL",
    "X-Rewrite-URL",
    "X-Original-Method",
    "X-HTTP-Method",
    "X-HTTP-Method-Override",
    "X-Method-Override",
    "X-Envoy-Original-Path",
    "X-User",
    "X-User-Id",
    "X-Remote-User",
]


def write(
    head: RequestHead,
    forward: ForwardRules | None = None,
    *,
    principal: Principal = ANONYMOUS,
    scopes: frozenset[str] = frozenset(),
    assertion: bytes | None = None,
) -> list[Line]:
    permit = permit_for(head, principal=principal, scopes=scopes)
    return lines_of(RequestHeads(forward or rules(), CREDENTIALS), permit, assertion)


def lines_of(heads: RequestHeads, permit: Permit, assertion: bytes | None = None) -> list[Line]:
    raw = heads.write(permit, authority=b"10.0.0.1:8080", assertion=assertion)
    assert raw.endswith(b"\r\n\r\n")
    assert raw.count(b"\r\n\r\n") == 1
    lines = raw[:-4].split(b"\r\n")[1:]
    pairs = [line.partition(b": ") for line in lines]
    assert all(separator for _, separator, _ in pairs)
    return [(name, value) for name, _, value in pairs]


def theirs(lines: list[Line]) -> list[Line]:
    return [(name, value) for name, value in lines if name.lower() not in OURS | {b"host"}]


def values(lines: list[Line], name: bytes) -> list[bytes]:
    return [value for other, value in lines if other.lower() == name]


def spellings(name: str) -> list[str]:
    dashes = [name, name.lower(), name.upper(), name.replace("-", "_"), name.replace("-", ".")]
    return [*dashes, name.swapcase().replace("-", "_", 1), name.lower().replace("-", ".", 1)]


def test_the_request_line_is_method_target_and_our_version() -> None:
    head = head_of(method="DELETE", target="/a%2F../b?x=%zz&&y", version=(1, 0))
    raw = RequestHeads(rules(), CREDENTIALS).write(permit_for(head), authority=b"u:1", assertion=None)
    assert raw.startswith(b"DELETE /a%2F../b?x=%zz&&y HTTP/1.1\r\nHost: api.example.com\r\n")


def test_lines_keep_order_case_and_multiplicity() -> None:
    lines: list[Line] = [
        (b"x-dup", b"a"),
        (b"X-DUP", b"b"),
        (b"Accept", b""),
        (b"x-dup", b"a"),
        (b"Latin", b"caf\xe9"),
        (b"Cookie", b"a=1"),
        (b"cookie", b"b=2"),
        (b"Trailers", b"ordinary"),
        (b"Under_Score", b"kept"),
    ]
    assert theirs(write(head_of(*lines))) == lines


@pytest.mark.parametrize("name", CLAIMED)
def test_what_a_client_says_about_itself_is_removed_in_any_spelling(name: str) -> None:
    for spelled in spellings(name):
        for trusted in (False, True):
            lines = write(
                head_of((spelled.encode(), b"evil"), (b"X-Kept", b"1"), trusted=trusted), principal=ALICE
            )
            kept = [line for line in lines if line[0].lower() not in OURS]
            assert kept == [(b"Host", b"api.example.com"), (b"X-Kept", b"1")], spelled
            if not trusted:
                assert b"evil" not in b"".join(value for _, value in lines)


@pytest.mark.parametrize(
    "name",
    [
        "Connection",
        "Keep-Alive",
        "Proxy-Connection",
        "Proxy-Authenticate",
        "Proxy-Authorization",
        "TE",
        "Trailer",
        "Transfer-Encoding",
        "Upgrade",
        "Expect",
    ],
)
def test_fields_of_one_hop_are_removed_in_any_spelling(name: str) -> None:
    for spelled in spellings(name):
        assert theirs(write(head_of((spelled.encode(), b"x"), (b"X-Kept", b"1")))) == [(b"X-Kept", b"1")], (
            spelled
        )


def test_fields_that_connection_nominates_are_removed() -> None:
    head = head_of(
        (b"CONNECTION", b"close, X-Nom"),
        (b"x-nom", b"1"),
        (b"connection", b"x-Second,"),
        (b"X-Second", b"2"),
        (b"X-Kept", b"3"),
    )
    assert theirs(write(head)) == [(b"X-Kept", b"3")]


def test_a_client_cannot_have_our_lines_removed() -> None:
    named = b", ".join([*OURS, b"X-Gateway-Subject", b"Host", b"Content-Length", b"Transfer-Encoding"])
    head = head_of((b"Connection", named), (b"Content-Length", b"5"), length=5)
    lines = write(head, rules(identity="headers"), principal=ALICE)
    names = {name.lower() for name, _ in lines}
    assert names >= OURS | {b"x-gateway-subject", b"host", b"content-length"}


@pytest.mark.parametrize(
    ("sent", "arrives"),
    [
        ([b"trailers"], True),
        ([b"trailers, gzip"], True),
        ([b"gzip", b"Trailers"], True),
        ([b"gzip"], False),
        ([b"trailers;q=0.5"], False),
        ([b""], False),
    ],
)
def test_only_trailers_is_left_of_te(sent: list[bytes], *, arrives: bool) -> None:
    lines = write(head_of((b"Connection", b"TE"), *((b"TE", value) for value in sent)))
    assert values(lines, b"te") == ([b"trailers"] if arrives else [])
    assert values(lines, b"connection") == ([b"TE"] if arrives else [])


@pytest.mark.parametrize(
    ("name", "value", "stays"),
    [
        (b"Authorization", b"Bearer abc", False),
        (b"authorization", b"bEARER abc", False),
        (b"Authorization", b"Bearer", False),
        (b"Authorization", b"Basic YWJj", True),
        (b"Authorization", b"Bearerish abc", True),
        (b"Authorization", b"DPoP abc", False),
        (b"authorization", b"dpop\tabc", False),
        (b"Authorization", b"DPoPed abc", True),
        (b"X-Api-Key", b"k", False),
        (b"x_api_key", b"k", False),
        (b"X-Other-Key", b"k", True),
    ],
)
def test_credentials_stay_here_unless_they_are_somebody_elses(
    name: bytes, value: bytes, *, stays: bool
) -> None:
    assert theirs(write(head_of((name, value)))) == ([(name, value)] if stays else [])
    assert theirs(write(head_of((name, value)), rules(pass_credentials=True))) == [(name, value)]


@pytest.mark.parametrize(
    ("sent", "arrives"),
    [
        (b"gateway-device=1", None),
        (b"__Host-gateway-device=1", None),
        (b"a=1; __Host-gateway-device=2; b=3", b"a=1; b=3"),
        (b"a=1;gateway-device = 2;\t__Host-gateway-x=3; b=4", b"a=1; b=4"),
        (b"__Host-gateway-console=1;a=1", b"a=1"),
        (b"a=gateway-device", b"a=gateway-device"),
        (b"gateway-devices=1; my-gateway-device=2", b"gateway-devices=1; my-gateway-device=2"),
        (b"a=1;b=2", b"a=1;b=2"),
    ],
)
def test_our_own_cookies_stay_here(sent: bytes, arrives: bytes | None) -> None:
    assert theirs(write(head_of((b"Cookie", sent)))) == ([] if arrives is None else [(b"Cookie", arrives)])


@pytest.mark.parametrize("name", [b"Cookie", b"Authorization", b"Max-Forwards", b"X-A"])
def test_an_empty_value_stays_an_empty_value(name: bytes) -> None:
    assert theirs(write(head_of((name, b"")))) == [(name, b"")]


def test_configured_names_are_removed_in_any_spelling() -> None:
    head = head_of(
        (b"X-Internal-Admin", b"1"), (b"x_internal_x", b"1"), (b"X-Debug", b"1"), (b"X-Debugger", b"1")
    )
    assert theirs(write(head, rules(remove_request=("x-internal-*", "x-debug")))) == [(b"X-Debugger", b"1")]


def test_no_pattern_removes_what_frames_the_message() -> None:
    head = head_of((b"Content-Length", b"5"), (b"X-A", b"1"), length=5)
    lines = write(head, rules(remove_request=("*",)))
    assert values(lines, b"content-length") == [b"5"]
    assert values(lines, b"host") == [b"api.example.com"]
    assert not values(lines, b"x-a")


@pytest.mark.parametrize(
    "spelled", [b"Content_Length", b"content.length", b"Transfer_Encoding", b"TRANSFER.Encoding"]
)
def test_what_only_some_upstreams_read_as_framing_never_arrives(spelled: bytes) -> None:
    assert theirs(write(head_of((spelled, b"5")))) == []


def test_the_length_is_written_from_what_was_understood_and_once() -> None:
    head = head_of((b"content-LENGTH", b"007"), (b"Content-Length", b"007"), length=7)
    assert theirs(write(head)) == [(b"content-LENGTH", b"7")]
    assert values(write(head_of(length=7)), b"content-length") == [b"7"]
    assert values(write(head_of(length=0)), b"content-length") == [b"0"]
    assert values(write(head_of((b"Content-Length", b"7"))), b"content-length") == []


def test_a_chunked_body_is_declared_so_once_and_without_a_length() -> None:
    head = head_of((b"Transfer-Encoding", b"chunked"), (b"Content-Length", b"5"), framing=Framing.CHUNKED)
    lines = write(head)
    assert values(lines, b"transfer-encoding") == [b"chunked"]
    assert values(lines, b"content-length") == []


@pytest.mark.parametrize(
    ("host", "configured", "expected"),
    [
        (b"Api.Example.com:8443", "preserve", b"Api.Example.com:8443"),
        (b"api.example.com", "upstream", b"10.0.0.1:8080"),
        (None, "preserve", b"10.0.0.1:8080"),
        (None, "upstream", b"10.0.0.1:8080"),
    ],
)
def test_host_is_the_clients_or_the_targets(host: bytes | None, configured: str, expected: bytes) -> None:
    assert values(write(head_of(host=host), rules(host=configured)), b"host") == [expected]


def test_an_untrusted_peer_is_the_only_hop() -> None:
    lines = write(head_of((b"X-Forwarded-For", b"1.2.3.4"), (b"X-Forwarded-Proto", b"https"), scheme="http"))
    assert values(lines, b"x-forwarded-for") == [b"192.0.2.7"]
    assert values(lines, b"x-forwarded-proto") == [b"http"]
    assert values(lines, b"x-forwarded-host") == [b"api.example.com"]
    assert values(lines, b"x-request-id") == [REQUEST_ID.encode()]


def test_a_trusted_proxy_is_continued() -> None:
    head = head_of(
        (b"X-Forwarded-For", b"198.51.100.1"),
        (b"x-forwarded-for", b"198.51.100.2, 198.51.100.3"),
        (b"X-Forwarded-Proto", b"javascript"),
        (b"X-Forwarded-Host", b"www.example.com"),
        (b"X_Forwarded_For", b"6.6.6.6"),
        trusted=True,
        # The edge has read it: what is neither http nor https never gets there.
        scheme="https",
    )
    lines = write(head)
    assert values(lines, b"x-forwarded-for") == [b"198.51.100.1, 198.51.100.2, 198.51.100.3, 192.0.2.7"]
    assert values(lines, b"x-forwarded-proto") == [b"https"]
    assert values(lines, b"x-forwarded-host") == [b"www.example.com"]


def test_contradictory_fields_of_a_trusted_proxy_are_not_continued() -> None:
    head = head_of(
        (b"X-Forwarded-Proto", b"https"), (b"X-Forwarded-Proto", b"http"), trusted=True, scheme="http"
    )
    assert values(write(head), b"x-forwarded-proto") == [b"http"]


def test_a_unix_socket_is_no_hop() -> None:
    assert values(write(head_of(peer="")), b"x-forwarded-for") == []
    continued = write(head_of((b"X-Forwarded-For", b"198.51.100.1"), peer="", trusted=True))
    assert values(continued, b"x-forwarded-for") == [b"198.51.100.1"]


@pytest.mark.parametrize(("version", "via"), [((1, 1), b"1.1 gateway"), ((1, 0), b"1.0 gateway")])
def test_via_is_appended(version: tuple[int, int], via: bytes) -> None:
    lines = write(head_of((b"Via", b"1.1 edge"), version=version))
    assert values(lines, b"via") == [b"1.1 edge", via]


TRACE = b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def test_a_valid_trace_is_continued() -> None:
    lines = write(head_of((b"traceparent", TRACE), (b"tracestate", b"a=1"), (b"tracestate", b"b=2")))
    assert values(lines, b"traceparent") == [TRACE]
    assert values(lines, b"tracestate") == [b"a=1", b"b=2"]


@pytest.mark.parametrize(
    "sent",
    [
        [],
        [b""],
        [TRACE.upper()],
        [TRACE + b"\t"],
        [b"ff" + TRACE[2:]],
        [b"00-" + b"0" * 32 + b"-00f067aa0ba902b7-01"],
        [b"00-4bf92f3577b34da6a3ce929d0e0e4736-" + b"0" * 16 + b"-01"],
        [TRACE, TRACE],
    ],
)
def test_otherwise_a_trace_is_begun_and_named_after_the_request(sent: list[bytes]) -> None:
    lines = write(head_of(*((b"Traceparent", value) for value in sent), (b"tracestate", b"a=1")))
    assert values(lines, b"traceparent") == [b"00-0b1c2d3e4f5046178a9b0c1d2e3f4a5b-8a9b0c1d2e3f4a5b-01"]
    assert values(lines, b"tracestate") == []


def test_identity_as_headers_is_sorted_with_one_space() -> None:
    lines = write(
        head_of(),
        rules(identity="headers"),
        principal=ALICE,
        scopes=frozenset({"orders:write", "orders:read"}),
    )
    assert values(lines, b"x-gateway-subject") == [b"usr_alice"]
    assert values(lines, b"x-gateway-roles") == [b"customer support"]
    assert values(lines, b"x-gateway-scopes") == [b"orders:read orders:write"]
    assert values(lines, b"x-gateway-auth-kind") == [b"gateway_jwt"]


def test_identity_fields_are_absent_when_empty() -> None:
    nobody = [
        name for name, _ in write(head_of(), rules(identity="headers")) if name.startswith(b"X-Gateway")
    ]
    assert nobody == []
    bare = replace(ALICE, roles=frozenset())
    names = [name for name, _ in write(head_of(), rules(identity="headers"), principal=bare)]
    assert b"X-Gateway-Roles" not in names
    assert b"X-Gateway-Scopes" not in names


@pytest.mark.parametrize(
    ("subject", "written"),
    [
        ("https://login.example.com|é", b"https://login.example.com|%C3%A9"),
        ("a%C3%A9", b"a%25C3%25A9"),
        (" a b ", b"%20a%20b%20"),
        ("a\r\nX-Evil: 1", b"a%0D%0AX-Evil:%201"),
        ("\x00\x7f\ud800", b"%00%7F%ED%A0%80"),
    ],
)
def test_no_two_subjects_are_written_alike(subject: str, written: bytes) -> None:
    lines = write(head_of(), rules(identity="headers"), principal=replace(ALICE, id=subject))
    assert values(lines, b"x-gateway-subject") == [written]


def test_the_assertion_is_the_only_identity_when_there_is_one() -> None:
    lines = write(head_of(), rules(identity="signed_jwt"), principal=ALICE, assertion=b"a.b.c")
    assert values(lines, b"x-gateway-assertion") == [b"a.b.c"]
    assert values(lines, b"x-gateway-subject") == []


def test_set_lines_come_last_and_replace_every_spelling_ours_too() -> None:
    forward = rules(
        set_request=(
            ("authorization", "Bearer upstream"),
            ("x-region", "eu-1"),
            ("Via", "none"),
            ("host", "inner"),
        ),
    )
    head = head_of((b"X_Region", b"us"), (b"Authorization", b"Basic abc"), (b"Via", b"1.1 edge"))
    lines = write(head, forward)
    assert lines[-4:] == [
        (b"authorization", b"Bearer upstream"),
        (b"x-region", b"eu-1"),
        (b"Via", b"none"),
        (b"host", b"inner"),
    ]
    for name in (b"authorization", b"x-region", b"x_region", b"via", b"host"):
        assert len(values(lines, name)) <= 1
    assert values(write(head_of(host=None), forward), b"host") == [b"inner"]


def test_nothing_leaks_from_one_request_to_the_next() -> None:
    heads = RequestHeads(rules(), CREDENTIALS)
    first = permit_for(head_of((b"Connection", b"x-a"), (b"X-A", b"1"), (b"TE", b"trailers")))
    second = permit_for(head_of((b"X-A", b"1")))
    assert not values(lines_of(heads, first), b"x-a")
    assert values(lines_of(heads, second), b"x-a") == [b"1"]
    assert not values(lines_of(heads, second), b"te")


def test_a_websocket_is_asked_for_in_the_gateway_s_own_words() -> None:
    head = head_of(
        (b"upgrade", b"WebSocket"),
        (b"Connection", b"keep-alive, Upgrade, X-Hop"),
        (b"X-Hop", b"1"),
        (b"Sec-WebSocket-Key", b"abc="),
    )
    raw = RequestHeads(rules(), CREDENTIALS).write(
        permit_for(head), authority=b"u:1", assertion=None, switching=True
    )
    lines = raw.split(b"\r\n")
    assert [line for line in lines if line.lower().startswith((b"upgrade", b"connection"))] == [
        b"Connection: Upgrade",
        b"Upgrade: websocket",
    ]
    assert b"Sec-WebSocket-Key: abc=" in lines
    assert not [line for line in lines if line.startswith(b"X-Hop")]
    assert not [name for name, _ in write(head) if name.lower() in (b"upgrade", b"connection")]


@pytest.mark.parametrize(
    ("forward", "host", "url"),
    [
        (rules(), b"api.example.com:8443", "https://api.example.com:8443/v2/x"),
        (rules(), None, "https://10.0.0.1:8080/v2/x"),
        (rules(host="upstream"), b"api.example.com", "https://10.0.0.1:8080/v2/x"),
        (rules(set_request=(("HOST", "inner"),)), b"api.example.com", "https://inner/v2/x"),
    ],
)
def test_the_url_is_the_one_that_the_upstream_gets_without_the_query(
    forward: ForwardRules, host: bytes | None, url: str
) -> None:
    heads = RequestHeads(forward, CREDENTIALS, Rewrite(strip_prefix="/orders", add_prefix="/v2"))
    head = head_of(target="/orders/x?secret=1", host=host)
    head = replace(head, segments=("orders", "x"))
    assert heads.url(head, scheme="https", authority=b"10.0.0.1:8080") == url
    raw = heads.write(permit_for(head), authority=b"10.0.0.1:8080", assertion=None)
    assert raw.startswith(b"GET /v2/x?secret=1 HTTP/1.1\r\n")
    assert [
        line.split(b": ")[1].decode() for line in raw.split(b"\r\n") if line.lower().startswith(b"host:")
    ] == [url.split("/")[2]]


@pytest.mark.parametrize(
    ("method", "sent", "arrives", "is_last"),
    [
        ("OPTIONS", b"5", b"4", False),
        ("OPTIONS", b"1", b"0", False),
        ("OPTIONS", b"0", b"0", True),
        ("OPTIONS", b"00", b"0", True),
        ("OPTIONS", b"-1", b"-1", False),
        ("OPTIONS", b"many", b"many", False),
        ("OPTIONS", b"9999999999", b"9999999999", False),
        ("GET", b"5", b"5", False),
        ("GET", b"0", b"0", False),
    ],
)
def test_forwards_of_options_are_counted_down(
    method: str, sent: bytes, arrives: bytes, *, is_last: bool
) -> None:
    head = head_of((b"Max-Forwards", sent), method=method)
    assert theirs(write(head)) == [(b"Max-Forwards", arrives)]
    assert goes_no_further(head) is is_last
