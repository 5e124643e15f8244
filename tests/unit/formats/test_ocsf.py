"""OCSF: the classes, and what the schema asks of each."""

import json
from typing import Any

import pytest
from support.records import ALICE, REQUEST, WRITER, completion, decision, event, record, refusal

from gateway.formats import ocsf_classes
from gateway.formats.ocsf import OCSF
from gateway.model import EventKind

REQUIRED = {
    "activity_id": int,
    "category_uid": int,
    "class_uid": int,
    "type_uid": int,
    "time": int,
    "severity_id": int,
    "metadata": dict,
}
"""Of every class of OCSF 1.8.0."""
OF_CLASS = {
    3001: {"user"},
    3002: {"user", "service"},
    3004: {"entity"},
    3005: {"user", "privileges"},
    6003: {"actor", "api", "src_endpoint"},
    6008: set(),
}
ACTIVITIES = {
    3001: {1, 2, 3, 4, 5, 6, 10, 11, 99},
    3002: {1, 2, 99},
    3004: {1, 3, 4, 11, 99},
    3005: {99},
    6003: {0, 1, 2, 3, 4, 99},
    6008: {1},
}


def ocsf(told: dict[str, object]) -> Any:
    return json.loads(OCSF.line(told))


@pytest.mark.parametrize(
    "told",
    [
        decision(),
        refusal(actor=None, source_ip=None),
        completion(),
        record(kind="decision", action="request", decision="deny", reason="malformed-request", status=400),
        *(event(kind.value) for kind in EventKind),
        event("role.changed", actor=None, attributes={"roles": ["admin"], "user": "usr_2"}),
        event("something.newer"),
    ],
)
def test_every_record_has_what_its_class_requires(told: dict[str, object]) -> None:
    found = ocsf(told)
    assert {name: type(found[name]) for name in REQUIRED} == REQUIRED
    assert found["metadata"]["version"] == "1.8.0"
    assert found["metadata"]["product"]["name"] == "gateway"
    assert OF_CLASS[found["class_uid"]] <= set(found)
    assert found["activity_id"] in ACTIVITIES[found["class_uid"]]
    assert found["type_uid"] == found["class_uid"] * 100 + found["activity_id"]
    assert found["category_uid"] == found["class_uid"] // 1000
    for person in (found.get("user"), found.get("actor", {}).get("user")):
        assert person is None or person.keys() & {"uid", "name"}


@pytest.mark.parametrize(
    ("method", "activity"),
    [
        ("POST", 1),
        ("GET", 2),
        ("HEAD", 2),
        ("PUT", 3),
        ("PATCH", 3),
        ("DELETE", 4),
        ("OPTIONS", 99),
        (None, 0),
    ],
)
def test_a_method_is_an_activity(method: str | None, activity: int) -> None:
    found = ocsf(decision(method=method))
    assert (found["class_uid"], found["activity_id"]) == (6003, activity)
    assert found["activity_name"] == {99: "OPTIONS", 0: "Unknown"}.get(activity, found["activity_name"])


def test_a_decision_says_who_what_and_by_which_rule() -> None:
    found = ocsf(refusal())
    assert (found["action_id"], found["disposition_id"], found["status_id"]) == (2, 2, 2)
    assert found["metadata"]["profiles"] == ["security_control"]
    assert found["authorizations"] == [
        {"decision": "deny", "policy": {"name": "order policies.yaml:47", "version": "3f2a"}}
    ]
    assert found["actor"] == {
        "user": {"uid": "usr_1", "name": "alice", "type_id": 1, "type": "User"},
        "session": {"uid": "ses_1"},
    }
    assert found["src_endpoint"] == {"ip": "203.0.113.7"}
    assert found["api"] == {
        "operation": "GET /orders/{order_id}",
        "service": {"name": "orders"},
        "request": {"uid": REQUEST},
        "response": {"code": 429},
    }
    assert found["http_request"]["url"] == {
        "hostname": "api.example.com",
        "port": 8443,
        "path": "/orders/7",
        "query_string": "token=***",
    }
    assert (found["status_code"], found["status_detail"], found["message"]) == (
        "429",
        "rate-exceeded",
        "a limit",
    )
    assert found["metadata"]["uid"] == f"{WRITER}/7"
    assert found["unmapped"]["roles"] == ["customer", "support"]


def test_an_exchange_that_ended_says_how_long_it_took_and_no_verdict() -> None:
    found = ocsf(completion())
    assert (found["duration"], found["http_response"]) == (12, {"code": 200, "body_length": 512})
    assert "action_id" not in found
    assert "profiles" not in found["metadata"]


def test_who_was_erased_keeps_an_id_and_who_is_nobody_is_anonymous() -> None:
    erased = ocsf(decision(actor={**ALICE, "name": None}, source_ip=None))
    assert erased["actor"]["user"] == {"uid": "usr_1", "type_id": 1, "type": "User"}
    assert erased["src_endpoint"] == {"name": "local"}
    assert ocsf(decision(actor=None))["actor"]["user"]["name"] == "anonymous"
    assert ocsf(decision(source_ip="203***"))["src_endpoint"] == {"name": "203***"}
    robot = ocsf(decision(actor={"id": "r", "kind": "robot", "name": "r"}))["actor"]["user"]
    assert (robot["type_id"], robot["type"]) == (99, "robot")


def test_a_method_that_the_schema_does_not_list_is_only_the_activity() -> None:
    found = ocsf(decision(method="PROPFIND"))
    assert "http_method" not in found["http_request"]
    assert found["activity_name"] == "PROPFIND"


def test_events_are_about_accounts_and_things() -> None:
    made = ocsf(event("user.created", attributes={"user": "usr_2", "username": "bob"}))
    assert (made["type_uid"], made["user"]) == (300101, {"uid": "usr_2", "name": "bob"})
    own = ocsf(event("auth.password_changed"))
    assert (own["type_uid"], own["user"]["uid"]) == (300103, "usr_1")
    key = ocsf(event("key.revoked", attributes={"key": "key_1", "name": "ci"}))
    assert key["type_uid"] == 300411
    assert key["entity"] == {"uid": "key_1", "name": "ci", "type": "key", "type_id": 99}
    roles = ocsf(event("role.changed", attributes={"user": "usr_2", "roles": ["admin"]}))
    assert (roles["type_uid"], roles["privileges"]) == (300599, ["admin"])
    failed = ocsf(event("auth.login_failed", actor=None, reason="credentials-invalid"))
    assert (failed["type_uid"], failed["status_id"], failed["severity_id"]) == (300201, 2, 2)
    assert ocsf(event("audit.gap"))["severity_id"] == 4


def test_names_of_types_are_those_of_the_schema() -> None:
    assert ocsf_classes.activity_of_event("auth.refresh").full_name == "Authentication: Other"
    assert ocsf_classes.activity_of_request("GET").full_name == "API Activity: Read"
