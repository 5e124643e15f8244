"""API keys from the command line to a service: networks, rotation, last use, and an owner who changes."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flows_gateway import POLICIES, UPSTREAMS
from support.gateway import Gateway, eventually, running_gateway

PASSWORD = "an owner's password"


@pytest.fixture(scope="module")
def keyed(service: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway that believes what this machine says of clients' addresses."""
    environ = {"TEST_SERVICE": service, "GATEWAY_TRUSTED_PROXIES": "127.0.0.1/32"}
    folder = tmp_path_factory.mktemp("keys")
    with running_gateway(folder, policies=POLICIES, upstreams=UPSTREAMS, environ=environ) as running:
        yield running


def run(gateway: Gateway, *arguments: str) -> Any:
    """Return what a command printed as JSON."""
    done = gateway.run(*arguments, "--format", "json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def issue(gateway: Gateway, owner: str, *options: str) -> Any:
    gateway.create_user(owner, PASSWORD, "writer")
    return run(gateway, "keys", "create", "job", "--user", owner, *options)


def listed(gateway: Gateway, id: str) -> Any:
    (row,) = [row for row in run(gateway, "keys", "list") if row["id"] == id]
    return row


def status(gateway: Gateway, key: str, *, method: str = "GET", client: str = "192.0.2.1") -> int:
    headers = {"X-Api-Key": key, "X-Forwarded-For": client}
    body = None if method == "GET" else {"item": "Kettle", "total": 4500}
    return gateway.request(method, "/orders", headers=headers, body=body).status


def test_a_key_is_good_in_its_networks_alone_and_only_the_record_says_so(keyed: Gateway) -> None:
    made = issue(keyed, "nora", "--network", "203.0.113.0/24", "--network", "2001:db8::/32")
    for client in ("203.0.113.9", "2001:db8::7"):
        assert status(keyed, made["key"], client=client) == 200
    refused = keyed.request(
        "GET", "/orders", headers={"X-Api-Key": made["key"], "X-Forwarded-For": "198.51.100.1"}
    )
    unknown = keyed.request("GET", "/orders", headers={"X-Api-Key": "gwk_nothing"})
    assert (refused.status, refused.json["type"]) == (401, "urn:gateway:problem:credentials-invalid")
    assert refused.json.keys() == unknown.json.keys()
    assert refused.headers["WWW-Authenticate"] == unknown.headers["WWW-Authenticate"]
    request_id = refused.headers["X-Request-Id"]

    def recorded() -> list[Any]:
        return keyed.audit("--request-id", request_id)

    (record,) = eventually(recorded)
    assert record["attributes"]["diagnosis"] == f"keys: {made['id']} may not be used from this address"


@pytest.mark.slow
def test_both_secrets_are_good_until_the_overlap_ends(keyed: Gateway) -> None:
    first = issue(keyed, "rosa")
    second = run(keyed, "keys", "rotate", first["id"], "--overlap", "3s")
    begun = time.monotonic()
    eventually(lambda: status(keyed, second["key"]) == 200, within=1.5)
    if time.monotonic() - begun < 2:
        assert status(keyed, first["key"]) == 200
    eventually(lambda: status(keyed, first["key"]) == 401, within=6)
    assert status(keyed, second["key"]) == 200
    assert listed(keyed, first["id"])["old_until"] is None
    third = run(keyed, "keys", "rotate", first["id"], "--overlap", "0s")
    eventually(lambda: status(keyed, second["key"]) == 401, within=1.5)
    assert status(keyed, third["key"]) == 200
    events = [each for each in keyed.audit("--kind", "event") if each["action"] == "key.rotated"]
    assert {event["attributes"]["key"] for event in events} == {first["id"]}
    text = json.dumps(keyed.audit())
    assert not any(made["key"][21:64] in text for made in (first, second, third))


@pytest.mark.slow
def test_the_last_use_is_known_soon_and_costs_the_request_nothing(keyed: Gateway) -> None:
    made = issue(keyed, "lena")
    assert listed(keyed, made["id"])["last_used_at"] is None
    assert status(keyed, made["key"]) == 200
    used = eventually(lambda: listed(keyed, made["id"])["last_used_at"], within=9)
    assert used >= made["created_at"]


def test_scopes_are_those_that_the_owner_has_by_now(keyed: Gateway) -> None:
    made = issue(keyed, "sofia", "--scope", "things:read", "--scope", "things:write")
    assert status(keyed, made["key"], method="POST") == 201
    run(keyed, "users", "set-roles", "sofia", "--role", "reader")
    eventually(lambda: status(keyed, made["key"], method="POST") == 403, within=1.5)
    assert status(keyed, made["key"]) == 200
    run(keyed, "users", "set-roles", "sofia", "--role", "writer")
    eventually(lambda: status(keyed, made["key"], method="POST") == 201, within=1.5)


def test_a_key_ends_with_its_owner(keyed: Gateway) -> None:
    made = issue(keyed, "dora")
    assert status(keyed, made["key"]) == 200
    run(keyed, "users", "disable", "dora")
    eventually(lambda: status(keyed, made["key"]) == 401, within=1.5)
    run(keyed, "users", "enable", "dora")
    eventually(lambda: status(keyed, made["key"]) == 200, within=1.5)
    run(keyed, "users", "delete", "dora")
    eventually(lambda: status(keyed, made["key"]) == 401, within=1.5)


def test_what_was_used_is_known_after_a_stop(service: str, tmp_path: Path) -> None:
    environ = {"TEST_SERVICE": service}
    with running_gateway(tmp_path, policies=POLICIES, upstreams=UPSTREAMS, environ=environ) as gateway:
        made = issue(gateway, "stella")
        reply = gateway.request("GET", "/orders", headers={"X-Api-Key": made["key"]})
        assert reply.status == 200
        assert gateway.stop() == 0
        assert listed(gateway, made["id"])["last_used_at"] is not None
