"""A route that asks for a second factor: who passes, what the others are told, and how long it holds."""

from dataclasses import replace
from pathlib import Path

import pytest
from support.blocking import HeldOff
from support.heads import head_for

from gateway.config import Snapshot, load_configuration
from gateway.identity import Answer, Authenticator, Rejected
from gateway.model import Decision, Permit, Principal, PrincipalKind, Reason, Refusal, RequestHead
from gateway.pipeline import Stages
from gateway.pipeline.again import refused_now
from gateway.pipeline.chain import chain
from gateway.ports import SystemClock
from gateway.stores.memory import MemoryCounters

POLICIES = """\
version: 1
scopes: {a:read: A}
roles: {reader: {scopes: [a:read]}}
authenticators: {gateway: {kind: gateway_jwt}, keys: {kind: api_key, header: x-api-key}}
defaults: {authn: [gateway, keys], limits: [{limit: 3/min, per: client_ip}]}
routes:
  - {id: plain, match: {methods: [GET], path: /plain}, upstream: s, require: [a:read]}
  - {id: pay, match: {methods: [GET], path: /pay}, upstream: s, require: [a:read], mfa: {max_age: 10min}}
  - id: kept
    match: {methods: [GET], path: /kept}
    upstream: s
    require: [a:read]
    mfa: {max_age: 10min}
    streams: {on_expiry: keep}
"""
UPSTREAMS = 'version: 1\nupstreams: {s: {targets: [{url: "http://127.0.0.1:9"}]}}\n'
NOON = 43200.0
ANNA = Principal(
    id="usr_1",
    kind=PrincipalKind.USER,
    name="anna",
    authn="gateway",
    authn_kind="gateway_jwt",
    roles=frozenset({"reader"}),
    claims={},
)


class Vouching(Authenticator):
    """Says who it is told to say."""

    kind = "gateway_jwt"

    def __init__(self, principal: Principal) -> None:
        self.name = "gateway"
        self.fields = frozenset()
        self.principal = principal

    async def identify(self, head: RequestHead) -> Answer:
        return self.principal

    async def reconsider(self, principal: Principal) -> Principal | Rejected:
        return principal

    def challenge(self, *, rejected: bool) -> str | None:
        return None


@pytest.fixture
def snapshot(tmp_path: Path) -> Snapshot:
    (tmp_path / "policies.yaml").write_text(POLICIES)
    (tmp_path / "upstreams.yaml").write_text(UPSTREAMS)
    loaded = load_configuration(tmp_path / "policies.yaml", tmp_path / "upstreams.yaml", environ={})
    assert loaded.snapshot is not None, loaded.findings
    return loaded.snapshot


def stages(principal: Principal) -> Stages:
    vouching = Vouching(principal)
    return Stages(
        authenticators={"gateway": vouching, "keys": vouching},
        counters=MemoryCounters(SystemClock()),
        blocked=HeldOff(),
    )


async def ask(snapshot: Snapshot, principal: Principal, target: str = "/pay") -> Decision:
    return await chain(replace(head_for(target), received=NOON), snapshot, stages(principal))


@pytest.mark.parametrize(("ago", "passes"), [(0.0, True), (600.0, True), (600.5, False), (-5.0, True)])
async def test_a_factor_counts_for_as_long_as_the_route_says(
    snapshot: Snapshot, ago: float, *, passes: bool
) -> None:
    decision = await ask(snapshot, replace(ANNA, mfa_at=NOON - ago))
    assert isinstance(decision, Permit) is passes


async def test_other_routes_ask_for_none(snapshot: Snapshot) -> None:
    assert isinstance(await ask(snapshot, ANNA, "/plain"), Permit)


@pytest.mark.parametrize(
    ("principal", "diagnosis"),
    [
        (ANNA, "no second factor was proved"),
        (replace(ANNA, mfa_at=NOON - 601), "it was proved too long ago"),
        (replace(ANNA, id="key_1", kind=PrincipalKind.API_KEY, claims=None), "no second factor was proved"),
        (replace(ANNA, id="cli_1", kind=PrincipalKind.CLIENT), "no second factor was proved"),
    ],
)
async def test_whoever_has_not_proved_one_is_asked_for_it(
    snapshot: Snapshot, principal: Principal, diagnosis: str
) -> None:
    refusal = await ask(snapshot, principal)
    assert isinstance(refusal, Refusal)
    assert (refusal.reason, refusal.diagnosis) == (Reason.MFA_REQUIRED, diagnosis)
    assert refusal.principal == principal
    assert refusal.rule is not None
    (challenge,) = refusal.challenges
    assert challenge == (
        'Bearer realm="gateway", error="insufficient_user_authentication", '
        'error_description="A second factor is required", max_age="600"'
    )


async def test_a_token_that_is_bound_to_a_key_is_asked_for_by_its_own_scheme(snapshot: Snapshot) -> None:
    refusal = await ask(snapshot, replace(ANNA, claims={"cnf": {"jkt": "a"}}))
    assert isinstance(refusal, Refusal)
    assert refusal.challenges[0].startswith("DPoP ")


async def test_it_is_asked_before_scopes(snapshot: Snapshot) -> None:
    nobody = replace(ANNA, roles=frozenset())
    assert isinstance(refused := await ask(snapshot, nobody), Refusal)
    assert refused.reason is Reason.MFA_REQUIRED
    assert isinstance(refused := await ask(snapshot, replace(nobody, mfa_at=NOON)), Refusal)
    assert refused.reason is Reason.INSUFFICIENT_SCOPE


async def test_being_asked_costs_the_address(snapshot: Snapshot) -> None:
    one = stages(ANNA)
    head = replace(head_for("/pay"), received=NOON)
    found = [await chain(head, snapshot, one) for _ in range(4)]
    reasons = [each.reason for each in found if isinstance(each, Refusal)]
    assert reasons == [Reason.MFA_REQUIRED] * 3 + [Reason.RATE_EXCEEDED]


async def test_a_stream_ends_when_its_factor_is_too_old(snapshot: Snapshot) -> None:
    fresh = replace(ANNA, mfa_at=NOON - 590)
    for target, later in (("/pay", Reason.MFA_REQUIRED), ("/kept", None)):
        permit = await ask(snapshot, fresh, target)
        assert isinstance(permit, Permit)
        assert refused_now(permit, fresh, snapshot, now=NOON + 10) is None
        assert refused_now(permit, fresh, snapshot, now=NOON + 11) is later
