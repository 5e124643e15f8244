"""Clients that take too long or come in crowds get an answer, and nobody else notices."""

import socket
import time

from support.conformance import OK, Conversation, Ended, request

GET = b"GET /plain/x HTTP/1.1"
HEADER_TIMEOUT = 1.0
CROWD = 100
"""Connections that one address may have."""


def test_a_head_that_does_not_arrive_in_time_is_given_up(talk: Conversation) -> None:
    """RFC 9110 15.5.9; slowhttptest, Envoy request_headers_timeout."""
    begun = time.monotonic()
    stopped = talk.client().send(GET + b"\r\nHost: gw.test\r\nX-A: b")
    trickling = talk.client().send(GET + b"\r\nHost: gw.test\r\nX-A: ")
    second = talk.client().send(request(b"GET /nowhere HTTP/1.1"))
    assert second.message().status == 404
    second.send(GET)
    while trickling.is_quiet():
        trickling.send(b"b")
        time.sleep(0.05)
    assert time.monotonic() - begun > HEADER_TIMEOUT * 0.9
    for client in (stopped, trickling, second):
        answer = client.message()
        assert (answer.status, answer.slug) == (408, "request-timeout")
        assert client.has_ended()
    assert talk.nothing_was_forwarded()


def test_a_crowd_from_one_address_is_refused_and_others_are_served(talk: Conversation) -> None:
    """nginx limit_conn, HAProxy stick-table conn_cur."""
    crowd = [talk.client("127.0.0.9") for _ in range(CROWD)]
    one_more = talk.client("127.0.0.9")
    try:
        answer = one_more.send(request(b"GET /nowhere HTTP/1.1")).message()
    except (Ended, OSError):
        pass
    else:
        assert answer.status == 503
        assert one_more.has_ended()
    assert crowd[0].send(request(b"GET /nowhere HTTP/1.1")).message().status == 404
    assert talk.forwarded(GET).target == b"/plain/x"


def test_a_place_is_free_again_when_a_client_leaves(talk: Conversation) -> None:
    """nginx limit_conn."""
    for _ in range(CROWD + 10):
        client = talk.client("127.0.0.10")
        assert client.send(request(b"GET /nowhere HTTP/1.1")).message().status == 404
        client.close()


def test_a_client_that_reads_slowly_holds_nobody_else_up(talk: Conversation) -> None:
    """slowhttptest slow read."""
    slow = talk.client()
    slow.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    slow.send(request(GET))
    upstream, _ = talk.upstream().request()
    upstream.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n")
    assert upstream.poured(b"a" * 65536, most=50_000_000) < 50_000_000
    other = talk.client().send(request(GET))
    second, _ = talk.upstream().request()
    second.send(OK)
    assert other.message().status == 200
