"""Sessions and refresh from outside: rotation that forgives a lost answer and nothing else, lists, ends."""

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from flows_identity import (
    AUTH,
    PASSWORD,
    POLICIES,
    UPSTREAMS,
    claims_of,
    dies,
    events,
    is_dead,
    me,
    post,
    slug,
    tries,
)
from support.gateway import Gateway, Reply, running_gateway

BRIEF = POLICIES.replace("reuse_grace: 10s", "reuse_grace: 1s")
"""A grace that a test can outlive."""


@pytest.fixture(scope="module")
def gateway(service: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with running_gateway(
        tmp_path_factory.mktemp("sessions"),
        policies=BRIEF,
        upstreams=UPSTREAMS,
        environ={"TEST_SERVICE": service},
    ) as running:
        for name in ("olga", "omar", "otto"):
            running.create_user(name, PASSWORD, "reader")
        yield running


def refresh(gateway: Gateway, token: str) -> Reply:
    return post(gateway, "refresh", {"refresh_token": token})


def login(gateway: Gateway, name: str = "olga") -> dict[str, Any]:
    reply = tries(gateway, name, PASSWORD)
    assert reply.status == 200, reply.body
    tokens: dict[str, Any] = reply.json
    return tokens


def test_the_newest_token_rotates(gateway: Gateway) -> None:
    first = login(gateway)
    second = refresh(gateway, first["refresh_token"])
    assert (second.status, set(second.json)) == (200, set(first))
    assert second.headers["Cache-Control"] == "no-store"
    assert second.json["refresh_token"] != first["refresh_token"]
    assert second.json["access_token"] != first["access_token"]
    third = refresh(gateway, second.json["refresh_token"])
    assert third.status == 200
    assert third.json["refresh_token"] not in {first["refresh_token"], second.json["refresh_token"]}
    assert not is_dead(gateway, first["access_token"])


def test_twenty_who_refresh_at_once_get_one_successor(gateway: Gateway) -> None:
    first = login(gateway)
    with ThreadPoolExecutor(20) as pool:
        replies = list(pool.map(lambda _: refresh(gateway, first["refresh_token"]), range(20)))
    assert {reply.status for reply in replies} == {200}
    assert len({reply.json["refresh_token"] for reply in replies}) == 1
    assert len({claims_of(reply.json["access_token"])["sid"] for reply in replies}) == 1
    assert refresh(gateway, replies[0].json["refresh_token"]).status == 200


def test_a_lost_answer_can_be_asked_for_again_long_after(gateway: Gateway) -> None:
    first = login(gateway)
    lost = refresh(gateway, first["refresh_token"]).json
    time.sleep(1.3)
    again = refresh(gateway, first["refresh_token"])
    assert again.status == 200
    assert again.json["refresh_token"] == lost["refresh_token"]
    assert again.json["access_token"] != lost["access_token"]


def test_a_token_whose_successor_is_in_use_is_a_stolen_one(gateway: Gateway) -> None:
    first = login(gateway)
    second = refresh(gateway, first["refresh_token"]).json
    assert not is_dead(gateway, second["access_token"])
    time.sleep(1.3)
    stolen = refresh(gateway, first["refresh_token"])
    assert (stolen.status, slug(stolen)) == (401, "credentials-invalid")
    for pair in (first, second):
        dies(gateway, pair["access_token"])
    assert refresh(gateway, second["refresh_token"]).status == 401
    assert events(gateway, "auth.reuse_detected")


def test_an_older_token_ends_the_session_however_soon(gateway: Gateway) -> None:
    first = login(gateway)
    second = refresh(gateway, first["refresh_token"]).json
    third = refresh(gateway, second["refresh_token"]).json
    assert refresh(gateway, first["refresh_token"]).status == 401
    assert refresh(gateway, third["refresh_token"]).status == 401
    dies(gateway, third["access_token"])


def test_another_session_of_the_account_goes_on(gateway: Gateway) -> None:
    stolen, other = login(gateway), login(gateway)
    refresh(gateway, refresh(gateway, stolen["refresh_token"]).json["refresh_token"])
    assert refresh(gateway, stolen["refresh_token"]).status == 401
    assert not is_dead(gateway, other["access_token"])
    assert refresh(gateway, other["refresh_token"]).status == 200


@pytest.mark.parametrize("how", ["made up", "cut", "longer", "empty", "access"])
def test_what_is_no_refresh_token_is_refused_alike(gateway: Gateway, how: str) -> None:
    tokens = login(gateway)
    token = {
        "made up": "gwr_" + "A" * 60,
        "cut": tokens["refresh_token"][:-1],
        "longer": tokens["refresh_token"] + "A",
        "empty": "",
        "access": tokens["access_token"],
    }[how]
    reply = refresh(gateway, token)
    # What is far too long to be one is a fault of the body.
    assert (reply.status, slug(reply)) in {(401, "credentials-invalid"), (400, "invalid-request")}
    assert reply.status == 401 or how == "access"
    assert refresh(gateway, tokens["refresh_token"]).status == 200


def test_a_refresh_token_opens_nothing_else(gateway: Gateway) -> None:
    assert gateway.request("GET", "/orders", token=login(gateway)["refresh_token"]).status == 401


def test_an_access_token_says_what_it_should(gateway: Gateway) -> None:
    claims = claims_of(login(gateway)["access_token"])
    assert {"iss", "exp", "aud", "sub", "client_id", "iat", "jti", "scope", "roles"} <= claims.keys()
    assert claims["sub"].startswith("usr_")
    assert claims["sid"].startswith("ses_")
    assert claims["amr"] == ["pwd"]


def test_logout_ends_one_session_or_all(gateway: Gateway) -> None:
    one, two, three = (login(gateway, "omar") for _ in range(3))
    assert post(gateway, "logout", {}).status == 401
    assert post(gateway, "logout", {}, token=one["access_token"]).status == 204
    dies(gateway, one["access_token"])
    assert refresh(gateway, one["refresh_token"]).status == 401
    assert not is_dead(gateway, two["access_token"])
    assert post(gateway, "logout", {"all": True}, token=two["access_token"]).status == 204
    for pair in (two, three):
        dies(gateway, pair["access_token"])
        assert refresh(gateway, pair["refresh_token"]).status == 401
    assert post(gateway, "logout", {"all": "yes"}, token=login(gateway, "omar")["access_token"]).status == 400


def test_a_session_can_be_seen_and_ended_from_another(gateway: Gateway) -> None:
    mine, other = login(gateway, "otto"), login(gateway, "otto")
    stranger = login(gateway, "olga")
    listed = gateway.request("GET", AUTH + "sessions", token=mine["access_token"])
    assert listed.status == 200
    sessions = listed.json["items"]
    ids = {one["id"] for one in sessions}
    my_id, other_id, strange_id = (claims_of(one["access_token"])["sid"] for one in (mine, other, stranger))
    assert ids == {my_id, other_id}
    assert [one["id"] for one in sessions if one.get("current")] == [my_id]
    assert mine["refresh_token"] not in listed.body.decode()

    def end(session: str, token: str) -> Reply:
        return gateway.request("DELETE", f"{AUTH}sessions/{session}", token=token)

    for nobodys in (strange_id, "ses_nonsense", "x"):
        reply = end(nobodys, mine["access_token"])
        assert (reply.status, slug(reply)) == (404, "not-found")
    assert not is_dead(gateway, stranger["access_token"])
    assert end(other_id, mine["access_token"]).status == 204
    dies(gateway, other["access_token"])
    assert refresh(gateway, other["refresh_token"]).status == 401
    assert not is_dead(gateway, mine["access_token"])
    assert end(my_id, mine["access_token"]).status == 204
    dies(gateway, mine["access_token"])


def test_everything_about_oneself_needs_ones_own_token(gateway: Gateway) -> None:
    for method, path in [
        ("GET", "me"),
        ("GET", "sessions"),
        ("DELETE", "sessions/ses_x"),
        ("POST", "logout"),
    ]:
        reply = gateway.request(method, AUTH + path)
        assert (reply.status, slug(reply)) == (401, "credentials-missing")
        assert "Bearer" in reply.headers["WWW-Authenticate"]
    assert me(gateway, "nonsense").status == 401


def test_a_key_is_not_a_session(gateway: Gateway) -> None:
    made = gateway.run("keys", "create", "probe", "--user", "olga", "--format", "json")
    key = json.loads(made.stdout)["key"]
    for method, path in [("GET", "me"), ("POST", "logout"), ("GET", "sessions")]:
        assert gateway.request(method, AUTH + path, headers={"X-Api-Key": key}).status == 401


def test_sessions_and_their_ends_outlive_the_process(service: str, tmp_path: Path) -> None:
    with running_gateway(
        tmp_path / "restarted",
        policies=POLICIES,
        upstreams=UPSTREAMS,
        environ={"TEST_SERVICE": service},
    ) as gateway:
        gateway.create_user("olga", PASSWORD, "reader")
        ended, going = login(gateway), login(gateway)
        assert post(gateway, "logout", {}, token=ended["access_token"]).status == 204
        renewed = refresh(gateway, going["refresh_token"]).json
        gateway.kill()
        gateway.start()
        assert is_dead(gateway, ended["access_token"])
        assert not is_dead(gateway, going["access_token"])
        assert refresh(gateway, ended["refresh_token"]).status == 401
        # The answer may have been lost with the process.
        again = refresh(gateway, going["refresh_token"])
        assert again.json["refresh_token"] == renewed["refresh_token"]
        assert refresh(gateway, renewed["refresh_token"]).status == 200


def test_a_session_ends_when_it_is_idle_and_when_it_is_old(service: str, tmp_path: Path) -> None:
    tokens = "tokens: {access: 2s, refresh_idle: 2s, refresh_absolute: 4s, reuse_grace: 1s}"
    policies = POLICIES.replace(
        "tokens: {access: 10min, refresh_idle: 7d, refresh_absolute: 30d, reuse_grace: 10s}", tokens
    )
    assert tokens in policies
    with running_gateway(
        tmp_path / "short", policies=policies, upstreams=UPSTREAMS, environ={"TEST_SERVICE": service}
    ) as gateway:
        gateway.create_user("olga", PASSWORD, "reader")
        idle, busy = login(gateway), login(gateway)
        begun = time.monotonic()
        assert idle["expires_in"] in {1, 2}
        assert idle["refresh_expires_in"] in {1, 2}
        token = busy["refresh_token"]
        while time.monotonic() - begun < 2.4:
            time.sleep(0.6)
            token = refresh(gateway, token).json["refresh_token"]
        assert refresh(gateway, idle["refresh_token"]).status == 401
        while time.monotonic() - begun < 4.2:
            time.sleep(0.3)
            reply = refresh(gateway, token)
            token = reply.json.get("refresh_token", token)
        assert refresh(gateway, token).status == 401
