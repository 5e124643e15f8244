"""The life of the keys that sign tokens, as operators lead it and clients see it."""

import json
import threading
import time
from collections.abc import Iterator
from typing import Any

import jwt
import pytest
from flows_gateway import POLICIES, UPSTREAMS
from support.gateway import Gateway, eventually, running_gateway
from support.raw import Raw

PASSWORD = "correct horse battery"
OPEN, OWN = (
    f"path: /events}}, upstream: service, {who}" for who in ("authn: public", "require: authenticated")
)
WITH_A_STREAM = POLICIES.replace(f"{OPEN}, because: For tests", OWN)
assert OWN in WITH_A_STREAM


@pytest.fixture(scope="module")
def gateway(service: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with running_gateway(
        tmp_path_factory.mktemp("keys"),
        policies=WITH_A_STREAM,
        upstreams=UPSTREAMS,
        environ={"TEST_SERVICE": service},
    ) as running:
        running.create_user("ada", PASSWORD, "reader")
        yield running


class Owner:
    """Somebody who is logged in, and refreshes: nothing of what follows is about passwords."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._refresh_token = gateway.login("ada", PASSWORD)["refresh_token"]

    def token(self) -> tuple[str, str]:
        """Return a new access token and the key that signed it."""
        body = {"refresh_token": self._refresh_token}
        reply = self._gateway.request("POST", "/gateway/v1/auth/refresh", body=body)
        assert reply.status == 200, reply.body
        self._refresh_token = reply.json["refresh_token"]
        token = reply.json["access_token"]
        return token, jwt.get_unverified_header(token)["kid"]


@pytest.fixture(scope="module")
def owner(gateway: Gateway) -> Owner:
    return Owner(gateway)


def published(gateway: Gateway) -> list[str]:
    reply = gateway.request("GET", "/.well-known/jwks.json")
    assert reply.headers["Cache-Control"] == "public, max-age=300"
    assert reply.headers["Content-Type"] == "application/jwk-set+json"
    keys = reply.json["keys"]
    assert all(set(key) == {"kty", "crv", "x", "y", "use", "alg", "kid"} for key in keys)
    return [key["kid"] for key in keys]


def command(gateway: Gateway, *words: str) -> Any:
    done = gateway.run("signing-keys", *words, "--format", "json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def takes(gateway: Gateway, token: str) -> bool:
    return gateway.request("GET", "/orders", token=token).status == 200


def test_the_first_key_is_made_at_the_first_start_and_recorded(gateway: Gateway) -> None:
    (kid,) = published(gateway)
    (record,) = [one for one in gateway.audit("--kind", "event") if one["action"] == "signing_key.rotated"]
    assert record["attributes"]["key"] == kid
    assert record.get("actor") is None


def test_a_key_is_published_before_it_signs_and_an_old_one_after(gateway: Gateway, owner: Owner) -> None:
    (first,) = published(gateway)
    token, _ = owner.token()
    pending = command(gateway, "rotate")["kid"]
    eventually(lambda: published(gateway) == [first, pending], within=1.0, what="the next one is published")
    assert owner.token()[1] == first

    at_once = command(gateway, "rotate", "--now")["kid"]
    eventually(lambda: published(gateway) == [at_once, pending, first], within=1.0)
    newer, kid = owner.token()
    assert kid == at_once
    assert takes(gateway, token)
    assert takes(gateway, newer)
    states = {key["kid"]: key["state"] for key in command(gateway, "list")}
    assert states == {at_once: "active", pending: "retired", first: "retired"}


def test_whoever_verifies_with_the_published_set_can_through_a_rotation(
    gateway: Gateway, owner: Owner
) -> None:
    before = owner.token()[0]
    made = command(gateway, "rotate", "--now")["kid"]
    eventually(lambda: published(gateway)[0] == made, within=1.0)
    after, kid = owner.token()
    assert kid == made
    keys = jwt.PyJWKSet.from_json(gateway.request("GET", "/.well-known/jwks.json").body.decode())
    for token in (before, after):
        key = keys[jwt.get_unverified_header(token)["kid"]]
        options: Any = {"verify_aud": False}
        claims = jwt.decode(token, key, algorithms=["ES256"], options=options)
        assert claims["name"] == "ada"


def test_nobody_is_refused_while_keys_change_over(gateway: Gateway, owner: Owner) -> None:
    stop = threading.Event()
    statuses: list[int] = []
    token = owner.token()[0]

    def ask() -> None:
        while not stop.is_set():
            statuses.append(gateway.request("GET", "/orders", token=token).status)

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    for _ in range(2):
        made = command(gateway, "rotate", "--now")["kid"]
        eventually(lambda made=made: published(gateway)[0] == made, within=1.0)
    count = len(statuses)
    eventually(lambda: len(statuses) > count + 10)
    stop.set()
    for thread in threads:
        thread.join(20)
    assert set(statuses) == {200}


def test_a_revoked_key_ends_its_tokens_and_their_streams_at_once(gateway: Gateway, owner: Owner) -> None:
    token, kid = owner.token()
    with Raw(gateway.port) as raw:
        asked = f"GET /events HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\r\n"
        raw.send(asked.encode())
        assert b" 200 " in raw.until(b"\r\n\r\n")
        assert takes(gateway, token)
        begun = time.monotonic()
        successor = command(gateway, "revoke", kid)["successor"]
        eventually(lambda: not takes(gateway, token), within=1.0, what="the token is dead")
        while raw.receive():
            pass
        assert time.monotonic() - begun < 4.0
    assert kid not in published(gateway)
    newer, signed_by = owner.token()
    assert signed_by == successor == published(gateway)[0]
    assert takes(gateway, newer)
    events = [one for one in gateway.audit("--kind", "event") if one["action"].startswith("signing_key.")]
    assert [(one["action"], one["attributes"]["key"]) for one in events[:2]] == [
        ("signing_key.rotated", successor),
        ("signing_key.revoked", kid),
    ]
    assert events[0]["actor"]["kind"] == "operator"


def test_no_command_prints_a_key_that_signs(gateway: Gateway) -> None:
    for words in (("list",), ("rotate", "--now")):
        done = gateway.run("signing-keys", *words)
        assert "PRIVATE" not in done.stdout + done.stderr
