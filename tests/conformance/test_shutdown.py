"""How a gateway ends: unready at once, serving what comes meanwhile, and finishing what runs."""

import signal
import time

from support.conformance import OK, Conversation, Wire, request
from support.conformance_websocket import ANSWER, GOING_AWAY, HANDSHAKE, closed
from support.gateway import Gateway, eventually

GET = b"GET /plain/x HTTP/1.1"
STREAM = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nxyz\r\n"


def terminate(gateway: Gateway) -> None:
    assert gateway.process is not None
    gateway.process.send_signal(signal.SIGTERM)


def exit_code(gateway: Gateway) -> int:
    """Wait for a gateway that is about to end."""
    assert gateway.process is not None
    return gateway.process.wait(10)


def streaming(talk: Conversation) -> tuple[Wire, Wire]:
    """Begin a response that has no end yet; return both ends."""
    client = talk.client().send(request(GET))
    upstream, _ = talk.upstream().request()
    upstream.send(STREAM)
    client.until(b"xyz\r\n")
    return client, upstream


def test_a_gateway_that_is_told_to_stop_finishes_what_runs(
    unix_gateway: Gateway, unix_talk: Conversation
) -> None:
    """nginx http_keepalive_shutdown.t, Traefik TestRequestAcceptGraceTimeout, fastify "gracefully close"."""
    talk = unix_talk
    assert unix_gateway.readyz().status == 200
    client, upstream = streaming(talk)
    uploading = talk.client().send(request(b"POST /plain/up HTTP/1.1", b"Content-Length: 6", body=b"xyz"))
    receiving = talk.upstream().accept()
    receiving.until(b"xyz")
    idle = talk.client().send(request(b"GET /nowhere HTTP/1.1"))
    assert idle.message().values("connection") == []

    terminate(unix_gateway)
    assert eventually(lambda: unix_gateway.readyz().status == 503, what="unready at once")
    assert idle.has_ended()
    idle.close()

    newcomer = talk.client().send(request(b"GET /plain/new HTTP/1.1"))
    serving, seen = talk.upstream().request()
    assert seen.target == b"/plain/new"
    serving.send(OK)
    answer = newcomer.message()
    assert answer.status == 200
    assert answer.values("connection") == [b"close"]
    assert newcomer.has_ended()
    newcomer.close()

    upstream.send(b"3\r\ndef\r\n0\r\n\r\n")
    assert client.chunk() == b"def"
    assert client.chunk() == b""
    client.close()
    uploading.send(b"def")
    assert receiving.exactly(3) == b"def"
    receiving.send(OK)
    assert uploading.message().status == 200
    uploading.close()
    assert exit_code(unix_gateway) == 0


def test_what_runs_longer_than_the_limit_is_cut(ipv6_gateway: Gateway, ipv6_talk: Conversation) -> None:
    """nginx worker_shutdown_timeout_proxy_upgrade.t."""
    client, upstream = streaming(ipv6_talk)
    page = ipv6_talk.client().send(request(b"GET /ws/x HTTP/1.1", *HANDSHAKE))
    socket, _ = ipv6_talk.upstream("ws").request()
    socket.send(ANSWER)
    assert page.message().status == 101

    old = ipv6_talk.client().send(b"GET /plain/x HTTP/1.0\r\n\r\n")
    other, _ = ipv6_talk.upstream().request()
    other.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nxyz\r\n")
    old.until(b"xyz")

    begun = time.monotonic()
    terminate(ipv6_gateway)
    assert client.rest().strip() == b"", "no last chunk"
    assert old.is_reset(), "no orderly end where that is the end of the answer"
    assert time.monotonic() - begun > 0.4
    socket.half_close()
    assert closed(page) == GOING_AWAY
    assert upstream.has_ended()
    socket.rest()
    exit_code(ipv6_gateway)
