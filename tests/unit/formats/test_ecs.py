"""ECS: fields of the schema, with the types that it gives them."""

import json
from typing import Any

import pytest
from support.records import ALICE, REQUEST, WRITER, completion, decision, event, record, refusal

from gateway.formats.ecs import ECS
from gateway.model import EventKind

EXPECTED = {
    "api": {
        "access",
        "admin",
        "allowed",
        "change",
        "creation",
        "deletion",
        "denied",
        "end",
        "info",
        "start",
        "user",
    },
    "authentication": {"start", "end", "info"},
    "configuration": {"access", "change", "creation", "deletion", "info"},
    "iam": {"admin", "change", "creation", "deletion", "group", "info", "user"},
    "web": {"access", "error", "info"},
}
"""Types that ECS 8.17 expects of an event's categories."""


def ecs(told: dict[str, object]) -> Any:
    return json.loads(ECS.line(told))


@pytest.mark.parametrize(
    "told",
    [
        decision(),
        refusal(),
        completion(),
        record(kind="decision"),
        *(event(kind.value) for kind in EventKind),
    ],
)
def test_categories_have_types_that_the_schema_expects(told: dict[str, object]) -> None:
    found = ecs(told)["event"]
    allowed = set().union(*(EXPECTED[category] for category in found["category"]))
    assert set(found["type"]) <= allowed
    assert all(EXPECTED[category] & set(found["type"]) for category in found["category"])
    assert found["outcome"] in {"success", "failure"}


def test_a_decision_is_found_where_the_schema_has_it() -> None:
    found = ecs(refusal())
    assert found["@timestamp"] == "2026-11-21T14:00:00.123456Z"
    assert found["ecs"] == {"version": "8.17.0"}
    assert found["message"] == "a limit"
    assert found["event"]["id"] == f"{WRITER}/7"
    assert found["event"]["type"] == ["access", "denied"]
    assert (found["event"]["outcome"], found["event"]["reason"]) == ("failure", "rate-exceeded")
    assert found["http"] == {
        "request": {"id": REQUEST, "method": "GET"},
        "response": {"status_code": 429},
    }
    assert found["url"] == {
        "original": "/orders/7?token=***",
        "path": "/orders/7",
        "query": "token=***",
        "domain": "api.example.com",
        "port": 8443,
    }
    assert found["source"] == {"address": "203.0.113.7", "ip": "203.0.113.7"}
    assert found["user"] == {"id": "usr_1", "name": "alice", "roles": ["customer", "support"]}
    assert found["user_agent"] == {"original": "curl/8.5"}
    assert found["rule"] == {"name": "order policies.yaml:47", "version": "3f2a"}
    assert found["related"]["user"] == ["usr_1", "alice"]
    assert found["gateway"]["route"] == "order"


def test_an_exchange_that_ended_says_how_long_it_took() -> None:
    found = ecs(completion())
    assert found["event"]["duration"] == 12_345_000
    assert found["event"]["type"] == ["access", "end"]
    assert found["http"]["response"] == {"status_code": 200, "body": {"bytes": 512}}


def test_what_is_masked_or_erased_is_no_address_and_no_name() -> None:
    found = ecs(decision(source_ip="203***", actor={**ALICE, "name": None}))
    assert found["source"] == {"address": "203***"}
    assert found["user"]["id"] == "usr_1"
    assert "name" not in found["user"]
    assert found["related"] == {"user": ["usr_1"], "hosts": ["api.example.com"]}


def test_a_record_without_a_time_has_one_all_the_same() -> None:
    assert ecs(record(time=None, kind="event", action="audit.gap"))["@timestamp"].startswith("1970-01-01T")
