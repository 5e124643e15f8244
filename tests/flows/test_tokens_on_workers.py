"""What ends a token ends it on every worker within a second, and after a restart: it is kept with the accounts."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import jwt
import pytest
from flows_gateway import POLICIES, UPSTREAMS
from support.gateway import Gateway, Reply, eventually, running_gateway
from support.raw import Raw
from support.servers import redis_url

WORKERS = 4
PASSWORD = "correct horse battery"


@pytest.fixture(scope="module")
def crowd(service: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with running_gateway(
        tmp_path_factory.mktemp("crowd"),
        policies=POLICIES,
        upstreams=UPSTREAMS,
        environ={
            "TEST_SERVICE": service,
            "GATEWAY_WORKERS": str(WORKERS),
            "GATEWAY_REDIS_URL": redis_url(),
        },
    ) as running:
        running.create_user("ada", PASSWORD, "reader")
        yield running


class Lines:
    """One kept connection to each worker."""

    def __init__(self, raws: list[Raw]) -> None:
        self._raws = raws

    def statuses(self, token: str) -> list[int]:
        """Ask every worker with a token."""
        asked = f"GET /orders HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\r\n"
        for raw in self._raws:
            raw.send(asked.encode())
        replies = [raw.reply() for raw in self._raws]
        return [0 if reply is None else reply.status for reply in replies]

    def all_take(self, *tokens: str) -> None:
        for token in tokens:
            assert self.statuses(token) == [200] * WORKERS

    def all_refuse_within_a_second(self, *tokens: str) -> None:
        dead = [401] * WORKERS
        eventually(
            lambda: all(self.statuses(token) == dead for token in tokens), within=1.0, what="all are dead"
        )


@contextmanager
def lines(crowd: Gateway) -> Iterator[Lines]:
    """Connect to every worker: each new connection goes where there are the fewest."""

    def connections() -> list[int]:
        return [one["connections"] for one in crowd.readyz().json["workers"].values()]

    with ExitStack() as stack:
        eventually(lambda: connections() == [0] * WORKERS, what="no connection is left")
        raws = [stack.enter_context(Raw(crowd.port)) for _ in range(WORKERS)]
        eventually(lambda: connections() == [1] * WORKERS, what="one for each")
        yield Lines(raws)


def refresh(crowd: Gateway, token: str) -> Reply:
    return crowd.request("POST", "/gateway/v1/auth/refresh", body={"refresh_token": token})


def test_a_stolen_refresh_token_ends_the_session_everywhere(crowd: Gateway) -> None:
    first = crowd.login("ada", PASSWORD)
    other = crowd.login("ada", PASSWORD)
    second = refresh(crowd, first["refresh_token"]).json
    third = refresh(crowd, second["refresh_token"]).json
    with lines(crowd) as workers:
        workers.all_take(first["access_token"], third["access_token"], other["access_token"])
        assert refresh(crowd, first["refresh_token"]).status == 401
        workers.all_refuse_within_a_second(*(pair["access_token"] for pair in (first, second, third)))
        workers.all_take(other["access_token"])
    assert refresh(crowd, third["refresh_token"]).status == 401


def test_twenty_refreshes_at_once_over_all_workers_are_one_session(crowd: Gateway) -> None:
    first = crowd.login("ada", PASSWORD)
    with ThreadPoolExecutor(20) as threads:
        replies = list(threads.map(lambda _: refresh(crowd, first["refresh_token"]), range(20)))
    assert [reply.status for reply in replies] == [200] * 20
    assert len({reply.json["refresh_token"] for reply in replies}) == 1
    with lines(crowd) as workers:
        workers.all_take(*(reply.json["access_token"] for reply in replies[:3]))
    again = refresh(crowd, replies[0].json["refresh_token"])
    assert again.status == 200
    listed = crowd.request("GET", "/gateway/v1/auth/sessions", token=again.json["access_token"]).json
    assert sum(session["current"] for session in listed["items"]) == 1


def test_a_session_that_its_owner_ends_is_dead_everywhere(crowd: Gateway) -> None:
    here, lost = crowd.login("ada", PASSWORD), crowd.login("ada", PASSWORD)
    own = crowd.request("GET", "/gateway/v1/auth/sessions", token=here["access_token"]).json["items"]
    assert [session["current"] for session in own[:2]] == [False, True]
    with lines(crowd) as workers:
        workers.all_take(here["access_token"], lost["access_token"])
        ended = crowd.request(
            "DELETE", f"/gateway/v1/auth/sessions/{own[0]['id']}", token=here["access_token"]
        )
        assert ended.status == 204
        workers.all_refuse_within_a_second(lost["access_token"])
        workers.all_take(here["access_token"])


def test_a_revoked_signing_key_takes_its_tokens_with_it_everywhere_and_users_refresh(crowd: Gateway) -> None:
    pair = crowd.login("ada", PASSWORD)
    (active,) = [key for key in signing_keys(crowd) if key["state"] == "active"]
    with lines(crowd) as workers:
        workers.all_take(pair["access_token"])
        revoked = crowd.run("signing-keys", "revoke", active["kid"], "--format", "json")
        assert revoked.returncode == 0, revoked.stderr
        workers.all_refuse_within_a_second(pair["access_token"])
        renewed = refresh(crowd, pair["refresh_token"]).json
        workers.all_take(renewed["access_token"])
    published = {key["kid"] for key in crowd.request("GET", "/.well-known/jwks.json").json["keys"]}
    assert published == {json.loads(revoked.stdout)["successor"]}


@pytest.mark.slow
def test_what_has_ended_stays_dead_when_everything_is_killed_and_started_again(
    service: str, tmp_path: Path
) -> None:
    given = {"TEST_SERVICE": service}
    with running_gateway(tmp_path / "own", policies=POLICIES, upstreams=UPSTREAMS, environ=given) as gateway:
        gateway.create_user("ada", PASSWORD, "reader")
        ended, living, older = (gateway.login("ada", PASSWORD) for _ in range(3))
        assert (
            gateway.request("POST", "/gateway/v1/auth/logout", token=ended["access_token"], body={}).status
            == 204
        )
        assert gateway.run("signing-keys", "rotate", "--now").returncode == 0
        eventually(lambda: kid_of(gateway.login("ada", PASSWORD)) != kid_of(living), within=1.0)
        gateway.kill()
        gateway.start()
        assert gateway.request("GET", "/orders", token=ended["access_token"]).status == 401
        assert refresh(gateway, ended["refresh_token"]).status == 401
        assert gateway.request("GET", "/orders", token=living["access_token"]).status == 200
        revoked = gateway.run("signing-keys", "revoke", kid_of(older))
        assert revoked.returncode == 0, revoked.stderr
        gateway.kill()
        gateway.start()
        assert gateway.request("GET", "/orders", token=living["access_token"]).status == 401
        renewed = refresh(gateway, living["refresh_token"])
        assert renewed.status == 200
        assert gateway.request("GET", "/orders", token=renewed.json["access_token"]).status == 200


def signing_keys(gateway: Gateway) -> list[dict[str, Any]]:
    done = gateway.run("signing-keys", "list", "--format", "json")
    assert done.returncode == 0, done.stderr
    listed: list[dict[str, Any]] = json.loads(done.stdout)
    return listed


def kid_of(pair: dict[str, Any]) -> str:
    return str(jwt.get_unverified_header(pair["access_token"])["kid"])
