"""What is written down of decisions, completions and events, and that it is durable before anybody goes on."""

import json
from collections.abc import Awaitable
from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.audit import FIELDS, Auditor, decode, redact
from gateway.model import (
    ANONYMOUS,
    Completion,
    Event,
    EventKind,
    Fields,
    Framing,
    Grant,
    Outcome,
    Permit,
    Principal,
    PrincipalKind,
    Reason,
    Refusal,
    RequestHead,
    Route,
)
from gateway.ports import AuditUnavailable, StoredRecord

ROUTE = Route(
    id="orders-item",
    host="api.example.com",
    methods=frozenset({"GET"}),
    path="/orders/{order_id}",
    upstream="orders",
    place="policies.yaml:41",
)
ALICE = Principal(
    id="usr_1",
    kind=PrincipalKind.USER,
    name="alice",
    authn="gateway",
    authn_kind="gateway_jwt",
    roles=frozenset({"support", "customer"}),
    claims={"secret": "claim"},
    session="ses_1",
)
HEAD = RequestHead(
    id="0198f3c2-7d1e-4abc-8def-0123456789ab",
    received=0.0,
    method="GET",
    target="/orders/7?token=secret",
    path="/orders/7",
    query="token=secret",
    segments=("orders", "7"),
    host="api.example.com",
    authority="api.example.com:8000",
    scheme="http",
    version=(1, 1),
    fields=Fields(
        [(b"User-Agent", b"curl/8"), (b"Authorization", b"Bearer secret"), (b"Cookie", b"sid=secret")]
    ),
    framing=Framing.NONE,
    content_length=None,
    peer="127.0.0.1",
    client="203.0.113.7",
    peer_trusted=False,
)
PERMIT = Permit(
    head=HEAD,
    route=ROUTE,
    params={"order_id": "7"},
    principal=ALICE,
    grant=Grant(scopes=frozenset({"orders:read"}), required=frozenset()),
    tallies=(),
)
DONE = Completion(status=200, bytes_in=0, bytes_out=921, duration_ms=3.2171, outcome=Outcome.COMPLETE)


class Still:
    """A clock that stands still."""

    def now(self) -> float:
        return 1_795_000_000.25

    def monotonic(self) -> float:
        return 0.0


class Paper:
    """A spool that keeps what it is given, and notes what was waited for."""

    writer = "w"
    available = True

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        self.durable = 0
        self.full = False

    def append(self, body: bytes) -> int:
        if self.full:
            raise AuditUnavailable("full")
        self.bodies.append(body)
        return len(self.bodies)

    def flushed(self) -> Awaitable[None]:
        return self._flush()

    async def _flush(self) -> None:
        if self.full:
            raise AuditUnavailable("full")
        self.durable = len(self.bodies)

    def write_now(self) -> None:
        if self.full:
            raise AuditUnavailable("full")

    def records(self) -> list[dict[str, object]]:
        assert b"secret" not in b"".join(self.bodies)
        return [decode(StoredRecord(writer="w", seq=1, body=body)) for body in self.bodies]

    def one(self) -> dict[str, object]:
        (record,) = self.records()
        return {name: value for name, value in record.items() if value is not None and value != {}}


@pytest.fixture
def paper() -> Paper:
    return Paper()


@pytest.fixture
def auditor(paper: Paper) -> Auditor:
    return Auditor(paper, Still())


async def test_a_permit_says_who_may_what_by_which_rule(auditor: Auditor, paper: Paper) -> None:
    await auditor.decision(PERMIT, revision="abc")
    assert paper.durable == 1
    assert paper.one() == {
        "writer": "w",
        "seq": 1,
        "time": "2026-11-18T11:06:40.250000Z",
        "kind": "decision",
        "request_id": HEAD.id,
        "actor": {"id": "usr_1", "kind": "user", "name": "alice"},
        "action": "GET /orders/{order_id}",
        "method": "GET",
        "host": "api.example.com",
        "path": "/orders/7?token=***",
        "route": "orders-item",
        "upstream": "orders",
        "decision": "allow",
        "reason": "ok",
        "rule": "orders-item policies.yaml:41",
        "revision": "abc",
        "authn": "gateway",
        "session": "ses_1",
        "roles": ["customer", "support"],
        "source_ip": "203.0.113.7",
        "user_agent": "curl/8",
    }
    assert tuple(paper.records()[0]) == FIELDS


async def test_a_permit_on_a_public_route_has_no_actor(auditor: Auditor, paper: Paper) -> None:
    await auditor.decision(replace(PERMIT, principal=ANONYMOUS), revision="abc")
    record = paper.one()
    assert not {"actor", "authn", "session", "roles"} & set(record)


async def test_a_refusal_says_why_and_with_which_status(auditor: Auditor, paper: Paper) -> None:
    refusal = Refusal(
        head=HEAD,
        reason=Reason.RATE_EXCEEDED,
        diagnosis="120 in 1 min",
        route=ROUTE,
        principal=ALICE,
        rule="defaults:0 policies.yaml:9",
    )
    await auditor.decision(refusal, revision="abc")
    record = paper.one()
    assert (record["decision"], record["reason"], record["status"]) == ("deny", "rate-exceeded", 429)
    assert record["rule"] == "defaults:0 policies.yaml:9"
    assert record["attributes"] == {"diagnosis": "120 in 1 min"}
    assert record["actor"] == {"id": "usr_1", "kind": "user", "name": "alice"}
    assert "upstream" not in record


async def test_a_refusal_on_a_route_without_a_rule_names_the_route(auditor: Auditor, paper: Paper) -> None:
    await auditor.decision(Refusal(head=HEAD, reason=Reason.CREDENTIALS_MISSING, route=ROUTE), revision="abc")
    assert paper.one()["rule"] == "orders-item policies.yaml:41"


async def test_a_refusal_without_a_route_is_of_a_request(auditor: Auditor, paper: Paper) -> None:
    await auditor.decision(Refusal(head=HEAD, reason=Reason.NO_ROUTE), revision="abc", status=404)
    record = paper.one()
    assert (record["action"], record["status"]) == ("request", 404)
    assert not {"route", "rule"} & set(record)


async def test_a_refusal_of_what_could_not_be_read_has_nulls(auditor: Auditor, paper: Paper) -> None:
    await auditor.decision(Refusal(head=None, reason=Reason.MALFORMED_REQUEST), revision="abc")
    record = paper.one()
    assert (record["decision"], record["status"]) == ("deny", 400)
    assert not {"method", "path", "request_id"} & set(record)


async def test_an_own_answer_is_a_decision_too(auditor: Auditor, paper: Paper) -> None:
    await auditor.own(
        HEAD, route="gateway:auth.login", principal=None, status=401, reason=Reason.CREDENTIALS_INVALID
    )
    await auditor.own(
        HEAD,
        action="GET /gateway/v1/auth/me",
        route="gateway:auth.me",
        principal=ALICE,
        status=200,
        reason=Reason.OK,
        revision="abc",
        rule="r",
        diagnosis="d",
    )
    denied, allowed = paper.records()
    assert (denied["decision"], denied["status"], denied["action"]) == ("deny", 401, "GET /orders/7")
    assert (allowed["decision"], allowed["status"], allowed["action"]) == (
        "allow",
        200,
        "GET /gateway/v1/auth/me",
    )
    assert (allowed["revision"], allowed["rule"], allowed["attributes"]) == ("abc", "r", {"diagnosis": "d"})
    assert paper.durable == 2


def test_a_completion_is_appended_and_not_waited_for(auditor: Auditor, paper: Paper) -> None:
    auditor.completion(PERMIT, DONE)
    record = paper.one()
    assert (record["kind"], record["status"], record["bytes_out"]) == ("completion", 200, 921)
    assert (record["duration_ms"], record["outcome"], record["reason"]) == (3.217, "complete", "ok")
    assert paper.durable == 0


def test_a_completion_can_be_found_by_actor_and_route(auditor: Auditor, paper: Paper) -> None:
    failed = replace(
        DONE,
        status=0,
        outcome=Outcome.UPSTREAM_FAILED,
        reason=Reason.UPSTREAM_TIMEOUT,
        diagnosis="no head within 5 s",
    )
    auditor.completion(PERMIT, failed)
    record = paper.one()
    assert record["actor"] == {"id": "usr_1", "kind": "user", "name": "alice"}
    assert (record["route"], record["upstream"], record["path"]) == (
        "orders-item",
        "orders",
        "/orders/7?token=***",
    )
    assert (record["reason"], record["outcome"]) == ("upstream-timeout", "upstream_failed")
    assert record["attributes"] == {"diagnosis": "no head within 5 s"}
    assert "status" not in record


async def test_an_event_says_what_happened_to_whom(auditor: Auditor, paper: Paper) -> None:
    await auditor.event(
        Event(
            kind=EventKind.LOGIN,
            actor=ALICE,
            request_id=HEAD.id,
            source_ip="203.0.113.7",
            user_agent="x" * 1000,
            session="ses_1",
            attributes={"n": 1, "roles": ["a"]},
        )
    )
    await auditor.event(
        Event(kind=EventKind.LOGIN_FAILED, actor=None, reason=Reason.CREDENTIALS_INVALID, session="s")
    )
    login, failed = paper.records()
    assert (login["kind"], login["action"], login["session"]) == ("event", "auth.login", "ses_1")
    assert login["attributes"] == {"n": 1, "roles": ["a"]}
    assert len(str(login["user_agent"])) == 256
    assert (failed["actor"], failed["reason"], failed["session"]) == (None, "credentials-invalid", "s")
    assert paper.durable == 2


async def test_a_key_is_never_in_a_record_twice(auditor: Auditor, paper: Paper) -> None:
    await auditor.event(Event(kind=EventKind.LOGOUT, actor=ALICE, session="ses_1"))
    await auditor.decision(PERMIT, revision="abc")
    auditor.completion(PERMIT, DONE)
    for body in paper.bodies:
        names = [name for name, _ in json.loads(body, object_pairs_hook=list)]
        assert len(names) == len(set(names))


async def test_hostile_fields_are_recorded_as_far_as_they_are_text(auditor: Auditor, paper: Paper) -> None:
    head = replace(
        HEAD,
        host="h" * 40_000,
        query=None,
        path="/" + "p" * 9000,
        target="/" + "p" * 9000,
        fields=Fields([(b"User-Agent", b"\xff\0\x1b")]),
    )
    await auditor.decision(Refusal(head=head, reason=Reason.NO_ROUTE), revision="abc")
    record = paper.one()
    assert (len(str(record["host"])), len(str(record["path"]))) == (255, 2048)
    assert record["user_agent"] == "\ufffd\ufffd\x1b"


@given(hostile=st.text(max_size=20), agent=st.binary(max_size=20))
@example(hostile='"},"kind":"event","x":{"\\u0000\0', agent=b'\xff"\\\0')
@example(hostile="\ud800", agent=b"")
async def test_whatever_a_client_sends_stays_within_its_field(hostile: str, agent: bytes) -> None:
    paper = Paper()
    auditor = Auditor(paper, Still())
    head = replace(
        HEAD,
        method=hostile,
        host=hostile,
        path=hostile,
        query=None,
        client=hostile,
        fields=Fields([(b"user-agent", agent)]),
    )
    principal = replace(ALICE, id=hostile or "x", name=hostile, session=hostile, roles=frozenset({hostile}))
    permit = replace(PERMIT, head=head, principal=principal)
    await auditor.decision(permit, revision=hostile)
    auditor.completion(permit, replace(DONE, diagnosis=hostile))
    text = redact.storable(hostile)
    for body in paper.bodies:
        pairs = json.loads(body, object_pairs_hook=list)
        assert len({name for name, _ in pairs}) == len(pairs)
        assert b"\\u0000" not in body.replace(b"\\\\", b"")
        record = json.loads(body)
        assert [record[name] for name in ("method", "host", "path", "source_ip")] == [text] * 4
        assert record["actor"] == {"id": text or "x", "kind": "user", "name": text}
        assert (record["request_id"], record["route"]) == (HEAD.id, "orders-item")
    decision, completion = map(json.loads, paper.bodies)
    assert (decision["kind"], decision["roles"], decision["revision"]) == ("decision", [text], text)
    assert decision["user_agent"] == agent.decode("utf-8", "replace").replace("\0", "\ufffd")
    assert completion["kind"] == "completion"
    assert completion.get("attributes") == ({"diagnosis": text} if hostile else None)


async def test_when_nothing_can_be_recorded_nothing_goes_on(auditor: Auditor, paper: Paper) -> None:
    paper.full = True
    with pytest.raises(AuditUnavailable):
        await auditor.decision(PERMIT, revision="abc")
    with pytest.raises(AuditUnavailable):
        await auditor.event(Event(kind=EventKind.LOGOUT, actor=ALICE))
    with pytest.raises(AuditUnavailable):
        await auditor.own(HEAD, route="r", principal=None, status=200, reason=Reason.OK)
    auditor.completion(PERMIT, DONE)
    assert auditor.missing == 1


async def test_a_changed_role_or_policy_shows_at_once(auditor: Auditor, paper: Paper) -> None:
    await auditor.decision(PERMIT, revision="abc")
    await auditor.decision(
        replace(PERMIT, principal=replace(ALICE, roles=frozenset({"admin"}))), revision="abd"
    )
    first, second = paper.records()
    assert (first["roles"], first["revision"]) == (["customer", "support"], "abc")
    assert (second["roles"], second["revision"]) == (["admin"], "abd")
