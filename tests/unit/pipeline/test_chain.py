"""The order of the steps, each asked through the enforcement point with real rooms behind it."""

from dataclasses import replace
from math import inf
from pathlib import Path

import pytest
from support.blocking import HeldOff
from support.heads import head_for

from gateway.config import Snapshot, load_configuration
from gateway.identity import ABSENT, Absent, Answer, Authenticator, Rejected
from gateway.model import (
    Decision,
    Framing,
    Permit,
    Principal,
    PrincipalKind,
    Reason,
    Refusal,
    RequestHead,
)
from gateway.pipeline import Stages
from gateway.pipeline.chain import chain
from gateway.ports import StoreUnavailable, SystemClock
from gateway.stores.memory import MemoryCounters

POLICIES = """\
version: 1
networks: {bad: [198.51.100.0/24]}
scopes: {a:read: A, a:write: B}
roles:
  reader: {scopes: [a:read]}
authenticators:
  gateway: {kind: gateway_jwt}
  keys: {kind: api_key, header: x-api-key}
defaults:
  authn: [gateway, keys]
  limits: [{limit: 5/min, per: principal}, {limit: 3/min, per: client_ip}]
deny:
  - {id: bad-network, when: {client.ip: {in_network: bad}}}
  - {id: no-deletes, routes: [a], when: {method: {is: DELETE}}}
  - {id: no-keys, routes: [a], when: {authn.kind: {is: api_key}}}
routes:
  - {id: p, match: {methods: [GET], path: /public}, upstream: s, authn: public, because: For tests}
  - id: a
    match: {methods: [GET, POST, DELETE], path: "/a/{id}"}
    upstream: s
    require: {GET: [a:read], POST: [a:write], DELETE: [a:read]}
    when: {query.q: {is: "yes"}}
    body: {max_request: 10B}
"""
UPSTREAMS = 'version: 1\nupstreams: {s: {targets: [{url: "http://127.0.0.1:9"}]}}\n'


class Scripted(Authenticator):
    """Says what it is told to say."""

    kind = "gateway_jwt"

    def __init__(self, name: str, answer: Answer | Exception) -> None:
        self.name = name
        self.fields = frozenset()
        self.answer = answer
        self.asked = 0

    async def identify(self, head: RequestHead) -> Answer:
        self.asked += 1
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    async def reconsider(self, principal: Principal) -> Principal | Rejected:
        return principal

    def challenge(self, *, rejected: bool) -> str | None:
        return f'{self.name.title()} rejected="{rejected}"'


def principal(*roles: str, kind: str = "gateway_jwt", id: str = "usr_1") -> Principal:
    return Principal(
        id=id, kind=PrincipalKind.USER, name="u", authn="gateway", authn_kind=kind, roles=frozenset(roles)
    )


class World:
    """A policy in force."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        self.tokens = Scripted("gateway", ABSENT)
        self.keys = Scripted("keys", ABSENT)
        self.stages = Stages(
            authenticators={"gateway": self.tokens, "keys": self.keys},
            counters=MemoryCounters(SystemClock()),
            blocked=HeldOff(),
        )

    async def ask(
        self,
        method: str,
        target: str,
        *,
        client: str = "192.0.2.1",
        length: int | None = None,
    ) -> Decision:
        head = replace(
            head_for(target),
            method=method,
            client=client,
            peer=client,
            framing=Framing.NONE if length is None else Framing.LENGTH,
            content_length=length,
        )
        return await chain(head, self.snapshot, self.stages)


@pytest.fixture
def world(tmp_path: Path) -> World:
    (tmp_path / "policies.yaml").write_text(POLICIES)
    (tmp_path / "upstreams.yaml").write_text(UPSTREAMS)
    loaded = load_configuration(tmp_path / "policies.yaml", tmp_path / "upstreams.yaml", environ={})
    assert loaded.snapshot is not None, loaded.findings
    return World(loaded.snapshot)


def reason(decision: Decision) -> Reason:
    return decision.reason if isinstance(decision, Refusal) else Reason.OK


async def test_a_request_that_every_step_allows_is_permitted_with_what_each_limit_has_left(
    world: World,
) -> None:
    world.tokens.answer = principal("reader")
    decision = await world.ask("GET", "/a/1?q=yes")
    assert isinstance(decision, Permit)
    assert decision.params == {"id": "1"}
    assert decision.grant.required == {"a:read"}
    assert [tally.remaining for tally in decision.tallies] == [4, 2]


async def test_head_is_asked_for_what_get_is(world: World) -> None:
    world.tokens.answer = principal("reader")
    assert reason(await world.ask("HEAD", "/a/1?q=yes")) is Reason.OK


@pytest.mark.parametrize(
    ("method", "target", "who", "expected"),
    [
        ("GET", "/nowhere", ABSENT, Reason.NO_ROUTE),
        ("PUT", "/a/1", ABSENT, Reason.METHOD_NOT_ALLOWED),
        ("DELETE", "/a/1", principal("reader"), Reason.DENIED),
        ("GET", "/a/1?q=yes", ABSENT, Reason.CREDENTIALS_MISSING),
        ("GET", "/a/1?q=yes", Rejected("bad"), Reason.CREDENTIALS_INVALID),
        ("GET", "/a/1?q=yes", Rejected("twice", malformed=True), Reason.MALFORMED_REQUEST),
        ("GET", "/a/1?q=yes", principal("reader", kind="api_key"), Reason.DENIED),
        ("POST", "/a/1?q=yes", principal("reader"), Reason.INSUFFICIENT_SCOPE),
        ("GET", "/a/1?q=yes", principal("unheard of"), Reason.INSUFFICIENT_SCOPE),
        ("GET", "/a/1?q=no", principal("reader"), Reason.CONDITION_NOT_MET),
        ("GET", "/a/1", principal("reader"), Reason.CONDITION_NOT_MET),
        ("GET", "/a/1?q=yes&q=yes", principal("reader"), Reason.CONDITION_NOT_MET),
    ],
)
async def test_each_step_refuses_with_its_own_reason(
    world: World, method: str, target: str, who: Answer, expected: Reason
) -> None:
    world.tokens.answer = who
    assert reason(await world.ask(method, target)) is expected


async def test_a_deny_rule_for_everything_comes_before_the_route(world: World) -> None:
    assert reason(await world.ask("GET", "/nowhere", client="198.51.100.7")) is Reason.DENIED


async def test_a_scope_that_the_credential_is_confined_to_is_all_it_has(world: World) -> None:
    world.tokens.answer = replace(principal("reader"), scope_limit=frozenset())
    assert reason(await world.ask("GET", "/a/1?q=yes")) is Reason.INSUFFICIENT_SCOPE


async def test_a_bad_credential_beside_a_good_one_is_401(world: World) -> None:
    world.tokens.answer = principal("reader")
    world.keys.answer = Rejected("bad")
    decision = await world.ask("GET", "/a/1?q=yes")
    assert isinstance(decision, Refusal)
    assert decision.reason is Reason.CREDENTIALS_INVALID
    assert decision.challenges == ('Gateway rejected="False"', 'Keys rejected="True"')


async def test_two_principals_contradict_each_other(world: World) -> None:
    world.tokens.answer = principal("reader")
    world.keys.answer = principal("reader", id="key_1")
    assert reason(await world.ask("GET", "/a/1?q=yes")) is Reason.CREDENTIALS_CONFLICTING


async def test_a_store_that_cannot_answer_refuses_with_the_route_that_was_asked_for(world: World) -> None:
    world.tokens.answer = StoreUnavailable("away")
    decision = await world.ask("GET", "/a/1?q=yes")
    assert isinstance(decision, Refusal)
    assert decision.reason is Reason.DEPENDENCY_UNAVAILABLE
    assert decision.route is not None
    assert (decision.diagnosis, decision.retry_after) == ("away", 1)


async def test_a_public_route_asks_nobody(world: World) -> None:
    assert reason(await world.ask("GET", "/public")) is Reason.OK
    assert world.tokens.asked == 0


async def test_a_body_announced_too_large_is_refused_after_the_charge(world: World) -> None:
    world.tokens.answer = principal("reader")
    decision = await world.ask("GET", "/a/1?q=yes", length=11)
    assert isinstance(decision, Refusal)
    assert (decision.reason, decision.close) == (Reason.BODY_TOO_LARGE, True)
    assert decision.tallies[0].remaining == 4


async def test_refused_requests_are_charged_to_their_address_until_it_is_429(world: World) -> None:
    reasons = [reason(await world.ask("GET", "/a/1?q=yes")) for _ in range(4)]
    assert reasons == [Reason.CREDENTIALS_MISSING] * 3 + [Reason.RATE_EXCEEDED]
    # Other addresses are not concerned.
    assert reason(await world.ask("GET", "/a/1?q=yes", client="192.0.2.2")) is Reason.CREDENTIALS_MISSING


async def test_an_exhausted_address_is_refused_before_any_credential_is_looked_at(world: World) -> None:
    for _ in range(3):
        await world.ask("GET", "/nowhere")
    world.tokens.answer = principal("reader")
    asked = world.tokens.asked
    decision = await world.ask("GET", "/a/1?q=yes")
    assert isinstance(decision, Refusal)
    assert decision.reason is Reason.RATE_EXCEEDED
    assert decision.retry_after is not None
    assert 0 < decision.retry_after <= 60
    assert [tally.limit.id for tally in decision.tallies] == ["defaults:1"]
    assert world.tokens.asked == asked


async def test_requests_refused_with_429_are_charged_nothing(world: World) -> None:
    world.tokens.answer = principal("reader")
    for client in ("192.0.2.10", "192.0.2.11"):
        for _ in range(3):
            await world.ask("GET", "/a/1?q=yes", client=client)
    # Five of six went to the principal's limit of five; the sixth was refused and cost its address nothing.
    other = await world.ask("GET", "/public", client="192.0.2.11")
    assert isinstance(other, Permit)


async def test_an_ipv6_network_of_64_bits_is_one_address(world: World) -> None:
    reasons = [reason(await world.ask("GET", "/nowhere", client=f"2001:db8::{n}")) for n in range(1, 5)]
    assert reasons[-1] is Reason.RATE_EXCEEDED


def test_absent_is_a_value_of_its_own() -> None:
    assert Absent() == ABSENT


async def test_whose_address_is_blocked_gets_nothing_and_is_asked_nothing(world: World) -> None:
    world.stages = replace(world.stages, blocked=HeldOff({"192.0.2.1": 89.5}))
    for method, target in (("GET", "/public"), ("GET", "/a/1?q=yes"), ("GET", "/nowhere"), ("PUT", "/a/1")):
        decision = await world.ask(method, target)
        assert isinstance(decision, Refusal)
        assert (decision.reason, decision.retry_after) == (Reason.ADDRESS_BLOCKED, 89.5)
        assert decision.route is None
    assert world.tokens.asked == world.keys.asked == 0
    assert reason(await world.ask("GET", "/public", client="192.0.2.2")) is Reason.OK


async def test_a_block_comes_before_every_deny_rule_and_costs_no_limit(world: World) -> None:
    world.stages = replace(world.stages, blocked=HeldOff({"198.51.100.7": inf, "192.0.2.1": inf}))
    decision = await world.ask("GET", "/nowhere", client="198.51.100.7")
    assert isinstance(decision, Refusal)
    assert (decision.reason, decision.retry_after) == (Reason.ADDRESS_BLOCKED, None)
    for _ in range(9):
        assert reason(await world.ask("GET", "/public")) is Reason.ADDRESS_BLOCKED
    world.stages = replace(world.stages, blocked=HeldOff())
    assert [reason(await world.ask("GET", "/public")) for _ in range(4)] == [
        Reason.OK,
        Reason.OK,
        Reason.OK,
        Reason.RATE_EXCEEDED,
    ]
