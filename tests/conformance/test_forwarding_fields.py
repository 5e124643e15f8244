"""What the gateway tells an upstream about where a request comes from, and who nobody else may say it."""

import re

import pytest
from support.conformance import Conversation, request, response
from support.conformance_files import TRUSTED

GET = b"GET /plain/x HTTP/1.1"
UUID = rb"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
CLAIMS = (
    *("X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "X-Forwarded-Port", "X-Forwarded-Prefix"),
    *("Forwarded", "X-Real-IP", "X-Client-IP", "True-Client-IP", "CF-Connecting-IP", "X-Cluster-Client-IP"),
    *("X-Original-URL", "X-Rewrite-URL", "X-Original-Method", "X-HTTP-Method", "X-HTTP-Method-Override"),
    *("X-Method-Override", "X-Envoy-Original-Path", "X-Envoy-External-Address", "X-User", "X-User-Id"),
    *("X-Remote-User", "X-Gateway-Subject", "X-Gateway-Roles", "X-Gateway-Assertion", "X-Request-Id"),
)
"""What clients may not say."""


@pytest.mark.parametrize("name", CLAIMS)
def test_no_client_says_who_or_where_it_is(talk: Conversation, name: str) -> None:
    """RFC 7239 8.1; Go RewriteStripsForwarded, oauth2-proxy CVE-2025-64484."""
    spellings = (name, name.lower(), name.upper(), name.replace("-", "_"), name.replace("-", ".", 1))
    seen = talk.forwarded(GET, *(spelling.encode() + b": forged" for spelling in spellings), b"X-Kept: k")
    assert b"forged" not in b"\n".join(seen.lines)
    assert seen.values("x-kept") == [b"k"]


def test_the_address_of_an_untrusted_client_replaces_what_it_says(talk: Conversation) -> None:
    """RFC 7239 8.1; Caddy headers_test.go, HAProxy except-forwardfor-originalto.vtc."""
    seen = talk.forwarded(GET, b"X-Forwarded-For: 198.51.100.7", b"X-Forwarded-For: 198.51.100.8")
    assert seen.values("x-forwarded-for") == [b"127.0.0.1"]


def test_a_trusted_proxy_is_appended_to_what_it_says(talk: Conversation) -> None:
    """RFC 7239 5.2; Go TestXForwardedFor, Traefik TestXForwardedFor."""
    seen = talk.forwarded_bytes(
        request(
            GET, b"X-Forwarded-For: 198.51.100.7", b"X-Forwarded-Proto: https", b"X-Forwarded-Host: shop.test"
        ),
        source=TRUSTED,
    )
    assert seen.values("x-forwarded-for") == [b"198.51.100.7, " + TRUSTED.encode()]
    assert seen.values("x-forwarded-proto") == [b"https"]
    assert seen.values("x-forwarded-host") == [b"shop.test"]


def test_several_lines_of_a_trusted_proxy_are_one_list_in_order(talk: Conversation) -> None:
    """RFC 9110 5.3; CVE-2026-26308."""
    seen = talk.forwarded_bytes(
        request(GET, b"X-Forwarded-For: 198.51.100.7", b"x-forwarded-for: 198.51.100.8,198.51.100.9"),
        source=TRUSTED,
    )
    hops = b",".join(seen.values("x-forwarded-for")).replace(b" ", b"").split(b",")
    assert hops == [b"198.51.100.7", b"198.51.100.8", b"198.51.100.9", TRUSTED.encode()]


def test_a_trusted_proxy_that_says_nothing_is_the_client(talk: Conversation) -> None:
    """RFC 7239 5.2; Traefik TestXForwardedFor."""
    seen = talk.forwarded_bytes(request(GET), source=TRUSTED)
    assert seen.values("x-forwarded-for") == [TRUSTED.encode()]
    assert seen.values("x-forwarded-proto") == [b"http"]
    assert seen.values("x-forwarded-host") == [b"gw.test"]


@pytest.mark.parametrize("name", ["X_Forwarded_For", "X-Gateway-Subject", "X-User", "X-Real-IP", "Forwarded"])
def test_even_a_trusted_proxy_names_no_user_and_uses_no_other_field(talk: Conversation, name: str) -> None:
    """RFC 7239 8.1; Caddy CVE-2026-52845."""
    seen = talk.forwarded_bytes(request(GET, name.encode() + b": 198.51.100.66"), source=TRUSTED)
    assert name.lower() not in seen.names()


@pytest.mark.parametrize("host", [b"gw.test", b"gw.test:8080", b"[::1]:80", b"GW.Test"])
def test_proto_and_host_are_the_ones_that_the_client_used(talk: Conversation, host: bytes) -> None:
    """node-http-proxy XHeaders."""
    seen = talk.forwarded(GET, b"Host: " + host)
    assert seen.values("x-forwarded-proto") == [b"http"]
    assert seen.values("x-forwarded-host") == [host]
    assert seen.values("host") == [host]


def test_forwarding_fields_are_told_even_when_the_upstream_gets_its_own_host(talk: Conversation) -> None:
    """YARP OriginalHost."""
    seen = talk.forwarded(b"GET /renamed/x HTTP/1.1", b"Host: gw.test", at="renamed")
    assert seen.values("host") == [b"127.0.0.1:%d" % talk.upstream("renamed").port]
    assert seen.values("x-forwarded-host") == [b"gw.test"]


def test_via_tells_the_version_that_the_client_used(talk: Conversation) -> None:
    """RFC 9110 7.6.3."""
    assert talk.forwarded(GET).values("via")[-1].startswith(b"1.1 ")
    seen = talk.forwarded_bytes(b"GET /plain/x HTTP/1.0\r\nHost: a\r\n\r\n")
    assert seen.values("via")[-1].startswith(b"1.0 ")


def test_via_is_appended_to_what_the_client_says(talk: Conversation) -> None:
    """RFC 9110 7.6.3."""
    seen = talk.forwarded(GET, b"Via: 1.1 first, 1.0 second")
    hops = [hop.strip() for hop in b",".join(seen.values("via")).split(b",")]
    assert hops[:2] == [b"1.1 first", b"1.0 second"]
    assert len(hops) == 3


def test_every_request_gets_an_id_of_ours_that_the_client_is_told(talk: Conversation) -> None:
    """RFC 9562 5.7; Envoy x-request-id."""
    client = talk.client().send(request(GET, b"X-Request-Id: theirs"))
    upstream, seen = talk.upstream().request()
    upstream.send(response(b"X-Request-Id: the upstream's"))
    (told,) = client.message().values("x-request-id")
    assert seen.values("x-request-id") == [told]
    assert re.fullmatch(UUID, told)


def test_a_trace_is_begun_where_there_is_none(talk: Conversation) -> None:
    """W3C Trace Context 3.2."""
    (trace,) = talk.forwarded(GET).values("traceparent")
    assert re.fullmatch(rb"00-[0-9a-f]{32}-[0-9a-f]{16}-0[01]", trace)


def test_a_trace_is_continued_with_its_state(talk: Conversation) -> None:
    """W3C Trace Context 4.3."""
    trace = b"4bf92f3577b34da6a3ce929d0e0e4736"
    seen = talk.forwarded(
        GET, b"traceparent: 00-" + trace + b"-00f067aa0ba902b7-01", b"tracestate: a=1", b"tracestate: b=2"
    )
    (parent,) = seen.values("traceparent")
    assert parent.split(b"-")[1] == trace
    assert b",".join(seen.values("tracestate")).replace(b" ", b"") == b"a=1,b=2"


@pytest.mark.parametrize("flaw", [b"00-" + b"0" * 32 + b"-00f067aa0ba902b7-01", b"junk", b"ff-" + b"a" * 32])
def test_a_broken_trace_is_replaced_and_its_state_dropped(talk: Conversation, flaw: bytes) -> None:
    """W3C Trace Context 4.3."""
    seen = talk.forwarded(GET, b"traceparent: " + flaw, b"tracestate: a=1")
    (trace,) = seen.values("traceparent")
    assert re.fullmatch(rb"00-[0-9a-f]{32}-[0-9a-f]{16}-0[01]", trace)
    assert trace != flaw
    assert seen.values("tracestate") == []


def test_max_forwards_of_options_is_not_forwarded_at_zero(talk: Conversation) -> None:
    """RFC 9110 7.6.2."""
    answer = talk.refused(request(b"OPTIONS /plain/x HTTP/1.1", b"Max-Forwards: 0"))
    assert 200 <= answer.status < 300
    assert talk.nothing_was_forwarded()


def test_max_forwards_of_options_is_counted_down(talk: Conversation) -> None:
    """RFC 9110 7.6.2."""
    seen = talk.forwarded(b"OPTIONS /plain/x HTTP/1.1", b"Max-Forwards: 5")
    assert seen.values("max-forwards") == [b"4"]


def test_max_forwards_means_nothing_to_other_methods(talk: Conversation) -> None:
    """RFC 9110 7.6.2."""
    assert talk.forwarded(GET, b"Max-Forwards: 0").values("max-forwards") == [b"0"]


def test_the_gateway_speaks_its_own_version_on_both_sides(talk: Conversation) -> None:
    """RFC 9112 2.3; RFC 9110 6.2."""
    client = talk.client().send(b"GET /plain/x HTTP/1.0\r\nHost: a\r\n\r\n")
    upstream, seen = talk.upstream().request()
    assert seen.start == b"GET /plain/x HTTP/1.1"
    upstream.send(response(start=b"HTTP/1.0 200 OK"))
    assert client.message().start == b"HTTP/1.1 200 OK"


def test_a_request_that_comes_back_to_the_gateway_does_not_go_round_for_ever(talk: Conversation) -> None:
    """RFC 9110 7.6: not to itself "unless it is protected from an infinite request loop"."""
    answer = talk.client().send(request(b"GET /itself/x HTTP/1.1")).message()
    assert answer.status == 503
