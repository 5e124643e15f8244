"""Answers that one client alone can read, whoever else sees them."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from flows_encryption import (
    AT_ONCE,
    JSON,
    PASSWORD,
    POLICIES,
    UPSTREAMS,
    Client,
    environ,
    header_of,
    make_client,
    opened,
)
from flows_identity import events, slug
from joserfc.jwk import ECKey, OKPKey
from support.gateway import Gateway, Reply, eventually, running_gateway
from support.scripted import Scripted, scripted

BODY = b'{"secret": "for one client"}'
CURVES = ("P-256", "P-384", "P-521", "X25519")
Key = ECKey | OKPKey


def new_key(curve: str = "P-256") -> Key:
    if curve == "X25519":
        return OKPKey.generate_key("X25519", {"kid": "x"})
    return ECKey.generate_key(curve, {"kid": f"key {curve}"})


def public(key: Key, **more: str) -> str:
    return json.dumps({**key.as_dict(private=False), **more})


@pytest.fixture(scope="module")
def upstream() -> Iterator[Scripted]:
    with scripted() as running:
        running.says("thing", BODY, JSON, "Cache-Control: public, max-age=60", 'ETag: "1"')
        yield running


@pytest.fixture(scope="module")
def gateway(upstream: Scripted, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with running_gateway(
        tmp_path_factory.mktemp("recipient"),
        policies=POLICIES,
        upstreams=UPSTREAMS,
        environ=environ(upstream),
    ) as running:
        running.create_user("ursula", PASSWORD, "reader")
        yield running


@pytest.fixture(scope="module")
def without(gateway: Gateway) -> Client:
    """A client that has no key."""
    return make_client(gateway, "without")


def get(gateway: Gateway, token: str, **headers: str) -> Reply:
    return gateway.request("GET", "/mine/thing", token=token, headers=headers)


def reads(reply: Reply, key: Key) -> dict[str, Any]:
    """Fail unless this key, and no other, opens an answer; return its header."""
    assert (reply.status, reply.headers["Content-Type"]) == (200, "application/jose"), reply.body
    assert opened(reply.body, key) == BODY
    with pytest.raises(Exception):  # noqa: B017, PT011 - a library of others has its own
        opened(reply.body, new_key(str(key.as_dict(private=False)["crv"])))
    return header_of(reply.body)


@pytest.mark.parametrize("curve", CURVES)
def test_a_client_reads_with_the_key_that_it_was_registered_with(gateway: Gateway, curve: str) -> None:
    key = new_key(curve)
    token = make_client(gateway, f"client {curve}", public(key)).token()
    first, second = get(gateway, token), get(gateway, token)
    one, other = reads(first, key), reads(second, key)
    assert set(one) == {"alg", "enc", "kid", "epk", "cty"}
    assert (one["alg"], one["enc"], one["cty"]) == ("ECDH-ES", "A256GCM", "application/json")
    assert one["kid"] == key.as_dict(private=False)["kid"]
    assert one["epk"]["crv"] == curve
    assert "d" not in one["epk"]
    assert one["epk"] != other["epk"], "a fresh key for every message"
    for reply in (first, second):
        assert reply.headers["Cache-Control"] == "no-store"
        assert "ETag" not in reply.headers


def test_who_has_no_key_is_refused_before_the_service_is_asked(
    gateway: Gateway, upstream: Scripted, without: Client
) -> None:
    count = len(upstream.asked)
    made = gateway.run("keys", "create", "ci", "--user", "ursula", "--format", "json")
    assert made.returncode == 0, made.stderr
    key = {"X-Api-Key": json.loads(made.stdout)["key"]}
    refused = [
        get(gateway, without.token()),
        get(gateway, without.user_token("ursula")),
        get(gateway, gateway.login("ursula", PASSWORD)["access_token"]),
        gateway.request("GET", "/mine/thing", headers=key),
    ]
    for reply in refused:
        assert (reply.status, slug(reply)) == (403, "condition-not-met")
        assert reply.json["detail"]
    assert get(gateway, "").status == 401
    assert len(upstream.asked) == count


def test_what_a_user_gets_by_a_client_is_for_that_client(gateway: Gateway) -> None:
    key = new_key()
    client = make_client(gateway, "of users", public(key))
    reads(get(gateway, client.user_token("ursula")), key)


def test_a_key_can_be_registered_replaced_and_taken_away_within_a_second(
    gateway: Gateway, without: Client
) -> None:
    token = without.token()

    def set_to(*flags: str, stdin: str | None = None) -> None:
        done = gateway.run("clients", "set-jwk", without.name, *flags, stdin=stdin)
        assert done.returncode == 0, done.stderr

    def opens(key: Key) -> bool:
        reply = get(gateway, token)
        try:
            return reply.status == 200 and opened(reply.body, key) == BODY
        except Exception:  # noqa: BLE001 - it was for the key before
            return False

    assert get(gateway, token).status == 403
    first, second = new_key(), new_key("X25519")
    for key in (first, second):
        set_to("--jwk-file", "-", stdin=public(key))
        eventually(lambda key=key: opens(key), within=AT_ONCE, what="the new key counts")
    set_to("--none")
    eventually(lambda: get(gateway, token).status == 403, within=AT_ONCE, what="the key is gone")
    records = [one for one in events(gateway, "client.key_set") if without.id in json.dumps(one)]
    assert len(records) == 3
    assert str(first.as_dict(private=False)["x"]) not in json.dumps(records)


def test_a_revoked_client_reads_nothing(gateway: Gateway) -> None:
    key = new_key()
    client = make_client(gateway, "revoked", public(key))
    own, of_user = client.token(), client.user_token("ursula")
    reads(get(gateway, own), key)
    assert gateway.run("clients", "revoke", client.name).returncode == 0
    eventually(lambda: get(gateway, own).status == 401, within=AT_ONCE)
    eventually(lambda: get(gateway, of_user).status in {401, 403}, within=AT_ONCE)


def refused_keys() -> dict[str, str]:
    key, other = new_key(), new_key("P-384")
    point = key.as_dict(private=False)
    return {
        "private": json.dumps(key.as_dict(private=True)),
        "symmetric": json.dumps({"kty": "oct", "k": "A" * 43}),
        "rsa": json.dumps({"kty": "RSA", "n": "AQAB" * 90, "e": "AQAB"}),
        "signing": public(key, use="sig"),
        "signing operations": json.dumps({**point, "key_ops": ["verify"]}),
        "another curve": json.dumps({**point, "crv": "secp256k1"}),
        "Ed25519": json.dumps({"kty": "OKP", "crv": "Ed25519", "x": "A" * 43}),
        "not on the curve": json.dumps({**point, "y": other.as_dict(private=False)["x"][:43]}),
        "zero": json.dumps({"kty": "OKP", "crv": "X25519", "x": "A" * 43}),
        "another algorithm": public(key, alg="RSA-OAEP-256"),
        "a set of keys": json.dumps({"keys": [point]}),
        "twice": public(key)[:-1] + ', "x": "AA"}',
        "not JSON": "{",
        "nothing": "",
    }


@pytest.mark.parametrize("kind", refused_keys())
def test_a_key_that_nobody_may_encrypt_for_is_refused_with_one_sentence(gateway: Gateway, kind: str) -> None:
    text = refused_keys()[kind]
    done = gateway.run("clients", "create", f"bad {kind}", "--role", "reader", "--jwk-file", "-", stdin=text)
    assert done.returncode in {1, 2}
    assert "Traceback" not in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    if '"d"' in text or '"k"' in text:
        secret = json.loads(text).get("d") or json.loads(text)["k"]
        assert secret not in done.stderr
    listed = gateway.run("clients", "list", "--format", "json")
    assert f"bad {kind}" not in listed.stdout


def test_whoever_lists_clients_sees_which_have_a_key(gateway: Gateway) -> None:
    key = new_key()
    client = make_client(gateway, "listed", public(key))
    done = gateway.run("clients", "list", "--format", "json")
    (found,) = [one for one in json.loads(done.stdout) if one["id"] == client.id]
    assert found["key_thumbprint"] == key.thumbprint()
