"""API keys and signing keys from outside: shown once, confined, replaced without a gap, ended at once."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jwt
import pytest
from flows_identity import PASSWORD, POLICIES, UPSTREAMS, dies, events, is_dead, slug, tries
from support.gateway import Gateway, Reply, eventually, running_gateway
from support.raw import Raw


@pytest.fixture(scope="module")
def gateway(service: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with running_gateway(
        tmp_path_factory.mktemp("keys"),
        policies=POLICIES,
        upstreams=UPSTREAMS,
        environ={"TEST_SERVICE": service, "GATEWAY_TRUSTED_PROXIES": "127.0.0.1/32"},
    ) as running:
        running.create_user("kai", PASSWORD, "writer")
        running.create_user("kim", PASSWORD, "writer")
        yield running


def make(gateway: Gateway, name: str, *flags: str, user: str = "kai") -> dict[str, Any]:
    made = gateway.run("keys", "create", name, "--user", user, "--format", "json", *flags)
    assert made.returncode == 0, made.stderr
    key: dict[str, Any] = json.loads(made.stdout)
    return key


def use(gateway: Gateway, key: str, *, method: str = "GET", client: str = "") -> Reply:
    headers = {"X-Api-Key": key, **({"X-Forwarded-For": client} if client else {})}
    return gateway.request(method, "/orders", headers=headers, body={} if method == "POST" else None)


def listed(gateway: Gateway, id: str) -> dict[str, Any]:
    keys = json.loads(gateway.run("keys", "list", "--format", "json").stdout)
    (found,) = [one for one in keys if one["id"] == id]
    assert isinstance(found, dict)
    return found


def test_a_key_opens_what_its_owner_may_and_is_shown_once(gateway: Gateway) -> None:
    key = make(gateway, "plain")
    assert key["id"].startswith("key_")
    assert key["key"].startswith("gwk_")
    assert use(gateway, key["key"]).status == 200
    assert use(gateway, key["key"], method="POST").status not in {401, 403}
    assert key["key"] not in gateway.run("keys", "list", "--format", "json").stdout
    told = json.dumps(gateway.audit()) + "\n".join(gateway.lines)
    assert key["key"] not in told
    record = gateway.audit("--actor", key["id"], "--limit", "1")[0]
    assert record["actor"]["kind"] == "api_key"


def test_a_key_is_confined_to_scopes_within_its_owners(gateway: Gateway) -> None:
    key = make(gateway, "narrow", "--scope", "things:read")
    assert use(gateway, key["key"]).status == 200
    refused = use(gateway, key["key"], method="POST")
    assert (refused.status, slug(refused)) == (403, "insufficient-scope")
    for scope in ("gateway:users", "no:such"):
        wide = gateway.run("keys", "create", "wide", "--user", "kai", "--scope", scope)
        assert wide.returncode in {1, 2}
        assert "Traceback" not in wide.stderr


def test_what_the_owner_loses_the_key_loses_at_once(gateway: Gateway) -> None:
    key = make(gateway, "of-kim", user="kim")
    assert use(gateway, key["key"], method="POST").status not in {401, 403}
    assert gateway.run("users", "set-roles", "kim", "--role", "reader").returncode == 0
    eventually(lambda: use(gateway, key["key"], method="POST").status == 403, within=1.5)
    assert use(gateway, key["key"]).status == 200
    assert gateway.run("users", "disable", "kim").returncode == 0
    eventually(lambda: use(gateway, key["key"]).status == 401, within=1.5)
    assert gateway.run("users", "enable", "kim").returncode == 0


def test_a_key_works_from_its_networks_only(gateway: Gateway) -> None:
    key = make(gateway, "office", "--network", "203.0.113.0/24", "--network", "2001:db8::/48")
    for client, status in [
        ("203.0.113.9", 200),
        ("2001:db8::7", 200),
        ("198.51.100.1", 401),
        ("2001:db8:1::7", 401),
        ("", 401),
    ]:
        reply = use(gateway, key["key"], client=client)
        assert reply.status == status, client
        if status == 401:
            assert slug(reply) == "credentials-invalid"
    assert gateway.run("keys", "create", "bad", "--user", "kai", "--network", "nowhere").returncode in {1, 2}


def test_a_key_is_replaced_without_a_gap(gateway: Gateway) -> None:
    key = make(gateway, "turned")
    turned = gateway.run("keys", "rotate", key["id"], "--overlap", "2s", "--format", "json")
    assert turned.returncode == 0, turned.stderr
    successor = json.loads(turned.stdout)
    assert successor["id"] == key["id"]
    assert successor["key"] != key["key"]
    begun = time.monotonic()
    assert use(gateway, successor["key"]).status == 200
    assert use(gateway, key["key"]).status == 200
    eventually(lambda: use(gateway, key["key"]).status == 401, within=4.0)
    assert time.monotonic() - begun > 1.0
    assert use(gateway, successor["key"]).status == 200
    assert events(gateway, "key.rotated")


def test_a_key_ends_when_it_is_revoked_or_expires(gateway: Gateway) -> None:
    short = make(gateway, "short", "--expires", "2s")
    assert use(gateway, short["key"]).status == 200
    key = make(gateway, "long")
    assert use(gateway, key["key"]).status == 200
    assert gateway.run("keys", "revoke", key["id"]).returncode == 0
    eventually(lambda: use(gateway, key["key"]).status == 401, within=1.5)
    eventually(lambda: use(gateway, short["key"]).status == 401, within=3.0)
    assert listed(gateway, key["id"])["state"] != "valid"
    assert gateway.run("keys", "revoke", "key_nothing").returncode == 1
    assert events(gateway, "key.created")
    assert events(gateway, "key.revoked")


def test_when_a_key_was_last_used_is_shown(gateway: Gateway) -> None:
    key = make(gateway, "watched")
    assert not listed(gateway, key["id"])["last_used_at"]
    assert use(gateway, key["key"]).status == 200
    eventually(lambda: listed(gateway, key["id"])["last_used_at"], within=15.0, what="last used")


@pytest.mark.parametrize("how", ["letter", "cut", "empty", "made up", "id only"])
def test_what_is_no_key_is_refused(gateway: Gateway, how: str) -> None:
    key = make(gateway, f"spoilt-{how.replace(' ', '-')}")["key"]
    spoilt = {
        "letter": key[:-10] + ("A" if key[-10] != "A" else "B") + key[-9:],
        "cut": key[:-1],
        "empty": "",
        "made up": "gwk_" + "A" * 60,
        "id only": key.rpartition("_")[0],
    }[how]
    reply = use(gateway, spoilt)
    assert (reply.status, slug(reply)) == (401, "credentials-invalid" if spoilt else slug(reply))


def test_a_key_field_that_comes_twice_is_malformed(gateway: Gateway) -> None:
    key = make(gateway, "twice")["key"]
    with Raw(gateway.port) as client:
        client.send(
            f"GET /orders HTTP/1.1\r\nHost: x\r\nX-Api-Key: {key}\r\nx-api-key: {key}\r\n\r\n".encode()
        )
        reply = client.reply()
        assert reply is not None
        assert reply.status == 400


def test_two_credentials_of_one_principal_are_fine_and_of_two_are_not(gateway: Gateway) -> None:
    key = make(gateway, "beside")["key"]
    token = tries(gateway, "kai", PASSWORD).json["access_token"]
    reply = gateway.request("GET", "/orders", token=token, headers={"X-Api-Key": key})
    assert (reply.status, slug(reply)) == (400, "credentials-conflicting")
    bad = gateway.request("GET", "/orders", token="nonsense", headers={"X-Api-Key": key})
    assert (bad.status, slug(bad)) == (401, "credentials-invalid")


def signing_keys(gateway: Gateway) -> list[dict[str, Any]]:
    done = gateway.run("signing-keys", "list", "--format", "json")
    assert done.returncode == 0, done.stderr
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


def published(gateway: Gateway) -> set[str]:
    reply = gateway.request("GET", "/.well-known/jwks.json")
    assert reply.status == 200
    assert "max-age" in reply.headers["Cache-Control"]
    for key in reply.json["keys"]:
        assert (key["use"], key["alg"]) == ("sig", "ES256")
        assert not {"d", "p", "q", "k"} & key.keys()
    return {key["kid"] for key in reply.json["keys"]}


@pytest.fixture
def signing(service: str, tmp_path: Path) -> Iterator[Gateway]:
    with running_gateway(
        tmp_path / "signing",
        policies=POLICIES,
        upstreams=UPSTREAMS,
        environ={"TEST_SERVICE": service},
    ) as running:
        running.create_user("kai", PASSWORD, "reader")
        yield running


def _kid(token: str) -> str:
    kid: str = jwt.get_unverified_header(token)["kid"]
    return kid


def test_a_new_signing_key_is_published_long_before_it_signs(signing: Gateway) -> None:
    token = tries(signing, "kai", PASSWORD).json["access_token"]
    old = _kid(token)
    assert published(signing) == {old}
    done = signing.run("signing-keys", "rotate", "--format", "json")
    assert done.returncode == 0, done.stderr
    eventually(lambda: len(published(signing)) == 2, within=1.5, what="the new key is published")
    assert _kid(tries(signing, "kai", PASSWORD).json["access_token"]) == old
    assert not is_dead(signing, token)
    assert {one["kid"] for one in signing_keys(signing)} == published(signing)
    assert events(signing, "signing_key.rotated")


def test_a_new_signing_key_can_sign_at_once_and_the_old_one_still_verifies(signing: Gateway) -> None:
    token = tries(signing, "kai", PASSWORD).json["access_token"]
    assert signing.run("signing-keys", "rotate", "--now").returncode == 0
    eventually(lambda: len(published(signing)) == 2, within=1.5)
    eventually(lambda: _kid(tries(signing, "kai", PASSWORD).json["access_token"]) != _kid(token), within=2.0)
    assert not is_dead(signing, token)
    signing.kill()
    signing.start()
    assert len(published(signing)) == 2
    assert not is_dead(signing, token)


def test_a_revoked_signing_key_takes_its_tokens_with_it(signing: Gateway) -> None:
    tokens = tries(signing, "kai", PASSWORD).json
    kid = _kid(tokens["access_token"])
    done = signing.run("signing-keys", "revoke", kid)
    assert done.returncode == 0, done.stderr
    dies(signing, tokens["access_token"])

    def is_withdrawn() -> bool:
        # For a moment the one in its place is not known, and an empty set would be kept by whoever got it.
        reply = signing.request("GET", "/.well-known/jwks.json")
        assert reply.status in {200, 503}
        return reply.status == 200 and kid.encode() not in reply.body

    eventually(is_withdrawn, within=1.5)
    assert kid not in published(signing)
    fresh = tries(signing, "kai", PASSWORD).json["access_token"]
    assert _kid(fresh) != kid
    assert not is_dead(signing, fresh)
    assert signing.run("signing-keys", "revoke", "nothing").returncode == 1
    assert events(signing, "signing_key.revoked")
