"""A person that is erased: nothing says who it was, everything says what happened, and the trail is whole."""

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from flows_gateway import POLICIES, UPSTREAMS
from support.audited import FIRST_SQLITE, AuditedGateway, Kind, Record, audited
from support.gateway import eventually
from support.leaks import leaks
from support.witness import running_witness

PASSWORD = "a reader's password"
NAME, EMAIL, AGENT = "Quillfeather", "quill.canary@example.com", "BrowserOfQuillfeather/7"
CANARIES = (NAME, NAME.lower(), EMAIL, AGENT)


@pytest.fixture(params=FIRST_SQLITE)
def gateway(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[AuditedGateway]:
    kind: Kind = request.param
    with (
        running_witness() as witness,
        audited(
            tmp_path,
            policies=POLICIES,
            upstreams=UPSTREAMS,
            database=kind,
            environ={"TEST_SERVICE": witness.address},
        ) as gateway,
    ):
        yield gateway


def live(gateway: AuditedGateway, name: str, email: str, agent: str) -> tuple[str, str]:
    """Have somebody do this and that; return an access token and the id."""
    made = gateway.run(
        *(
            "users",
            "create",
            name,
            "--email",
            email,
            "--role",
            "reader",
            "--password-stdin",
            "--format",
            "json",
        ),
        stdin=PASSWORD + "\n",
    )
    assert made.returncode == 0, made.stderr
    identity = json.loads(made.stdout)["id"]
    fields = {"User-Agent": agent}
    wrong = gateway.request(
        "POST", "/gateway/v1/auth/login", headers=fields, body={"username": name, "password": "not this one"}
    )
    assert wrong.status == 401
    by_mail = gateway.request(
        "POST", "/gateway/v1/auth/login", headers=fields, body={"username": email, "password": PASSWORD}
    )
    token: str = by_mail.json["access_token"]
    for _ in range(3):
        assert gateway.request("GET", "/orders", token=token, headers=fields).status == 200
    assert gateway.request("POST", "/orders", token=token, headers=fields, body={}).status == 403
    key = json.loads(gateway.run("keys", "create", "k", "--user", name, "--format", "json").stdout)["key"]
    assert gateway.request("GET", "/orders/1", headers={**fields, "X-Api-Key": key}).status in {200, 404}
    return token, identity


def about(records: list[Record], identity: str) -> list[Record]:
    return [record for record in records if identity in json.dumps(record)]


def without_persons(records: list[Record]) -> list[tuple[object, ...]]:
    """Return what is left of records when nobody is named: order, what was asked, and what was answered."""
    kept = ("writer", "seq", "time", "kind", "request_id", "action", "method", "path", "route", "decision")
    return [
        (*(record[name] for name in kept), (record["actor"] or {}).get("id"))
        for record in records
        if record["action"] != "audit.read"
    ]


def test_who_is_erased_is_named_nowhere_and_what_happened_stays(gateway: AuditedGateway) -> None:
    token, identity = live(gateway, NAME, EMAIL, AGENT)
    other, other_id = live(gateway, "walter", "walter@example.com", "BrowserOfWalter/1")
    before = eventually(lambda: (found := gateway.export()) and len(about(found, identity)) > 10 and found)
    named = [record for record in before if NAME in json.dumps(record)]
    assert {record["kind"] for record in named} >= {"decision", "event"}
    assert AGENT in {record["user_agent"] for record in about(before, identity)}
    assert gateway.audit("--actor", NAME)

    erased = gateway.run("users", "delete", NAME, "--erase")
    assert (erased.returncode, erased.stderr) == (0, "")
    # Within a second, whatever the person holds is worth nothing.
    eventually(lambda: gateway.request("GET", "/orders", token=token).status == 401, within=1.5)
    assert gateway.request("GET", "/orders", token=other).status == 200
    late = gateway.request(
        "POST",
        "/gateway/v1/auth/login",
        headers={"User-Agent": "late"},
        body={"username": NAME, "password": PASSWORD},
    )
    assert late.status == 401

    after = gateway.export()
    moments = [record["time"] for record in before]
    assert without_persons(after)[: len(without_persons(before))] == without_persons(before)
    assert after[0]["time"] == moments[0]
    told = [record for record in after if record["time"] <= moments[-1]]
    assert [record for record in told if any(one in json.dumps(record) for one in CANARIES)] == []
    for record in about(told, identity):
        if (record["actor"] or {}).get("id") == identity:
            assert record["actor"] == {"id": identity, "kind": record["actor"]["kind"], "name": None}
            assert (record["source_ip"], record["user_agent"]) == (None, None)
            assert identity in record["attributes"]["erased"]
    # By the id everything is found as before; by the name nothing is.
    assert {record["request_id"] for record in gateway.audit("--actor", identity)} >= {
        record["request_id"] for record in before if (record["actor"] or {}).get("id") == identity
    } - {None}
    assert [one for one in gateway.audit("--actor", NAME) if one["action"] != "audit.read"] == []
    deleted = [record for record in after if record["action"] == "user.deleted"]
    assert [(one["attributes"]["user"], one["attributes"]["erased"]) for one in deleted] == [(identity, True)]
    # Nobody else has lost anything.
    assert [record for record in told if other_id in json.dumps(record)] == about(before, other_id)
    gateway.is_whole()
    assert gateway.stop() == 0
    gateway.is_whole()
    # The name that was tried afterwards is what somebody typed, so it is not looked for in the newest records.
    kept = [where for _, where in leaks(gateway, [EMAIL, AGENT])]
    assert [where for where in kept if where != "output"] == []


def test_nothing_is_left_of_the_erased_in_any_file_or_table(gateway: AuditedGateway) -> None:
    live(gateway, NAME, EMAIL, AGENT)
    time.sleep(1.0)
    assert gateway.run("users", "delete", NAME, "--erase").returncode == 0
    assert gateway.stop() == 0
    found = {(canary, where) for canary, where in leaks(gateway, CANARIES) if where != "output"}
    assert found == set()


def test_what_is_shipped_after_the_erasure_says_nothing_of_the_person(gateway: AuditedGateway) -> None:
    """Records that wait in the spool of a killed process are about somebody who is erased meanwhile."""
    _, identity = live(gateway, NAME, EMAIL, AGENT)
    gateway.kill()
    assert gateway.run("users", "delete", NAME, "--erase").returncode == 0
    gateway.is_whole()
    shown = gateway.export()
    assert about(shown, identity)
    told = [json.dumps(record) for record in shown]
    assert "\n".join(text for text in told if any(one in text for one in CANARIES)) == ""
    gateway.start()
    assert gateway.stop() == 0
    gateway.is_whole()
    assert [canary for canary, where in leaks(gateway, CANARIES) if where != "output"] == []


@pytest.mark.slow
def test_somebody_who_was_deleted_can_be_erased_later_by_id(gateway: AuditedGateway) -> None:
    _, identity = live(gateway, NAME, EMAIL, AGENT)
    assert gateway.run("users", "delete", NAME).returncode == 0
    eventually(lambda: [one for one in gateway.export() if one["action"] == "user.deleted"])
    assert any(NAME in json.dumps(record) for record in gateway.export()), "deleting is not erasing"
    gateway.is_whole()
    assert gateway.run("users", "delete", NAME).returncode == 1
    assert gateway.run("users", "delete", identity, "--erase").returncode == 0
    assert not any(NAME in json.dumps(record) for record in gateway.export())
    # Once more does no harm, and somebody who never was is told from it.
    again = gateway.run("users", "delete", identity, "--erase")
    assert again.returncode in {0, 1}
    nobody = gateway.run("users", "delete", "nobody", "--erase")
    assert nobody.returncode == 1
    assert "Traceback" not in again.stderr + nobody.stderr
    gateway.is_whole()


@pytest.mark.slow
def test_the_same_name_can_be_taken_again_by_somebody_else(gateway: AuditedGateway) -> None:
    _, identity = live(gateway, NAME, EMAIL, AGENT)
    assert gateway.run("users", "delete", NAME, "--erase").returncode == 0
    _, successor = live(gateway, NAME, EMAIL, "another browser")
    assert successor != identity
    found = eventually(lambda: gateway.audit("--actor", NAME))
    assert {record["actor"]["id"] for record in found} == {successor}
    gateway.is_whole()
