"""What is written down of decisions, completions and events, and that it is durable before anybody goes on."""

import json
from collections.abc import Awaitable
from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.audit import (
    Auditor,
    Pressure,
    Recording,
    Redaction,
    decode,
    keyed_hash,
    persons,
    redact,
)
from gateway.crypto import MasterSecret, PersonalPart, Sealer, open_parts
from gateway.model import (
    ANONYMOUS,
    RECORD_FIELDS,
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
    subject="usr_1",
)
BATCH = replace(ALICE, id="cli_1", kind=PrincipalKind.CLIENT, name="batch", subject=None)
OPERATOR = Principal(
    id="uid:0", kind=PrincipalKind.OPERATOR, name="root", authn="command line", authn_kind="operator"
)
ABC = Recording(revision="abc")
SEALER = Sealer(MasterSecret(b"s" * 32))
KEY = b"k" * 32
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
        self.personal: list[bytes] = []
        self.durable = 0
        self.full = False

    def append(self, body: bytes, personal: bytes = b"") -> int:
        if self.full:
            raise AuditUnavailable("full")
        self.bodies.append(body)
        self.personal.append(personal)
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
        opened = [self.opened(number) for number in range(len(self.bodies))]
        assert b"secret" not in b"".join([*self.bodies, *opened])
        return [
            decode(StoredRecord(writer="w", seq=1, body=body, personal=personal))
            for body, personal in zip(self.bodies, opened, strict=True)
        ]

    def parts(self, number: int = 0) -> tuple[PersonalPart, ...]:
        """What a record says of persons; the record commits to exactly this."""
        parts = open_parts(SEALER, self.personal[number])
        committed = json.loads(self.bodies[number]).get("personal", {})
        assert committed == {part.subject: part.commitment for part in parts}
        return parts

    def opened(self, number: int) -> bytes:
        """What it says of persons, as a trail gives it."""
        parts = {part.subject: part.fields for part in self.parts(number)}
        return json.dumps(parts).encode() if parts else b""

    def one(self) -> dict[str, object]:
        (record,) = self.records()
        return {name: value for name, value in record.items() if value is not None and value != {}}


def auditor_on(paper: Paper, pressure: Pressure | None = None) -> Auditor:
    return Auditor(paper, Still(), sealer=SEALER, hash_key=KEY, pressure=pressure or Pressure(100))


@pytest.fixture
def paper() -> Paper:
    return Paper()


@pytest.fixture
def auditor(paper: Paper) -> Auditor:
    return auditor_on(paper)


async def test_a_permit_says_who_may_what_by_which_rule(auditor: Auditor, paper: Paper) -> None:
    await auditor.decision(PERMIT, recording=ABC)
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
    assert tuple(paper.records()[0]) == RECORD_FIELDS


async def test_a_permit_on_a_public_route_has_no_actor(auditor: Auditor, paper: Paper) -> None:
    await auditor.decision(replace(PERMIT, principal=ANONYMOUS), recording=ABC)
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
    await auditor.decision(refusal, recording=ABC)
    record = paper.one()
    assert (record["decision"], record["reason"], record["status"]) == ("deny", "rate-exceeded", 429)
    assert record["rule"] == "defaults:0 policies.yaml:9"
    assert record["attributes"] == {"diagnosis": "120 in 1 min"}
    assert record["actor"] == {"id": "usr_1", "kind": "user", "name": "alice"}
    assert "upstream" not in record


async def test_a_refusal_on_a_route_without_a_rule_names_the_route(auditor: Auditor, paper: Paper) -> None:
    await auditor.decision(Refusal(head=HEAD, reason=Reason.CREDENTIALS_MISSING, route=ROUTE), recording=ABC)
    assert paper.one()["rule"] == "orders-item policies.yaml:41"


async def test_a_refusal_without_a_route_is_of_a_request(auditor: Auditor, paper: Paper) -> None:
    await auditor.decision(Refusal(head=HEAD, reason=Reason.NO_ROUTE), recording=ABC, status=404)
    record = paper.one()
    assert (record["action"], record["status"]) == ("request", 404)
    assert not {"route", "rule"} & set(record)


async def test_a_refusal_of_what_could_not_be_read_has_nulls(auditor: Auditor, paper: Paper) -> None:
    await auditor.decision(Refusal(head=None, reason=Reason.MALFORMED_REQUEST), recording=ABC)
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
        recording=ABC,
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
    auditor.completion(PERMIT, DONE, recording=ABC)
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
    auditor.completion(PERMIT, failed, recording=ABC)
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
    await auditor.decision(PERMIT, recording=ABC)
    auditor.completion(PERMIT, DONE, recording=ABC)
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
    await auditor.decision(Refusal(head=head, reason=Reason.NO_ROUTE), recording=ABC)
    record = paper.one()
    assert (len(str(record["host"])), len(str(record["path"]))) == (255, 2048)
    assert record["user_agent"] == "\ufffd\ufffd\x1b"


def without_secret(text: str | bytes) -> bool:
    """Say whether a text is not by chance what `Paper` takes for a leak."""
    return "secret" not in str(text)


@given(
    hostile=st.text(max_size=20).filter(without_secret),
    agent=st.binary(max_size=20).filter(without_secret),
    subject=st.none() | st.text(min_size=1).filter(without_secret),
)
@example(hostile='"},"kind":"event","x":{"\\u0000\0', agent=b'\xff"\\\0', subject=None)
@example(hostile='"},"kind":"event","x":{"\\u0000\0', agent=b'\xff"\\\0', subject="usr_1")
@example(hostile="\ud800", agent=b"", subject=None)
async def test_whatever_a_client_sends_stays_within_its_field(
    hostile: str, agent: bytes, subject: str | None
) -> None:
    paper = Paper()
    auditor = auditor_on(paper)
    head = replace(
        HEAD,
        method=hostile,
        host=hostile,
        path=hostile,
        query=None,
        client=hostile,
        fields=Fields([(b"user-agent", agent)]),
    )
    principal = replace(
        ALICE, id=hostile or "x", name=hostile, session=hostile, roles=frozenset({hostile}), subject=subject
    )
    permit = replace(PERMIT, head=head, principal=principal)
    await auditor.decision(permit, recording=Recording(revision=hostile))
    auditor.completion(permit, replace(DONE, diagnosis=hostile), recording=ABC)
    text = redact.storable(hostile)
    for body in paper.bodies:
        pairs = json.loads(body, object_pairs_hook=list)
        assert len({name for name, _ in pairs}) == len(pairs)
        assert b"\\u0000" not in body.replace(b"\\\\", b"")
    for record in paper.records():
        assert [record[name] for name in ("method", "host", "path", "source_ip")] == [text] * 4
        assert record["actor"] == {"id": text or "x", "kind": "user", "name": text}
        assert (record["request_id"], record["route"]) == (HEAD.id, "orders-item")
    decision, completion = paper.records()
    assert (decision["kind"], decision["roles"], decision["revision"]) == ("decision", [text], text)
    assert decision["user_agent"] == agent.decode("utf-8", "replace").replace("\0", "\ufffd")
    assert completion["kind"] == "completion"
    assert completion["attributes"] == ({"diagnosis": text} if hostile else {})


async def test_when_nothing_can_be_recorded_nothing_goes_on(auditor: Auditor, paper: Paper) -> None:
    paper.full = True
    with pytest.raises(AuditUnavailable):
        await auditor.decision(PERMIT, recording=ABC)
    with pytest.raises(AuditUnavailable):
        await auditor.event(Event(kind=EventKind.LOGOUT, actor=ALICE))
    with pytest.raises(AuditUnavailable):
        await auditor.own(HEAD, route="r", principal=None, status=200, reason=Reason.OK)
    auditor.completion(PERMIT, DONE, recording=ABC)
    assert auditor.missing == 1


async def test_a_changed_role_or_policy_shows_at_once(auditor: Auditor, paper: Paper) -> None:
    await auditor.decision(PERMIT, recording=ABC)
    await auditor.decision(
        replace(PERMIT, principal=replace(ALICE, roles=frozenset({"admin"}))),
        recording=Recording(revision="abd"),
    )
    first, second = paper.records()
    assert (first["roles"], first["revision"]) == (["customer", "support"], "abc")
    assert (second["roles"], second["revision"]) == (["admin"], "abd")


async def test_a_record_about_a_person_says_nothing_of_them_but_a_commitment(
    auditor: Auditor, paper: Paper
) -> None:
    await auditor.decision(PERMIT, recording=ABC)
    refusal = Refusal(head=HEAD, reason=Reason.DENIED, route=ROUTE, principal=ALICE)
    await auditor.decision(refusal, recording=ABC)
    auditor.completion(PERMIT, DONE, recording=ABC)
    await auditor.own(HEAD, route="r", principal=ALICE, status=200, reason=Reason.OK)
    event = Event(kind=EventKind.LOGIN, actor=ALICE, source_ip=HEAD.client, user_agent="curl/8")
    await auditor.event(event)
    for number, body in enumerate(paper.bodies):
        assert not any(each in body for each in (b"alice", b"203.0.113.7", b"curl/8"))
        (part,) = paper.parts(number)
        assert body.endswith(
            b',"actor":{"id":"usr_1","kind":"user"},"personal":{"usr_1":"%b"}}' % (part.commitment.encode())
        )
        assert part.fields == {"name": "alice", "source_ip": "203.0.113.7", "user_agent": "curl/8"}
    for record in paper.records():
        assert record["actor"] == {"id": "usr_1", "kind": "user", "name": "alice"}
        assert (record["source_ip"], record["user_agent"]) == ("203.0.113.7", "curl/8")


@pytest.mark.parametrize("principal", [ANONYMOUS, BATCH])
async def test_a_record_about_nobody_says_everything_itself(
    auditor: Auditor, paper: Paper, principal: Principal
) -> None:
    await auditor.decision(replace(PERMIT, principal=principal), recording=ABC, attributes={"query.q": "x"})
    (record,) = map(json.loads, paper.bodies)
    assert paper.personal == [b""]
    assert (record["source_ip"], record["user_agent"]) == ("203.0.113.7", "curl/8")
    assert record["attributes"] == {"query.q": "x"}


async def test_what_is_said_again_is_sealed_once(auditor: Auditor, paper: Paper) -> None:
    for _ in range(3):
        await auditor.decision(PERMIT, recording=ABC, attributes={"claims.tenant": "acme"})
    for agent in (b"curl/8", b"curl/9"):
        head = replace(HEAD, fields=Fields([(b"User-Agent", agent)]))
        for _ in range(2):
            await auditor.decision(replace(PERMIT, head=head), recording=ABC)
            auditor.completion(replace(PERMIT, head=head), DONE, recording=ABC)
    one, two, three = paper.personal[:3], paper.personal[3:7], paper.personal[7:]
    assert [len(set(each)) for each in (one, two, three)] == [1, 1, 1]
    assert len({one[0], two[0], three[0]}) == 3


async def test_no_more_is_kept_than_there_is_room_for(auditor: Auditor, paper: Paper) -> None:
    for number in range(persons.KEPT + 5):
        head = replace(HEAD, client=f"192.0.2.{number}")
        await auditor.decision(replace(PERMIT, head=head), recording=ABC)
    assert len(auditor._persons._kept) == 5
    long = replace(HEAD, fields=Fields([(b"User-Agent", b"x" * 50_000)]))
    for _ in range(2):
        await auditor.decision(replace(PERMIT, head=long), recording=ABC)
    assert paper.personal[-1] != paper.personal[-2]
    for number in range(1000):
        attributes: dict[str, object] = {"header.x-trace": [f"{number:05}" * 200] * 10}
        await auditor.decision(PERMIT, recording=ABC, attributes=attributes)
    kept = auditor._persons._kept
    assert sum(len(str(key[-1])) + len(said.personal) for key, said in kept.items()) < persons.KEPT_BYTES


async def test_attributes_of_a_caller_can_be_erased_and_those_of_the_decision_stay(
    auditor: Auditor, paper: Paper
) -> None:
    given = {"claims.groups": ["a", "b"], "query.q": None, "authn.kind": "gateway_jwt"}
    confined = replace(ALICE, scope_limit=frozenset({"b:read", "a:read"}))
    await auditor.decision(replace(PERMIT, principal=confined), recording=ABC, attributes=given)
    refusal = Refusal(
        head=HEAD,
        reason=Reason.DENIED,
        route=ROUTE,
        principal=confined,
        broken=True,
        diagnosis="d",
        rule="no-keys policies.yaml:3",
    )
    await auditor.decision(refusal, recording=ABC, attributes=given)
    decided = {"authn.kind": "gateway_jwt", "credential.scopes": ["a:read", "b:read"]}
    allowed, denied = map(json.loads, paper.bodies)
    assert allowed["attributes"] == decided
    assert denied["attributes"] == {**decided, "broken": True, "diagnosis": "d"}
    for number, record in enumerate(paper.records()):
        (part,) = paper.parts(number)
        assert part.fields["attributes"] == {"claims.groups": ["a", "b"], "query.q": None}
        assert record["attributes"] == {**(denied if number else allowed)["attributes"], **given}


async def test_a_confined_credential_is_said_without_any_condition(auditor: Auditor, paper: Paper) -> None:
    confined = replace(BATCH, scope_limit=frozenset({"a:read"}))
    await auditor.decision(replace(PERMIT, principal=confined), recording=ABC)
    assert paper.one()["attributes"] == {"credential.scopes": ["a:read"]}


async def test_an_event_about_somebody_else_keeps_what_is_said_of_each_apart(
    auditor: Auditor, paper: Paper
) -> None:
    event = Event(
        kind=EventKind.USER_CREATED,
        actor=OPERATOR,
        attributes={"user": "usr_2"},
        subject="usr_2",
        personal={"username": "bob"},
    )
    await auditor.event(event)
    await auditor.event(replace(event, actor=ALICE, source_ip="203.0.113.7"))
    await auditor.event(replace(event, actor=replace(ALICE, subject="usr_2")))
    by_operator, by_alice, by_bob = map(json.loads, paper.bodies)
    assert by_operator["actor"]["name"] == "root"
    assert set(by_operator["personal"]) == {"usr_2"}
    assert list(by_alice["personal"]) == ["usr_1", "usr_2"]
    assert set(by_bob["personal"]) == {"usr_2"}
    assert [part.fields for part in paper.parts(1)] == [
        {"name": "alice", "source_ip": "203.0.113.7"},
        {"attributes": {"username": "bob"}},
    ]
    for record in paper.records():
        assert record["attributes"] == {"user": "usr_2", "username": "bob"}


async def test_what_is_personal_of_nobody_in_particular_stays_in_the_record(
    auditor: Auditor, paper: Paper
) -> None:
    await auditor.event(Event(kind=EventKind.KEY_REVOKED, actor=OPERATOR, personal={"name": "nightly"}))
    assert paper.one()["attributes"] == {"name": "nightly"}
    assert paper.personal == [b""]


async def test_the_answer_to_a_login_does_not_say_where_the_person_was_either(
    auditor: Auditor, paper: Paper
) -> None:
    failed = Event(
        kind=EventKind.LOGIN_FAILED,
        actor=None,
        request_id=HEAD.id,
        source_ip=HEAD.client,
        subject="usr_1",
        personal={"username": "alice"},
    )
    await auditor.event(failed)
    for _ in range(2):
        await auditor.own(HEAD, route="gateway:auth.login", principal=ANONYMOUS, status=401, reason=Reason.OK)
    event, answer, other = map(json.loads, paper.bodies)
    assert [set(each.get("personal", ())) for each in (event, answer, other)] == [{"usr_1"}, {"usr_1"}, set()]
    assert not {"source_ip", "user_agent"} & (set(event) | set(answer))
    assert other["source_ip"] == "203.0.113.7"
    assert [record["source_ip"] for record in paper.records()] == ["203.0.113.7"] * 3
    assert paper.records()[1]["actor"] is None


async def test_requests_that_are_never_answered_are_not_remembered_for_ever(
    auditor: Auditor, paper: Paper
) -> None:
    for number in range(5000):
        await auditor.event(Event(kind=EventKind.LOGIN, actor=ALICE, request_id=str(number)))
    assert len(auditor._about) < 4097
    # Those that may still be answered are.
    for number in range(4990, 5000):
        head = replace(HEAD, id=str(number))
        await auditor.own(head, route="gateway:auth.login", principal=ANONYMOUS, status=200, reason=Reason.OK)
    assert all(b"203.0.113.7" not in body for body in paper.bodies)


async def test_whence_a_credential_came_that_has_ended_is_said_of_its_owner(
    auditor: Auditor, paper: Paper
) -> None:
    refusal = Refusal(
        head=HEAD, route=ROUTE, reason=Reason.CREDENTIALS_INVALID, diagnosis="expired", subject="usr_1"
    )
    given = {"header.x-device": "mine"}
    await auditor.decision(refusal, recording=ABC, attributes=given)
    await auditor.own(
        HEAD,
        route="gateway:auth.refresh",
        principal=ANONYMOUS,
        status=401,
        reason=Reason.CREDENTIALS_INVALID,
        about="usr_1",
    )
    for body in paper.bodies:
        assert not {"source_ip", "user_agent", "actor"} & set(json.loads(body))
        assert b"mine" not in body
    first, second = paper.records()
    for record in (first, second):
        assert (record["actor"], record["source_ip"], record["user_agent"]) == (
            None,
            "203.0.113.7",
            "curl/8",
        )
    assert first["attributes"] == {"diagnosis": "expired", "header.x-device": "mine"}


async def test_what_a_configuration_hides_is_hidden_everywhere(auditor: Auditor, paper: Paper) -> None:
    hidden = Redaction(
        masked=frozenset({"query.token", "header.x-customer-id", "client.ip"}),
        visible=3,
        hashed=frozenset({"claims.email", "header.user-agent"}),
    )
    recording = Recording(revision="abc", redaction=hidden)
    given = {"header.x-customer-id": "4711", "claims.email": "a@example.com", "query.token": "abcdef"}
    for principal in (ALICE, ANONYMOUS):
        await auditor.decision(replace(PERMIT, principal=principal), recording=recording, attributes=given)
        auditor.completion(replace(PERMIT, principal=principal), DONE, recording=recording)
    await auditor.event(Event(kind=EventKind.LOGIN, actor=None, source_ip=HEAD.client, user_agent="curl/8"))
    agent = keyed_hash(KEY, "curl/8")
    records = [
        decode(StoredRecord(writer="w", seq=1, body=body, personal=paper.opened(number)))
        for number, body in enumerate(paper.bodies)
    ]
    for record in records:
        assert record["source_ip"] == "203***"
        assert record["user_agent"] in {agent, None}
        assert record["path"] in {"/orders/7?token=sec***", None}
    for record in (records[0], records[2]):
        assert record["user_agent"] == agent
        assert record["attributes"] == {
            "header.x-customer-id": "471***",
            "claims.email": keyed_hash(KEY, "a@example.com"),
            "query.token": "abc***",
        }
    # The next configuration hides nothing any more.
    auditor.adopt(Redaction())
    auditor.completion(PERMIT, DONE, recording=ABC)
    assert b"203.0.113.7" in paper.opened(len(paper.bodies) - 1)


async def test_when_room_gets_short_completions_are_spared_and_then_nothing_is_decided(
    paper: Paper,
) -> None:
    pressure = Pressure(100)
    auditor = auditor_on(paper, pressure)
    pressure.measure(80)
    auditor.completion(PERMIT, DONE, recording=ABC)
    assert (auditor.available, len(paper.bodies), pressure.spared) == (True, 1, 0)
    pressure.measure(85)
    await auditor.decision(PERMIT, recording=ABC)
    auditor.completion(PERMIT, DONE, recording=ABC)
    assert (auditor.available, len(paper.bodies), pressure.spared) == (True, 2, 1)
    pressure.measure(95)
    auditor.completion(PERMIT, DONE, recording=ABC)
    with pytest.raises(AuditUnavailable):
        await auditor.decision(PERMIT, recording=ABC)
    with pytest.raises(AuditUnavailable):
        await auditor.own(HEAD, route="r", principal=None, status=200, reason=Reason.OK)
    assert (auditor.available, len(paper.bodies), pressure.spared, auditor.missing) == (False, 2, 2, 0)
    # What was lost can always be told.
    await auditor.event(Event(kind=EventKind.AUDIT_GAP, actor=None))
    pressure.measure(10)
    await auditor.decision(PERMIT, recording=ABC)
    assert len(paper.bodies) == 4
