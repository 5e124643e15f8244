"""Guessing passwords from outside: it is slow, it is counted, it ends in a block, and nobody else pays for it."""

import json
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from flows_identity import AUTH, PASSWORD, POLICIES, UPSTREAMS, events, post, slug
from support.gateway import Gateway, Reply, eventually, running_gateway

WRONG = "a wrong password, long enough"
ENVIRON = {"GATEWAY_TRUSTED_PROXIES": "127.0.0.1/32"}
LIMITED = POLICIES.replace(
    """\
    limits: [{limit: 100000/min, per: client_ip}, {limit: 100000/min, per: username}]
    block: {failures: 100000, within: 5min, for: 15min}
""",
    """\
    limits: [{limit: 8/min, per: client_ip}, {limit: 5/15min, per: username}]
    block: {failures: 6, within: 5min, for: 2s, factor: 2, max: 24h}
""",
)
assert LIMITED != POLICIES


@pytest.fixture(scope="module")
def gateway(service: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with running_gateway(
        tmp_path_factory.mktemp("guessing"),
        policies=LIMITED,
        upstreams=UPSTREAMS,
        environ={"TEST_SERVICE": service, **ENVIRON},
    ) as running:
        for name in ("gina", "gus", "gerd", "greta"):
            running.create_user(name, PASSWORD, "reader")
        yield running


def login(gateway: Gateway, name: str, password: str, client: str, **headers: str) -> Reply:
    return gateway.request(
        "POST",
        AUTH + "login",
        body={"username": name, "password": password},
        headers={"X-Forwarded-For": client, **headers},
    )


def looks(gateway: Gateway, client: str, path: str = "/healthz") -> Reply:
    return gateway.request("GET", path, headers={"X-Forwarded-For": client})


def test_a_name_at_which_too_much_is_guessed_is_locked_wherever_it_comes_from(gateway: Gateway) -> None:
    wrong = [login(gateway, "gina", WRONG, f"203.0.113.{number}") for number in range(6)]
    # Another spelling of the name is the same name.
    right = [
        login(gateway, name, PASSWORD, f"203.0.113.{20 + at}") for at, name in enumerate(("gina", "GINA"))
    ]
    unknown = [login(gateway, "nobody-here", WRONG, f"203.0.113.{60 + number}") for number in range(8)]
    for reply in (*wrong, *right, *unknown):
        assert (reply.status, slug(reply)) == (401, "credentials-invalid")
        assert {**reply.json, "instance": ""} == {**wrong[0].json, "instance": ""}
        assert set(reply.headers) == set(wrong[0].headers)
    assert login(gateway, "gus", PASSWORD, "203.0.113.51").status == 200


def test_who_succeeds_has_spent_nothing(gateway: Gateway) -> None:
    for number in range(8):
        assert login(gateway, "gus", PASSWORD, f"203.0.113.{70 + number}").status == 200


def test_parallel_guesses_do_not_pass_a_limit_together(gateway: Gateway) -> None:
    with ThreadPoolExecutor(20) as pool:
        replies = list(pool.map(lambda at: login(gateway, f"many-{at}", WRONG, "203.0.113.90"), range(20)))
    told = Counter(reply.status for reply in replies)
    assert told.keys() <= {401, 403, 429}
    assert 1 <= told[401] <= 8
    limited = [reply for reply in replies if reply.status == 429]
    assert all(int(reply.headers["Retry-After"]) >= 1 for reply in limited)


def test_an_address_that_guesses_is_blocked_for_everything_and_longer_each_time(gateway: Gateway) -> None:
    client = "198.51.100.7"
    assert looks(gateway, client).status == 200
    spans = []
    for _ in range(2):
        for number in range(12):
            if login(gateway, f"guess-{number}", WRONG, client).status == 403:
                break
        begun = time.monotonic()
        eventually(lambda: looks(gateway, client).status == 403, within=1.5, what="blocked")
        blocked = looks(gateway, client)
        assert slug(blocked) == "address-blocked"
        assert slug(looks(gateway, client, "/gateway/v1")) == "address-blocked"
        assert slug(looks(gateway, client, "/no/such/route")) == "address-blocked"
        assert slug(login(gateway, "gus", PASSWORD, client)) == "address-blocked"
        assert looks(gateway, "198.51.100.8").status != 403
        eventually(lambda: looks(gateway, client).status != 403, within=10, what="the block is over")
        spans.append(time.monotonic() - begun)
    assert spans[1] > spans[0] + 1
    assert events(gateway, "block.added")


def test_a_network_of_version_6_is_one_client(gateway: Gateway) -> None:
    for number in range(12):
        if login(gateway, f"six-{number}", WRONG, f"2001:db8:5::{number + 1:x}").status == 403:
            break
    eventually(lambda: looks(gateway, "2001:db8:5::ffff").status == 403, within=1.5, what="blocked")
    assert looks(gateway, "2001:db8:6::1").status == 200


def test_the_proxy_itself_is_never_blocked(gateway: Gateway) -> None:
    for number in range(12):
        post(gateway, "login", {"username": f"through-{number}", "password": WRONG})
    assert gateway.request("GET", "/healthz").status == 200


def test_an_operator_blocks_sees_and_lifts(gateway: Gateway) -> None:
    client = "192.0.2.99"
    added = gateway.run("blocks", "add", client, "--for", "1h")
    assert added.returncode == 0, added.stderr
    eventually(lambda: looks(gateway, client).status == 403, within=1.5, what="blocked")
    listed = gateway.run("blocks", "list", "--format", "json")
    rows: list[dict[str, Any]] = json.loads(listed.stdout)
    assert [row for row in rows if client in json.dumps(row)]
    assert gateway.run("blocks", "remove", client).returncode == 0
    eventually(lambda: looks(gateway, client).status == 200, within=1.5, what="lifted")
    assert client not in gateway.run("blocks", "list", "--format", "json").stdout
    assert gateway.run("blocks", "remove", client).returncode == 1
    for nonsense in ("nowhere", "300.1.1.1"):
        refused = gateway.run("blocks", "add", nonsense)
        assert refused.returncode in {1, 2}
        assert "Traceback" not in refused.stderr
    assert events(gateway, "block.removed")


def test_a_stranger_does_not_lock_out_a_known_device_or_a_live_session(gateway: Gateway) -> None:
    known = login(gateway, "greta", PASSWORD, "192.0.2.10")
    cookie = known.headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    session = known.json["access_token"]
    for number in range(7):
        login(gateway, "greta", WRONG, f"192.0.2.{20 + number}")
    assert login(gateway, "greta", PASSWORD, "192.0.2.40").status == 401
    pair = cookie.partition(";")[0]
    assert login(gateway, "greta", PASSWORD, "192.0.2.10", Cookie=pair).status == 200
    assert login(gateway, "greta", PASSWORD, "192.0.2.41", Cookie=pair[:-2] + "AA").status == 401
    assert gateway.request("GET", "/orders", token=session).status == 200
    echoed = gateway.request("GET", "/echo/x", token=session, headers={"Cookie": f"a=b; {pair}"})
    sent = {name.lower(): value for name, value in echoed.json["headers"]}
    assert sent["cookie"] == "a=b"


def test_a_block_outlives_the_process(service: str, tmp_path: Path) -> None:
    with running_gateway(
        tmp_path / "own",
        policies=LIMITED,
        upstreams=UPSTREAMS,
        environ={"TEST_SERVICE": service, **ENVIRON},
    ) as gateway:
        assert gateway.run("blocks", "add", "192.0.2.1", "--for", "1h").returncode == 0
        eventually(lambda: looks(gateway, "192.0.2.1").status == 403, within=1.5)
        gateway.kill()
        gateway.start()
        assert looks(gateway, "192.0.2.1").status == 403
        assert looks(gateway, "192.0.2.2").status == 200


def test_tokens_are_given_out_in_the_networks_that_may_have_them_only(service: str, tmp_path: Path) -> None:
    policies = POLICIES.replace("scopes:\n", "networks: {office: [203.0.113.0/24]}\nscopes:\n", 1).replace(
        "  login:\n", "  login:\n    networks: [office]\n"
    )
    assert "office" in policies
    with running_gateway(
        tmp_path / "own",
        policies=policies,
        upstreams=UPSTREAMS,
        environ={"TEST_SERVICE": service, **ENVIRON},
    ) as gateway:
        gateway.create_user("gina", PASSWORD, "reader")
        inside = login(gateway, "gina", PASSWORD, "203.0.113.1")
        assert inside.status == 200
        for password in (PASSWORD, WRONG):
            outside = login(gateway, "gina", password, "198.51.100.1")
            assert (outside.status, slug(outside)) == (403, "denied")

        def renew(client: str) -> Reply:
            return gateway.request(
                "POST",
                AUTH + "refresh",
                body={"refresh_token": inside.json["refresh_token"]},
                headers={"X-Forwarded-For": client},
            )

        refused = renew("198.51.100.1")
        assert (refused.status, slug(refused)) == (403, "denied")
        assert renew("203.0.113.2").status == 200
        # A token that was given out works anywhere.
        carried = gateway.request(
            "GET",
            "/orders",
            token=inside.json["access_token"],
            headers={"X-Forwarded-For": "198.51.100.1"},
        )
        assert carried.status == 200
