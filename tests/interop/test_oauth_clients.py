"""Clients in JavaScript that nobody has changed: openid-client and oauth4webapi, from discovery to revocation."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from support.gateway import Gateway, running_gateway
from support.node import Node
from support.own_server import free_port

POLICIES = """\
version: 1
scopes:
  things:read: See things
roles:
  reader: {scopes: [things:read]}
  inspector: {scopes: ["gateway:introspect"]}
authenticators:
  gateway: {kind: gateway_jwt}
accounts: {}
defaults:
  authn: [gateway]
routes:
  - {id: orders, match: {methods: [GET], path: /orders}, upstream: service, require: [things:read]}
"""
UPSTREAMS = """\
version: 1
upstreams:
  service: {targets: [{url: "http://${env:TEST_SERVICE}"}]}
"""
PASSWORD = "a reader's password"


@pytest.fixture(scope="module")
def gateway(service: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway that is where it says it is, with the user rita."""
    port = free_port()
    with running_gateway(
        tmp_path_factory.mktemp("oauth"),
        policies=POLICIES,
        upstreams=UPSTREAMS,
        environ={
            "TEST_SERVICE": service,
            "GATEWAY_LISTEN": f"127.0.0.1:{port}",
            "GATEWAY_PUBLIC_URL": f"http://127.0.0.1:{port}",
        },
    ) as running:
        running.create_user("rita", PASSWORD, "reader")
        yield running


@pytest.fixture(scope="module")
def client(gateway: Gateway) -> dict[str, Any]:
    """A client that may read, and inspect."""
    roles = ("--role", "reader", "--role", "inspector")
    done = gateway.run("clients", "create", "machine", *roles, "--format", "json")
    assert done.returncode == 0, done.stderr
    made: dict[str, Any] = json.loads(done.stdout)
    return made


@pytest.mark.parametrize("bound", [False, True], ids=["Bearer", "DPoP"])
@pytest.mark.parametrize("way", ["default", "basic", "post"])
def test_openid_client_as_a_machine(
    node: Node, gateway: Gateway, client: dict[str, Any], way: str, bound: bool
) -> None:
    given = {
        "issuer": gateway.url,
        "id": client["id"],
        "secret": client["secret"],
        "way": way,
        "bound": bound,
        "resource": f"{gateway.url}/orders",
    }
    said = node("openid_client.mjs", given=json.dumps(given))
    assert said["metadata"]["issuer"] == gateway.url
    assert said["granted"]["type"] == ("dpop" if bound else "bearer")
    assert said["granted"]["scope"] == "things:read"
    assert 590 <= said["granted"]["lives"] <= 600
    assert (said["used"], said["afterwards"]) == (200, 401)
    assert said["worth"]["active"] is True
    assert ("cnf" in said["worth"]) is bound
    assert said["worthAfterwards"] == {"active": False}
    assert said["tooMuch"] == "invalid_scope"


@pytest.mark.parametrize("bound", [False, True], ids=["Bearer", "DPoP"])
def test_openid_client_with_the_session_of_a_user(node: Node, gateway: Gateway, bound: bool) -> None:
    given = {
        "issuer": gateway.url,
        "id": "gateway",
        "way": "none",
        "bound": bound,
        "resource": f"{gateway.url}/orders",
        "tokens": gateway.login("rita", PASSWORD),
    }
    said = node("openid_client.mjs", given=json.dumps(given))
    assert said["granted"]["type"] == ("dpop" if bound else "bearer")
    assert (said["used"], said["afterwards"], said["refreshed"]) == (200, 401, "invalid_grant")


@pytest.mark.parametrize("bound", [False, True], ids=["Bearer", "DPoP"])
def test_oauth4webapi_as_a_client_and_as_a_resource_server(
    node: Node, gateway: Gateway, client: dict[str, Any], bound: bool
) -> None:
    given = {
        "issuer": gateway.url,
        "id": client["id"],
        "secret": client["secret"],
        "bound": bound,
        "resource": f"{gateway.url}/orders",
        "tokens": gateway.login("rita", PASSWORD),
    }
    said = node("oauth4webapi.mjs", given=json.dumps(given))
    assert said["described"]["resource"] == gateway.url
    assert said["described"]["authorization_servers"] == [gateway.url]
    assert said["used"] == 200
    assert said["ofClient"]["sub"] == said["ofClient"]["client_id"] == client["id"]
    assert ("cnf" in said["ofClient"]) is bound
    assert said["ofUser"]["sub"].startswith("usr_")
    assert said["ofUser"]["client_id"] == "gateway"
    assert said["worth"] == {"active": False}
