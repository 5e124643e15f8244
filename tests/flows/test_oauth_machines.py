"""OAuth as machines use it, with clients that are nobody's but their authors': authlib and requests-oauthlib."""

import base64
import json
from collections.abc import Iterator
from typing import Any

import pytest
from authlib.common.errors import AuthlibBaseError
from authlib.integrations.requests_client import OAuth2Session as AuthlibSession
from oauthlib.oauth2 import BackendApplicationClient, OAuth2Error
from requests_oauthlib import OAuth2Session
from support.gateway import Gateway, eventually, running_gateway

POLICIES = """\
version: 1
scopes:
  things:read: See things
  things:write: Make things
roles:
  reader: {scopes: [things:read]}
  writer: {inherits: [reader], scopes: [things:write]}
  inspector: {scopes: ["gateway:introspect"]}
authenticators:
  gateway: {kind: gateway_jwt}
accounts:
  default_roles: [reader]
defaults:
  authn: [gateway]
  cors: {origins: [https://app.example.com], headers: [authorization, content-type]}
routes:
  - id: orders
    match: {methods: [GET, POST], path: /orders}
    upstream: service
    require: {GET: [things:read], POST: [things:write]}
"""
UPSTREAMS = """\
version: 1
upstreams:
  service: {targets: [{url: "http://${env:TEST_SERVICE}"}]}
"""
TOKEN, REVOKE, INTROSPECT = (f"/gateway/v1/oauth/{name}" for name in ("token", "revoke", "introspect"))
PASSWORD = "a writer's password"
ORDER = {"item": "Kettle", "total": 4500}


@pytest.fixture(scope="module")
def gateway(service: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway with the user walt and whatever clients the tests make."""
    with running_gateway(
        tmp_path_factory.mktemp("oauth"),
        policies=POLICIES,
        upstreams=UPSTREAMS,
        environ={"TEST_SERVICE": service},
    ) as running:
        running.create_user("walt", PASSWORD, "writer")
        yield running


@pytest.fixture(autouse=True)
def _loopback_without_tls(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let oauthlib talk to a gateway on loopback, which needs no TLS."""
    monkeypatch.setenv("OAUTHLIB_INSECURE_TRANSPORT", "1")


def made(gateway: Gateway, name: str, *roles: str) -> dict[str, Any]:
    """Return a new client with its secret."""
    flags = [word for role in roles for word in ("--role", role)]
    done = gateway.run("clients", "create", name, *flags, "--format", "json")
    assert done.returncode == 0, done.stderr
    client: dict[str, Any] = json.loads(done.stdout)
    return client


def claims(token: str) -> dict[str, Any]:
    payload: dict[str, Any] = json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))
    return payload


def test_authlib_gets_uses_introspects_and_revokes_a_token_of_its_own(gateway: Gateway) -> None:
    client = made(gateway, "authlib", "writer", "inspector")
    with AuthlibSession(client["id"], client["secret"], scope="things:read gateway:introspect") as session:
        token = session.fetch_token(gateway.url + TOKEN, grant_type="client_credentials")
        assert set(token["scope"].split()) == {"things:read", "gateway:introspect"}
        assert "refresh_token" not in token
        said = claims(token["access_token"])
        assert (said["sub"], said["client_id"]) == (client["id"], client["id"])
        assert session.get(gateway.url + "/orders").status_code == 200
        assert session.post(gateway.url + "/orders", json={}).status_code == 403
        worth = session.introspect_token(gateway.url + INTROSPECT, token=token["access_token"]).json()
        assert worth["active"] is True
        assert (worth["sub"], worth["token_type"]) == (client["id"], "Bearer")
        revoked = session.revoke_token(gateway.url + REVOKE, token=token["access_token"])
        assert (revoked.status_code, revoked.content) == (200, b"")
        assert session.get(gateway.url + "/orders").status_code == 401
        again = session.introspect_token(gateway.url + INTROSPECT, token=token["access_token"])
        assert again.json() == {"active": False}


@pytest.mark.parametrize("method", ["client_secret_basic", "client_secret_post"])
def test_authlib_authenticates_in_each_way(gateway: Gateway, method: str) -> None:
    client = made(gateway, f"by {method}", "reader")
    with AuthlibSession(client["id"], client["secret"], token_endpoint_auth_method=method) as session:
        token = session.fetch_token(gateway.url + TOKEN, grant_type="client_credentials")
        assert token["scope"] == "things:read"
        assert session.get(gateway.url + "/orders").status_code == 200


def test_authlib_refreshes_and_ends_the_session_of_a_user(gateway: Gateway) -> None:
    tokens = gateway.login("walt", PASSWORD)
    with AuthlibSession(
        "gateway", token=tokens, scope="things:read things:write", token_endpoint_auth_method="none"
    ) as session:
        assert session.post(gateway.url + "/orders", json=ORDER).status_code == 201
        renewed = session.refresh_token(gateway.url + TOKEN, refresh_token=tokens["refresh_token"])
        assert renewed["refresh_token"] != tokens["refresh_token"]
        assert set(renewed["scope"].split()) == {"things:read", "things:write"}
        assert session.get(gateway.url + "/orders").status_code == 200
        revoked = session.revoke_token(gateway.url + REVOKE, token=renewed["refresh_token"])
        assert revoked.status_code == 200
        assert session.get(gateway.url + "/orders").status_code == 401
        with pytest.raises(AuthlibBaseError) as refused:
            session.refresh_token(gateway.url + TOKEN, refresh_token=renewed["refresh_token"])
        assert refused.value.error == "invalid_grant"


def test_requests_oauthlib_gets_and_uses_a_token_of_its_own(gateway: Gateway) -> None:
    client = made(gateway, "requests-oauthlib", "reader")
    with OAuth2Session(client=BackendApplicationClient(client["id"])) as session:
        token = session.fetch_token(
            gateway.url + TOKEN, client_id=client["id"], client_secret=client["secret"]
        )
        assert token["scope"] == ["things:read"]
        assert session.get(gateway.url + "/orders").status_code == 200


def test_requests_oauthlib_sends_what_it_has_in_the_body_as_well(gateway: Gateway) -> None:
    client = made(gateway, "in the body", "reader")
    with OAuth2Session(client=BackendApplicationClient(client["id"])) as session:
        session.fetch_token(gateway.url + TOKEN, client_secret=client["secret"], include_client_id=True)
        assert session.get(gateway.url + "/orders").status_code == 200


def test_requests_oauthlib_refreshes_by_itself_as_the_gateways_own_client(gateway: Gateway) -> None:
    tokens = gateway.login("walt", PASSWORD)
    kept: list[dict[str, Any]] = []
    with OAuth2Session(
        "gateway",
        token={**tokens, "expires_in": -1},
        auto_refresh_url=gateway.url + TOKEN,
        auto_refresh_kwargs={"client_id": "gateway"},
        token_updater=kept.append,
    ) as session:
        assert session.get(gateway.url + "/orders").status_code == 200
        assert kept[0]["refresh_token"] != tokens["refresh_token"]


def test_requests_oauthlib_understands_what_is_refused(gateway: Gateway) -> None:
    client = made(gateway, "refused", "reader")
    with OAuth2Session(client=BackendApplicationClient(client["id"], scope=["things:write"])) as session:
        with pytest.raises(OAuth2Error) as scope:
            session.fetch_token(gateway.url + TOKEN, client_id=client["id"], client_secret=client["secret"])
        with pytest.raises(OAuth2Error) as secret:
            session.fetch_token(gateway.url + TOKEN, client_id=client["id"], client_secret="wrong")
    assert (scope.value.error, secret.value.error) == ("invalid_scope", "invalid_client")


def test_the_session_of_a_client_with_a_secret_is_refreshed_by_nobody_else(gateway: Gateway) -> None:
    backend, other = made(gateway, "backend", "reader"), made(gateway, "other", "reader")
    basic = base64.b64encode(f"{backend['id']}:{backend['secret']}".encode()).decode()
    tokens = gateway.request(
        "POST",
        "/gateway/v1/auth/login",
        headers={"Authorization": f"Basic {basic}"},
        body={"username": "walt", "password": PASSWORD},
    ).json
    assert claims(tokens["access_token"])["client_id"] == backend["id"]
    for thief in (
        AuthlibSession(other["id"], other["secret"]),
        AuthlibSession("gateway", token_endpoint_auth_method="none"),
    ):
        with thief, pytest.raises(AuthlibBaseError) as refused:
            thief.refresh_token(gateway.url + TOKEN, refresh_token=tokens["refresh_token"])
        assert refused.value.error == "invalid_grant"
    with AuthlibSession(backend["id"], backend["secret"]) as owner:
        first = owner.refresh_token(gateway.url + TOKEN, refresh_token=tokens["refresh_token"])
        assert first["refresh_token"] == tokens["refresh_token"]
        assert gateway.run("clients", "revoke", backend["id"]).returncode == 0
        eventually(
            lambda: gateway.request("GET", "/orders", token=first["access_token"]).status == 401,
            within=1.0,
            what="the tokens of a revoked client are dead within a second",
        )


def test_a_revoked_client_is_nobody_within_a_second(gateway: Gateway) -> None:
    client = made(gateway, "leaked", "reader")
    with AuthlibSession(client["id"], client["secret"]) as session:
        token = session.fetch_token(gateway.url + TOKEN, grant_type="client_credentials")
        assert session.get(gateway.url + "/orders").status_code == 200
        assert gateway.run("clients", "revoke", client["id"]).returncode == 0
        eventually(
            lambda: gateway.request("GET", "/orders", token=token["access_token"]).status == 401,
            within=1.0,
            what="the token of a revoked client is dead within a second",
        )
        with pytest.raises(AuthlibBaseError) as refused:
            session.fetch_token(gateway.url + TOKEN, grant_type="client_credentials")
    assert refused.value.error == "invalid_client"


def test_two_secrets_are_good_while_a_rotation_overlaps(gateway: Gateway) -> None:
    client = made(gateway, "rotated", "reader")
    done = gateway.run("clients", "rotate", client["id"], "--overlap", "1h", "--format", "json")
    newer = json.loads(done.stdout)
    for secret in (client["secret"], newer["secret"]):
        with AuthlibSession(client["id"], secret) as session:
            assert session.fetch_token(gateway.url + TOKEN, grant_type="client_credentials")
    newest = json.loads(
        gateway.run("clients", "rotate", client["id"], "--overlap", "0s", "--format", "json").stdout
    )
    for secret in (client["secret"], newer["secret"]):
        with AuthlibSession(client["id"], secret) as session, pytest.raises(AuthlibBaseError):
            session.fetch_token(gateway.url + TOKEN, grant_type="client_credentials")
    with AuthlibSession(client["id"], newest["secret"]) as session:
        assert session.fetch_token(gateway.url + TOKEN, grant_type="client_credentials")


def test_all_of_it_is_in_the_trail_and_no_secret_is(gateway: Gateway) -> None:
    client = made(gateway, "recorded", "reader")
    with AuthlibSession(client["id"], client["secret"]) as session:
        token = session.fetch_token(gateway.url + TOKEN, grant_type="client_credentials")
        session.revoke_token(gateway.url + REVOKE, token=token["access_token"])
    with AuthlibSession(client["id"], client["secret"] + "x") as session, pytest.raises(AuthlibBaseError):
        session.fetch_token(gateway.url + TOKEN, grant_type="client_credentials")
    gateway.run("clients", "revoke", client["id"])
    records = gateway.audit()
    events = {
        record["action"]: record
        for record in records
        if record["kind"] == "event" and record["attributes"].get("client") == client["id"]
    }
    assert set(events) == {
        "client.created",
        "client.revoked",
        "token.issued",
        "token.revoked",
        "auth.login_failed",
    }
    assert events["token.issued"]["actor"]["id"] == client["id"]
    assert events["token.issued"]["attributes"]["token"] == claims(token["access_token"])["jti"]
    decisions = [
        record
        for record in records
        if record.get("route") == "gateway:oauth.token"
        and (record.get("actor") or {}).get("id") == client["id"]
    ]
    assert [record["status"] for record in decisions] == [200]
    everything = json.dumps(records) + "\n".join(gateway.lines)
    for secret in (client["secret"], token["access_token"]):
        assert secret not in everything
