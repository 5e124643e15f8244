"""Roles of callers from outside: before scopes, and again while what was permitted goes on."""

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
networks: {near: [192.0.2.0/24]}
scopes: {a:read: A, a:write: B}
roles: {reader: {scopes: [a:read]}, writer: {inherits: [reader], scopes: [a:write]}}
authenticators:
  gateway: {kind: gateway_jwt}
  corporate: {kind: jwt, issuer: https://login.example.com, audience: [a], jwks: auto}
grants:
  - {role: reader, from: [corporate], when: {claims.groups: {has: staff}}}
  - {role: writer, from: [corporate], when: {claims.groups: {has: staff}, client.ip: {in_network: near}}}
defaults: {authn: [gateway, corporate]}
routes:
  - {id: a, match: {methods: [GET, PUT], path: /a}, upstream: s, require: {GET: [a:read], PUT: [a:write]}}
"""
UPSTREAMS = 'version: 1\nupstreams: {s: {targets: [{url: "http://127.0.0.1:9"}]}}\n'
CAROL = Principal(
    id="https://login.example.com|carol",
    kind=PrincipalKind.EXTERNAL,
    name="carol",
    authn="corporate",
    authn_kind="jwt",
    claims={"groups": ["staff"]},
)


class Knowing(Authenticator):
    """Knows one caller."""

    kind = "jwt"

    def __init__(self, principal: Principal) -> None:
        self.name = principal.authn
        self.fields = frozenset()
        self.principal = principal

    async def identify(self, head: RequestHead) -> Answer:
        return self.principal

    async def reconsider(self, principal: Principal) -> Principal | Rejected:
        return principal

    def challenge(self, *, rejected: bool) -> str | None:
        return None


def policy(folder: Path, *changes: tuple[str, str]) -> Snapshot:
    text = POLICIES
    for before, after in changes:
        assert before in text
        text = text.replace(before, after)
    (folder / "policies.yaml").write_text(text)
    (folder / "upstreams.yaml").write_text(UPSTREAMS)
    loaded = load_configuration(folder / "policies.yaml", folder / "upstreams.yaml", environ={})
    assert loaded.snapshot is not None, loaded.findings
    return loaded.snapshot


async def ask(
    snapshot: Snapshot, method: str = "GET", *, principal: Principal = CAROL, client: str = "203.0.113.1"
) -> Decision:
    stages = Stages(
        authenticators=dict.fromkeys(("gateway", "corporate"), Knowing(principal)),
        counters=MemoryCounters(SystemClock()),
        blocked=HeldOff(),
    )
    return await chain(replace(head_for("/a"), method=method, client=client, peer=client), snapshot, stages)


def reason(decision: Decision) -> Reason:
    return decision.reason if isinstance(decision, Refusal) else Reason.OK


async def test_a_grant_opens_what_its_role_opens(tmp_path: Path) -> None:
    snapshot = policy(tmp_path)
    permit = await ask(snapshot)
    assert isinstance(permit, Permit)
    assert permit.principal.roles == {"reader"}
    assert reason(await ask(snapshot, "PUT")) is Reason.INSUFFICIENT_SCOPE
    assert reason(await ask(snapshot, "PUT", client="192.0.2.1")) is Reason.OK


async def test_without_a_grant_nothing_is_open_whatever_roles_were_claimed(tmp_path: Path) -> None:
    snapshot = policy(tmp_path, ("has: staff", "has: board"))
    for principal in (CAROL, replace(CAROL, roles=frozenset({"writer"}))):
        refused = await ask(snapshot, principal=principal)
        assert isinstance(refused, Refusal)
        assert refused.reason is Reason.INSUFFICIENT_SCOPE
        assert refused.principal is not None
        assert refused.principal.roles == frozenset()


async def test_the_gateways_own_callers_bring_their_roles_along(tmp_path: Path) -> None:
    own = replace(
        CAROL, kind=PrincipalKind.USER, authn="gateway", authn_kind="gateway_jwt", roles=frozenset({"writer"})
    )
    assert reason(await ask(policy(tmp_path), "PUT", principal=own)) is Reason.OK


async def test_what_goes_on_ends_with_its_grant(tmp_path: Path) -> None:
    snapshot = policy(tmp_path)
    permit = await ask(snapshot, "PUT", client="192.0.2.1")
    assert isinstance(permit, Permit)
    assert refused_now(permit, permit.principal, snapshot, now=1.0) is None
    without = policy(tmp_path, ("has: staff", "has: board"))
    assert refused_now(permit, permit.principal, without, now=1.0) is Reason.INSUFFICIENT_SCOPE
    elsewhere = policy(tmp_path, ("192.0.2.0/24", "198.51.100.0/24"))
    assert refused_now(permit, permit.principal, elsewhere, now=1.0) is Reason.INSUFFICIENT_SCOPE


@pytest.mark.parametrize("times", [3])
async def test_the_same_caller_is_the_same_object_in_every_decision(tmp_path: Path, times: int) -> None:
    snapshot = policy(tmp_path)
    permits = [await ask(snapshot) for _ in range(times)]
    assert len({id(each.principal) for each in permits if isinstance(each, Permit)}) == 1
