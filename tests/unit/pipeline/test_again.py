"""What was permitted is asked about again: by the policy of the moment, and by what is known of its caller."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from support.blocking import HeldOff
from support.heads import head_for

from gateway.config import Snapshot, load_configuration
from gateway.identity import Answer, Authenticator, Rejected
from gateway.model import ANONYMOUS, Fields, Permit, Principal, PrincipalKind, Reason, RequestHead
from gateway.pipeline import Stages
from gateway.pipeline.again import known_now, refused_now
from gateway.pipeline.chain import chain
from gateway.ports import StoreUnavailable, SystemClock
from gateway.stores.memory import MemoryCounters

POLICIES = """\
version: 1
networks: {near: [192.0.2.0/24]}
schedules: {hours: {days: mon-sun, from: "08:00", to: "18:00", timezone: UTC}}
scopes: {a:read: A}
roles: {reader: {scopes: [a:read]}}
authenticators: {gateway: {kind: gateway_jwt}, keys: {kind: api_key, header: x-api-key}}
defaults: {authn: [gateway, keys]}
deny: [DENY]
routes:
  - {id: read, match: {methods: [GET], path: /read}, upstream: s, require: [a:read]}
  - {id: kept, match: {methods: [GET], path: /kept}, upstream: s, require: [a:read], streams: {on_expiry: keep}}
  - {id: daily, match: {methods: [GET], path: /daily}, upstream: s, require: authenticated, when: {time: {during: hours}}}
  - {id: open, match: {methods: [GET], path: /open}, upstream: s, authn: public, because: For tests}
  - id: chat
    match: {methods: [GET], path: /chat}
    upstream: s
    authn: public
    because: For tests
    websocket: {origins: [https://app.example.com]}
  - {id: odd, match: {methods: [GET], path: "/odd/{x}"}, upstream: odd, authn: public, because: For tests}
"""
UPSTREAMS = """\
version: 1
upstreams:
  s: {targets: [{url: "http://127.0.0.1:9"}]}
  odd: {targets: [{url: "http://127.0.0.1:9"}], paths: {allow: [encoded_slash]}}
"""
NOON = 43200.0
READER = Principal(
    id="usr_1",
    kind=PrincipalKind.USER,
    name="u",
    authn="gateway",
    authn_kind="gateway_jwt",
    roles=frozenset({"reader"}),
    expires_at=NOON + 60,
)
HANDSHAKE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    "Origin": "https://app.example.com",
}


class Remembering(Authenticator):
    """Says now what it is told to say."""

    kind = "gateway_jwt"

    def __init__(self, now: Principal | Rejected | Exception) -> None:
        self.name = "gateway"
        self.fields = frozenset()
        self.now = now

    async def identify(self, head: RequestHead) -> Answer:
        return READER

    async def reconsider(self, principal: Principal) -> Principal | Rejected:
        if isinstance(self.now, Exception):
            raise self.now
        return self.now

    def challenge(self, *, rejected: bool) -> str | None:
        return None


def policy(directory: Path, *changes: tuple[str, str], upstreams: str = UPSTREAMS) -> Snapshot:
    """Return the policy with texts replaced."""
    text = POLICIES
    for before, after in (*changes, ("DENY", "")):
        assert before in text or before == "DENY"
        text = text.replace(before, after)
    (directory / "policies.yaml").write_text(text)
    (directory / "upstreams.yaml").write_text(upstreams)
    found = load_configuration(directory / "policies.yaml", directory / "upstreams.yaml", environ={})
    assert found.snapshot is not None, found.findings
    return found.snapshot


async def permit(snapshot: Snapshot, target: str, fields: Mapping[str, str] | None = None) -> Permit:
    """Return what was permitted at noon."""
    lines = [(name.encode(), value.encode()) for name, value in (fields or {}).items()]
    head = replace(head_for(target), received=NOON, fields=Fields(lines))
    stages = Stages(
        authenticators={"gateway": Remembering(READER), "keys": Remembering(READER)},
        counters=MemoryCounters(SystemClock()),
        blocked=HeldOff(),
    )
    decision = await chain(head, snapshot, stages)
    assert isinstance(decision, Permit), decision
    return decision


@pytest.mark.parametrize("target", ["/read", "/kept", "/daily", "/open", "/odd/a%2fb"])
async def test_what_nothing_has_happened_to_still_holds(tmp_path: Path, target: str) -> None:
    snapshot = policy(tmp_path)
    granted = await permit(snapshot, target)
    assert refused_now(granted, granted.principal, snapshot, now=NOON + 1) is None
    assert refused_now(granted, granted.principal, policy(tmp_path), now=NOON + 1) is None


async def test_a_credential_that_expires_ends_it_unless_the_route_keeps_streams(tmp_path: Path) -> None:
    snapshot = policy(tmp_path)
    for target, expected in (("/read", Reason.CREDENTIALS_INVALID), ("/kept", None)):
        granted = await permit(snapshot, target)
        assert refused_now(granted, READER, snapshot, now=NOON + 59.9) is None
        assert refused_now(granted, READER, snapshot, now=NOON + 60) is expected


async def test_a_condition_on_the_time_is_asked_with_the_time_of_asking(tmp_path: Path) -> None:
    snapshot = policy(tmp_path)
    granted = await permit(snapshot, "/daily")
    lasting = replace(READER, expires_at=None)
    assert refused_now(granted, lasting, snapshot, now=NOON + 5 * 3600) is None
    assert refused_now(granted, lasting, snapshot, now=NOON + 6 * 3600) is Reason.CONDITION_NOT_MET


@pytest.mark.parametrize(
    ("target", "change", "expected"),
    [
        ("/read", ("path: /read", "path: /gone"), Reason.NO_ROUTE),
        ("/read", ("methods: [GET], path: /read", "methods: [PUT], path: /read"), Reason.NO_ROUTE),
        ("/read", ("id: read", "id: renamed"), Reason.NO_ROUTE),
        ("/read", ("path: /read}, upstream: s", "path: /read}, upstream: odd"), Reason.NO_ROUTE),
        ("/read", ("roles: {reader: {scopes: [a:read]}}", "roles: {}"), Reason.INSUFFICIENT_SCOPE),
        ("/read", ("defaults: {authn: [gateway, keys]}", "defaults: {authn: [keys]}"), Reason.CREDENTIALS_MISSING),
        ("/kept", ("roles: {reader: {scopes: [a:read]}}", "roles: {}"), Reason.INSUFFICIENT_SCOPE),
        ("/open", ("path: /open}, upstream: s, authn: public, because: For tests", "path: /open}, upstream: s, require: [a:read]"), Reason.CREDENTIALS_MISSING),
        ("/read", ("DENY", "{id: d, when: {client.ip: {in_network: near}}}"), Reason.DENIED),
        ("/open", ("DENY", "{id: d, routes: [open], when: {client.ip: {in_network: near}}}"), Reason.DENIED),
        ("/read", ("DENY", "{id: d, when: {principal.roles: {has: reader}}}"), Reason.DENIED),
        ("/chat", ("websocket: {origins: [https://app.example.com]}", "websocket: false"), Reason.UPGRADE_REQUIRED),
        ("/chat", ("https://app.example.com", "https://other.example.com"), Reason.DENIED),
    ],
)  # fmt: skip
async def test_a_policy_that_would_refuse_ends_it(
    tmp_path: Path, target: str, change: tuple[str, str], expected: Reason
) -> None:
    granted = await permit(policy(tmp_path), target, HANDSHAKE if target == "/chat" else None)
    changed = policy(tmp_path, change)
    assert refused_now(granted, granted.principal, changed, now=NOON + 1) is expected


async def test_an_upstream_that_takes_odd_paths_no_more_ends_it(tmp_path: Path) -> None:
    granted = await permit(policy(tmp_path), "/odd/a%2fb")
    changed = policy(tmp_path, upstreams=UPSTREAMS.replace("encoded_slash", "semicolon"))
    assert refused_now(granted, ANONYMOUS, changed, now=NOON + 1) is Reason.AMBIGUOUS_PATH


async def test_who_a_caller_is_by_now_is_asked_where_it_was_identified() -> None:
    def stages(now: Principal | Rejected | Exception) -> Stages:
        return Stages(
            authenticators={"gateway": Remembering(now)},
            counters=MemoryCounters(SystemClock()),
            blocked=HeldOff(),
        )

    poorer = replace(READER, roles=frozenset())
    assert await known_now(READER, stages(poorer)) == poorer
    assert await known_now(READER, stages(Rejected("revoked"))) is None
    assert await known_now(ANONYMOUS, stages(Rejected("revoked"))) is ANONYMOUS
    # An authenticator that is gone vouches for nobody.
    assert await known_now(replace(READER, authn="other"), stages(READER)) is None
    with pytest.raises(StoreUnavailable):
        await known_now(READER, stages(StoreUnavailable("away")))
