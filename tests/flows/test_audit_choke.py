"""Whatever is sent: an answer that cannot be written down is the 503 that says so, and nothing is forwarded."""

import resource
import socket
from pathlib import Path

from flows_gateway import UPSTREAMS
from support.gateway import eventually, running_gateway
from support.raw import Raw

POLICIES = """\
version: 1
authenticators: {gateway: {kind: gateway_jwt}}
accounts: {registration: open}
defaults: {authn: [gateway]}
deny: [{id: evil, when: {header.x-evil: {present: true}}}]
routes:
  - {id: health, match: {methods: [GET], path: /healthz}, upstream: service, authn: public, because: A probe}
  - id: open
    match: {methods: [GET, POST], path: /open/**}
    upstream: service
    authn: public
    because: For tests
    body: {max_request: 1KiB}
    cors: {origins: [https://app.example.com]}
    websocket: true
  - {id: closed, match: {methods: [GET], path: /closed}, upstream: service, require: authenticated}
  - {id: gone, match: {methods: [GET], path: /gone}, authn: public, because: For tests, respond: {status: 410}}
"""
HOST = "Host: localhost\n"
JSON = "Content-Type: application/json\n"
WEBSOCKET = "Connection: Upgrade\nUpgrade: websocket\nSec-WebSocket-Version: 13\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\n"
REQUESTS = [
    f"GET /open/x HTTP/1.1\n{HOST}\n",
    f"HEAD /open/x HTTP/1.1\n{HOST}\n",
    f"GET /open/x HTTP/1.0\n{HOST}Connection: keep-alive\n\n",
    f"GET /open/x HTTP/1.1\n{HOST}X-Evil: 1\n\n",
    f"GET /closed HTTP/1.1\n{HOST}\n",
    f"GET /closed HTTP/1.1\n{HOST}Authorization: Bearer x\n\n",
    f"GET /closed HTTP/1.1\n{HOST}Authorization: Bearer x\nAuthorization: Bearer y\n\n",
    f"GET /gone HTTP/1.1\n{HOST}\n",
    f"GET /nowhere HTTP/1.1\n{HOST}\n",
    f"DELETE /open/x HTTP/1.1\n{HOST}\n",
    f"OPTIONS * HTTP/1.1\n{HOST}\n",
    f"OPTIONS /open/x HTTP/1.1\n{HOST}Max-Forwards: 0\n\n",
    f"OPTIONS /open/x HTTP/1.1\n{HOST}Origin: https://app.example.com\nAccess-Control-Request-Method: GET\n\n",
    f"OPTIONS /open/x HTTP/1.1\n{HOST}Origin: https://evil.example\nAccess-Control-Request-Method: GET\n\n",
    f"CONNECT localhost:1 HTTP/1.1\n{HOST}\n",
    f"TRACE /open/x HTTP/1.1\n{HOST}\n",
    f"BREW /open/x HTTP/1.1\n{HOST}\n",
    "GET /open/x HTTP/1.1\n\n",
    f"GET /open/x HTTP/9.9\n{HOST}\n",
    "GET\n\n",
    "\x00\n\n",
    f"GET /a%2fb HTTP/1.1\n{HOST}\n",
    f"GET /open/../x HTTP/1.1\n{HOST}\n",
    f"GET http://elsewhere/open/x HTTP/1.1\n{HOST}\n",
    f"GET /open/{'x' * 20_000} HTTP/1.1\n{HOST}\n",
    f"GET /open/x HTTP/1.1\n{HOST}X: {'x' * 100_000}\n\n",
    f"GET /open/x HTTP/1.1\n{HOST}{''.join(f'X{number}: x' + chr(10) for number in range(400))}\n",
    f"GET /open/x HTTP/1.1\n{HOST}X : x\n\n",
    f"POST /open/x HTTP/1.1\n{HOST}Expect: 100-continue\nContent-Length: 3\n\n",
    f"POST /open/x HTTP/1.1\n{HOST}Expect: wonders\n\n",
    f"POST /open/x HTTP/1.1\n{HOST}Content-Length: 4096\n\n",
    f"POST /open/x HTTP/1.1\n{HOST}Content-Length: 1\nContent-Length: 2\n\n",
    f"POST /open/x HTTP/1.1\n{HOST}Transfer-Encoding: gzip\n\n",
    f"POST /open/x HTTP/1.1\n{HOST}Transfer-Encoding: chunked\n\nnot a chunk\n",
    f"GET /open/x HTTP/1.1\n{HOST}{WEBSOCKET}\n",
    f"GET /closed HTTP/1.1\n{HOST}{WEBSOCKET}\n",
    f"GET /gateway/v1/nothing HTTP/1.1\n{HOST}\n",
    f"GET /gateway/v1/auth/me HTTP/1.1\n{HOST}\n",
    f"GET /gateway/v1/auth/login HTTP/1.1\n{HOST}\n",
    f"GET /gateway//v1 HTTP/1.1\n{HOST}\n",
    f"GET /.well-known/jwks.json HTTP/1.1\n{HOST}\n",
    f"POST /gateway/v1/auth/login HTTP/1.1\n{HOST}{JSON}Content-Length: 2\n\n{{}}",
    f"POST /gateway/v1/auth/register HTTP/1.1\n{HOST}{JSON}Content-Length: 4\n\nnull",
    f"POST /gateway/v1/auth/login HTTP/1.1\n{HOST}{JSON}Content-Length: 999999\n\n",
    # The head never ends: what comes is what is said of a client that is too slow.
    f"GET /open/x HTTP/1.1\n{HOST}",
]


def test_nothing_is_answered_and_nothing_forwarded_that_is_not_written_down(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as upstream:
        upstream.setblocking(False)
        address = f"127.0.0.1:{upstream.getsockname()[1]}"
        environ = {"TEST_SERVICE": address, "GATEWAY_HEADER_TIMEOUT": "1s"}
        with running_gateway(tmp_path, policies=POLICIES, upstreams=UPSTREAMS, environ=environ) as gateway:
            before, ceiling = resource.prlimit(gateway.pid, resource.RLIMIT_FSIZE)
            # No file of the gateway may grow beyond this any more: as good as a full disk.
            resource.prlimit(gateway.pid, resource.RLIMIT_FSIZE, (2048, ceiling))
            eventually(lambda: gateway.request("GET", "/gone").status == 503)
            for request in REQUESTS:
                with Raw(gateway.port, timeout=10) as connection:
                    connection.send(request.replace("\n", "\r\n").encode("latin-1"))
                    is_head = request.startswith("HEAD")
                    reply = connection.reply(head_only=is_head)
                assert reply is not None, request[:80]
                assert (reply.status, reply.header("Retry-After")) == (503, "1"), (request[:80], reply)
                assert is_head or b":audit-unavailable" in reply.body, (request[:80], reply.body)
            resource.prlimit(gateway.pid, resource.RLIMIT_FSIZE, (before, ceiling))
            try:
                forwarded = upstream.accept()
            except BlockingIOError:
                forwarded = None
            assert forwarded is None
