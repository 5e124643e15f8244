"""Forward-auth (contract of other proxies): asked by hand, as nginx, Traefik, Caddy and Envoy ask."""

import base64
import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from support.gateway import Gateway, Reply, eventually, running_gateway
from support.raw import Raw, RawReply

POLICIES = """\
version: 1
networks:
  blocked: [198.51.100.0/24]
scopes:
  things:read: See things
  things:write: Make things
roles:
  reader: {scopes: [things:read]}
  writer: {inherits: [reader], scopes: [things:write]}
authenticators:
  gateway: {kind: gateway_jwt}
  keys: {kind: api_key, header: x-api-key}
accounts:
  registration: closed
defaults:
  authn: [gateway, keys]
  limits: [{limit: 100000/min, per: principal}, {limit: 100000/min, per: client_ip}]
  cors: {origins: ["https://app.example.com"], methods: [GET], headers: [authorization]}
deny:
  - {id: blocked-networks, when: {client.ip: {in_network: blocked}}}
  - {id: marked, when: {header.x-evil: {present: true}}}
routes:
  - {id: open, match: {methods: [GET], path: /open/**}, upstream: signed, authn: public, because: For tests}
  - id: signed
    match: {host: api.example.com, methods: [GET, POST], path: /signed}
    upstream: signed
    require: {GET: [things:read], POST: [things:write]}
  - {id: bound, match: {methods: [GET], path: /bound}, upstream: bound, require: [things:read]}
  - {id: plain, match: {methods: [GET], path: /plain}, upstream: plain, require: [things:read]}
  - {id: bare, match: {methods: [GET], path: /bare}, upstream: bare, require: [things:read]}
  - {id: slashes, match: {methods: [GET], path: "/slashes/{name}"}, upstream: slashes, require: [things:read]}
  - {id: old, match: {methods: [GET], path: /old}, require: authenticated, respond: {status: 308, headers: {location: /new}}}
  - {id: chat, match: {methods: [GET], path: /chat}, upstream: plain, require: [things:read], websocket: {origins: ["https://app.example.com"]}}
  - {id: few, match: {methods: [GET], path: /few}, upstream: plain, require: [things:read], limits: [{limit: 1/min, per: client_ip}]}
  - {id: sealed, match: {methods: [GET], path: /sealed}, upstream: plain, require: [things:read], encrypt_response: {key: reports}}
  - {id: fields, match: {methods: [GET], path: /fields}, upstream: plain, require: [things:read], encrypt_response: {key: reports}, encrypt_fields: [/a]}
  - {id: opened, match: {methods: [GET], path: /opened}, upstream: plain, require: [things:read], decrypt_request: {key: reports}}
  - {id: anything, match: {methods: [GET], path: /**}, upstream: plain, require: [things:read]}
"""

UPSTREAMS = """\
version: 1
upstreams:
  signed: {targets: [{url: "http://127.0.0.1:1"}]}
  bound: {targets: [{url: "http://127.0.0.1:1"}], forward: {identity: signed_jwt, bind: request}}
  plain: {targets: [{url: "http://127.0.0.1:1"}], forward: {identity: headers}}
  bare: {targets: [{url: "http://127.0.0.1:1"}], forward: {identity: none}}
  slashes: {targets: [{url: "http://127.0.0.1:1"}], paths: {allow: [encoded_slash]}}
"""

IDENTITY = (
    "X-Gateway-Subject",
    "X-Gateway-Roles",
    "X-Gateway-Scopes",
    "X-Gateway-Auth-Kind",
    "X-Gateway-Assertion",
)


class Asking:
    """A trusted proxy that asks about requests of its clients."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway
        gateway.create_user("rita", "a reader's password", "reader")
        self.token = gateway.login("rita", "a reader's password")["access_token"]

    def ask(
        self,
        uri: str,
        *,
        method: str = "GET",
        host: str = "api.example.com",
        client: str = "192.0.2.7",
        proto: str = "https",
        with_token: bool = True,
        query: str = "",
        by: str = "GET",
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        said = {
            "X-Forwarded-Method": method,
            "X-Forwarded-Proto": proto,
            "X-Forwarded-Host": host,
            "X-Forwarded-Uri": uri,
            "X-Forwarded-For": client,
            **(headers or {}),
        }
        return self.gateway.request(
            by,
            f"/gateway/v1/check{query}",
            token=self.token if with_token else None,
            headers={name: value for name, value in said.items() if value},
        )

    def last(self) -> dict[str, Any]:
        """The newest record."""
        return self.gateway.audit("--limit", "1")[0]


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asking]:
    with running_gateway(
        tmp_path_factory.mktemp("forward-auth"),
        policies=POLICIES,
        upstreams=UPSTREAMS,
        environ={
            "GATEWAY_TRUSTED_PROXIES": "127.0.0.1/32",
            "GATEWAY_PUBLIC_URL": "https://gw.example.com",
        },
    ) as running:
        yield Asking(running)


def _claims(assertion: str) -> dict[str, Any]:
    part = assertion.split(".")[1]
    claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return claims


def test_a_permit_says_who_is_asking(proxy: Asking) -> None:
    reply = proxy.ask("/signed?a=1")
    assert reply.status == 200
    assert reply.headers["X-Gateway-Subject"].startswith("usr_")
    assert reply.headers["X-Gateway-Roles"] == "reader"
    assert reply.headers["X-Gateway-Scopes"] == "things:read"
    assert reply.headers["X-Gateway-Auth-Kind"] == "gateway_jwt"
    claims = _claims(reply.headers["X-Gateway-Assertion"])
    assert claims["aud"] == "signed"
    assert claims["iss"] == "https://gw.example.com"
    assert claims["sub"] == reply.headers["X-Gateway-Subject"]
    assert reply.headers["Cache-Control"] == "no-store"
    assert "RateLimit" in reply.headers
    assert reply.body == b""


def test_a_permit_is_one_decision_about_the_original_request_and_nothing_else(proxy: Asking) -> None:
    request_id = proxy.ask("/signed?a=1").headers["X-Request-Id"]
    (record,) = proxy.gateway.audit("--request-id", request_id)
    assert record["kind"] == "decision"
    assert (record["method"], record["host"], record["decision"]) == ("GET", "api.example.com", "allow")
    assert record["path"].startswith("/signed?a=")
    assert (record["route"], record["status"]) == ("signed", 200)
    assert record["attributes"]["forward_auth"] is True
    assert not [one for one in proxy.gateway.audit() if str(one["path"]).startswith("/gateway/v1/check")]


@pytest.mark.parametrize("by", ["GET", "POST", "PUT", "DELETE", "OPTIONS", "PROPFIND"])
def test_with_whatever_method_the_proxy_asks_the_original_one_counts(proxy: Asking, by: str) -> None:
    assert proxy.ask("/signed", by=by).status == 200
    assert proxy.ask("/signed", by=by, method="POST").json["type"].endswith(":insufficient-scope")


def test_a_permit_sends_every_identity_field_even_when_it_says_nothing(proxy: Asking) -> None:
    for path in ("/open/x", "/bare"):
        reply = proxy.ask(path, with_token=path == "/bare", headers={"X-Gateway-Subject": "usr_forged"})
        assert reply.status == 200
        assert {name: reply.headers[name] for name in IDENTITY} == dict.fromkeys(IDENTITY, "")
    plain = proxy.ask("/plain")
    assert plain.headers["X-Gateway-Assertion"] == ""
    assert plain.headers["X-Gateway-Subject"].startswith("usr_")


def test_an_assertion_may_be_bound_to_the_original_request(proxy: Asking) -> None:
    reply = proxy.ask("/bound?x=1")
    claims = _claims(reply.headers["X-Gateway-Assertion"])
    assert (claims["htm"], claims["htu"]) == ("GET", "https://api.example.com/bound")
    assert claims["rid"] == reply.headers["X-Request-Id"]


@pytest.mark.parametrize(
    ("uri", "how", "status", "slug"),
    [
        ("/signed", {"with_token": False}, 401, "credentials-missing"),
        ("/signed", {"headers": {"Authorization": "Bearer nonsense"}}, 401, "credentials-invalid"),
        ("/signed", {"method": "POST"}, 403, "insufficient-scope"),
        ("/signed", {"client": "198.51.100.9"}, 403, "denied"),
        ("/signed", {"headers": {"X-Evil": "yes"}}, 403, "denied"),
        ("/signed", {"method": "DELETE"}, 405, "method-not-allowed"),
        ("/signed/../plain", {}, 400, "ambiguous-path"),
        ("/a%2fb", {}, 400, "ambiguous-path"),
        ("/a//b", {}, 400, "ambiguous-path"),
        ("/signed#x", {}, 400, "ambiguous-path"),
        ("/" + "a" * 9000, {}, 414, "uri-too-long"),
        ("/signed", {"host": "a b"}, 400, "malformed-request"),
        ("/signed", {"method": "TRACE"}, 405, "method-not-allowed"),
        ("/signed", {"method": "DESCRIBE"}, 501, "not-implemented"),
        ("/gateway/v1/auth/me", {}, 404, "no-route"),
        ("/gateway/v1/check", {}, 404, "no-route"),
        ("/.well-known/jwks.json", {}, 404, "no-route"),
    ],
)
def test_a_refusal_is_that_of_the_original_request(
    proxy: Asking, uri: str, how: dict[str, Any], status: int, slug: str
) -> None:
    reply = proxy.ask(uri, **how)
    assert reply.status == status
    assert reply.headers["Content-Type"] == "application/problem+json"
    assert reply.json["type"] == f"urn:gateway:problem:{slug}"
    assert not [name for name in reply.headers if name.startswith("X-Gateway-")]
    record = proxy.last()
    assert (record["decision"], record["reason"], record["status"]) == ("deny", slug, status)
    assert record["attributes"]["forward_auth"] is True
    assert reply.json["instance"] == f"urn:uuid:{record['request_id']}"


def test_a_client_that_an_operator_blocks_is_refused(proxy: Asking) -> None:
    assert proxy.gateway.run("blocks", "add", "192.0.2.200", "--for", "1h").returncode == 0
    refused = eventually(
        lambda: (reply := proxy.ask("/open/x", client="192.0.2.200")).status == 403 and reply
    )
    assert refused.json["type"] == "urn:gateway:problem:address-blocked"
    assert proxy.ask("/open/x", client="192.0.2.201").status == 200
    assert proxy.gateway.run("blocks", "remove", "192.0.2.200").returncode == 0


def test_a_refused_caller_is_challenged(proxy: Asking) -> None:
    assert proxy.ask("/signed", with_token=False).headers["WWW-Authenticate"].startswith("Bearer")


def test_for_nginx_everything_that_it_would_not_pass_on_becomes_403(proxy: Asking) -> None:
    reply = proxy.ask("/signed", method="DELETE", query="?status=auth")
    assert (reply.status, reply.headers["X-Gateway-Status"]) == (403, "405")
    assert reply.json["status"] == 405
    cases: list[tuple[dict[str, Any], int]] = [
        ({"with_token": False}, 401),
        ({"method": "POST"}, 403),
        ({}, 200),
    ]
    for how, status in cases:
        reply = proxy.ask("/signed", query="?status=auth", **how)
        assert reply.status == status
        assert "X-Gateway-Status" not in reply.headers


@pytest.mark.parametrize(
    ("path", "status", "reason"),
    [
        ("/sealed", 502, "response-not-encryptable"),
        ("/fields", 502, "response-not-encryptable"),
        ("/opened", 400, "decryption-failed"),
    ],
)
def test_what_the_proxy_would_serve_unencrypted_is_refused(
    proxy: Asking, path: str, status: int, reason: str
) -> None:
    reply = proxy.ask(path)
    assert (reply.status, reply.json["type"]) == (status, f"urn:gateway:problem:{reason}")
    (record,) = proxy.gateway.audit("--request-id", reply.headers["X-Request-Id"])
    assert (record["kind"], record["decision"], record["reason"]) == ("decision", "deny", reason)
    assert (record["route"], record["status"], record["actor"]["name"]) == (path[1:], status, "rita")
    assert proxy.ask(path, with_token=False).status == 401, "who may not even ask learns nothing"
    nginx = proxy.ask(path, query="?status=auth")
    assert (nginx.status, nginx.headers["X-Gateway-Status"]) == (403, str(status))


def test_the_query_of_the_question_is_not_that_of_the_request(proxy: Asking) -> None:
    """Caddy leaves the query of its client where it asks."""
    reply = proxy.ask("/signed?a=1", query="?a=1&status=auth")
    assert reply.status == 200
    assert proxy.ask("/signed", method="DELETE", query="?a=1&status=auth").status == 405


def test_limits_count_for_the_original_client(proxy: Asking) -> None:
    assert proxy.ask("/few", client="192.0.2.50").status == 200
    refused = proxy.ask("/few", client="192.0.2.50")
    assert refused.status == 429
    assert int(refused.headers["Retry-After"]) >= 1
    assert "RateLimit" in refused.headers
    assert proxy.ask("/few", client="192.0.2.51").status == 200
    told = proxy.ask("/few", client="192.0.2.50", query="?status=auth")
    assert (told.status, told.headers["X-Gateway-Status"]) == (403, "429")
    assert "Retry-After" in told.headers


@pytest.mark.parametrize("name", ["Method", "Proto", "Host", "Uri", "For"])
def test_what_the_proxy_does_not_say_is_not_made_up(proxy: Asking, name: str) -> None:
    reply = proxy.ask("/signed", headers={f"X-Forwarded-{name}": ""})
    assert reply.status == 400
    assert reply.json["type"] == "urn:gateway:problem:invalid-request"
    assert reply.json["errors"] == [{"field": f"X-Forwarded-{name}", "message": "is missing"}]
    assert proxy.last()["route"] == "gateway:check"


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Forwarded-Proto": "gopher"},
        {"X-Forwarded-Uri": "http://elsewhere/x"},
        {"X-Forwarded-Uri": "*", "X-Forwarded-Method": "OPTIONS"},
        {"X-Forwarded-Method": "get"},
        {"X-Forwarded-Method": "GET /x"},
        {"X-Forwarded-For": "unknown"},
    ],
)
def test_what_the_proxy_says_must_make_sense(proxy: Asking, headers: dict[str, str]) -> None:
    reply = proxy.ask("/signed", headers=headers)
    assert reply.status == 400
    assert len(reply.json["errors"]) == 1


def test_a_field_that_was_said_twice_is_not_believed(proxy: Asking) -> None:
    with Raw(proxy.gateway.port) as client:
        client.send(
            b"GET /gateway/v1/check HTTP/1.1\r\nHost: gw\r\nX-Forwarded-Method: GET\r\nX-Forwarded-Method: POST\r\n"
            b"X-Forwarded-Proto: https\r\nX-Forwarded-Host: api.example.com\r\nX-Forwarded-Uri: /open/x\r\n"
            b"X-Forwarded-For: 192.0.2.7\r\n\r\n"
        )
        reply = client.reply()
        assert reply is not None
        assert reply.status == 400
        assert b"occurs more than once" in reply.body


def test_only_trusted_proxies_are_answered(proxy: Asking, tmp_path: Any) -> None:
    with running_gateway(
        tmp_path / "untrusting",
        policies=POLICIES,
        upstreams=UPSTREAMS,
        environ={"GATEWAY_TRUSTED_PROXIES": "192.0.2.0/24"},
    ) as running:
        for path in ("/gateway/v1/check", "/gateway/v1/check/open/x"):
            for method in ("GET", "POST", "PROPFIND"):
                reply = running.request(
                    method,
                    path,
                    headers={
                        "X-Forwarded-Method": "GET",
                        "X-Forwarded-Proto": "https",
                        "X-Forwarded-Host": "api.example.com",
                        "X-Forwarded-Uri": "/open/x",
                        "X-Forwarded-For": "192.0.2.7",
                    },
                )
                assert reply.status == 403
                assert reply.json["type"] == "urn:gateway:problem:denied"
        assert {record["route"] for record in running.audit("--decision", "deny")} == {"gateway:check"}


def test_a_path_beside_that_of_the_check_is_not_the_check(proxy: Asking) -> None:
    assert proxy.gateway.request("GET", "/gateway/v1/checks").status == 404
    assert proxy.gateway.request("GET", "/gateway/v1/%63heck").status in {400, 404}


def _envoy(proxy: Asking, head: str, *, with_token: bool = True, host: str = "api.example.com") -> RawReply:
    token = f"Authorization: Bearer {proxy.token}\r\n" if with_token else ""
    with Raw(proxy.gateway.port) as client:
        client.send(
            f"{head} HTTP/1.1\r\nHost: {host}\r\nX-Forwarded-For: 192.0.2.7\r\n{token}Content-Length: 0\r\n\r\n".encode()
        )
        reply = client.reply()
        assert reply is not None
        return reply


def test_envoy_asks_with_the_request_itself(proxy: Asking) -> None:
    reply = _envoy(proxy, "GET /gateway/v1/check/signed?status=auth")
    assert reply.status == 200
    assert (reply.header("x-gateway-roles"), reply.header("x-gateway-auth-kind")) == ("reader", "gateway_jwt")
    record = proxy.last()
    assert (record["method"], record["host"], record["route"]) == ("GET", "api.example.com", "signed")
    assert record["path"].startswith("/signed?status=")
    assert _envoy(proxy, "POST /gateway/v1/check/signed").status == 403
    assert _envoy(proxy, "GET /gateway/v1/check/signed", host="other.example.com").status == 200
    assert proxy.last()["route"] == "anything"
    assert _envoy(proxy, "DELETE /gateway/v1/check/signed?status=auth").status == 405
    assert _envoy(proxy, "GET /gateway/v1/check/signed", with_token=False).status == 401
    assert _envoy(proxy, "GET /gateway/v1/check/gateway/v1/check").status == 404


def test_the_spelling_of_envoys_path_is_the_clients(proxy: Asking) -> None:
    assert _envoy(proxy, "GET /gateway/v1/check/slashes/a%2Fb").status == 200
    assert proxy.last()["path"] == "/slashes/a%2Fb"
    assert _envoy(proxy, "GET /gateway/v1/check/plain/a%2Fb").status == 400


def test_envoy_must_say_who_its_client_is(proxy: Asking) -> None:
    reply = proxy.gateway.request("GET", "/gateway/v1/check/open/x")
    assert reply.status == 400
    assert reply.json["errors"] == [{"field": "X-Forwarded-For", "message": "is missing"}]


def test_a_route_that_answers_itself_permits_like_any_other(proxy: Asking) -> None:
    reply = proxy.ask("/old")
    assert reply.status == 200
    assert "Location" not in reply.headers
    assert reply.headers["X-Gateway-Roles"] == "reader"
    assert proxy.ask("/old", with_token=False).status == 401


@pytest.mark.parametrize("how", [{}, {"Connection": "Upgrade", "Upgrade": "websocket"}])
def test_a_websocket_is_decided_as_one(proxy: Asking, how: dict[str, str]) -> None:
    handshake = {"Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version": "13", **how}
    assert proxy.ask("/chat", headers=handshake).status == 200
    assert proxy.ask("/chat", headers={**handshake, "Origin": "https://app.example.com"}).status == 200
    foreign = proxy.ask("/chat", headers={**handshake, "Origin": "https://evil.example.com"})
    assert (foreign.status, foreign.json["type"]) == (403, "urn:gateway:problem:denied")
    assert proxy.ask("/plain", headers=handshake).status == 426
    assert proxy.ask("/chat", headers={**handshake, "Sec-WebSocket-Version": "8"}).status == 426
    assert proxy.ask("/chat", proto="wss", headers=handshake).status == 200


def test_a_preflight_passes_without_anybody_in_it(proxy: Asking) -> None:
    asks = {"Origin": "https://app.example.com", "Access-Control-Request-Method": "GET"}
    reply = proxy.ask("/plain", method="OPTIONS", with_token=False, headers=asks)
    assert reply.status == 204
    assert reply.headers["Access-Control-Allow-Origin"] == "https://app.example.com"
    assert {name: reply.headers[name] for name in IDENTITY} == dict.fromkeys(IDENTITY, "")
    refused = proxy.ask("/plain", with_token=False, headers={"Origin": "https://app.example.com"})
    assert refused.status == 401
    assert refused.headers["Access-Control-Allow-Origin"] == "https://app.example.com"


def test_what_is_true_of_the_question_is_not_true_of_the_request(proxy: Asking) -> None:
    """A body, an expectation and a connection of the proxy's own are not those of its client."""
    with Raw(proxy.gateway.port) as client:
        client.send(
            b"POST /gateway/v1/check HTTP/1.1\r\nHost: gw\r\nX-Forwarded-Method: GET\r\n"
            b"X-Forwarded-Proto: https\r\nX-Forwarded-Host: api.example.com\r\nX-Forwarded-Uri: /open/x\r\n"
            b"X-Forwarded-For: 192.0.2.7\r\nContent-Length: 99999999\r\nExpect: 100-continue\r\n\r\n"
        )
        reply = client.reply()
        assert reply is not None
        assert reply.status == 200


def test_an_old_proxy_speaks_http_1_0(proxy: Asking) -> None:
    with Raw(proxy.gateway.port) as client:
        client.send(
            b"GET /gateway/v1/check HTTP/1.0\r\nHost: gw\r\nX-Forwarded-Method: GET\r\n"
            b"X-Forwarded-Proto: http\r\nX-Forwarded-Host: api.example.com:8443\r\nX-Forwarded-Uri: /open/x\r\n"
            b"X-Forwarded-For: 192.0.2.7\r\n\r\n"
        )
        reply = client.reply()
        assert reply is not None
        assert reply.status == 200
        assert client.is_closed()


def test_a_refused_request_leaves_the_connection_of_the_proxy_in_order(proxy: Asking) -> None:
    with Raw(proxy.gateway.port) as client:
        for _ in range(2):
            client.send(
                b"GET /gateway/v1/check HTTP/1.1\r\nHost: gw\r\nX-Forwarded-Method: TRACE\r\n"
                b"X-Forwarded-Proto: http\r\nX-Forwarded-Host: api.example.com\r\nX-Forwarded-Uri: /open/x\r\n"
                b"X-Forwarded-For: 192.0.2.7\r\n\r\n"
            )
            reply = client.reply()
            assert reply is not None
            assert reply.status == 405


def test_the_welcome_lists_it(proxy: Asking) -> None:
    listed = proxy.gateway.request("GET", "/gateway/v1").json["endpoints"]
    assert ("ANY", "/gateway/v1/check") in {(one["method"], one["path"]) for one in listed}
