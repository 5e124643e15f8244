"""Where upstreams and clients are: IPv6, unix sockets, TLS."""

import ssl

import pytest
from support.conformance import Conversation, Ended, request, response
from support.gateway import Gateway


def tls_answer(talk: Conversation, name: str) -> int:
    """Send a request to a TLS upstream and return the status that the client gets; 200 when it got through."""
    client = talk.client().send(request(f"GET /{name}/x HTTP/1.1".encode()))
    try:
        upstream, _ = talk.upstream(name).request()
        upstream.send(response(b"Connection: close"))
    except (OSError, Ended):  # the handshake failed
        pass
    return client.message().status


@pytest.mark.parametrize("name", ["ipv6", "unix"])
def test_an_upstream_may_be_reached_by_ipv6_and_by_a_unix_socket(talk: Conversation, name: str) -> None:
    """RFC 3986 3.2.2; nginx proxy_unix.t, Apache httpd test_02_unix.py."""
    start = f"/{name}/x HTTP/1.1".encode()
    seen = talk.forwarded(b"POST " + start, b"Content-Length: 3", body=b"xyz", at=name)
    assert seen.body == b"xyz"
    assert seen.values("host") == [b"gw.test"]
    large = b"a" * 300_000
    assert talk.answered(response(body=large), b"GET " + start, at=name).body == large
    head = talk.answered(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", b"HEAD " + start, at=name)
    assert head.values("content-length") == [b"9"]


def test_an_upstream_with_a_certificate_for_its_name_is_trusted(talk: Conversation) -> None:
    """RFC 9110 4.3.4; nginx proxy_ssl_name.t, proxy_ssl_verify.t."""
    assert tls_answer(talk, "tls") == 200
    assert talk.upstream("tls").asked_names[-1] == "tls.test"


def test_the_name_of_the_target_is_asked_for_where_no_other_is_given(talk: Conversation) -> None:
    """RFC 6066 3; mitmproxy test_reverse_sni."""
    assert tls_answer(talk, "nameless") == 200
    assert talk.upstream("nameless").asked_names[-1] == "localhost"


@pytest.mark.parametrize("name", ["misnamed", "untrusted"])
def test_an_upstream_whose_certificate_does_not_hold_gets_no_request(talk: Conversation, name: str) -> None:
    """RFC 9110 4.3.4; nginx proxy_ssl_verify.t."""
    assert tls_answer(talk, name) == 502


def test_an_upstream_that_asks_for_a_certificate_gets_the_gateways(talk: Conversation) -> None:
    """RFC 8446 4.3.2; nginx proxy_ssl_certificate.t."""
    client = talk.client().send(request(b"GET /mtls/x HTTP/1.1"))
    upstream, _ = talk.upstream("mtls").request()
    assert isinstance(upstream.socket, ssl.SSLSocket)
    certificate = upstream.socket.getpeercert()
    assert certificate is not None
    assert (("commonName", "gateway-gateway"),) in certificate["subject"]
    upstream.send(response(b"Connection: close"))
    assert client.message().status == 200


def test_a_large_body_passes_through_tls_both_ways(talk: Conversation) -> None:
    """RFC 8446 5.1."""
    body = b"a" * 1_000_000
    client = talk.client().send(request(b"POST /tls/x HTTP/1.1", b"Content-Length: 1000000", body=body))
    upstream, seen = talk.upstream("tls").request()
    assert seen.body == body
    upstream.send(response(b"Connection: close", body=body))
    assert client.message().body == body


def test_a_tls_upstream_that_is_cut_in_the_middle_cuts_the_client(talk: Conversation) -> None:
    """RFC 8446 6.1: truncation."""
    client = talk.client().send(request(b"GET /tls/x HTTP/1.1"))
    upstream, _ = talk.upstream("tls").request()
    upstream.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nxyz")
    client.until(b"xyz")
    upstream.close()
    assert client.rest() == b""


def test_a_client_on_ipv6_is_told_by_its_address(ipv6_gateway: Gateway, ipv6_talk: Conversation) -> None:
    """RFC 7239 6; HAProxy forwarded-header-7239.vtc."""
    host = b"[::1]:%d" % ipv6_gateway.port
    seen = ipv6_talk.forwarded(b"GET /plain/x HTTP/1.1", b"Host: " + host, b"X-Forwarded-For: 2001:db8::1")
    assert seen.values("x-forwarded-for") == [b"::1"]
    assert seen.values("host") == seen.values("x-forwarded-host") == [host]


def test_a_client_without_an_address_is_given_none(unix_talk: Conversation) -> None:
    """Caddy TestAddForwardedHeadersNonIP."""
    seen = unix_talk.forwarded(
        b"GET /plain/x HTTP/1.1", b"X-Forwarded-For: 198.51.100.7", b"X-Forwarded-Proto: https"
    )
    assert seen.values("x-forwarded-for") == []
    assert seen.values("x-forwarded-proto") == [b"http"]
    assert len(seen.values("x-request-id")) == 1
