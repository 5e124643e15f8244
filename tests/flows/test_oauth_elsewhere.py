"""OAuth where the gateway has no users of its own, is known under a path, and takes another issuer's tokens too."""

import base64
import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import pytest
from support.gateway import Gateway, Reply, running_gateway

POLICIES = """\
version: 1
scopes:
  things:read: See things
roles:
  reader: {scopes: [things:read]}
authenticators:
  gateway: {kind: gateway_jwt}
  corporate: {kind: jwt, issuer: "https://login.example.com", audience: [things], jwks: auto}
  partner: {kind: jwt, issuer: partner, audience: [things], secret: "${env:PARTNER}", algorithms: [HS256]}
defaults:
  authn: [gateway, corporate]
routes:
  - {id: orders, match: {methods: [GET], path: /orders}, upstream: service, require: [things:read]}
"""
UPSTREAMS = """\
version: 1
upstreams:
  service: {targets: [{url: "http://${env:TEST_SERVICE}"}]}
"""
URL = "https://api.example.com/base"


@pytest.fixture(scope="module")
def gateway(service: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with running_gateway(
        tmp_path_factory.mktemp("elsewhere"),
        policies=POLICIES,
        upstreams=UPSTREAMS,
        environ={"TEST_SERVICE": service, "GATEWAY_PUBLIC_URL": URL, "PARTNER": "s" * 32},
    ) as running:
        yield running


def ask(gateway: Gateway, name: str, client: dict[str, Any], **parameters: str) -> Reply:
    basic = base64.b64encode(f"{client['id']}:{client['secret']}".encode()).decode()
    return gateway.request(
        "POST",
        f"/gateway/v1/oauth/{name}",
        headers={"Authorization": f"Basic {basic}", "Content-Type": "application/x-www-form-urlencoded"},
        body=urlencode(parameters).encode(),
    )


@pytest.mark.parametrize("inserted", ["", "/base"])
def test_metadata_is_found_with_the_path_of_the_public_url_and_without(
    gateway: Gateway, inserted: str
) -> None:
    server = gateway.request("GET", f"/.well-known/oauth-authorization-server{inserted}").json
    assert server["issuer"] == URL
    assert server["token_endpoint"] == f"{URL}/gateway/v1/oauth/token"
    resource = gateway.request("GET", f"/.well-known/oauth-protected-resource{inserted}").json
    assert resource["resource"] == URL


def test_other_paths_below_the_well_known_ones_are_nothing(gateway: Gateway) -> None:
    for path in ("/.well-known/oauth-authorization-server/other", "/.well-known/jwks.json/base", "/base"):
        assert gateway.request("GET", path).status == 404


def test_a_challenge_points_at_the_inserted_path(gateway: Gateway) -> None:
    said = gateway.request("GET", "/orders").headers["WWW-Authenticate"]
    wanted = 'resource_metadata="https://api.example.com/.well-known/oauth-protected-resource/base"'
    assert wanted in said


def test_issuers_that_publish_their_keys_are_named(gateway: Gateway) -> None:
    resource = gateway.request("GET", "/.well-known/oauth-protected-resource").json
    assert resource["authorization_servers"] == [URL, "https://login.example.com"]


def test_machines_need_no_accounts_and_what_was_revoked_stays_so(gateway: Gateway) -> None:
    done = gateway.run("clients", "create", "machine", "--role", "reader", "--format", "json")
    client = json.loads(done.stdout)
    granted = [ask(gateway, "token", client, grant_type="client_credentials") for _ in range(2)]
    assert [reply.json["expires_in"] for reply in granted] == [600, 600]
    revoked, other = (reply.json["access_token"] for reply in granted)
    refresh = ask(gateway, "token", client, grant_type="refresh_token", refresh_token="gwr_x")
    assert refresh.json["error"] == "unsupported_grant_type"
    assert gateway.request("GET", "/orders", token=revoked).status == 200
    assert ask(gateway, "revoke", client, token=revoked).status == 200
    gateway.kill()
    gateway.start()
    assert gateway.request("GET", "/orders", token=revoked).status == 401
    assert gateway.request("GET", "/orders", token=other).status == 200
