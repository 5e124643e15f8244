"""Routes that are not plainly forwarded: preflights, pages, WebSocket, odd paths, answers of the gateway."""

from collections.abc import Mapping
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.blocking import HeldOff
from support.heads import HEAD, head_for

from gateway.config import Snapshot, load_configuration
from gateway.identity import ABSENT, Answer, Authenticator, Rejected
from gateway.model import (
    Decision,
    Fields,
    Permit,
    Preflight,
    Principal,
    PrincipalKind,
    Reason,
    Refusal,
    RequestHead,
)
from gateway.pipeline import Stages, page_lines
from gateway.pipeline.chain import chain
from gateway.ports import SystemClock
from gateway.routing import TargetParts, read_target
from gateway.stores.memory import MemoryCounters

POLICIES = """\
version: 1
networks: {bad: [198.51.100.0/24], worse: [203.0.113.0/24]}
scopes: {a:read: A}
roles: {reader: {scopes: [a:read]}}
authenticators: {gateway: {kind: gateway_jwt}}
defaults:
  authn: [gateway]
  limits: [{limit: 4/min, per: client_ip}]
deny:
  - {id: bad-network, when: {client.ip: {in_network: bad}}}
  - {id: worse-network, routes: [paged], when: {client.ip: {in_network: worse}}}
routes:
  - id: paged
    match: {methods: [GET, PUT], path: /paged}
    upstream: strict
    require: [a:read]
    cors: {origins: [https://app.example.com], headers: [x-one, x-two], credentials: true, max_age: 1h}
  - id: narrow
    match: {methods: [GET, DELETE], path: /narrow}
    upstream: strict
    require: authenticated
    cors: {origins: [https://app.example.com, "https://other.example.com:8443"], methods: [GET]}
  - {id: plain, match: {methods: [GET], path: /plain}, upstream: strict, require: authenticated}
  - {id: asked, match: {methods: [OPTIONS], path: /plain}, upstream: strict, require: authenticated}
  - id: chat
    match: {methods: [GET, POST], path: /chat}
    upstream: strict
    require: authenticated
    websocket: {origins: [https://app.example.com]}
  - {id: feed, match: {methods: [GET], path: /feed}, upstream: strict, authn: public, because: Test, websocket: true}
  - {id: odd, match: {methods: [GET], path: /odd/**}, upstream: odd, require: authenticated}
  - {id: odder, match: {methods: [GET], path: "/odder/{name}"}, upstream: odder, authn: public, because: Test}
  - {id: all, match: {methods: [GET], path: /strict/**}, upstream: strict, authn: public, because: Test}
  - {id: gone, match: {methods: [GET], path: /gone}, authn: public, because: Test, respond: {status: 410}}
  - {id: moved, match: {methods: [GET], path: /moved/**}, require: [a:read], respond: {status: 308, headers: {location: /plain}}}
"""
UPSTREAMS = """\
version: 1
upstreams:
  strict: {targets: [{url: "http://127.0.0.1:9"}]}
  odd: {targets: [{url: "http://127.0.0.1:9"}], paths: {allow: [encoded_slash, double_slash]}}
  odder: {targets: [{url: "http://127.0.0.1:9"}], paths: {allow: [encoded_slash, double_slash, semicolon, backslash]}}
"""
PAGE = "https://app.example.com"
HANDSHAKE = {
    "Connection": "keep-alive, Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}


class Scripted(Authenticator):
    """Says what it is told to say."""

    kind = "gateway_jwt"

    def __init__(self) -> None:
        self.name = "gateway"
        self.fields = frozenset()
        self.answer: Answer = ABSENT
        self.asked = 0

    async def identify(self, head: RequestHead) -> Answer:
        self.asked += 1
        return self.answer

    async def reconsider(self, principal: Principal) -> Principal | Rejected:
        return principal

    def challenge(self, *, rejected: bool) -> str | None:
        return "Bearer"


READER = Principal(
    id="usr_1",
    kind=PrincipalKind.USER,
    name="u",
    authn="gateway",
    authn_kind="gateway_jwt",
    roles=frozenset({"reader"}),
)


class World:
    """A policy in force."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        self.tokens = Scripted()
        self.forget()

    def forget(self) -> None:
        """Begin to count anew."""
        self.stages = Stages(
            authenticators={"gateway": self.tokens}, counters=MemoryCounters(SystemClock()), blocked=HeldOff()
        )

    async def ask(
        self,
        method: str,
        target: str,
        fields: Mapping[str, str] | None = None,
        *,
        client: str = "192.0.2.1",
        version: tuple[int, int] = (1, 1),
    ) -> Decision:
        lines = [(name.encode(), value.encode()) for name, value in (fields or {}).items()]
        head = replace(
            head_for(target),
            method=method,
            client=client,
            peer=client,
            fields=Fields(lines),
            version=version,
        )
        return await chain(head, self.snapshot, self.stages)

    async def preflight(
        self, target: str, method: str, *, origin: str = PAGE, client: str = "192.0.2.1"
    ) -> Decision:
        fields = {"Origin": origin, "Access-Control-Request-Method": method}
        return await self.ask("OPTIONS", target, fields, client=client)


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Snapshot:
    directory = tmp_path_factory.mktemp("config")
    (directory / "policies.yaml").write_text(POLICIES)
    (directory / "upstreams.yaml").write_text(UPSTREAMS)
    found = load_configuration(directory / "policies.yaml", directory / "upstreams.yaml", environ={})
    assert found.snapshot is not None, found.findings
    return found.snapshot


@pytest.fixture
def world(loaded: Snapshot) -> World:
    return World(loaded)


def reason(decision: Decision) -> Reason:
    return decision.reason if isinstance(decision, Refusal) else Reason.OK


async def test_a_listed_page_is_told_what_it_may_send_and_nobody_is_identified(world: World) -> None:
    decision = await world.preflight("/paged", "PUT")
    assert isinstance(decision, Preflight)
    assert decision.route.id == "paged"
    assert dict(decision.lines) == {
        b"Access-Control-Allow-Origin": b"https://app.example.com",
        b"Access-Control-Allow-Credentials": b"true",
        b"Access-Control-Allow-Methods": b"GET, PUT, HEAD",
        b"Access-Control-Allow-Headers": b"x-one, x-two",
        b"Access-Control-Max-Age": b"3600",
        b"Vary": b"Origin",
    }
    assert world.tokens.asked == 0


async def test_a_preflight_lists_the_methods_that_pages_may_use(world: World) -> None:
    decision = await world.preflight("/narrow", "HEAD", origin="https://other.example.com:8443")
    assert isinstance(decision, Preflight)
    assert dict(decision.lines) == {
        b"Access-Control-Allow-Origin": b"https://other.example.com:8443",
        b"Access-Control-Allow-Methods": b"GET, HEAD",
        b"Vary": b"Origin",
    }


@pytest.mark.parametrize(
    ("target", "method", "origin"),
    [
        ("/paged", "GET", "https://evil.example.com"),
        ("/paged", "GET", "null"),
        ("/paged", "GET", "https://app.example.com.evil.com"),
        ("/paged", "GET", "http://app.example.com"),
        ("/narrow", "DELETE", PAGE),
    ],
)
async def test_a_page_that_is_not_listed_or_wants_too_much_is_denied(
    world: World, target: str, method: str, origin: str
) -> None:
    decision = await world.preflight(target, method, origin=origin)
    assert isinstance(decision, Refusal)
    assert (decision.reason, decision.rule is not None) == (Reason.DENIED, True)
    assert decision.head is not None
    rules = world.snapshot.plans["paged"].cors
    assert rules is not None
    assert page_lines(rules, decision.head) == ((b"Vary", b"Origin"),)


async def test_deny_rules_hold_for_preflights(world: World) -> None:
    for client in ("198.51.100.1", "203.0.113.1"):
        assert reason(await world.preflight("/paged", "GET", client=client)) is Reason.DENIED


async def test_denied_preflights_cost_their_address_and_allowed_ones_nothing(world: World) -> None:
    for _ in range(6):
        assert isinstance(await world.preflight("/paged", "GET"), Preflight)
    reasons = [reason(await world.preflight("/paged", "POST")) for _ in range(2)]
    assert reasons == [Reason.METHOD_NOT_ALLOWED] * 2
    reasons = [reason(await world.preflight("/paged", "GET", origin="null")) for _ in range(3)]
    assert reasons == [Reason.DENIED, Reason.DENIED, Reason.RATE_EXCEEDED]
    assert reason(await world.preflight("/paged", "GET")) is Reason.RATE_EXCEEDED


async def test_options_that_are_no_preflight_are_requests_like_others(world: World) -> None:
    assert reason(await world.ask("OPTIONS", "/paged", {"Origin": PAGE})) is Reason.METHOD_NOT_ALLOWED
    assert reason(await world.preflight("/plain", "GET")) is Reason.CREDENTIALS_MISSING
    assert reason(await world.preflight("/nowhere", "GET")) is Reason.NO_ROUTE


async def test_answers_say_which_page_may_read_them(world: World) -> None:
    rules = world.snapshot.plans["paged"].cors
    assert rules is not None

    def lines(*fields: tuple[bytes, bytes]) -> tuple[tuple[bytes, bytes], ...]:
        return page_lines(rules, replace(HEAD, fields=Fields(fields)))

    vary = (b"Vary", b"Origin")
    assert lines() == (vary,)
    assert lines((b"Origin", b"https://evil.example.com")) == (vary,)
    assert lines((b"origin", PAGE.encode()), (b"Origin", PAGE.encode())) == (vary,)
    assert lines((b"Origin", PAGE.encode())) == (
        (b"Access-Control-Allow-Origin", PAGE.encode()),
        (b"Access-Control-Allow-Credentials", b"true"),
        vary,
    )


async def test_a_handshake_is_permitted_where_websocket_is_spoken(world: World) -> None:
    world.tokens.answer = READER
    assert isinstance(await world.ask("GET", "/chat", HANDSHAKE), Permit)
    assert isinstance(await world.ask("GET", "/chat", {**HANDSHAKE, "Origin": PAGE}), Permit)
    assert isinstance(await world.ask("GET", "/feed", {**HANDSHAKE, "Origin": "null"}), Permit)


async def test_elsewhere_a_handshake_is_426_after_authentication(world: World) -> None:
    assert reason(await world.ask("GET", "/plain", HANDSHAKE)) is Reason.CREDENTIALS_MISSING
    world.tokens.answer = READER
    for target in ("/plain", "/gone"):
        decision = await world.ask("GET", target, HANDSHAKE)
        assert isinstance(decision, Refusal)
        assert (decision.reason, decision.close) == (Reason.UPGRADE_REQUIRED, True)
        assert not decision.is_websocket_here
        assert decision.tallies


async def test_a_page_of_another_origin_may_not_open_a_websocket(world: World) -> None:
    world.tokens.answer = READER
    decision = await world.ask("GET", "/chat", {**HANDSHAKE, "Origin": "https://evil.example.com"})
    assert isinstance(decision, Refusal)
    assert (decision.reason, decision.principal, decision.close) == (Reason.DENIED, READER, True)
    # It is charged once.
    spent = [reason(await world.ask("GET", "/chat")) for _ in range(4)]
    assert spent == [Reason.OK] * 3 + [Reason.RATE_EXCEEDED]


@pytest.mark.parametrize(
    ("method", "changed", "expected"),
    [
        ("GET", {"Sec-WebSocket-Version": "12"}, Reason.UPGRADE_REQUIRED),
        ("GET", {"Sec-WebSocket-Key": "short"}, Reason.MALFORMED_REQUEST),
        ("POST", {}, Reason.MALFORMED_REQUEST),
    ],
)
async def test_a_flawed_handshake_is_refused_where_websocket_is_spoken(
    world: World, method: str, changed: Mapping[str, str], expected: Reason
) -> None:
    world.tokens.answer = READER
    decision = await world.ask(method, "/chat", {**HANDSHAKE, **changed})
    assert isinstance(decision, Refusal)
    assert (decision.reason, decision.close, decision.is_websocket_here) == (expected, True, True)


@pytest.mark.parametrize(
    ("fields", "version"),
    [
        (HANDSHAKE, (1, 0)),
        ({**HANDSHAKE, "Connection": "keep-alive"}, (1, 1)),
        ({**HANDSHAKE, "Connection": "x-upgrade"}, (1, 1)),
        ({**HANDSHAKE, "Upgrade": "h2c"}, (1, 1)),
        ({**HANDSHAKE, "Upgrade": "not-websocket"}, (1, 1)),
    ],
)
async def test_what_is_no_handshake_is_a_request_like_others(
    world: World, fields: Mapping[str, str], version: tuple[int, int]
) -> None:
    world.tokens.answer = READER
    assert isinstance(await world.ask("GET", "/plain", fields, version=version), Permit)


async def test_odd_paths_are_served_where_the_upstream_takes_all_that_is_odd(world: World) -> None:
    world.tokens.answer = READER
    for target in ("/odd/a%2fb", "/odd//a", "/odd/a//b%2F/"):
        decision = await world.ask("GET", target)
        assert isinstance(decision, Permit)
        assert decision.head.target == target
    decision = await world.ask("GET", "/odder/a%2fb;c%5cd")
    assert isinstance(decision, Permit)
    assert decision.params == {"name": "a/b;c\\d"}


@pytest.mark.parametrize(
    ("method", "target"),
    [
        ("GET", "/odd/a;b"),
        ("GET", "/odd/a%2fb;c"),
        ("POST", "/odd/a%2fb"),
        ("GET", "/strict/a%2fb"),
        ("GET", "/moved//a"),
        ("GET", "/nowhere//a"),
        ("OPTIONS", "/odd//a"),
        ("GET", "//odd/a"),
        ("GET", "/odd%2fa"),
    ],
)
async def test_elsewhere_an_odd_path_is_ambiguous_and_nothing_else_is_said(
    world: World, method: str, target: str
) -> None:
    decision = await world.ask(method, target)
    assert isinstance(decision, Refusal)
    assert (decision.reason, decision.route, decision.allow) == (Reason.AMBIGUOUS_PATH, None, ())
    assert decision.detail is not None
    assert target not in decision.detail
    assert world.tokens.asked == 0


async def test_ambiguous_paths_cost_their_address(world: World) -> None:
    reasons = [reason(await world.ask("GET", "/strict//a")) for _ in range(5)]
    assert reasons == [Reason.AMBIGUOUS_PATH] * 4 + [Reason.RATE_EXCEEDED]


async def test_rules_that_guard_everything_come_before_what_is_said_of_an_odd_path(world: World) -> None:
    assert reason(await world.ask("GET", "/strict//a", client="198.51.100.1")) is Reason.DENIED


async def test_a_password_in_an_odd_path_is_not_for_the_record(world: World) -> None:
    decision = await world.ask("GET", "//me:secret@host/a?b")
    assert isinstance(decision, Refusal)
    assert decision.head is not None
    assert (decision.head.target, decision.head.path) == ("//host/a?b", "//host/a")


ODD = st.lists(
    st.sampled_from(["/", "//", "a", ";", "\\", "%2f", "%5C", ".", "..", "%2e", "%25", "x"]), max_size=6
).map("".join)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(first=st.sampled_from(["odd", "odder", "strict", "moved"]), rest=ODD)
async def test_whatever_is_permitted_is_forwarded_as_it_came_and_only_where_it_is_taken(
    world: World, first: str, rest: str
) -> None:
    target = f"/{first}/{rest}"
    parts = read_target(target)
    if not isinstance(parts, TargetParts):
        return
    world.forget()
    world.tokens.answer = READER
    decision = await world.ask("GET", target)
    taken = {"odd": {"encoded_slash", "double_slash"}, "odder": parts.oddities}.get(first, set())
    if isinstance(decision, Permit):
        assert decision.head.target == target
        assert parts.oddities <= taken
    elif parts.oddities:
        assert reason(decision) is Reason.AMBIGUOUS_PATH


async def test_an_answer_of_the_gateway_passes_the_whole_chain(world: World) -> None:
    assert isinstance(await world.ask("GET", "/gone"), Permit)
    assert reason(await world.ask("GET", "/moved/a")) is Reason.CREDENTIALS_MISSING
    world.tokens.answer = READER
    permit = await world.ask("GET", "/moved/a")
    assert isinstance(permit, Permit)
    assert permit.tallies
