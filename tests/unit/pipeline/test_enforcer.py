"""The enforcement point fails closed, and nothing counts before it is written down."""

import asyncio
import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from support.heads import head_for

from gateway.audit import Auditor
from gateway.config import Current, Snapshot, load_configuration
from gateway.identity import ABSENT, Answer, Authenticator
from gateway.model import (
    ANONYMOUS,
    Completion,
    Fields,
    Outcome,
    Permit,
    Principal,
    PrincipalKind,
    Reason,
    Refusal,
    RequestHead,
    Route,
)
from gateway.observability import Metrics, families
from gateway.pipeline import Enforcer, OwnRoute, Stages
from gateway.ports import StoreUnavailable, SystemClock
from gateway.stores.memory import MemoryCounters
from gateway.stores.spool import SpoolWriter, UnshippedSpool

POLICIES = """\
version: 1
authenticators: {gateway: {kind: gateway_jwt}}
defaults: {authn: [gateway], limits: [{limit: 3/min, per: client_ip}]}
deny: [{id: evil, when: {header.x-evil: {present: true}}}]
routes:
  - {id: open, match: {methods: [GET], path: /open}, upstream: s, authn: public, because: For tests}
  - {id: closed, match: {methods: [GET], path: /closed}, upstream: s, require: authenticated}
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

    async def identify(self, head: RequestHead) -> Answer:
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

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
        stages=Stages(authenticators={"gateway": tokens}, counters=MemoryCounters(clock)),
        auditor=Auditor(spool, clock),
        metrics=metrics,
    )


def written(tmp_path: Path) -> list[bytes]:
    unshipped = UnshippedSpool(tmp_path / "spool")
    return [record.body for writer in unshipped.writers() for record in unshipped.read(writer, after=0)]


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
        "none deny audit-unavailable": 1,
        f"{ME.route.id} deny audit-unavailable": 1,
    }


async def test_a_client_that_leaves_while_its_decision_is_written_is_counted(
    enforcer: Enforcer, metrics: Metrics, tmp_path: Path
) -> None:
    deciding = asyncio.ensure_future(enforcer.decide(head("/open")))
    # One turn of the loop takes it to the wait for the disk.
    await asyncio.sleep(0)
    deciding.cancel()
    with pytest.raises(asyncio.CancelledError):
        await deciding
    assert len(written(tmp_path)) == 1
    assert counted(metrics) == {"open allow ok": 1}
