"""What clients see while Redis or PostgreSQL is away: what is promised, in time, and all of it recorded once."""

import json
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TypeAlias

import pytest
from flows_gateway import POLICIES, UPSTREAMS
from support.gateway import Gateway, eventually, running_gateway
from support.load import Load, Question, load
from support.servers import PostgresServer, RedisServer

PASSWORD = "correct horse battery"
SOON = 3.0
"""Seconds within which every request is answered, whatever is away; the machine may be busy."""

LIMITED = f"""\
{POLICIES}
  - id: local
    match: {{methods: [GET], path: /echo/local}}
    upstream: service
    authn: public
    because: For tests
    limits: [{{limit: 1000000/min, per: client_ip}}]
  - id: free
    match: {{methods: [GET], path: /echo/free}}
    upstream: service
    authn: public
    because: For tests
    limits: [{{limit: 1000000/min, per: client_ip, on_store_error: open}}]
  - id: strict
    match: {{methods: [GET], path: /echo/strict}}
    upstream: service
    authn: public
    because: For tests
    limits: [{{limit: 1000000/min, per: client_ip, on_store_error: closed}}]
  - id: tight
    match: {{methods: [GET], path: /echo/tight}}
    upstream: service
    authn: public
    because: For tests
    limits: [{{limit: 20/h, per: client_ip}}]
"""

LOCAL, FREE, STRICT, TIGHT = "/echo/local", "/echo/free", "/echo/strict", "/echo/tight"
PUBLIC, ORDERS, KEY = "/healthz", "/orders", "/orders?key"
"""Without credentials, with a token, with an API key."""

Outcome: TypeAlias = tuple[int, str | None]
"""Status, and slug of the problem."""
Promise: TypeAlias = Mapping[str, set[Outcome]]
"""What may be answered, by path."""

OK: Outcome = (200, None)
AWAY: Outcome = (503, "dependency-unavailable")
EXHAUSTED: Outcome = (429, "rate-exceeded")
UP: Promise = {PUBLIC: {OK}, ORDERS: {OK}, KEY: {OK}}
DOWN: Promise = {PUBLIC: {OK}, ORDERS: {OK, AWAY}, KEY: {OK, AWAY}}


@pytest.fixture
def redis() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server


@pytest.fixture
def postgres() -> Iterator[PostgresServer]:
    with PostgresServer() as server:
        yield server


@contextmanager
def gateway_on(directory: Path, service: str, **environ: str) -> Iterator[Gateway]:
    with running_gateway(
        directory, policies=LIMITED, upstreams=UPSTREAMS, environ={"TEST_SERVICE": service, **environ}
    ) as gateway:
        yield gateway


def outcomes(seen: Iterable[tuple[str, int, str | None]]) -> dict[str, set[Outcome]]:
    """Return what was answered, by path."""
    found: dict[str, set[Outcome]] = {}
    for path, status, problem in seen:
        found.setdefault(path, set()).add((status, problem))
    return found


def answers(asking: Load, path: str, expected: Outcome, *, within: float = SOON) -> None:
    """Wait until every path that is asked from now on is answered as expected."""
    since = time.monotonic()

    def settled() -> bool:
        latest = [answer for answer in asking.since(since) if answer.path == path][-5:]
        return len(latest) == 5 and all((one.status, one.problem) == expected for one in latest)

    eventually(settled, within=within, what=f"{path} is answered {expected}")


def promised(asking: Load, since: float, by_path: Promise) -> None:
    """Nothing but what is promised was answered since a moment."""
    seen = outcomes(asking.seen(since))
    assert {path: found - by_path[path] for path, found in seen.items() if found - by_path[path]} == {}
    assert set(seen) == set(by_path)


def recorded_once(gateway: Gateway, asking: Load) -> None:
    """Every answer is in the trail, once, though no connection lasted through all of it."""
    assert asking.slowest < SOON
    ids = asking.request_ids()
    # The gateway never went away, so no request was left without an answer.
    assert len(ids) == len(asking.answers) > 100
    eventually(
        lambda: gateway.request("GET", "/readyz", port=gateway.admin_port).json["status"] == "ready",
        within=15.0,
    )

    def complete() -> bool:
        return set(ids) <= set(counts())

    def counts() -> Counter[str]:
        return Counter(record["request_id"] for record in gateway.audit("--kind", "decision"))

    eventually(complete, within=20.0, what="everything is in the trail")
    found = counts()
    assert [request_id for request_id in ids if found[request_id] != 1] == []


def readiness(gateway: Gateway) -> tuple[int, str, set[str]]:
    reply = gateway.request("GET", "/readyz", port=gateway.admin_port)
    return reply.status, reply.json["status"], set(reply.json["degraded"])


def redis_story(gateway: Gateway, redis: RedisServer, lasts: float) -> None:
    questions = [Question(port=gateway.port, path=path) for path in (LOCAL, FREE, STRICT, TIGHT)]
    up: Promise = {LOCAL: {OK}, FREE: {OK}, STRICT: {OK}, TIGHT: {OK, EXHAUSTED}}
    down: Promise = {**up, STRICT: {OK, AWAY}}
    with load(questions) as asking:
        answers(asking, TIGHT, EXHAUSTED)
        promised(asking, 0.0, up)

        for away, back in ((redis.stop, redis.start), (redis.pause, redis.resume)):
            begun = time.monotonic()
            away()
            answers(asking, STRICT, AWAY)
            time.sleep(lasts)
            assert readiness(gateway) == (200, "degraded", {"counters"})
            # Once it is known that Redis is away, nobody waits for it.
            known = time.monotonic()
            answers(asking, STRICT, AWAY)
            promised(asking, known, {**up, STRICT: {AWAY}})
            assert max(answer.took for answer in asking.since(known)) < 1.0
            back()
            answers(asking, STRICT, OK)
            promised(asking, begun, down)

        begun = time.monotonic()
        redis.restart("kill")
        answers(asking, STRICT, OK)
        promised(asking, begun, down)
    recorded_once(gateway, asking)


def test_without_redis_each_limit_does_what_it_says(service: str, tmp_path: Path, redis: RedisServer) -> None:
    with gateway_on(tmp_path, service, GATEWAY_REDIS_URL=redis.url) as gateway:
        redis_story(gateway, redis, 0.2)


@pytest.mark.slow
def test_a_minute_without_redis(service: str, tmp_path: Path, redis: RedisServer) -> None:
    with gateway_on(tmp_path, service, GATEWAY_REDIS_URL=redis.url) as gateway:
        redis_story(gateway, redis, 60.0)


def credentials(gateway: Gateway) -> list[Question]:
    """Return questions with a token, with a key, and without either."""
    gateway.create_user("vera", PASSWORD, "reader")
    made = gateway.run("keys", "create", "ci", "--user", "vera", "--format", "json")
    assert made.returncode == 0, made.stderr
    token = gateway.login("vera", PASSWORD)["access_token"]
    return [
        Question(port=gateway.port, path=PUBLIC),
        Question(port=gateway.port, path=ORDERS, headers={"Authorization": f"Bearer {token}"}),
        Question(port=gateway.port, path=KEY, headers={"X-Api-Key": json.loads(made.stdout)["key"]}),
    ]


def login_is_refused_in_time(gateway: Gateway) -> None:
    begun = time.monotonic()
    body = {"username": "vera", "password": PASSWORD}
    reply = gateway.request("POST", "/gateway/v1/auth/login", body=body)
    assert (reply.status, reply.json["type"].rpartition(":")[2]) == AWAY
    assert "Retry-After" in reply.headers
    assert time.monotonic() - begun < 2 * SOON


def test_a_moment_without_postgresql_is_seen_by_those_who_need_it_alone(
    service: str, tmp_path: Path, postgres: PostgresServer
) -> None:
    with gateway_on(tmp_path, service, GATEWAY_DATABASE_URL=postgres.url) as gateway:
        questions = credentials(gateway)
        with load(questions) as asking:
            answers(asking, ORDERS, OK)
            postgres.stop("immediate")
            time.sleep(0.5)
            login_is_refused_in_time(gateway)
            postgres.start()
            answers(asking, KEY, OK)
            eventually(lambda: gateway.login("vera", PASSWORD))
            postgres.pause()
            time.sleep(1.0)
            postgres.resume()
            answers(asking, KEY, OK)
            promised(asking, 0.0, DOWN)
        recorded_once(gateway, asking)


@pytest.mark.slow
@pytest.mark.parametrize("stalled", [False, True], ids=["stopped", "stalled"])
def test_a_minute_without_postgresql(
    service: str, tmp_path: Path, postgres: PostgresServer, stalled: bool
) -> None:
    with gateway_on(tmp_path, service, GATEWAY_DATABASE_URL=postgres.url) as gateway:
        questions = credentials(gateway)
        with load(questions) as asking:
            answers(asking, ORDERS, OK)
            promised(asking, 0.0, UP)
            if stalled:
                postgres.pause()
            else:
                postgres.stop("immediate")
            # Until it is too long ago that anybody could have been revoked unheard.
            answers(asking, ORDERS, AWAY, within=15.0)
            answers(asking, KEY, AWAY, within=15.0)
            known = time.monotonic()
            time.sleep(50.0)
            login_is_refused_in_time(gateway)
            status, word, degraded = readiness(gateway)
            assert (status, word) == (200, "degraded")
            assert {"database", "shipping"} <= degraded
            promised(asking, known, {PUBLIC: {OK}, ORDERS: {AWAY}, KEY: {AWAY}})
            if stalled:
                postgres.resume()
            else:
                postgres.start()
            answers(asking, ORDERS, OK, within=10.0)
            answers(asking, KEY, OK, within=10.0)
            recovered = time.monotonic()
            time.sleep(2.0)
            promised(asking, recovered, UP)
        recorded_once(gateway, asking)


@pytest.mark.slow
def test_both_away_at_once(
    service: str, tmp_path: Path, postgres: PostgresServer, redis: RedisServer
) -> None:
    with gateway_on(
        tmp_path, service, GATEWAY_DATABASE_URL=postgres.url, GATEWAY_REDIS_URL=redis.url
    ) as gateway:
        questions = [*credentials(gateway), Question(port=gateway.port, path=STRICT)]
        with load(questions) as asking:
            answers(asking, STRICT, OK)
            for round_ in range(3):
                redis.stop("kill")
                postgres.restart("immediate")
                postgres.pause()
                time.sleep(1.0 + round_)
                redis.start()
                redis.pause()
                time.sleep(1.0)
                redis.restart("kill")
                postgres.resume()
                answers(asking, STRICT, OK)
                answers(asking, KEY, OK, within=10.0)
            promised(asking, 0.0, {**DOWN, STRICT: {OK, AWAY}})
        recorded_once(gateway, asking)
