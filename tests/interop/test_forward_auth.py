"""A real nginx and a real Caddy, set up as the page says, ask the gateway about every request to a real service."""

import base64
import http.client
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from support.caddy import Caddy
from support.gateway import Gateway, Reply, running_gateway
from support.nginx import Nginx
from support.pasted import blocks_of
from support.websocket_servers import websocket_upstream
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

PAGE = Path(__file__).parents[2] / "docs/forward-auth.md"
SHOWN = {block.language: block.text for block in blocks_of(PAGE.read_text())}
POLICIES = """\
version: 1
networks:
  blocked: [127.0.0.3/32]
scopes:
  things:read: See things
  things:write: Make things
roles:
  reader: {scopes: [things:read]}
authenticators:
  gateway: {kind: gateway_jwt}
  keys: {kind: api_key, header: x-api-key}
accounts: {registration: closed}
defaults: {authn: [gateway, keys]}
deny:
  - {id: blocked-networks, when: {client.ip: {in_network: blocked}}}
routes:
  - {id: open, match: {methods: [GET], path: /echo/open}, upstream: service, authn: public, because: For tests}
  - id: things
    match: {methods: [GET, POST], path: /echo/things}
    upstream: service
    require: {GET: [things:read], POST: [things:write]}
  - {id: put, match: {methods: [PUT], path: /echo/put}, upstream: service, require: [things:read]}
  - {id: few, match: {methods: [GET], path: /echo/few}, upstream: service, require: [things:read], limits: [{limit: 1/min, per: principal}]}
  - {id: chat, match: {methods: [GET], path: /chat/echo}, upstream: service, require: [things:read], websocket: {origins: ["https://app.example.com"]}}
"""
UPSTREAMS = """\
version: 1
upstreams:
  service: {targets: [{url: "http://127.0.0.1:1"}]}
"""
FORGED = {
    "X-Gateway-Subject": "usr_forged",
    "X-Gateway-Roles": "admin",
    "X-Gateway-Scopes": "everything",
    "X-Gateway-Auth-Kind": "forged",
    "X-Gateway-Assertion": "forged",
}


class Front:
    """A proxy in front of the service, and the gateway that it asks."""

    def __init__(self, gateway: Gateway, port: int, token: str) -> None:
        self.gateway = gateway
        self.port = port
        self.token = token

    def send(
        self,
        method: str,
        target: str,
        *,
        with_token: bool = True,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        source: str = "127.0.0.1",
    ) -> Reply:
        connection = http.client.HTTPConnection(
            "127.0.0.1", self.port, timeout=10, source_address=(source, 0)
        )
        fields = {"Authorization": f"Bearer {self.token}"} if with_token else {}
        connection.request(method, target, body=body, headers={**fields, **(headers or {})})
        response = connection.getresponse()
        reply = Reply(
            response.status,
            {name.lower(): ", ".join(response.headers.get_all(name, [])) for name in response.headers},
            response.read(),
        )
        connection.close()
        return reply


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with running_gateway(
        tmp_path_factory.mktemp("asked"),
        policies=POLICIES,
        upstreams=UPSTREAMS,
        environ={"GATEWAY_TRUSTED_PROXIES": "127.0.0.1/32"},
    ) as running:
        running.create_user("rita", "a reader's password", "reader")
        yield running


@pytest.fixture(scope="module", params=["nginx", "caddy"])
def front(request: pytest.FixtureRequest, asked: Gateway, service: str) -> Iterator[Front]:
    token = asked.login("rita", "a reader's password")["access_token"]
    with _front(request.param, asked, service) as server:
        yield Front(asked, server.port, token)


def _front(kind: str, gateway: Gateway, service: str) -> Nginx | Caddy:
    shown = SHOWN[{"nginx": "nginx", "caddy": "caddyfile"}[kind]]
    shown = shown.replace("gateway.internal:8000", f"127.0.0.1:{gateway.port}")
    shown = shown.replace("orders.internal:8080", service)
    return Nginx(f"server {{ listen 127.0.0.1:PORT; {shown} }}") if kind == "nginx" else Caddy(shown)


def _arrived(reply: Reply) -> dict[str, str]:
    return {name.lower(): value for name, value in reply.json["headers"]}


def test_what_is_permitted_reaches_the_service_with_its_caller(front: Front) -> None:
    reply = front.send("GET", "/echo/things?a=1", headers=FORGED)
    assert reply.status == 200
    assert reply.json["target"] == "/echo/things?a=1"
    fields = _arrived(reply)
    assert fields["x-gateway-subject"].startswith("usr_")
    assert (fields["x-gateway-roles"], fields["x-gateway-scopes"]) == ("reader", "things:read")
    assert fields["x-gateway-auth-kind"] == "gateway_jwt"
    claims = fields["x-gateway-assertion"].split(".")[1]
    told = json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))
    assert (told["sub"], told["aud"]) == (fields["x-gateway-subject"], "service")
    assert "authorization" not in fields


def test_nobody_is_believed_on_a_public_route_either(front: Front) -> None:
    reply = front.send("GET", "/echo/open", with_token=False, headers=FORGED)
    assert reply.status == 200
    assert not [value for name, value in _arrived(reply).items() if name.startswith("x-gateway-") and value]


def test_a_body_goes_to_the_service_and_not_to_the_gateway(front: Front) -> None:
    reply = front.send("PUT", "/echo/put", body=b"x" * 100_000)
    assert (reply.status, reply.json["method"], reply.json["body"]["bytes"]) == (200, "PUT", 100_000)


@pytest.mark.parametrize(
    ("method", "target", "how", "status"),
    [
        ("GET", "/echo/things", {"with_token": False}, 401),
        ("GET", "/echo/things", {"headers": {"Authorization": "Bearer nonsense"}}, 401),
        ("POST", "/echo/things", {"body": b"x"}, 403),
        ("GET", "/echo/open", {"source": "127.0.0.3"}, 403),
        ("GET", "/echo/absent", {}, 404),
    ],
)
def test_a_refusal_reaches_the_client(
    front: Front, method: str, target: str, how: dict[str, Any], status: int
) -> None:
    reply = front.send(method, target, **how)
    assert reply.status == status
    if status == 401:
        assert "Bearer" in reply.headers["www-authenticate"]


def test_what_a_client_says_of_its_request_is_not_what_is_decided_on(front: Front) -> None:
    lies = {
        "X-Forwarded-Method": "GET",
        "X-Forwarded-Uri": "/echo/open",
        "X-Forwarded-Host": "other.example.com",
        "X-Forwarded-For": "192.0.2.1",
        "X-Forwarded-Proto": "https",
    }
    assert front.send("POST", "/echo/things", headers=lies, body=b"x").status == 403
    assert front.send("GET", "/echo/open", headers=lies, source="127.0.0.3").status == 403
    assert front.send("GET", "/echo/things", headers=lies, with_token=False).status == 401


def test_a_limit_is_told_with_the_time_to_come_back(front: Front) -> None:
    answers = [front.send("GET", "/echo/few") for _ in range(2)]
    assert answers[1].status == 429
    assert int(answers[1].headers["retry-after"]) >= 1


def test_every_request_leaves_one_decision_and_no_completion(front: Front) -> None:
    front.send("GET", "/echo/things?once=1")
    records = [
        one
        for one in front.gateway.audit("--limit", "5")
        if str(one["path"]).startswith("/echo/things?once=")
    ]
    (record,) = records
    assert (record["kind"], record["decision"], record["source_ip"]) == ("decision", "allow", "127.0.0.1")
    assert record["attributes"]["forward_auth"] is True


@pytest.mark.parametrize("kind", ["nginx", "caddy"])
def test_a_websocket_opens_through_the_proxy_for_whom_it_may(asked: Gateway, kind: str) -> None:
    token = asked.login("rita", "a reader's password")["access_token"]
    with websocket_upstream() as upstream, _front(kind, asked, f"127.0.0.1:{upstream.port}") as server:
        url = f"ws://127.0.0.1:{server.port}/chat/echo"
        bearer = {"Authorization": f"Bearer {token}"}
        with connect(url, additional_headers=bearer, proxy=None) as client:
            client.send("hello")
            assert client.recv(timeout=5) == "hello"
        for how in ({}, {**bearer, "Origin": "https://evil.example.com"}):
            with pytest.raises(InvalidStatus) as refused:
                connect(url, additional_headers=how, proxy=None)
            assert refused.value.response.status_code == (403 if how else 401)
