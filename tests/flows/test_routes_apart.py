"""Routes that are not plainly forwarded, as a client sees them: own answers, pages, WebSocket, odd paths."""

import http.server
import threading
from collections.abc import Iterator

import pytest
from support.gateway import Gateway, eventually, running_gateway
from support.raw import Raw, RawReply

POLICIES = """\
version: 1
networks: {nowhere: [198.51.100.0/24]}
authenticators: {gateway: {kind: gateway_jwt}}
accounts: {registration: closed}
defaults: {authn: [gateway], limits: [{limit: 100000/min, per: client_ip}]}
deny: [{id: blocked, routes: [paged], when: {header.x-blocked: {present: true}}}]
routes:
  - id: moved
    match: {methods: [GET, POST], path: /moved}
    authn: public
    because: For tests
    respond: {status: 308, headers: {location: /paged}, body: "It moved."}
    cors: {origins: [https://app.example.com]}
  - {id: down, match: {methods: [GET], path: /down/**}, require: authenticated, respond: {status: 503, headers: {retry-after: "60"}, body: "Later."}}
  - id: paged
    match: {methods: [GET, PUT], path: /paged}
    upstream: service
    authn: public
    because: For tests
    cors: {origins: [https://app.example.com], headers: [x-one], credentials: true, max_age: 10min}
  - id: closed
    match: {methods: [GET], path: /closed}
    upstream: service
    require: authenticated
    cors: {origins: [https://app.example.com]}
  - {id: plain, match: {methods: [GET], path: /plain}, upstream: service, authn: public, because: For tests}
  - {id: dead, match: {methods: [GET], path: /dead}, upstream: dead, authn: public, because: For tests, cors: {origins: [https://app.example.com]}}
  - {id: chat, match: {methods: [GET], path: /chat}, upstream: service, authn: public, because: For tests, websocket: {origins: [https://app.example.com]}}
  - {id: odd, match: {methods: [GET], path: /odd/**}, upstream: odd, authn: public, because: For tests}
"""
UPSTREAMS = """\
version: 1
upstreams:
  service: {targets: [{url: "http://${env:TEST_SERVICE}"}], forward: {set_response_headers: {x-set: "yes"}}}
  odd:
    targets: [{url: "http://${env:TEST_SERVICE}"}]
    paths: {allow: [encoded_slash, double_slash, semicolon, backslash]}
  dead: {targets: [{url: "http://127.0.0.1:1"}]}
"""
PAGE = b"Origin: https://app.example.com\r\n"
STRANGER = b"Origin: https://evil.example.com\r\n"
HANDSHAKE = (
    b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
)


class _Loose(http.server.BaseHTTPRequestHandler):
    """Lets every page read, and tells the target it was sent."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        body = self.requestline.split()[1].encode()
        self.send_response(200)
        self.send_header("Access-Control-Allow-Origin", "*")
        self.send_header("access-control-allow-credentials", "false")
        self.send_header("Access-Control-Expose-Headers", "x-kept")
        self.send_header("Vary", "Accept")
        self.send_header("X-Upgrade", self.headers.get("Upgrade", "none"))
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway before a service that knows no rules about pages."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Loose) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with running_gateway(
            tmp_path_factory.mktemp("gateway"),
            policies=POLICIES,
            upstreams=UPSTREAMS,
            environ={"TEST_SERVICE": f"127.0.0.1:{server.server_address[1]}"},
        ) as running:
            yield running
        server.shutdown()


def ask(gateway: Gateway, request: bytes, *lines: bytes) -> tuple[RawReply, bool]:
    """Return the reply, and whether the connection was closed behind it."""
    with Raw(gateway.port) as raw:
        raw.send(request + b" HTTP/1.1\r\nHost: localhost\r\n" + b"".join(lines) + b"\r\n")
        reply = raw.reply(head_only=request.startswith(b"HEAD "))
        assert reply is not None
        return reply, reply.header("connection") == "close" and raw.is_closed()


def values(reply: RawReply, name: str) -> list[str]:
    lines = (line.partition(b":") for line in reply.head.split(b"\r\n")[1:])
    return [value.strip().decode() for key, _, value in lines if key.decode().lower() == name]


def test_an_answer_of_the_gateway_itself_comes_whole(gateway: Gateway) -> None:
    reply, closed = ask(gateway, b"GET /moved")
    assert (reply.status, reply.body, closed) == (308, b"It moved.", False)
    assert reply.header("location") == "/paged"
    assert reply.header("content-type") == "text/plain; charset=utf-8"
    for name in ("date", "x-request-id", "ratelimit", "ratelimit-policy"):
        assert len(values(reply, name)) == 1
    assert reply.header("x-set") is None


def test_head_of_an_own_answer_has_its_length_and_no_body(gateway: Gateway) -> None:
    with Raw(gateway.port) as raw:
        raw.send(b"HEAD /moved HTTP/1.1\r\nHost: localhost\r\n\r\n")
        first = raw.reply(head_only=True)
        raw.send(b"GET /moved HTTP/1.1\r\nHost: localhost\r\n\r\n")
        second = raw.reply()
    assert first is not None
    assert second is not None
    assert first.header("content-length") == second.header("content-length") == "9"
    assert (first.status, second.body) == (308, b"It moved.")


def test_an_own_answer_does_not_wait_for_a_body(gateway: Gateway) -> None:
    reply, closed = ask(gateway, b"POST /moved", b"Content-Length: 1000000000\r\n")
    assert (reply.status, closed) == (308, True)


def test_an_own_answer_is_for_callers_that_the_route_asks_for(gateway: Gateway) -> None:
    reply, _ = ask(gateway, b"GET /down/now")
    assert reply.status == 401


def test_a_preflight_is_answered_by_the_gateway(gateway: Gateway) -> None:
    reply, closed = ask(gateway, b"OPTIONS /paged", PAGE, b"Access-Control-Request-Method: PUT\r\n")
    assert (reply.status, reply.body, closed) == (204, b"", False)
    said = {
        "access-control-allow-origin": ["https://app.example.com"],
        "access-control-allow-credentials": ["true"],
        "access-control-allow-methods": ["GET, PUT, HEAD"],
        "access-control-allow-headers": ["x-one"],
        "access-control-max-age": ["600"],
        "vary": ["Origin"],
        "content-length": [],
    }
    assert {name: values(reply, name) for name in said} == said


@pytest.mark.parametrize(
    ("origin", "method", "more"),
    [(STRANGER, b"GET", b""), (PAGE, b"GET", b"X-Blocked: 1\r\n")],
)
def test_a_preflight_that_is_denied_says_nothing_to_pages(
    gateway: Gateway, origin: bytes, method: bytes, more: bytes
) -> None:
    reply, _ = ask(
        gateway, b"OPTIONS /paged", origin, b"Access-Control-Request-Method: " + method + b"\r\n", more
    )
    assert (reply.status, b'"urn:gateway:problem:denied"' in reply.body) == (403, True)
    assert b"Access-Control" not in reply.head
    assert values(reply, "vary") == ["Origin"]


def test_what_the_upstream_says_about_pages_gives_way_to_the_policy(gateway: Gateway) -> None:
    reply, _ = ask(gateway, b"GET /paged", PAGE)
    assert values(reply, "access-control-allow-origin") == ["https://app.example.com"]
    assert values(reply, "access-control-allow-credentials") == ["true"]
    assert values(reply, "access-control-expose-headers") == ["x-kept"]
    assert values(reply, "vary") == ["Accept", "Origin"]
    for lines in ((), (STRANGER,)):
        reply, _ = ask(gateway, b"GET /paged", *lines)
        assert values(reply, "access-control-allow-origin") == []
        assert values(reply, "access-control-allow-credentials") == []
        assert values(reply, "vary") == ["Accept", "Origin"]


def test_without_rules_about_pages_the_upstream_says_what_it_says(gateway: Gateway) -> None:
    reply, _ = ask(gateway, b"GET /plain", PAGE)
    assert values(reply, "access-control-allow-origin") == ["*"]
    assert values(reply, "vary") == ["Accept"]


@pytest.mark.parametrize(("path", "status"), [(b"/closed", 401), (b"/dead", 502), (b"/moved", 308)])
def test_pages_may_read_why_they_were_refused(gateway: Gateway, path: bytes, status: int) -> None:
    reply, _ = ask(gateway, b"GET " + path, PAGE)
    assert reply.status == status
    assert values(reply, "access-control-allow-origin") == ["https://app.example.com"]
    assert values(reply, "vary") == ["Origin"]


@pytest.mark.parametrize("path", [b"/plain", b"/moved", b"/gateway/v1"])
def test_a_handshake_where_no_websocket_is_spoken_is_426(gateway: Gateway, path: bytes) -> None:
    reply, closed = ask(gateway, b"GET " + path, HANDSHAKE)
    assert (reply.status, closed or "close" in values(reply, "connection")) == (426, True)
    assert values(reply, "upgrade") == ["HTTP/1.1"]
    assert sorted(values(reply, "connection")) == ["Upgrade", "close"]


def test_another_version_of_websocket_is_426_with_the_one_that_is_spoken(gateway: Gateway) -> None:
    handshake = HANDSHAKE.replace(b"Version: 13", b"Version: 8")
    reply, _ = ask(gateway, b"GET /chat", handshake)
    assert reply.status == 426
    assert values(reply, "sec-websocket-version") == ["13"]
    assert values(reply, "upgrade") == ["websocket"]


def test_a_bad_handshake_and_a_foreign_page_are_refused(gateway: Gateway) -> None:
    bad, _ = ask(gateway, b"GET /chat", HANDSHAKE.replace(b"dGhl", b"????"))
    assert bad.status == 400
    foreign, _ = ask(gateway, b"GET /chat", HANDSHAKE, STRANGER)
    assert foreign.status == 403


def test_other_upgrades_are_ignored_and_the_connection_ends(gateway: Gateway) -> None:
    reply, closed = ask(gateway, b"GET /plain", b"Connection: Upgrade\r\nUpgrade: h2c\r\n")
    assert (reply.status, closed) == (200, True)
    assert reply.header("x-upgrade") == "none"


@pytest.mark.parametrize(
    "target", [b"/odd/a%2fb", b"/odd//a", b"/odd/a;b=c/d", b"/odd/a\\b", b"/odd/a%5Cb?c=%2f//", b"/odd/"]
)
def test_an_odd_path_goes_byte_for_byte_to_an_upstream_that_takes_it(gateway: Gateway, target: bytes) -> None:
    reply, closed = ask(gateway, b"GET " + target)
    assert (reply.status, reply.body, closed) == (200, target, False)


@pytest.mark.parametrize(
    "target",
    [
        b"/plain//a",
        b"/nowhere%2f",
        b"/gateway//v1",
        b"/down/a;b",
        b"/odd/..%2fa",
        b"/odd/%2e%2e;/a",
        b"/odd/a%00",
    ],
)
def test_elsewhere_odd_paths_are_ambiguous(gateway: Gateway, target: bytes) -> None:
    reply, _ = ask(gateway, b"GET " + target)
    assert (reply.status, b'"urn:gateway:problem:ambiguous-path"' in reply.body) == (400, True)


def test_options_for_the_server_and_methods_that_are_never_allowed(gateway: Gateway) -> None:
    for target in (b"*", b"http://localhost"):
        reply, closed = ask(gateway, b"OPTIONS " + target)
        assert (reply.status, closed) == (204, False)
    reply, closed = ask(gateway, b"TRACE /plain")
    assert (reply.status, closed) == (405, True)
    assert reply.header("allow") == "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT"
    reply, closed = ask(gateway, b"CONNECT localhost:80")
    assert (reply.status, closed) == (405, True)


def test_all_of_it_is_in_the_trail_and_counted_under_its_route(gateway: Gateway) -> None:
    asked = b"Access-Control-Request-Method: GET\r\n"
    replies = {
        "own answer": ask(gateway, b"GET /moved"),
        "stranger": ask(gateway, b"GET /down/now"),
        "preflight": ask(gateway, b"OPTIONS /paged", PAGE, asked),
        "denied preflight": ask(gateway, b"OPTIONS /paged", STRANGER, asked),
        "handshake": ask(gateway, b"GET /plain", HANDSHAKE),
        "own handshake": ask(gateway, b"GET /gateway/v1", HANDSHAKE),
        "foreign page": ask(gateway, b"GET /chat", HANDSHAKE, STRANGER),
        "odd": ask(gateway, b"GET /plain//a;b"),
    }
    names = {reply.header("x-request-id"): name for name, (reply, _) in replies.items()}

    def found(kind: str) -> dict[str, list[object]]:
        told = ("decision", "reason", "status", "route", "upstream", "action", "path", "outcome", "bytes_out")
        return {
            names[record["request_id"]]: [record[one] for one in told if record[one] is not None]
            for record in gateway.audit("--kind", kind)
            if record["request_id"] in names
        }

    assert eventually(lambda: len(all_ := found("decision")) == len(names) and all_) == {
        "own answer": ["allow", "ok", 308, "moved", "GET /moved", "/moved"],
        "stranger": ["deny", "credentials-missing", 401, "down", "GET /down/**", "/down/now"],
        "preflight": ["allow", "ok", 204, "paged", "OPTIONS /paged", "/paged"],
        "denied preflight": ["deny", "denied", 403, "paged", "OPTIONS /paged", "/paged"],
        "handshake": ["deny", "upgrade-required", 426, "plain", "GET /plain", "/plain"],
        "own handshake": [
            "deny",
            "upgrade-required",
            426,
            "gateway:welcome",
            "GET /gateway/v1",
            "/gateway/v1",
        ],
        "foreign page": ["deny", "denied", 403, "chat", "GET /chat", "/chat"],
        "odd": ["deny", "ambiguous-path", 400, "request", "/plain//a;b"],
    }
    assert eventually(lambda: found("completion")) == {
        "own answer": ["ok", 308, "moved", "GET /moved", "/moved", "complete", 9]
    }
    text = gateway.request("GET", "/metrics", port=gateway.admin_port).body.decode()
    counted = [line for line in text.splitlines() if 'route="moved"' in line or 'route="paged"' in line]
    assert any('"3xx"' in line for line in counted)
    assert any('"2xx"' in line for line in counted)
    assert 'upstream=""' not in text
