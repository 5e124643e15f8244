"""The enforcement point fails closed, and nothing counts before it is written down."""

import asyncio
import json
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import replace
from math import inf
from pathlib import Path
from typing import cast

import pytest
from support.auditing import HASH_KEY, SEALER, auditor_on
from support.blocking import HeldOff
from support.heads import head_for

from gateway.audit import decode, keyed_hash
from gateway.config import Current, Recorded, Snapshot, load_configuration
from gateway.crypto import open_parts
from gateway.identity import ABSENT, Answer, Authenticator, Rejected
from gateway.limits import LimitPlan
from gateway.model import (
    ANONYMOUS,
    Charge,
    Completion,
    Fields,
    Outcome,
    Permit,
    Preflight,
    Principal,
    PrincipalKind,
    Reason,
    Refusal,
    RequestHead,
    Route,
    Unsettled,
    Verdict,
)
from gateway.observability import Metrics, families
from gateway.pipeline import Enforcer, OwnRoute, Stages
from gateway.pipeline.recorded import recorded_of
from gateway.ports import StoredRecord, StoreUnavailable, SystemClock
from gateway.stores.memory import MemoryCounters
from gateway.stores.spool import SpoolWriter, UnshippedSpool

POLICIES = """\
version: 1
roles: {cipher: {scopes: ["gateway:crypto"]}}
authenticators: {gateway: {kind: gateway_jwt}}
defaults: {authn: [gateway], limits: [{limit: 3/min, per: client_ip}]}
crypto: {limits: [{limit: 6/min, per: principal, cost: 2}, {limit: 100/min, per: all}]}
deny: [{id: evil, when: {header.x-evil: {present: true}}}]
routes:
  - {id: open, match: {methods: [GET], path: /open}, upstream: s, authn: public, because: For tests}
  - {id: closed, match: {methods: [GET], path: /closed}, upstream: s, require: authenticated}
  - id: paged
    match: {methods: [GET], path: /paged}
    upstream: s
    require: authenticated
    cors: {origins: [https://app.example.com]}
  - {id: gone, match: {methods: [GET], path: /gone}, authn: public, because: For tests, respond: {status: 410}}
  - id: sealed
    match: {methods: [GET], path: /sealed}
    upstream: s
    require: authenticated
    encrypt_response: {key: reports}
  - id: secret
    match: {methods: [POST], path: /secret}
    upstream: s
    require: authenticated
    decrypt_request: {key: reports}
"""
UPSTREAMS = 'version: 1\nupstreams: {s: {targets: [{url: "http://127.0.0.1:9"}]}}\n'
WALT = Principal(id="usr_1", kind=PrincipalKind.USER, name="walt", authn="gateway", authn_kind="gateway_jwt")
ME = OwnRoute(
    route=Route(
        id="gateway:auth.me",
        host=None,
        methods=frozenset({"GET"}),
        path="/gateway/v1/auth/me",
        upstream="",
        place="built in",
    ),
    needs_principal=True,
)


class Scripted(Authenticator):
    """Says what it is told to say."""

    kind = "gateway_jwt"

    def __init__(self, answer: Answer | Exception) -> None:
        self.name = "gateway"
        self.fields = frozenset()
        self.answer = answer
        self.now: Principal | Rejected | None = None
        """Who it says somebody is by now; None: whoever it was before."""

    async def identify(self, head: RequestHead) -> Answer:
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    async def reconsider(self, principal: Principal) -> Principal | Rejected:
        return self.now or principal

    def challenge(self, *, rejected: bool) -> str | None:
        return "Bearer"


def head(path: str, **fields: str) -> RequestHead:
    lines = [(name.replace("_", "-").encode(), value.encode()) for name, value in fields.items()]
    return replace(head_for(path), id=str(uuid.uuid4()), fields=Fields(lines))


@pytest.fixture
def snapshot(tmp_path: Path) -> Snapshot:
    (tmp_path / "policies.yaml").write_text(POLICIES)
    (tmp_path / "upstreams.yaml").write_text(UPSTREAMS)
    loaded = load_configuration(tmp_path / "policies.yaml", tmp_path / "upstreams.yaml", environ={})
    assert loaded.snapshot is not None, loaded.findings
    return loaded.snapshot


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[SpoolWriter]:
    writer = SpoolWriter.open(tmp_path / "spool")
    yield writer
    writer.close()


@pytest.fixture
def tokens() -> Scripted:
    return Scripted(WALT)


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
def enforcer(snapshot: Snapshot, spool: SpoolWriter, tokens: Scripted, metrics: Metrics) -> Enforcer:
    clock = SystemClock()
    return Enforcer(
        current=Current(snapshot),
        stages=Stages(authenticators={"gateway": tokens}, counters=MemoryCounters(clock), blocked=HeldOff()),
        auditor=auditor_on(spool, clock),
        metrics=metrics,
    )


def written(tmp_path: Path) -> list[bytes]:
    unshipped = UnshippedSpool(tmp_path / "spool")
    return [
        body
        for writer in unshipped.writers()
        for run in unshipped.read(writer, after=0)
        for body in run.bodies
    ]


async def test_a_permit_is_on_disk_when_it_is_handed_out(enforcer: Enforcer, tmp_path: Path) -> None:
    request = head("/closed")
    decision, snapshot = await enforcer.decide(request)
    assert isinstance(decision, Permit)
    assert snapshot is enforcer.snapshot
    (record,) = written(tmp_path)
    assert request.id.encode() in record


async def test_a_refusal_is_on_disk_when_it_is_handed_out(enforcer: Enforcer, tmp_path: Path) -> None:
    decision, _ = await enforcer.decide(head("/nowhere"))
    assert isinstance(decision, Refusal)
    (record,) = written(tmp_path)
    assert b'"no-route"' in record
    assert b"404" in record


async def test_what_cannot_be_written_down_is_not_permitted(enforcer: Enforcer, spool: SpoolWriter) -> None:
    spool.close()
    for path in ("/open", "/closed", "/nowhere"):
        decision, _ = await enforcer.decide(head(path))
        assert isinstance(decision, Refusal)
        assert (decision.reason, decision.retry_after) == (Reason.AUDIT_UNAVAILABLE, 1)


async def test_own_endpoints_are_not_even_begun_when_nothing_can_be_written_down(
    enforcer: Enforcer, spool: SpoolWriter, tokens: Scripted
) -> None:
    spool.close()
    admitted = await enforcer.admit_own(head("/gateway/v1/auth/me"), ME, [tokens])
    assert isinstance(admitted, Refusal)
    assert admitted.reason is Reason.AUDIT_UNAVAILABLE
    recorded = await enforcer.record_own(
        head("/gateway/v1/auth/me"), route=ME, principal=ANONYMOUS, status=200, refusal=None
    )
    assert not recorded


async def test_a_question_that_nobody_can_answer_is_answered_no(
    enforcer: Enforcer, tokens: Scripted, tmp_path: Path
) -> None:
    tokens.answer = StoreUnavailable("the database is away")
    decision, _ = await enforcer.decide(head("/closed"))
    assert isinstance(decision, Refusal)
    assert decision.reason is Reason.DEPENDENCY_UNAVAILABLE
    record = written(tmp_path)[0]
    assert b"the database is away" in record
    assert b'"route":"closed"' in record
    admitted = await enforcer.admit_own(head("/gateway/v1/auth/me"), ME, [tokens])
    assert isinstance(admitted, Refusal)
    assert admitted.reason is Reason.DEPENDENCY_UNAVAILABLE


async def test_own_endpoints_are_guarded_identified_and_limited(enforcer: Enforcer, tokens: Scripted) -> None:
    path = "/gateway/v1/auth/me"
    denied = await enforcer.admit_own(head(path, x_evil="yes"), ME, [tokens])
    assert isinstance(denied, Refusal)
    assert denied.reason is Reason.DENIED
    assert await enforcer.admit_own(head(path), ME, [tokens]) == WALT
    tokens.answer = ABSENT
    missing = await enforcer.admit_own(head(path), ME, [tokens])
    assert isinstance(missing, Refusal)
    assert missing.reason is Reason.CREDENTIALS_MISSING
    # One denied, one admitted, one unidentified: the address has spent its three.
    spent = await enforcer.admit_own(head(path), ME, [tokens])
    assert isinstance(spent, Refusal)
    assert spent.reason is Reason.RATE_EXCEEDED


async def test_an_unreadable_request_is_recorded_with_its_address(enforcer: Enforcer, tmp_path: Path) -> None:
    refusal = await enforcer.refuse(Refusal(head=head("/x"), reason=Reason.MALFORMED_REQUEST))
    assert refusal.reason is Reason.MALFORMED_REQUEST
    assert b"192.0.2.1" in written(tmp_path)[0]


@pytest.mark.parametrize("closes", [False, True])
async def test_a_connection_that_cannot_be_trusted_any_more_ends_whatever_the_answer_becomes(
    enforcer: Enforcer, spool: SpoolWriter, closes: bool
) -> None:
    def refused(reason: Reason) -> Refusal:
        return Refusal(head=head("/x"), reason=reason, close=closes)

    async def answered(reason: Reason) -> tuple[Reason, bool]:
        refusal = await enforcer.refuse(refused(reason))
        return refusal.reason, refusal.close

    for _ in range(3):
        assert await answered(Reason.METHOD_NOT_ALLOWED) == (Reason.METHOD_NOT_ALLOWED, closes)
    assert await answered(Reason.METHOD_NOT_ALLOWED) == (Reason.RATE_EXCEEDED, closes)
    spool.close()
    assert await answered(Reason.MALFORMED_REQUEST) == (Reason.AUDIT_UNAVAILABLE, closes)


async def test_a_connection_that_cannot_be_trusted_any_more_ends_also_when_a_store_is_away(
    snapshot: Snapshot, spool: SpoolWriter, metrics: Metrics
) -> None:
    class Away(MemoryCounters):
        """Counts nothing."""

        async def take(self, charges: Sequence[Charge]) -> Verdict:
            raise StoreUnavailable("the counters are away")

    clock = SystemClock()
    enforcer = Enforcer(
        current=Current(snapshot),
        stages=Stages(authenticators={}, counters=Away(clock), blocked=HeldOff()),
        auditor=auditor_on(spool, clock),
        metrics=metrics,
    )
    refusal = await enforcer.refuse(Refusal(head=head("/x"), reason=Reason.METHOD_NOT_ALLOWED, close=True))
    assert (refusal.reason, refusal.close) == (Reason.DEPENDENCY_UNAVAILABLE, True)


async def test_what_cannot_be_written_down_is_refused_on_its_route(
    enforcer: Enforcer, spool: SpoolWriter
) -> None:
    spool.close()
    decision, _ = await enforcer.decide(head("/paged"))
    assert isinstance(decision, Refusal)
    # So that the page that asked may read why.
    assert decision.route is not None
    assert decision.route.id == "paged"


async def test_a_completion_that_cannot_be_written_is_no_error(
    enforcer: Enforcer, spool: SpoolWriter
) -> None:
    decision, _ = await enforcer.decide(head("/open"))
    assert isinstance(decision, Permit)
    spool.close()
    enforcer.complete(
        decision,
        Completion(status=200, bytes_in=0, bytes_out=0, duration_ms=1.0, outcome=Outcome.COMPLETE),
    )


async def test_an_answer_of_the_gateway_is_recorded_with_its_status_and_no_upstream(
    enforcer: Enforcer, tmp_path: Path, metrics: Metrics
) -> None:
    decision, _ = await enforcer.decide(head("/gone"))
    assert isinstance(decision, Permit)
    completion = Completion(status=410, bytes_in=0, bytes_out=3, duration_ms=1.0, outcome=Outcome.COMPLETE)
    enforcer.complete(decision, completion)
    await enforcer.decide(head("/open"))
    decided, completed, forwarded = (json.loads(record) for record in written(tmp_path))
    assert (decided["decision"], decided["status"], decided["route"]) == ("allow", 410, "gone")
    assert (completed["status"], completed["outcome"], completed["route"]) == (410, "complete", "gone")
    assert "upstream" not in decided
    assert "upstream" not in completed
    assert "status" not in forwarded
    assert forwarded["upstream"] == "s"
    state = metrics.state()
    assert state[families.RESPONSES.name] == {"gone\x1f4xx": [1]}
    assert state[families.EXCHANGES.name] == {}


LOOKING = """\
version: 1
scopes: {a:read: A}
roles: {reader: {scopes: [a:read]}}
authenticators: {gateway: {kind: gateway_jwt}, keys: {kind: api_key, header: x-api-key}}
defaults: {authn: [gateway, keys]}
audit: {mask: {fields: [query.token, claims.email], visible: 2}, hash: [header.x-customer]}
deny:
  - {id: evil, when: {header.x-evil: {is: "yes"}, client.ip: {is: 198.51.100.7}}}
  - {id: unverified, routes: [a], when: {claims.verified: {is: false}}}
  - {id: no-keys, routes: [a], when: {authn.kind: {is: api_key}}}
routes:
  - id: a
    match: {methods: [GET], path: "/a/{id}"}
    upstream: s
    require: [a:read]
    when: {query.q: {is: "yes"}, path.id: {is: "1"}, time: {during: always}}
  - id: cookies
    match: {methods: [GET], path: /cookies}
    upstream: s
    require: authenticated
    when: {any_of: [{header.cookie: {present: true}}, {header.x-api-key: {present: true}}]}
  - id: tidy
    match: {methods: [GET], path: /tidy}
    upstream: s
    require: authenticated
    when:
      query.access_token: {present: false}
      header.x-session-token: {present: false}
      any_of: [{query.page: {present: false}}, {query.page: {is: "1"}}, {query.page: {same_as: query.same}}]
      claims.email: {present: true}
  - {id: open, match: {methods: [GET], path: /open}, upstream: s, authn: public, because: For tests}
schedules: {always: {days: mon-sun, from: "00:00", to: "24:00", timezone: UTC}}
"""


@pytest.fixture
def looking(tmp_path: Path, spool: SpoolWriter, tokens: Scripted, metrics: Metrics) -> Enforcer:
    """A gateway whose conditions look at what only some requests have."""
    (tmp_path / "policies.yaml").write_text(LOOKING)
    (tmp_path / "upstreams.yaml").write_text(UPSTREAMS)
    loaded = load_configuration(tmp_path / "policies.yaml", tmp_path / "upstreams.yaml", environ={})
    assert loaded.snapshot is not None, loaded.findings
    keys = Scripted(ABSENT)
    return Enforcer(
        current=Current(loaded.snapshot),
        stages=Stages(
            authenticators={"gateway": tokens, "keys": keys},
            counters=MemoryCounters(SystemClock()),
            blocked=HeldOff(),
        ),
        auditor=auditor_on(spool),
        metrics=metrics,
    )


def attributes(tmp_path: Path) -> list[dict[str, object]]:
    """What the records say besides their own fields, as a reader finds it."""
    unshipped = UnshippedSpool(tmp_path / "spool")
    found = []
    for writer in unshipped.writers():
        for run in unshipped.read(writer, after=0):
            for body, sealed in zip(run.bodies, run.personal, strict=True):
                parts = {part.subject: part.fields for part in open_parts(SEALER, sealed)}
                stored = StoredRecord(writer="w", seq=1, body=body, personal=json.dumps(parts).encode())
                found.append(decode(stored)["attributes"])
    return cast("list[dict[str, object]]", found)


async def test_what_conditions_look_at_is_recorded_null_where_the_request_has_none(
    looking: Enforcer, tokens: Scripted, tmp_path: Path
) -> None:
    claims = {"verified": True, "email": "walt@example.com", "other": 1}
    tokens.answer = replace(WALT, roles=frozenset({"reader"}), claims=claims, subject="usr_1")
    request = head("/a/1?q=yes&token=abcdef", x_customer="4711")
    await looking.decide(request)
    (found,) = attributes(tmp_path)
    assert found == {
        "header.x-evil": None,
        "header.x-customer": keyed_hash(HASH_KEY, "4711"),
        "query.q": "yes",
        "claims.verified": True,
        "claims.email": "wa***",
        "authn.kind": "gateway_jwt",
    }
    (record,) = map(json.loads, written(tmp_path))
    assert record["path"] == "/a/1?q=***&token=ab***"
    assert record["attributes"] == {"authn.kind": "gateway_jwt"}


async def test_of_a_caller_whom_nobody_knows_only_the_request_is_recorded(
    looking: Enforcer, tokens: Scripted, tmp_path: Path
) -> None:
    tokens.answer = ABSENT
    for path in ("/a/1", "/open", "/nowhere"):
        await looking.decide(head(path))
    request = {"header.x-evil": None, "header.x-customer": None}
    assert attributes(tmp_path) == [{**request, "query.q": None}, request, request]


async def test_of_a_credential_that_a_condition_looks_at_only_its_presence_is_recorded(
    looking: Enforcer, tmp_path: Path
) -> None:
    await looking.decide(head("/cookies", cookie="sid=secret"))
    (found,) = attributes(tmp_path)
    assert (found["header.cookie"], found["header.x-api-key"]) == ("***", None)
    assert "secret" not in json.dumps(found)


async def test_of_what_is_only_asked_to_be_there_the_value_is_not_recorded(
    looking: Enforcer, tokens: Scripted, tmp_path: Path
) -> None:
    """A rule against credentials in the query must not be what puts them into the trail."""
    tokens.answer = replace(WALT, claims={"email": "walt@example.com"}, subject="usr_1")
    sent = head("/tidy?access_token=hunter2&page=2&same=3", x_session_token="hunter2")
    decision, _ = await looking.decide(sent)
    assert isinstance(decision, Refusal)
    (found,) = attributes(tmp_path)
    assert (found["query.access_token"], found["header.x-session-token"]) == ("***", "***")
    # What is compared as well is needed to decide again; what is listed is shown as the list says.
    assert (found["query.page"], found["query.same"]) == ("2", "3")
    assert found["claims.email"] == "wa***"
    assert "hunter2" not in json.dumps(found)
    await looking.decide(head("/tidy"))
    assert attributes(tmp_path)[1]["query.access_token"] is None


async def test_whence_a_credential_came_that_has_ended_is_said_of_its_owner(
    enforcer: Enforcer, tokens: Scripted, tmp_path: Path
) -> None:
    tokens.answer = Rejected("key_1 is revoked", subject="usr_1")
    decided = [await enforcer.decide(head("/closed")) for _ in range(4)]
    decision, _ = decided[-1]
    assert isinstance(decision, Refusal)
    assert decision.reason is Reason.RATE_EXCEEDED
    admitted = await enforcer.admit_own(head("/gateway/v1/auth/me"), ME, [tokens])
    assert isinstance(admitted, Refusal)
    await enforcer.record_own(
        admitted.head or head("/"),
        route=ME,
        principal=ANONYMOUS,
        status=429,
        refusal=replace(admitted, subject="usr_1"),
    )
    *refused, unasked, own = map(json.loads, written(tmp_path))
    for record in (*refused, own):
        assert set(record["personal"]) == {"usr_1"}
        assert "source_ip" not in record
    # An address that has spent its limit is not even asked for a credential.
    assert unasked["source_ip"] == "192.0.2.1"


async def test_who_is_refused_on_the_way_to_an_own_endpoint_is_recorded(
    enforcer: Enforcer, tmp_path: Path
) -> None:
    refusal = Refusal(head=head("/gateway/v1/auth/me"), reason=Reason.RATE_EXCEEDED, principal=WALT)
    await enforcer.record_own(
        head("/gateway/v1/auth/me"), route=ME, principal=ANONYMOUS, status=429, refusal=refusal
    )
    (record,) = map(json.loads, written(tmp_path))
    assert record["actor"] == {"id": "usr_1", "kind": "user", "name": "walt"}


async def test_a_decision_by_a_missing_attribute_is_recorded_and_counted_as_broken(
    looking: Enforcer, tokens: Scripted, tmp_path: Path, metrics: Metrics
) -> None:
    reader = replace(WALT, roles=frozenset({"reader"}), claims={})
    tokens.answer = reader
    await looking.decide(head("/a/1?q=yes"))  # claims.verified is missing: the deny rule holds.
    tokens.answer = replace(reader, claims={"verified": True})
    await looking.decide(head("/a/1"))  # query.q is missing: the route's condition does not hold.
    tokens.answer = replace(reader, claims={"verified": False})
    await looking.decide(head("/a/1"))
    await looking.decide(head("/open"))  # x-evil is missing, and the address is another one.
    first, second, third, fourth = attributes(tmp_path)
    assert (first["broken"], second["broken"]) == (True, True)
    assert "broken" not in third
    assert "broken" not in fourth
    assert metrics.state()[families.BROKEN_CONDITIONS.name] == {"a": [2]}


async def test_a_rule_that_guards_everything_is_broken_by_what_is_missing_too(
    looking: Enforcer, tmp_path: Path
) -> None:
    evil = replace(head("/open"), client="198.51.100.7")
    decision, _ = await looking.decide(evil)
    assert isinstance(decision, Refusal)
    assert (decision.reason, decision.broken) == (Reason.DENIED, True)
    admitted = await looking.admit_own(evil, ME, [])
    assert isinstance(admitted, Refusal)
    await looking.record_own(evil, route=ME, principal=ANONYMOUS, status=403, refusal=admitted)
    for found in attributes(tmp_path):
        assert found == {"header.x-evil": None, "header.x-customer": None, "broken": True}


async def test_where_no_condition_looks_at_anything_nothing_is_read(enforcer: Enforcer) -> None:
    snapshot = enforcer.snapshot
    assert snapshot.records_attributes  # The deny rule looks at a field of the header.
    assert not snapshot.plans["open"].recorded.caller
    plain = replace(snapshot, recorded=Recorded(), plans={})
    assert not plain.records_attributes
    assert recorded_of(Refusal(head=head("/"), reason=Reason.NO_ROUTE), plain) == {}


async def test_a_preflight_is_recorded_and_counted_under_the_route_it_asks_for(
    enforcer: Enforcer, tmp_path: Path, metrics: Metrics
) -> None:
    asked = {"Origin": "https://app.example.com", "Access_Control_Request_Method": "GET"}
    request = replace(head("/paged", **asked), method="OPTIONS")
    decision, _ = await enforcer.decide(request)
    assert isinstance(decision, Preflight)
    (record,) = (json.loads(record) for record in written(tmp_path))
    assert {name: record[name] for name in ("decision", "reason", "status", "route", "action")} == {
        "decision": "allow",
        "reason": "ok",
        "status": 204,
        "route": "paged",
        "action": "OPTIONS /paged",
    }
    assert record["rule"].startswith("paged policies.yaml:")
    assert record["revision"] == enforcer.snapshot.revision
    assert "actor" not in record
    assert counted(metrics) == {"paged allow ok": 1}
    assert metrics.state()[families.RESPONSES.name] == {"paged\x1f2xx": [1]}


async def test_a_preflight_that_cannot_be_written_down_is_not_answered(
    enforcer: Enforcer, spool: SpoolWriter
) -> None:
    spool.close()
    asked = {"Origin": "https://app.example.com", "Access_Control_Request_Method": "GET"}
    decision, _ = await enforcer.decide(replace(head("/paged", **asked), method="OPTIONS"))
    assert isinstance(decision, Refusal)
    assert decision.reason is Reason.AUDIT_UNAVAILABLE


async def test_a_permit_is_asked_about_again(enforcer: Enforcer, tokens: Scripted) -> None:
    decision, _ = await enforcer.decide(head("/closed"))
    assert isinstance(decision, Permit)
    assert enforcer.refuses_now(decision) is None
    assert enforcer.refuses_now(replace(decision, principal=replace(WALT, expires_at=1.0))) is (
        Reason.CREDENTIALS_INVALID
    )
    assert await enforcer.has_recalled(decision, is_stream=True) is None
    # Somebody who has become another is asked about by the policy, where that may end it.
    tokens.now = replace(WALT, expires_at=1.0)
    assert await enforcer.has_recalled(decision, is_stream=False) is None
    assert await enforcer.has_recalled(decision, is_stream=True) is Reason.CREDENTIALS_INVALID
    tokens.now = Rejected("revoked")
    for is_stream in (False, True):
        assert await enforcer.has_recalled(decision, is_stream=is_stream) is Reason.CREDENTIALS_INVALID


def counted(metrics: Metrics) -> dict[str, int | float]:
    series = metrics.state()[families.REQUESTS.name]
    return {key.replace("\x1f", " "): number for key, (number,) in series.items()}


async def test_what_is_in_the_trail_is_counted_once(enforcer: Enforcer, metrics: Metrics) -> None:
    for path in ("/open", "/closed", "/nowhere"):
        await enforcer.decide(head(path))
    await enforcer.refuse(Refusal(head=head("/x"), reason=Reason.MALFORMED_REQUEST))
    own = head("/gateway/v1/auth/me")
    await enforcer.record_own(own, route=ME, principal=WALT, status=200, refusal=None)
    missing = Refusal(head=own, reason=Reason.NOT_FOUND)
    await enforcer.record_own(own, route=None, principal=ANONYMOUS, status=404, refusal=missing)
    assert counted(metrics) == {
        "open allow ok": 1,
        "closed allow ok": 1,
        "none deny no-route": 1,
        "none deny malformed-request": 1,
        f"{ME.route.id} allow ok": 1,
        "gateway:unknown deny not-found": 1,
    }
    (times,) = metrics.state()[families.DECISION_SECONDS.name].values()
    assert sum(times[1:]) == 3


async def test_what_could_not_be_written_down_is_counted_as_what_was_answered(
    enforcer: Enforcer, metrics: Metrics, spool: SpoolWriter
) -> None:
    spool.close()
    await enforcer.decide(head("/open"))
    await enforcer.record_own(head("/gateway/v1/auth/me"), route=ME, principal=WALT, status=200, refusal=None)
    assert counted(metrics) == {
        "open deny audit-unavailable": 1,
        f"{ME.route.id} deny audit-unavailable": 1,
    }


async def test_a_client_that_leaves_while_its_decision_is_written_is_counted_and_the_trail_says_that_it_left(
    enforcer: Enforcer, metrics: Metrics, spool: SpoolWriter, tmp_path: Path
) -> None:
    deciding = asyncio.ensure_future(enforcer.decide(head("/open")))
    # One turn of the loop takes it to the wait for the disk.
    await asyncio.sleep(0)
    deciding.cancel()
    with pytest.raises(asyncio.CancelledError):
        await deciding
    spool.write_now()
    decision, completion = written(tmp_path)
    assert b'"kind":"decision"' in decision
    assert b'"outcome":"client_left"' in completion
    assert counted(metrics) == {"open allow ok": 1}


async def test_a_permit_that_depends_on_what_is_encrypted_is_written_down_when_that_is_known(
    enforcer: Enforcer, metrics: Metrics, tmp_path: Path
) -> None:
    unsettled, snapshot = await enforcer.decide(head("/sealed"))
    assert isinstance(unsettled, Unsettled)
    assert written(tmp_path) == []
    assert await enforcer.settle(unsettled.permit, snapshot, waited=False) is unsettled.permit
    (record,) = written(tmp_path)
    assert b'"decision":"allow"' in record
    refusal = Refusal(
        head=unsettled.permit.head, reason=Reason.DECRYPTION_FAILED, route=unsettled.permit.route
    )
    assert await enforcer.settle(refusal, snapshot, waited=True) is refusal
    (_, record) = written(tmp_path)
    assert b'"decision":"deny"' in record
    assert counted(metrics) == {"sealed allow ok": 1, "sealed deny decryption-failed": 1}


async def test_a_permit_that_cannot_be_written_down_when_that_is_known_is_none(
    enforcer: Enforcer, spool: SpoolWriter
) -> None:
    unsettled, snapshot = await enforcer.decide(head("/sealed"))
    assert isinstance(unsettled, Unsettled)
    spool.close()
    settled = await enforcer.settle(unsettled.permit, snapshot, waited=False)
    assert isinstance(settled, Refusal)
    assert settled.reason is Reason.AUDIT_UNAVAILABLE


async def test_a_permit_that_ended_while_a_body_came_is_none(enforcer: Enforcer, tokens: Scripted) -> None:
    unsettled, snapshot = await enforcer.decide(replace(head("/secret"), method="POST"))
    assert isinstance(unsettled, Unsettled)
    permit = unsettled.permit
    tokens.now = Rejected("revoked")
    assert await enforcer.settle(permit, snapshot, waited=False) is permit
    settled = await enforcer.settle(permit, snapshot, waited=True)
    assert isinstance(settled, Refusal)
    assert (settled.reason, settled.challenges) == (Reason.CREDENTIALS_INVALID, ("Bearer",))
    tokens.now = None
    assert await enforcer.settle(permit, snapshot, waited=True) is permit
    enforcer._stages = replace(enforcer._stages, blocked=HeldOff({permit.head.client: inf}))
    settled = await enforcer.settle(permit, snapshot, waited=True)
    assert isinstance(settled, Refusal)
    assert settled.reason is Reason.ADDRESS_BLOCKED


@pytest.mark.parametrize(
    ("path", "method", "reason"),
    [
        ("/sealed", "GET", Reason.RESPONSE_NOT_ENCRYPTABLE),
        ("/secret", "POST", Reason.DECRYPTION_FAILED),
    ],
)
async def test_what_another_proxy_forwards_is_refused_where_it_would_have_to_be_encrypted(
    enforcer: Enforcer, path: str, method: str, reason: Reason
) -> None:
    decision, _ = await enforcer.check(replace(head(path), method=method))
    assert isinstance(decision, Refusal)
    assert decision.reason is reason
    decision, _ = await enforcer.check(head("/closed"))
    assert isinstance(decision, Permit)


async def test_a_block_holds_for_our_own_endpoints_and_for_what_goes_on(enforcer: Enforcer) -> None:
    permit, _ = await enforcer.decide(head("/open"))
    assert isinstance(permit, Permit)
    assert enforcer.refuses_now(permit) is None
    enforcer._stages = replace(enforcer._stages, blocked=HeldOff({permit.head.client: inf}))
    assert enforcer.refuses_now(permit) is Reason.ADDRESS_BLOCKED
    refusal = await enforcer.admit_own(head("/gateway/v1/auth/me"), ME, [])
    assert isinstance(refusal, Refusal)
    assert refusal.reason is Reason.ADDRESS_BLOCKED
    unknown = Refusal(head=head("/gateway/v1/x"), reason=Reason.NOT_FOUND)
    refusal = await enforcer.admit_own(head("/gateway/v1/x"), unknown, [])
    assert isinstance(refusal, Refusal)
    assert refusal.reason is Reason.ADDRESS_BLOCKED


async def test_whoever_lacks_the_scope_of_an_endpoint_is_refused_and_pays_for_it(
    enforcer: Enforcer, tokens: Scripted
) -> None:
    request = head("/gateway/v1/auth/me")
    needing = replace(ME, scope="gateway:crypto")
    holding = replace(WALT, roles=frozenset({"cipher"}))
    narrowed = replace(holding, scope_limit=frozenset({"orders:read"}))
    tokens.answer = replace(holding, scope_limit=frozenset({"gateway:crypto"}))
    assert await enforcer.admit_own(request, needing, [tokens]) is tokens.answer
    for tokens.answer in (WALT, narrowed):
        refused = await enforcer.admit_own(request, needing, [tokens])
        assert isinstance(refused, Refusal)
        assert (refused.reason, refused.principal) == (Reason.INSUFFICIENT_SCOPE, tokens.answer)
        assert refused.detail == "This needs the scope gateway:crypto."
        assert 'scope="gateway:crypto"' in refused.challenges[0]
    tokens.answer = holding
    refused = await enforcer.admit_own(request, needing, [tokens])
    assert isinstance(refused, Refusal)
    assert refused.reason is Reason.RATE_EXCEEDED


async def test_values_are_charged_one_by_one_and_all_or_none(enforcer: Enforcer) -> None:
    request = head("/gateway/v1/crypto/encrypt/reports")

    async def charge(count: int) -> tuple[int, ...] | Refusal:
        said = await enforcer.charge_values(
            request, enforcer.snapshot, principal=WALT, route="gateway:crypto", count=count
        )
        return said if isinstance(said, Refusal) else tuple(tally.remaining for tally in said)

    assert await charge(2) == (2, 98)
    refused = await charge(2)
    assert isinstance(refused, Refusal)
    assert refused.reason is Reason.RATE_EXCEEDED
    assert (refused.rule or "").startswith("crypto:0 ")
    assert refused.retry_after == pytest.approx(60, abs=1)
    assert (refused.principal, refused.detail) == (WALT, None)
    assert [tally.remaining for tally in refused.tallies] == [2, 98]
    assert await charge(1) == (0, 97)


async def test_more_values_than_a_limit_ever_admits_are_told_how_many_it_would(enforcer: Enforcer) -> None:
    request = head("/gateway/v1/crypto/encrypt/reports")
    refused = await enforcer.charge_values(
        request, enforcer.snapshot, principal=WALT, route="gateway:crypto", count=4
    )
    assert isinstance(refused, Refusal)
    assert refused.reason is Reason.RATE_EXCEEDED
    assert refused.detail == "A limit admits at most 3 values at once; send fewer."


async def test_a_request_whose_values_are_refused_is_charged_nothing_at_all(enforcer: Enforcer) -> None:
    request = head("/gateway/v1/auth/me")
    route = ME.route.id
    tokens = Scripted(WALT)

    async def call(count: int) -> bool:
        admitted = await enforcer.admit_own(request, ME, [tokens])
        assert admitted is WALT
        await asyncio.sleep(0)
        said = await enforcer.charge_values(
            request, enforcer.snapshot, principal=WALT, route=route, count=count
        )
        return not isinstance(said, Refusal)

    for _ in range(4):
        assert not any(await asyncio.gather(*(call(4) for _ in range(3))))
    assert [await call(1) for _ in range(3)] == [True] * 3
    # The address has spent what it has, and only that.
    refused = await enforcer.admit_own(request, ME, [tokens])
    assert isinstance(refused, Refusal)
    assert refused.reason is Reason.RATE_EXCEEDED


class Lost(MemoryCounters):
    """Counters that cannot be asked about values."""

    async def take(self, charges: Sequence[Charge]) -> Verdict:
        if any(limit.id.startswith("crypto") for limit, _ in charges):
            raise StoreUnavailable("Redis is away")
        return await super().take(charges)


async def test_nor_is_one_whose_values_nobody_can_count(enforcer: Enforcer) -> None:
    enforcer = Enforcer(
        current=Current(enforcer.snapshot),
        stages=replace(enforcer._stages, counters=Lost(SystemClock())),
        auditor=enforcer._auditor,
        metrics=Metrics(),
    )
    request = head("/gateway/v1/auth/me")
    for _ in range(4):
        assert await enforcer.admit_own(request, ME, [Scripted(WALT)]) is WALT
        with pytest.raises(StoreUnavailable):
            await enforcer.charge_values(
                request, enforcer.snapshot, principal=WALT, route=ME.route.id, count=1
            )


async def test_without_limits_values_cost_nothing(enforcer: Enforcer) -> None:
    bare = Enforcer(
        current=Current(replace(enforcer.snapshot, crypto_limits=LimitPlan())),
        stages=enforcer._stages,
        auditor=enforcer._auditor,
        metrics=Metrics(),
    )
    request = head("/gateway/v1/crypto/encrypt/reports")
    said = await bare.charge_values(
        request, bare.snapshot, principal=WALT, route="gateway:crypto", count=1000
    )
    assert said == ()
