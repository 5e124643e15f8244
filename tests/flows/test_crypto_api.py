"""The endpoints that encrypt and decrypt: what they answer, to whom, how often, and what stands in the trail."""

import base64
import json
import math
import secrets
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flows_identity import PASSWORD, UPSTREAMS, slug
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.gateway import Gateway, Reply, eventually, running_gateway
from support.leaks import found_in
from support.raw import Raw
from support.servers import PostgresServer, RedisServer, empty_redis_url, postgresql_url
from support.sql import new_database

CRYPTO = "/gateway/v1/crypto/"
LARGEST = 4 * 1024 * 1024
SENTINEL = f"SentineL{secrets.token_hex(9)}"
CONTEXT = f"ContexT{secrets.token_hex(9)}"
WITHIN = 1.5
"""Seconds within which what a command does is known to the running gateway."""

POLICIES = """\
version: 1
scopes: {things:read: See things}
roles:
  reader: {scopes: [things:read]}
  cipher: {scopes: [things:read, "gateway:crypto"]}
authenticators:
  gateway: {kind: gateway_jwt}
  keys: {kind: api_key, header: x-api-key}
  more-keys: {kind: api_key, header: x-other-key}
accounts: {registration: closed}
defaults:
  authn: [gateway]
  limits: [{limit: 100000/min, per: principal}, {limit: 5/min, per: api_key}]
crypto: {limits: [{limit: 5/min, per: api_key}]}
routes:
  - {id: sealed, match: {methods: [GET], path: /orders}, upstream: service, require: authenticated, encrypt_response: {key: reports}}
"""


class Caller:
    """Somebody who calls the endpoints."""

    def __init__(self, gateway: Gateway, **headers: str) -> None:
        self.headers = headers
        self._gateway = gateway

    def send(self, verb: str, body: object, *, key: str = "reports", **headers: str) -> Reply:
        """Return the answer to a call."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        fields = {"Content-Type": "application/json", **self.headers, **headers}
        return self._gateway.request("POST", f"{CRYPTO}{verb}/{key}", body=data, headers=fields)

    def encrypt(self, data: bytes, *, key: str = "reports", **more: str) -> str:
        """Return the ciphertext of data."""
        reply = self.send("encrypt", {"plaintext": base64.b64encode(data).decode(), **more}, key=key)
        assert reply.status == 200, reply.body
        assert reply.headers["Cache-Control"] == "no-store"
        assert list(reply.json) == ["ciphertext"]
        ciphertext: str = reply.json["ciphertext"]
        return ciphertext

    def decrypt(self, ciphertext: str, *, key: str = "reports", **more: str) -> bytes | None:
        """Return what a ciphertext holds, None when it does not open."""
        reply = self.send("decrypt", {"ciphertext": ciphertext, **more}, key=key)
        if reply.status == 400:
            assert slug(reply) == "decryption-failed"
            return None
        assert reply.status == 200, reply.body
        assert reply.headers["Cache-Control"] == "no-store"
        assert list(reply.json) == ["plaintext"]
        return base64.b64decode(reply.json["plaintext"], validate=True)


@pytest.fixture(scope="module")
def gateway(service: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with running_gateway(
        tmp_path_factory.mktemp("crypto"),
        policies=POLICIES,
        upstreams=UPSTREAMS,
        environ={"TEST_SERVICE": service, "GATEWAY_LOG_LEVEL": "debug"},
    ) as running:
        running.create_user("ciel", PASSWORD, "cipher")
        running.create_user("rita", PASSWORD, "reader")
        for name in ("reports", "other"):
            made = running.run("crypto-keys", "create", name)
            assert made.returncode == 0, made.stderr
        yield running


@pytest.fixture(scope="module")
def tokens(gateway: Gateway) -> dict[str, Any]:
    """Give the tokens of a session of somebody who may encrypt and decrypt."""
    return gateway.login("ciel", PASSWORD)


@pytest.fixture(scope="module")
def ciel(gateway: Gateway, tokens: dict[str, Any]) -> Caller:
    caller = Caller(gateway, Authorization=f"Bearer {tokens['access_token']}")
    eventually(lambda: caller.send("encrypt", {"plaintext": ""}, key="other").status == 200, within=WITHIN)
    return caller


def api_key(gateway: Gateway, name: str, *flags: str) -> str:
    made = gateway.run("keys", "create", name, "--user", "ciel", "--format", "json", *flags)
    assert made.returncode == 0, made.stderr
    key: str = json.loads(made.stdout)["key"]
    return key


def plain(reply: Reply) -> tuple[int, dict[str, str], dict[str, Any]]:
    """Return an answer without what tells one request from another."""
    headers = {name: value for name, value in reply.headers.items() if name not in {"Date", "X-Request-Id"}}
    problem = reply.json
    assert problem.pop("instance") == f"urn:uuid:{reply.headers['X-Request-Id']}"
    return reply.status, headers, problem


def recorded(gateway: Gateway, kind: str) -> list[dict[str, Any]]:
    """Return the events of one kind, oldest first."""
    return gateway.audit("--kind", "event", f"action:{kind}")[::-1]


# What is answered.


@pytest.mark.parametrize("data", [b"", b"x", bytes(range(256)) * 40])
@pytest.mark.parametrize("context", [{}, {"context": ""}, {"context": "tenant é \U0001f600"}])
def test_what_was_encrypted_is_decrypted(ciel: Caller, data: bytes, context: dict[str, str]) -> None:
    sealed = ciel.encrypt(data, **context)
    assert sealed.startswith("gw:v1:")
    assert ciel.decrypt(sealed, **context) == data
    assert ciel.encrypt(data, **context) != sealed
    assert ciel.decrypt(sealed, context="another") is None
    assert ciel.decrypt(sealed, key="other", **context) is None


def test_a_batch_is_answered_in_order(ciel: Caller) -> None:
    values = [b"%d" % number for number in range(1000)]
    asked = [{"plaintext": base64.b64encode(each).decode(), "context": each.decode()} for each in values]
    sealed = ciel.send("encrypt", {"batch": asked}).json["batch"]
    assert {tuple(each) for each in sealed} == {("ciphertext",)}
    again = [{**each, "context": value.decode()} for each, value in zip(sealed, values, strict=True)]
    opened = ciel.send("decrypt", {"batch": again})
    assert opened.json == {"batch": [{"plaintext": each["plaintext"]} for each in asked]}
    rewrapped = ciel.send("rewrap", {"batch": again[:2]}).json["batch"]
    assert ciel.decrypt(rewrapped[1]["ciphertext"], context="1") == b"1"


def test_the_largest_value_and_the_largest_body_pass(ciel: Caller) -> None:
    large = bytes(2 * 1024 * 1024)
    sealed = ciel.encrypt(large)
    assert ciel.decrypt(sealed) == large
    assert ciel.send("rewrap", {"ciphertext": sealed}).status == 200
    padding = LARGEST - len(json.dumps({"plaintext": "", "context": ""}))
    assert ciel.send("encrypt", {"plaintext": "", "context": "x" * padding}).status == 200


def test_the_answer_of_an_encrypted_route_is_decrypted_and_rewrapped(
    gateway: Gateway, ciel: Caller, tokens: dict[str, Any]
) -> None:
    sealed = gateway.request("GET", "/orders", token=tokens["access_token"])
    assert sealed.headers["Content-Type"] == "application/jose"
    message = sealed.body.decode()
    orders = ciel.decrypt(message)
    assert orders is not None
    assert json.loads(orders)
    again = ciel.send("rewrap", {"ciphertext": message}).json["ciphertext"]
    assert again != message
    header = [base64.urlsafe_b64decode(each.partition(".")[0] + "===") for each in (message, again)]
    assert header[0] == header[1]
    assert ciel.decrypt(again) == orders
    # A JWE has no context, so that it cannot have this one.
    assert ciel.decrypt(message, context="x") is None


# Who may.


def test_who_asks_must_hold_the_scope(gateway: Gateway, ciel: Caller, tokens: dict[str, Any]) -> None:
    form = f"grant_type=refresh_token&client_id=gateway&scope=things:read&refresh_token={tokens['refresh_token']}"
    narrowed = gateway.request(
        "POST",
        "/gateway/v1/oauth/token",
        body=form.encode(),
        headers={"Content-Type": "application/x-www-form-urlencoded"},
    )
    assert narrowed.json["scope"] == "things:read"
    rita = gateway.login("rita", PASSWORD)["access_token"]
    key = api_key(gateway, "narrow", "--scope", "things:read")
    for headers in (
        {"Authorization": f"Bearer {narrowed.json['access_token']}"},
        {"Authorization": f"Bearer {rita}"},
        {"X-Api-Key": key},
    ):
        for verb in ("encrypt", "decrypt", "rewrap"):
            # Nobody learns which keys there are, nor is the body looked at.
            for name in ("reports", "nowhere"):
                refused = Caller(gateway, **headers).send(verb, b"{", key=name)
                assert (refused.status, slug(refused)) == (403, "insufficient-scope")
                assert refused.json["detail"] == "This needs the scope gateway:crypto."
                assert 'scope="gateway:crypto"' in refused.headers["WWW-Authenticate"]


def test_who_asks_must_be_known(gateway: Gateway, ciel: Caller) -> None:
    for headers, problem in (
        ({}, "credentials-missing"),
        ({"Authorization": "Bearer nonsense"}, "credentials-invalid"),
        ({"X-Api-Key": "gwk_nonsense"}, "credentials-invalid"),
    ):
        refused = Caller(gateway, **headers).send("decrypt", {"ciphertext": "x"})
        assert (refused.status, slug(refused)) == (401, problem)
        assert refused.headers["WWW-Authenticate"]
    key = api_key(gateway, "beside", "--scope", "gateway:crypto")
    both = ciel.send("encrypt", {"plaintext": ""}, **{"X-Api-Key": key})
    assert (both.status, slug(both)) == (400, "credentials-conflicting")


def test_a_key_for_machines_opens_it_too_and_its_sixth_value_is_refused(gateway: Gateway) -> None:
    key = api_key(gateway, "machine", "--scope", "gateway:crypto")
    machine = Caller(gateway, **{"X-Other-Key": key})
    too_many = machine.send("encrypt", {"batch": [{"plaintext": ""}] * 6})
    assert (too_many.status, slug(too_many)) == (429, "rate-exceeded")
    assert too_many.json["detail"] == "A limit admits at most 5 values at once; send fewer."
    begun = time.monotonic()
    first = machine.send("encrypt", {"plaintext": ""})
    answered = time.monotonic()
    assert first.headers["RateLimit-Policy"] == '"crypto:0";q=5;w=60'
    assert first.headers["RateLimit"].startswith('"crypto:0";r=4;t=')
    assert machine.send("encrypt", {"batch": [{"plaintext": ""}] * 3}).status == 200
    # A batch that does not fit as a whole is not charged at all.
    assert machine.send("encrypt", {"batch": [{"plaintext": ""}] * 2}).status == 429
    # What fails, fails for good.
    failed = machine.send("decrypt", {"ciphertext": "x"})
    assert (failed.status, slug(failed)) == (400, "decryption-failed")
    assert failed.headers["RateLimit"].startswith('"crypto:0";r=0;t=')
    asked = time.monotonic()
    sixth = machine.send("encrypt", {"plaintext": ""})
    assert (sixth.status, slug(sixth)) == (429, "rate-exceeded")
    wait = int(sixth.headers["Retry-After"])
    assert math.ceil(60 - (time.monotonic() - begun)) <= wait <= math.ceil(60 - (asked - answered))
    # Names that are not there and bodies that say nothing are not charged, but they are seen first.
    assert machine.send("encrypt", {"plaintext": ""}, key="nowhere").status == 404
    assert machine.send("encrypt", {}).status == 400
    # Of these requests, the five that were not refused for a limit have used up what a key has for all.
    spent = machine.send("encrypt", {})
    assert (spent.status, slug(spent)) == (429, "rate-exceeded")
    assert '"defaults:1";r=0' in spent.headers["RateLimit"]


# What is refused.


@pytest.mark.parametrize("verb", ["encrypt", "decrypt", "rewrap"])
def test_a_key_that_is_not_there_is_not_found(ciel: Caller, verb: str) -> None:
    for name in ("nowhere", "Reports", "reports%20", "reports:v1", "%CE%B1"):
        missing = ciel.send(verb, {"plaintext" if verb == "encrypt" else "ciphertext": ""}, key=name)
        assert (missing.status, slug(missing)) == (404, "not-found"), name
    assert ciel.send(verb, {}, key="reports/more").status == 404


@pytest.mark.parametrize(
    ("verb", "body", "wrong"),
    [
        ("encrypt", b"", {"plaintext": "is required"}),
        ("encrypt", b"{", {"": "the body is not JSON"}),
        ("encrypt", b"[]", {"": "the body is not a JSON object"}),
        (
            "encrypt",
            b'{"plaintext": "", "plaintext": "YQ=="}',
            {"": "an object names a member twice"},
        ),
        ("encrypt", {"plaintext": "YQ"}, {"plaintext": "must be base64, with padding"}),
        ("encrypt", {"plaintext": "YR=="}, {"plaintext": "must be base64, with padding"}),
        ("encrypt", {"plaintext": "", "context": 1}, {"context": "must be a string"}),
        ("encrypt", {"ciphertext": "x"}, {"plaintext": "is required", "ciphertext": "is not known here; leave it out"}),
        ("encrypt", {"batch": []}, {"batch": "must not be empty"}),
        ("encrypt", {"batch": [{"plaintext": ""}] * 1001}, {"batch": "may have at most 1000 entries"}),
        ("encrypt", {"batch": [{"plaintext": ""}, {"plaintext": "!"}]}, {"batch.1.plaintext": "must be base64, with padding"}),
        ("encrypt", {"batch": [{"plaintext": ""}], "context": "x"}, {"context": "is not known here; leave it out"}),
        (
            "encrypt",
            {"plaintext": base64.b64encode(bytes(2 * 1024 * 1024 + 1)).decode()},
            {"plaintext": "may have at most 2097152 bytes"},
        ),
        (
            "encrypt",
            b'{"batch": [' + b"0," * 1_000_000 + b"0]}",
            {"": "the body has more than 98304 characters that are not within strings"},
        ),
        ("decrypt", {"ciphertext": None}, {"ciphertext": "must be a string"}),
        ("rewrap", {"plaintext": ""}, {"ciphertext": "is required", "plaintext": "is not known here; leave it out"}),
    ],
)  # fmt: skip
def test_a_body_that_is_wrong_is_told_where(
    ciel: Caller, verb: str, body: object, wrong: dict[str, str]
) -> None:
    refused = ciel.send(verb, body)
    assert (refused.status, slug(refused)) == (400, "invalid-request")
    assert {each["field"]: each["message"] for each in refused.json["errors"]} == wrong


def test_a_body_of_another_kind_or_size_is_refused(gateway: Gateway, ciel: Caller) -> None:
    form = ciel.send("encrypt", b"plaintext=", **{"Content-Type": "application/x-www-form-urlencoded"})
    assert (form.status, slug(form)) == (415, "unsupported-media-type")
    padding = LARGEST + 1 - len(json.dumps({"plaintext": "", "context": ""}))
    larger = json.dumps({"plaintext": "", "context": "x" * padding}).encode()
    chunked = f"{len(larger):x}\r\n".encode() + larger + b"\r\n0\r\n\r\n"
    for framing, data in (
        (f"Content-Length: {len(larger)}", b""),
        ("Transfer-Encoding: chunked", chunked),
    ):
        with Raw(gateway.port) as client:
            client.send(
                f"POST {CRYPTO}encrypt/reports HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
                f"Authorization: {ciel.headers['Authorization']}\r\n{framing}\r\n\r\n".encode()
            )
            client.send_split([data], pause=0)
            refused = client.reply()
        assert refused is not None
        problem = json.loads(refused.body)
        assert (refused.status, problem["type"]) == (413, "urn:gateway:problem:body-too-large")
        assert problem["detail"] == f"The body may have at most {LARGEST} bytes."


def test_only_post_is_taken(gateway: Gateway, tokens: dict[str, Any]) -> None:
    for method in ("GET", "PUT", "DELETE"):
        refused = gateway.request(method, f"{CRYPTO}encrypt/reports", token=tokens["access_token"])
        assert (refused.status, refused.headers["Allow"]) == (405, "POST")


# Nobody learns why.


def flipped(text: bytes, bit: int) -> bytes:
    """Return a text with one bit changed that JSON can still carry as it is."""
    changed = bytearray(text)
    changed[bit // 8 % len(text)] ^= 1 << bit % 7
    return bytes(changed)


@pytest.fixture(scope="module")
def ciphertexts(gateway: Gateway, ciel: Caller, tokens: dict[str, Any]) -> dict[str, bytes]:
    text = ciel.encrypt(b"a value").encode()
    return {"text": text, "jwe": gateway.request("GET", "/orders", token=tokens["access_token"]).body}


@pytest.mark.parametrize("form", ["text", "jwe"])
@pytest.mark.parametrize("verb", ["decrypt", "rewrap"])
def test_whatever_is_wrong_with_a_ciphertext_is_answered_alike(
    ciel: Caller, ciphertexts: dict[str, bytes], verb: str, form: str
) -> None:
    whole = ciphertexts[form]
    assert ciel.send(verb, {"ciphertext": whole.decode()}).status == 200
    expected = plain(ciel.send(verb, {"ciphertext": ""}))
    assert expected[0] == 400
    assert set(expected[2]) == {"type", "title", "status"}

    def fails(ciphertext: str, **more: str) -> None:
        assert plain(ciel.send(verb, {"ciphertext": ciphertext, **more})) == expected

    for text in (
        "gw:v2:" + "A" * 60,
        "gw:v0:" + "A" * 60,
        "a.b.c.d.e",
        "é",
        "x" * 100_000,
        whole.decode()[:-1],
        whole.decode() + "=",
        " " + whole.decode(),
        ciel.encrypt(b"a value", key="other"),
    ):
        fails(text)
    fails(whole.decode(), context="x")

    @settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow], deadline=None)
    @given(bit=st.integers(0, 8 * len(whole) - 1))
    def any_bit(bit: int) -> None:
        fails(flipped(whole, bit).decode())

    any_bit()


def test_a_batch_with_one_that_does_not_open_comes_to_nothing(
    ciel: Caller, ciphertexts: dict[str, bytes]
) -> None:
    good = {"ciphertext": ciphertexts["text"].decode()}
    expected = plain(ciel.send("decrypt", {"ciphertext": ""}))
    for verb in ("decrypt", "rewrap"):
        for place in (0, 1, 2):
            batch = [dict(good) for _ in range(3)]
            batch[place]["context"] = "not this one"
            assert plain(ciel.send(verb, {"batch": batch})) == expected
        assert ciel.send(verb, {"batch": [good] * 3}).status == 200


# Versions.


def test_a_rotated_key_opens_what_is_older_until_that_is_retired(gateway: Gateway, ciel: Caller) -> None:
    made = gateway.run("crypto-keys", "create", "turned")
    assert made.returncode == 0, made.stderr
    # Known at once: whoever names it makes the gateway look.
    first = ciel.encrypt(b"1", key="turned", context="c")
    assert gateway.run("crypto-keys", "rotate", "turned").returncode == 0
    eventually(lambda: ciel.encrypt(b"2", key="turned").startswith("gw:v2:"), within=WITHIN)
    assert ciel.decrypt(first, key="turned", context="c") == b"1"
    again = ciel.send("rewrap", {"ciphertext": first, "context": "c"}, key="turned").json["ciphertext"]
    assert again.startswith("gw:v2:")
    assert gateway.run("crypto-keys", "retire", "turned").returncode == 0
    eventually(lambda: ciel.decrypt(first, key="turned", context="c") is None, within=WITHIN)
    assert ciel.send("rewrap", {"ciphertext": first, "context": "c"}, key="turned").status == 400
    assert ciel.decrypt(again, key="turned", context="c") == b"1"
    undone = gateway.run("crypto-keys", "retire", "turned", "--min-decryption-version", "1")
    assert undone.returncode == 0, undone.stderr
    eventually(lambda: ciel.decrypt(first, key="turned", context="c") == b"1", within=WITHIN)


# The trail.


def test_every_call_is_an_event_without_its_data(gateway: Gateway, ciel: Caller) -> None:
    assert gateway.run("crypto-keys", "create", "told").returncode == 0
    value = {"plaintext": base64.b64encode(SENTINEL.encode()).decode(), "context": CONTEXT}
    sealed = ciel.encrypt(SENTINEL.encode(), key="told", context=CONTEXT)
    batch = ciel.send("encrypt", {"batch": [value] * 2}, key="told").json["batch"]
    one = {"ciphertext": sealed, "context": CONTEXT}
    assert ciel.decrypt(sealed, key="told", context=CONTEXT) == SENTINEL.encode()
    failed = ciel.send("decrypt", {"batch": [one, {"ciphertext": sealed[:-4]}, one]}, key="told")
    assert failed.status == 400
    assert ciel.send("rewrap", {"batch": [one]}, key="told").status == 200
    bad = [
        ciel.send("encrypt", {"plaintext": value["plaintext"] + "!", "context": CONTEXT}, key="told"),
        ciel.send("encrypt", {"plaintext": "", "note": SENTINEL}, key="told"),
        ciel.send("decrypt", {"ciphertext": [sealed, SENTINEL]}, key="told"),
        ciel.send("decrypt", json.dumps(one).encode()[:-1], key="told"),
        ciel.send("decrypt", one, key="nowhere"),
    ]
    assert [reply.status for reply in bad] == [400, 400, 400, 400, 404]

    def told() -> dict[str, list[dict[str, Any]]]:
        kinds = ("crypto.encrypt", "crypto.decrypt", "crypto.rewrap")
        found = {kind: recorded(gateway, kind) for kind in kinds}
        return {
            kind: [one for one in events if one["attributes"]["key"] == "told"]
            for kind, events in found.items()
        }

    events = told()
    for event in [event for found in events.values() for event in found]:
        # What the token is confined to is said in each of its records.
        assert event["attributes"].pop("credential.scopes") == ["gateway:crypto", "things:read"]
    said = {kind: [(one["reason"], one["attributes"]) for one in found] for kind, found in events.items()}
    assert said == {
        "crypto.encrypt": [
            ("ok", {"key": "told", "version": 1, "count": 1}),
            ("ok", {"key": "told", "version": 1, "count": 2}),
        ],
        "crypto.decrypt": [
            ("ok", {"key": "told", "version": 1, "count": 1}),
            ("decryption-failed", {"key": "told", "count": 3}),
        ],
        "crypto.rewrap": [("ok", {"key": "told", "version": 1, "count": 1})],
    }
    (record, _) = events["crypto.encrypt"]
    assert (record["actor"]["kind"], record["actor"]["name"]) == ("user", "ciel")
    assert record["source_ip"] == "127.0.0.1"
    assert record["session"]
    decisions = gateway.audit(f"request_id:{failed.headers['X-Request-Id']}", "--kind", "decision")
    (decision,) = decisions
    assert (decision["route"], decision["status"]) == ("gateway:crypto.decrypt", 400)
    assert (decision["reason"], decision["actor"]["name"]) == ("decryption-failed", "ciel")
    assert decision["attributes"]["diagnosis"]

    hidden = [SENTINEL, CONTEXT, sealed[6:], *(each["ciphertext"][6:] for each in batch)]
    answers = b"".join(reply.body + repr(reply.headers).encode() for reply in (failed, *bad))
    kept = [path.read_bytes() for path in gateway.data_dir.rglob("*") if path.is_file()]
    seen = [answers, "\n".join(gateway.lines).encode(), json.dumps(gateway.audit()).encode(), *kept]
    assert [found for data in seen if (found := found_in(data, hidden))] == []


def test_the_endpoints_are_listed_and_counted(gateway: Gateway, ciel: Caller) -> None:
    ciel.encrypt(b"")
    listed = {(one["method"], one["path"]) for one in gateway.request("GET", "/gateway/v1").json["endpoints"]}
    assert {("POST", f"{CRYPTO}{verb}/{{key}}") for verb in ("encrypt", "decrypt", "rewrap")} <= listed
    metrics = gateway.request("GET", "/metrics", port=gateway.admin_port).body.decode()
    assert 'route="gateway:crypto.encrypt"' in metrics


# What is away.


@pytest.fixture
def limited(service: str, tmp_path: Path) -> Iterator[Callable[..., Gateway]]:
    """Give what starts a gateway with a limit for everybody and an encryption key, on such stores."""
    values = "crypto: {limits: [{limit: 5/min, per: "
    policies = POLICIES.replace(f"{values}api_key", f"{values}principal, on_store_error: closed")
    gateways: list[Gateway] = []

    def make(**environ: str) -> Gateway:
        gateway = Gateway(
            tmp_path / str(len(gateways)),
            policies=policies,
            upstreams=UPSTREAMS,
            environ={
                "TEST_SERVICE": service,
                "GATEWAY_SECRET": "a secret that both share, long enough",
                **environ,
            },
        )
        gateways.append(gateway)
        return gateway.start()

    yield make
    for gateway in gateways:
        gateway.kill()


@pytest.mark.slow
def test_several_gateways_count_the_values_together(limited: Callable[..., Gateway]) -> None:
    with new_database(postgresql_url()) as database:
        stores = {"GATEWAY_DATABASE_URL": database, "GATEWAY_REDIS_URL": empty_redis_url()}
        one = limited(**stores)
        one.create_user("ciel", PASSWORD, "cipher")
        assert one.run("crypto-keys", "create", "reports").returncode == 0
        token = one.login("ciel", PASSWORD)["access_token"]
        callers = [Caller(each, Authorization=f"Bearer {token}") for each in (one, limited(**stores))]
        sealed = callers[0].encrypt(b"shared")
        assert callers[1].decrypt(sealed) == b"shared"
        statuses = [
            callers[number % 2].send("decrypt", {"batch": [{"ciphertext": sealed}] * count}).status
            for number, count in enumerate((2, 2, 1, 1))
        ]
        assert statuses == [200, 429, 200, 429]


def test_limits_that_are_closed_refuse_while_their_counters_are_away(limited: Callable[..., Gateway]) -> None:
    with RedisServer() as redis:
        gateway = limited(GATEWAY_REDIS_URL=redis.url)
        gateway.create_user("ciel", PASSWORD, "cipher")
        assert gateway.run("crypto-keys", "create", "reports").returncode == 0
        ciel = Caller(gateway, Authorization=f"Bearer {gateway.login('ciel', PASSWORD)['access_token']}")
        assert ciel.encrypt(b"x")
        redis.stop("kill")
        refused = eventually(
            lambda: (reply := ciel.send("encrypt", {"plaintext": ""})).status == 503 and reply, within=5
        )
        assert slug(refused) == "dependency-unavailable"
        assert refused.headers["Retry-After"] == "1"


@pytest.mark.slow
def test_nothing_is_done_for_callers_of_whom_nobody_knows_whether_they_still_may(
    limited: Callable[..., Gateway],
) -> None:
    with PostgresServer() as postgres:
        gateway = limited(GATEWAY_DATABASE_URL=postgres.url)
        gateway.create_user("ciel", PASSWORD, "cipher")
        assert gateway.run("crypto-keys", "create", "reports").returncode == 0
        ciel = Caller(gateway, Authorization=f"Bearer {gateway.login('ciel', PASSWORD)['access_token']}")
        sealed = ciel.encrypt(b"x")
        postgres.stop("immediate")
        # What is asked with a wrong body is not charged as a value.
        refused = eventually(lambda: (reply := ciel.send("decrypt", {})).status == 503 and reply, within=5)
        assert slug(refused) == "dependency-unavailable"
        assert int(refused.headers["Retry-After"]) >= 1
        postgres.start()
        eventually(lambda: ciel.send("decrypt", {}).status == 400, within=10)
        assert ciel.decrypt(sealed) == b"x"
