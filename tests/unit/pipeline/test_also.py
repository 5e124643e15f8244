"""A route that asks for a certificate besides: it must be good, and names nobody."""

from dataclasses import replace
from pathlib import Path

import pytest
from support.blocking import HeldOff
from support.heads import head_for

from gateway.config import Snapshot, load_configuration
from gateway.identity import Answer, Authenticator, Mtls, Rejected
from gateway.model import (
    ClientCertificate,
    Decision,
    Permit,
    Principal,
    PrincipalKind,
    Reason,
    Refusal,
    RequestHead,
)
from gateway.pipeline import Stages
from gateway.pipeline.again import refused_now
from gateway.pipeline.chain import chain
from gateway.pipeline.recorded import recorded_of
from gateway.ports import SystemClock
from gateway.stores.memory import MemoryCounters

POLICIES = """\
version: 1
scopes: {a:read: A}
roles: {reader: {scopes: [a:read]}}
authenticators: {gateway: {kind: gateway_jwt}, machines: {kind: mtls, subject: san_uri}}
defaults: {authn: [gateway], limits: [{limit: 3/min, per: client_ip}]}
routes:
  - {id: both, match: {methods: [GET], path: /both}, upstream: s, require: [a:read], also: [machines]}
  - {id: kept, match: {methods: [GET], path: /kept}, upstream: s, require: [a:read], also: [machines], streams: {on_expiry: keep}}
"""
UPSTREAMS = 'version: 1\nupstreams: {s: {targets: [{url: "http://127.0.0.1:9"}]}}\n'
NOW = SystemClock().now()
ANNA = Principal(
    id="usr_1",
    kind=PrincipalKind.USER,
    name="anna",
    authn="gateway",
    authn_kind="gateway_jwt",
    roles=frozenset({"reader"}),
)
JOB = ClientCertificate(
    subject="CN=job",
    issuer="CN=authority",
    serial="1",
    fingerprint="00" * 32,
    san_uri=("spiffe://example.com/job",),
    not_after=NOW + 600,
)


class Vouching(Authenticator):
    """Says who it is told to say."""

    kind = "gateway_jwt"

    def __init__(self, answer: Answer) -> None:
        self.name = "gateway"
        self.fields = frozenset()
        self.answer = answer

    async def identify(self, head: RequestHead) -> Answer:
        return self.answer

    async def reconsider(self, principal: Principal) -> Principal | Rejected:
        return principal

    def challenge(self, *, rejected: bool) -> str | None:
        return "Bearer"


@pytest.fixture
def snapshot(tmp_path: Path) -> Snapshot:
    (tmp_path / "policies.yaml").write_text(POLICIES)
    (tmp_path / "upstreams.yaml").write_text(UPSTREAMS)
    loaded = load_configuration(tmp_path / "policies.yaml", tmp_path / "upstreams.yaml", environ={})
    assert loaded.snapshot is not None, loaded.findings
    return loaded.snapshot


async def decided(
    snapshot: Snapshot, certificate: ClientCertificate | None, *, answer: Answer = ANNA, path: str = "/both"
) -> Decision:
    clock = SystemClock()
    stages = Stages(
        authenticators={
            "gateway": Vouching(answer),
            "machines": Mtls("machines", subject="san_uri", clock=clock),
        },
        counters=MemoryCounters(clock),
        blocked=HeldOff(),
    )
    return await chain(replace(head_for(path), certificate=certificate), snapshot, stages)


async def test_with_both_the_caller_is_whom_the_token_names(snapshot: Snapshot) -> None:
    permit = await decided(snapshot, JOB)
    assert isinstance(permit, Permit)
    assert permit.principal is ANNA


@pytest.mark.parametrize(
    ("certificate", "reason", "diagnosis"),
    [
        (None, Reason.CREDENTIALS_MISSING, "machines: absent"),
        (
            replace(JOB, not_after=NOW - 1),
            Reason.CREDENTIALS_INVALID,
            "machines: the certificate has expired",
        ),
        (replace(JOB, san_uri=()), Reason.CREDENTIALS_INVALID, "machines: the certificate has no san_uri"),
    ],
)
async def test_without_a_good_certificate_nobody_passes(
    snapshot: Snapshot, certificate: ClientCertificate | None, reason: Reason, diagnosis: str
) -> None:
    refusal = await decided(snapshot, certificate)
    assert isinstance(refusal, Refusal)
    assert refusal.reason is reason
    assert refusal.diagnosis.startswith(diagnosis)
    assert refusal.challenges == ('ClientCertificate realm="gateway"',)
    # Who it was is known all the same.
    assert refusal.principal is ANNA


async def test_a_certificate_does_not_make_up_for_a_bad_token(snapshot: Snapshot) -> None:
    refusal = await decided(snapshot, JOB, answer=Rejected("bad"))
    assert isinstance(refusal, Refusal)
    assert refusal.diagnosis == "gateway: bad"
    assert refusal.challenges == ("Bearer",)


async def test_whose_certificate_it_was_is_recorded(snapshot: Snapshot) -> None:
    permit = await decided(snapshot, JOB)
    assert recorded_of(permit, snapshot) == {"client.cert.san_uri": "spiffe://example.com/job"}
    refusal = await decided(snapshot, None)
    assert recorded_of(refusal, snapshot) == {"client.cert.san_uri": None}


async def test_what_goes_on_ends_with_the_certificate_unless_it_may_outlive_it(snapshot: Snapshot) -> None:
    permit = await decided(snapshot, JOB)
    assert isinstance(permit, Permit)
    assert refused_now(permit, ANNA, snapshot, now=NOW + 599) is None
    assert refused_now(permit, ANNA, snapshot, now=NOW + 600) is Reason.CREDENTIALS_INVALID
    kept = await decided(snapshot, JOB, path="/kept")
    assert isinstance(kept, Permit)
    assert refused_now(kept, ANNA, snapshot, now=NOW + 600) is None
    bare = replace(kept, head=replace(kept.head, certificate=None))
    assert refused_now(bare, ANNA, snapshot, now=NOW) is Reason.CREDENTIALS_MISSING
