"""Tokens of other issuers, all the way through: verified, granted roles, handed on, recorded."""

import base64
import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from support.gateway import Gateway, Reply, eventually, running_gateway
from support.issuer import SECRET, Issuer, IssuerKey
from support.issuer_server import IssuerServer

POLICIES = """\
version: 1
scopes: {things:read: See things, things:write: Make things}
roles: {reader: {scopes: [things:read]}, writer: {inherits: [reader], scopes: [things:write]}}
authenticators:
  gateway: {kind: gateway_jwt}
  keys: {kind: api_key, header: x-api-key}
  corporate: {kind: jwt, issuer: "ISSUER", audience: [orders-api], jwks: auto, accept_typ: [at+jwt, JWT]}
  absent: {kind: jwt, issuer: "http://127.0.0.1:1", audience: [orders-api], jwks: auto}
  shared: {kind: jwt, issuer: legacy, audience: [orders-api], secret: "${env:SHARED}", accept_typ: [JWT]}
grants:
  - {role: reader, from: [corporate, shared], when: {claims.groups: {has: helpdesk}}}
  - {role: writer, from: [corporate], when: {claims.groups: {has: finance}, claims.level: {in: [2, 3]}}}
accounts: {registration: open, default_roles: [reader]}
defaults: {authn: [gateway, corporate, absent, shared, keys]}
routes:
  - {id: read, match: {methods: [GET], path: /echo/read}, upstream: service, require: [things:read]}
  - {id: write, match: {methods: [POST], path: /echo/write}, upstream: service, require: [things:write]}
  - {id: own, match: {methods: [GET], path: /echo/own}, upstream: service, authn: [gateway], require: authenticated}
  - {id: theirs, match: {methods: [GET], path: /echo/theirs}, upstream: service, authn: [corporate, keys], require: authenticated}
"""
UPSTREAMS = """\
version: 1
upstreams: {service: {targets: [{url: "http://${env:TEST_SERVICE}"}]}}
"""


@pytest.fixture(scope="module")
def server() -> Iterator[IssuerServer]:
    with IssuerServer(IssuerKey("RS256", "first")).running() as running:
        yield running


@pytest.fixture(scope="module")
def open_gateway(
    server: IssuerServer, service: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Gateway]:
    with running_gateway(
        tmp_path_factory.mktemp("external"),
        policies=POLICIES.replace("ISSUER", server.issuer.url),
        upstreams=UPSTREAMS,
        environ={"TEST_SERVICE": service, "SHARED": SECRET.decode()},
    ) as running:
        running.create_user("rita", "a reader's password", "reader")
        yield running


def asserted(reply: Reply) -> dict[str, Any]:
    """Return the claims that the service was given."""
    assert reply.status == 200, reply.body
    fields = {name.lower(): value for name, value in reply.json["headers"]}
    assert "authorization" not in fields
    payload = fields["x-gateway-assertion"].split(".")[1]
    claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(payload + "=="))
    return claims


def problem(reply: Reply) -> tuple[int, str]:
    return reply.status, reply.json["type"].rpartition(":")[2]


def test_a_caller_from_outside_has_the_roles_that_its_claims_are_granted(
    open_gateway: Gateway, server: IssuerServer
) -> None:
    claims = asserted(open_gateway.request("GET", "/echo/read", token=server.issuer.token()))
    assert claims["sub"] == f"{server.issuer.url}|alice"
    assert claims["roles"] == ["reader"]
    assert claims["scope"] == "things:read"
    refused = open_gateway.request("POST", "/echo/write", token=server.issuer.token(), body={})
    assert problem(refused) == (403, "insufficient-scope")
    assert (
        open_gateway.request("POST", "/echo/write", token=server.issuer.token(level=2), body={}).status == 200
    )
    assert problem(
        open_gateway.request("GET", "/echo/read", token=server.issuer.token(groups=["other"]))
    ) == (
        403,
        "insufficient-scope",
    )


def test_each_issuers_tokens_are_judged_by_its_own_authenticator(
    open_gateway: Gateway, server: IssuerServer
) -> None:
    legacy = Issuer(IssuerKey("HS256", None), url="legacy")
    own = open_gateway.login("rita", "a reader's password")["access_token"]
    for token in (own, server.issuer.token(), legacy.token(header={"typ": "JWT"})):
        assert open_gateway.request("GET", "/echo/read", token=token).status == 200
    # With the secret of one and in the name of another.
    forged = IssuerKey("HS256", "first").sign(legacy.header(), server.issuer.claims())
    assert problem(open_gateway.request("GET", "/echo/read", token=forged)) == (401, "credentials-invalid")
    stranger = Issuer(url="https://login.example.org").token()
    for token in (stranger, "opaque", server.issuer.token(aud="other")):
        reply = open_gateway.request("GET", "/echo/read", token=token)
        assert problem(reply) == (401, "credentials-invalid")
        assert reply.headers["WWW-Authenticate"].count('error="invalid_token"') == 1
    assert problem(open_gateway.request("GET", "/echo/own", token=server.issuer.token()))[0] == 401
    assert problem(open_gateway.request("GET", "/echo/theirs", token=own))[0] == 401
    assert open_gateway.request("GET", "/echo/theirs", token=server.issuer.token()).status == 200


def test_while_an_issuers_keys_were_never_to_be_had_nobody_can_say(open_gateway: Gateway) -> None:
    token = Issuer(IssuerKey("RS256"), url="http://127.0.0.1:1").token()
    reply = open_gateway.request("GET", "/echo/read", token=token)
    assert problem(reply) == (503, "dependency-unavailable")
    assert int(reply.headers["Retry-After"]) >= 1
    assert b"127.0.0.1:1" not in reply.body
    ready = open_gateway.readyz()
    assert ready.status == 200
    assert "absent: " in ready.json["degraded"]["issuers"]
    metrics = open_gateway.request("GET", "/metrics", port=open_gateway.admin_port).body.decode()
    assert 'gateway_issuer_failing{authenticator="absent"} 1' in metrics
    assert 'gateway_issuer_failing{authenticator="corporate"} 0' in metrics


def test_an_issuers_keys_are_rotated_while_requests_run(open_gateway: Gateway, server: IssuerServer) -> None:
    statuses: list[int] = []
    stop = threading.Event()

    def ask() -> None:
        while not stop.is_set():
            statuses.append(open_gateway.request("GET", "/echo/read", token=server.issuer.token()).status)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        eventually(lambda: len(statuses) > 20)
        # At once: nobody was told before that there would be another key.
        server.issuer.keys.insert(0, IssuerKey("ES256", "second"))
        count = len(statuses)
        eventually(lambda: len(statuses) > count + 20)
        server.away = True
        count = len(statuses)
        eventually(lambda: len(statuses) > count + 20)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
        server.away = False
    assert set(statuses) == {200}


def test_the_trail_says_who_it_was_and_never_the_token(open_gateway: Gateway, server: IssuerServer) -> None:
    token = server.issuer.token(sub="zoe", preferred_username="zoe.from.outside")
    reply = open_gateway.request("GET", "/echo/read", token=token)
    (record,) = open_gateway.audit("--request-id", reply.headers["X-Request-Id"], "--kind", "decision")
    assert record["actor"] == {
        "id": f"{server.issuer.url}|zoe",
        "kind": "external",
        "name": "zoe.from.outside",
    }
    assert record["authn"] == "corporate"
    assert record["roles"] == ["reader"]
    assert record["attributes"]["claims.groups"] == ["finance", "helpdesk"]
    for text in (token, SECRET.decode()):
        assert text not in json.dumps(record)
        assert not any(text in line for line in open_gateway.lines)
