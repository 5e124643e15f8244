"""Accounts and keys, as client developers use them."""

import base64
import json

import pytest
from support.gateway import Gateway, eventually

PASSWORD = "correct horse battery"


def register(gateway: Gateway, name: str) -> None:
    body = {"username": name, "email": f"{name}@example.com", "password": PASSWORD}
    reply = gateway.request("POST", "/gateway/v1/auth/register", body=body)
    assert reply.status == 201, reply.body
    assert reply.json["roles"] == ["reader"]
    assert reply.json["id"].startswith("usr_")


def test_register_login_use_refresh_and_log_out(gateway: Gateway) -> None:
    register(gateway, "paula")
    tokens = gateway.login("paula", PASSWORD)
    assert tokens["token_type"] == "Bearer"
    assert tokens["expires_in"] == 600
    assert tokens["scope"] == "things:read"
    access = tokens["access_token"]
    header = json.loads(base64.urlsafe_b64decode(access.split(".")[0] + "=="))
    assert (header["typ"], header["alg"]) == ("at+jwt", "ES256")

    me = gateway.request("GET", "/gateway/v1/auth/me", token=access)
    assert (me.status, me.json["username"]) == (200, "paula")
    assert gateway.request("GET", "/orders", token=access).status == 200

    refreshed = gateway.request(
        "POST", "/gateway/v1/auth/refresh", body={"refresh_token": tokens["refresh_token"]}
    )
    assert refreshed.status == 200
    assert refreshed.json["refresh_token"] != tokens["refresh_token"]
    newest = refreshed.json["access_token"]

    assert gateway.request("POST", "/gateway/v1/auth/logout", token=newest, body={}).status == 204
    assert gateway.request("GET", "/orders", token=newest).status == 401
    assert gateway.request("GET", "/orders", token=access).status == 401
    dead = gateway.request(
        "POST", "/gateway/v1/auth/refresh", body={"refresh_token": refreshed.json["refresh_token"]}
    )
    assert dead.status == 401


def test_a_refresh_token_that_is_used_long_after_its_successor_ends_the_session(gateway: Gateway) -> None:
    register(gateway, "quentin")
    first = gateway.login("quentin", PASSWORD)
    second = gateway.request(
        "POST", "/gateway/v1/auth/refresh", body={"refresh_token": first["refresh_token"]}
    ).json
    third = gateway.request(
        "POST", "/gateway/v1/auth/refresh", body={"refresh_token": second["refresh_token"]}
    ).json
    stolen = gateway.request(
        "POST", "/gateway/v1/auth/refresh", body={"refresh_token": first["refresh_token"]}
    )
    assert stolen.status == 401
    assert gateway.request("GET", "/orders", token=third["access_token"]).status == 401
    kinds = {record["action"] for record in gateway.audit("--kind", "event")}
    assert "auth.reuse_detected" in kinds


@pytest.mark.parametrize(
    "body",
    [
        {"username": "nobody-at-all", "password": PASSWORD},
        {"username": "rita", "password": "not her password"},
        {"username": "rita", "password": "x" * 200},
    ],
)
def test_unknown_names_and_wrong_passwords_are_one_answer(gateway: Gateway, body: dict[str, str]) -> None:
    reply = gateway.request("POST", "/gateway/v1/auth/login", body=body)
    assert (reply.status, reply.json["type"]) == (401, "urn:gateway:problem:credentials-invalid")
    assert set(reply.json) == {"type", "title", "status", "instance", "detail"}


def test_a_wrong_body_names_every_mistake(gateway: Gateway) -> None:
    reply = gateway.request(
        "POST", "/gateway/v1/auth/register", body={"username": 7, "password": "short", "roles": ["writer"]}
    )
    assert (reply.status, reply.json["type"]) == (400, "urn:gateway:problem:invalid-request")
    assert {error["field"] for error in reply.json["errors"]} >= {"username", "email", "roles"}


def test_what_is_not_json_is_415(gateway: Gateway) -> None:
    reply = gateway.request(
        "POST", "/gateway/v1/auth/login", body=b"username=rita", headers={"Content-Type": "text/plain"}
    )
    assert reply.status == 415


def test_a_taken_name_is_a_conflict_also_in_other_spelling(gateway: Gateway) -> None:
    register(gateway, "straße")
    body = {"username": "STRASSE", "email": "other@example.com", "password": PASSWORD}
    reply = gateway.request("POST", "/gateway/v1/auth/register", body=body)
    assert (reply.status, reply.json["type"]) == (409, "urn:gateway:problem:conflict")


def test_a_key_is_created_used_confined_and_revoked(gateway: Gateway) -> None:
    made = gateway.run("keys", "create", "ci", "--user", "walt", "--scope", "things:read", "--format", "json")
    assert made.returncode == 0, made.stderr
    key = json.loads(made.stdout)
    headers = {"X-Api-Key": key["key"]}
    assert gateway.request("GET", "/orders", headers=headers).status == 200
    assert gateway.request("POST", "/orders", headers=headers, body={}).status == 403
    assert gateway.request("GET", "/keyless", headers=headers).json["type"].endswith("denied")
    listed = json.loads(gateway.run("keys", "list", "--format", "json").stdout)
    assert key["id"] in {one["id"] for one in listed}
    assert key["key"] not in gateway.run("keys", "list", "--format", "json").stdout

    assert gateway.run("keys", "revoke", key["id"]).returncode == 0
    eventually(
        lambda: gateway.request("GET", "/orders", headers=headers).status == 401,
        within=1.0,
        what="the revoked key is dead within a second",
    )
    actions = [record["action"] for record in gateway.audit("--kind", "event")]
    assert {"key.created", "key.revoked"} <= set(actions)


def test_a_deleted_user_is_nobody_within_a_second(gateway: Gateway) -> None:
    register(gateway, "sybil")
    tokens = gateway.login("sybil", PASSWORD)
    made = gateway.run("keys", "create", "ci", "--user", "sybil", "--format", "json")
    headers = {"X-Api-Key": json.loads(made.stdout)["key"]}
    assert gateway.request("GET", "/orders", token=tokens["access_token"]).status == 200
    assert gateway.request("GET", "/orders", headers=headers).status == 200

    deleted = gateway.run("users", "delete", "sybil@example.com", "--format", "json")
    assert deleted.returncode == 0, deleted.stderr
    assert json.loads(deleted.stdout)["state"] == "deleted"

    def is_nobody() -> bool:
        token, key = {"token": tokens["access_token"]}, {"headers": headers}
        return all(gateway.request("GET", "/orders", **one).status == 401 for one in (token, key))

    eventually(is_nobody, within=1.0, what="the token and the key of the deleted user are dead")
    refreshed = gateway.request(
        "POST", "/gateway/v1/auth/refresh", body={"refresh_token": tokens["refresh_token"]}
    )
    again = gateway.request(
        "POST", "/gateway/v1/auth/login", body={"username": "sybil", "password": PASSWORD}
    )
    assert (refreshed.status, again.status) == (401, 401)
    records = [record for record in gateway.audit("--kind", "event") if record["action"] == "user.deleted"]
    assert [record["attributes"]["username"] for record in records] == ["sybil"]


def test_a_repeated_key_field_is_400(gateway: Gateway) -> None:
    import http.client

    connection = http.client.HTTPConnection("127.0.0.1", gateway.port)
    connection.putrequest("GET", "/orders")
    connection.putheader("X-Api-Key", "a")
    connection.putheader("X-Api-Key", "b")
    connection.endheaders()
    assert connection.getresponse().status == 400
    connection.close()


def test_a_policy_without_accounts_has_no_account_endpoints(service: str, tmp_path: object) -> None:
    from pathlib import Path

    from support.gateway import running_gateway

    policies = (
        "version: 1\n"
        "routes:\n"
        "  - {id: h, match: {methods: [GET], path: /healthz}, upstream: s, authn: public, because: A probe}\n"
    )
    upstreams = f'version: 1\nupstreams: {{s: {{targets: [{{url: "http://{service}"}}]}}}}\n'
    assert isinstance(tmp_path, Path)
    with running_gateway(tmp_path / "bare", policies=policies, upstreams=upstreams) as bare:
        reply = bare.request("POST", "/gateway/v1/auth/login", body={"username": "a", "password": "b"})
        assert (reply.status, reply.json["type"]) == (404, "urn:gateway:problem:not-found")
        assert bare.request("GET", "/healthz").status == 200
