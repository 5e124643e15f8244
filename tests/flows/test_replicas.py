"""Two gateways on one PostgreSQL and one Redis behave as one."""

import json
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass

import pytest
from flows_gateway import POLICIES, UPSTREAMS
from support.gateway import Gateway, eventually
from support.servers import empty_redis_url, postgresql_url
from support.sql import new_database

PASSWORD = "correct horse battery"
SECRET = "the replicas' own secret, long enough to be one"
FEW = 30

REPLICATED = f"""\
{POLICIES}
  - id: few
    match: {{methods: [GET], path: /healthz/few}}
    upstream: service
    require: authenticated
    limits: [{{limit: {FEW}/h, per: principal}}]
"""


@dataclass(frozen=True, slots=True)
class Replicas:
    """Two gateways, and how to make more on the same stores."""

    one: Gateway
    other: Gateway
    make: Callable[..., Gateway]


@pytest.fixture(scope="module")
def replicas(service: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Replicas]:
    """Start both at once on an empty database."""
    with ExitStack() as stack:
        database = stack.enter_context(new_database(postgresql_url()))
        redis = empty_redis_url()

        def make(name: str, secret: str = SECRET) -> Gateway:
            gateway = Gateway(
                tmp_path_factory.mktemp(name),
                policies=REPLICATED,
                upstreams=UPSTREAMS,
                environ={
                    "TEST_SERVICE": service,
                    "GATEWAY_DATABASE_URL": database,
                    "GATEWAY_REDIS_URL": redis,
                    "GATEWAY_SECRET": secret,
                },
            )
            stack.callback(gateway.kill)
            return gateway

        one, other = make("one"), make("other")
        with ThreadPoolExecutor(2) as threads:
            list(threads.map(Gateway.start, [one, other]))
        yield Replicas(one, other, make)


@pytest.fixture
def one(replicas: Replicas) -> Gateway:
    return replicas.one


@pytest.fixture
def other(replicas: Replicas) -> Gateway:
    return replicas.other


def register(gateway: Gateway, name: str) -> None:
    body = {"username": name, "email": f"{name}@example.com", "password": PASSWORD}
    reply = gateway.request("POST", "/gateway/v1/auth/register", body=body)
    assert reply.status == 201, reply.body


def refresh(gateway: Gateway, token: str) -> dict[str, str]:
    reply = gateway.request("POST", "/gateway/v1/auth/refresh", body={"refresh_token": token})
    assert reply.status == 200, reply.body
    tokens: dict[str, str] = reply.json
    return tokens


def dead_within_a_second(
    gateway: Gateway, *, token: str | None = None, headers: Mapping[str, str] | None = None
) -> None:
    eventually(
        lambda: gateway.request("GET", "/orders", token=token, headers=headers).status == 401,
        within=1.0,
        what="the credential is refused",
    )


def test_both_sign_with_the_same_keys(one: Gateway, other: Gateway) -> None:
    # The two made their first key at the same time, on an empty database.
    mine, theirs = (gateway.request("GET", "/.well-known/jwks.json").json for gateway in (one, other))
    assert mine == theirs
    assert len(mine["keys"]) == 1


def test_whoever_registers_at_one_is_known_at_the_other(one: Gateway, other: Gateway) -> None:
    register(one, "paula")
    token = other.login("paula", PASSWORD)["access_token"]
    for gateway in (one, other):
        assert gateway.request("GET", "/orders", token=token).status == 200
        assert gateway.request("GET", "/gateway/v1/auth/me", token=token).json["username"] == "paula"
    taken = other.request(
        "POST",
        "/gateway/v1/auth/register",
        body={"username": "PAULA", "email": "else@example.com", "password": PASSWORD},
    )
    assert taken.status == 409


def test_a_session_goes_on_at_the_other(one: Gateway, other: Gateway) -> None:
    register(one, "quentin")
    first = one.login("quentin", PASSWORD)
    second = refresh(other, first["refresh_token"])
    third = refresh(one, second["refresh_token"])
    assert one.request("GET", "/orders", token=third["access_token"]).status == 200
    # Somebody has the first one still: at whichever gateway it is shown, the session ends at both.
    stolen = other.request("POST", "/gateway/v1/auth/refresh", body={"refresh_token": first["refresh_token"]})
    assert stolen.status == 401
    for gateway in (one, other):
        eventually(
            lambda gateway=gateway: (
                gateway.request("GET", "/orders", token=third["access_token"]).status == 401
            ),
            within=1.0,
        )


def test_a_logout_at_one_is_heard_at_the_other_within_a_second(one: Gateway, other: Gateway) -> None:
    register(one, "rosa")
    for here, there in ((one, other), (other, one)):
        token = here.login("rosa", PASSWORD)["access_token"]
        assert there.request("GET", "/orders", token=token).status == 200
        assert here.request("POST", "/gateway/v1/auth/logout", token=token, body={}).status == 204
        assert here.request("GET", "/orders", token=token).status == 401
        dead_within_a_second(there, token=token)


def test_signing_keys_change_for_both_at_once(one: Gateway, other: Gateway) -> None:
    register(one, "roy")
    pair = one.login("roy", PASSWORD)
    made = one.run("signing-keys", "rotate", "--now", "--format", "json")
    assert made.returncode == 0, made.stderr
    newest = json.loads(made.stdout)["kid"]
    for gateway in (one, other):
        eventually(
            lambda gateway=gateway: (
                gateway.request("GET", "/.well-known/jwks.json").json["keys"][0]["kid"] == newest
            ),
            within=1.0,
            what="the new key signs",
        )
        assert gateway.request("GET", "/orders", token=pair["access_token"]).status == 200
    newer = refresh(other, pair["refresh_token"])
    assert one.request("GET", "/orders", token=newer["access_token"]).status == 200
    revoked = other.run("signing-keys", "revoke", newest)
    assert revoked.returncode == 0, revoked.stderr
    for gateway in (one, other):
        dead_within_a_second(gateway, token=newer["access_token"])
        assert gateway.request("GET", "/orders", token=pair["access_token"]).status == 200


def test_a_key_of_the_command_line_opens_both_until_it_is_revoked(one: Gateway, other: Gateway) -> None:
    one.create_user("sam", PASSWORD, "reader")
    made = other.run("keys", "create", "ci", "--user", "sam", "--format", "json")
    assert made.returncode == 0, made.stderr
    key = json.loads(made.stdout)
    headers = {"X-Api-Key": key["key"]}
    for gateway in (one, other):
        assert gateway.request("GET", "/orders", headers=headers).status == 200
    assert one.run("keys", "revoke", key["id"]).returncode == 0
    for gateway in (one, other):
        dead_within_a_second(gateway, headers=headers)


def test_a_limit_is_one_limit_for_both(one: Gateway, other: Gateway) -> None:
    one.create_user("tess", PASSWORD, "reader")
    token = one.login("tess", PASSWORD)["access_token"]

    def ask(number: int) -> int:
        gateway = (one, other)[number % 2]
        return gateway.request("GET", "/healthz/few", token=token).status

    with ThreadPoolExecutor(8) as threads:
        statuses = Counter(threads.map(ask, range(4 * FEW)))
    # The demo's service does not know the path; what matters is what reaches it.
    assert statuses == {404: FEW, 429: 3 * FEW}
    replies = [gateway.request("GET", "/healthz/few", token=token) for gateway in (one, other)]
    assert [reply.status for reply in replies] == [429, 429]


def test_the_trail_of_both_is_one(one: Gateway, other: Gateway) -> None:
    ids = {gateway.request("GET", "/nowhere").headers["X-Request-Id"] for gateway in (one, other, one, other)}
    for gateway in (one, other):
        eventually(
            lambda gateway=gateway: (
                ids <= {record["request_id"] for record in gateway.audit("--kind", "decision")}
            ),
            within=10.0,
        )
    everything = Counter(record["request_id"] for record in one.audit("--kind", "decision"))
    assert all(everything[request_id] == 1 for request_id in ids)


def test_another_master_secret_is_refused(replicas: Replicas) -> None:
    stranger = replicas.make("stranger", secret="another secret, just as long as the first one was")
    done = stranger.run("serve")
    assert done.returncode != 0
    assert "master secret" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_one_that_ends_takes_nothing_with_it(replicas: Replicas, one: Gateway) -> None:
    third = replicas.make("third").start()
    register(third, "ursula")
    token = third.login("ursula", PASSWORD)["access_token"]
    answered = third.request("GET", "/orders", token=token).headers["X-Request-Id"]
    assert third.stop() == 0
    assert one.request("GET", "/orders", token=token).status == 200
    begun = time.monotonic()
    assert [record["request_id"] for record in one.audit("--request-id", answered, "--kind", "decision")] == [
        answered
    ]
    assert time.monotonic() - begun < 10.0
