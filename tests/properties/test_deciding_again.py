"""What the audit trail says of a request is enough to decide it again, and gives the same decision.

The requests are put together anew from nothing but their records, as readers find them.
"""

from collections.abc import Awaitable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.auditing import SEALER, auditor_on
from support.blocking import HeldOff
from support.heads import head_for

from gateway.audit import decode
from gateway.config import Current, Snapshot, load_configuration
from gateway.crypto import open_parts
from gateway.edge.request_id import request_id
from gateway.identity import ABSENT, Answer, Authenticator, Rejected
from gateway.model import Fields, Line, Permit, Principal, PrincipalKind, Refusal, RequestHead
from gateway.observability import Metrics
from gateway.pipeline import Enforcer, Stages
from gateway.ports import StoredRecord, SystemClock
from gateway.stores.memory import MemoryCounters

POLICIES = """\
version: 1
networks: {office: [203.0.113.0/24, "2001:db8::/32"], blocked: [198.51.100.0/24]}
schedules: {hours: {days: mon-fri, from: "08:00", to: "18:00", timezone: UTC}}
scopes: {a:read: A, a:write: B}
roles: {reader: {scopes: [a:read]}, writer: {scopes: ["a:*"]}}
authenticators: {gateway: {kind: gateway_jwt}, keys: {kind: api_key, header: x-api-key}}
defaults: {authn: [gateway, keys]}
deny:
  - {id: blocked, when: {client.ip: {in_network: blocked}}}
  - {id: curl, when: {header.user-agent: {prefix: curl}, method: {is: POST}}}
  - {id: debug, when: {header.x-debug: {present: true}}}
  - {id: early, routes: [item], when: {query.mode: {present: true, in: [raw, all]}}}
  - {id: late, routes: [quiet], when: {none_of: [{time: {during: hours}}], header.x-tenant: {present: false}}}
  - {id: no-keys, routes: [writers], when: {authn.kind: {is: api_key}}}
  - {id: suspended, when: {claims.suspended: {present: true, is: true}}}
  - {id: rivals, routes: [item], when: {claims.org.name: {present: true, is: rival}}}
routes:
  - id: item
    match: {methods: [GET, POST], path: "/items/{owner}"}
    upstream: s
    require: {GET: [a:read], POST: [a:write]}
    when:
      any_of:
        - {principal.id: {same_as: path.owner}}
        - {claims.groups: {has: helpdesk}}
        - {query.as: {same_as: path.owner}, principal.roles: {has: writer}}
        - {header.x-tenant: {same_as: claims.tenant}}
  - id: writers
    match: {host: "*.example.com", methods: [GET, PUT], path: /writers/**}
    upstream: s
    require: {GET: authenticated, PUT: [a:write]}
    when:
      any_of:
        - {time: {during: hours}}
        - {client.ip: {in_network: office}, host: {is: api.example.com}, method: {is: PUT}}
  - {id: quiet, match: {methods: [GET], path: /quiet}, upstream: s, require: authenticated,
     when: {query.token: {present: false}, none_of: [{header.cookie: {present: true}}]}}
  - {id: open, match: {methods: [GET], path: /open}, upstream: s, authn: public, because: For tests}
"""
UPSTREAMS = 'version: 1\nupstreams: {s: {targets: [{url: "http://127.0.0.1:9"}]}}\n'
MONDAY = datetime(2026, 11, 23, tzinfo=UTC).timestamp()


class Told(Authenticator):
    """Says what it is told to say."""

    def __init__(self, name: str, kind: str) -> None:
        self.name = name
        self.kind = kind  # type: ignore[misc] # of the class elsewhere; here one class is both kinds
        self.fields = frozenset()
        self.answer: Answer = ABSENT

    async def identify(self, head: RequestHead) -> Answer:
        return self.answer

    async def reconsider(self, principal: Principal) -> Principal | Rejected:
        return principal

    def challenge(self, *, rejected: bool) -> str | None:
        return None


class Sheet:
    """A spool that keeps the last record."""

    writer, available = "w", True
    last = StoredRecord(writer="w", seq=1, body=b"")

    def append(self, body: bytes, personal: bytes = b"") -> int:
        said = {part.subject: part.fields for part in open_parts(SEALER, personal)}
        self.last = StoredRecord(writer="w", seq=1, body=body, personal=orjson.dumps(said) if said else b"")
        return 1

    def flushed(self) -> Awaitable[None]:
        return self._flushed()

    async def _flushed(self) -> None:
        pass

    def write_now(self) -> None:
        pass


class Gateway:
    """Decides requests, and says what their records say."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.kinds = {spec.name: spec.kind for spec in snapshot.authenticators.values()}
        self._told = {name: Told(name, kind) for name, kind in self.kinds.items()}
        self._sheet = Sheet()
        self._enforcer = Enforcer(
            current=Current(snapshot),
            stages=Stages(
                authenticators=dict(self._told), counters=MemoryCounters(SystemClock()), blocked=HeldOff()
            ),
            auditor=auditor_on(self._sheet),
            metrics=Metrics(worker="0"),
        )

    async def decide(self, head: RequestHead, caller: Principal | None) -> Mapping[str, object]:
        """Return the record of a decision, which says what was decided."""
        for name, told in self._told.items():
            told.answer = caller if caller is not None and caller.authn == name else ABSENT
        decision, _ = await self._enforcer.decide(head)
        assert isinstance(decision, Permit | Refusal)
        record = decode(self._sheet.last)
        assert record["decision"] == ("allow" if isinstance(decision, Permit) else "deny")
        return record


def asked_again(record: Mapping[str, object]) -> RequestHead:
    """Return a request as its record tells it."""
    path, attributes = str(record["path"]).partition("?")[0], members(record["attributes"])
    query = "&".join(
        f"{quote(name.removeprefix('query.'))}={quote(str(value), safe='')}"
        for name, value in attributes.items()
        if name.startswith("query.") and value is not None
    )
    lines: list[Line] = [
        (name.removeprefix("header.").encode(), str(value).encode())
        for name, value in attributes.items()
        if name.startswith("header.") and value is not None
    ]
    if record["user_agent"] is not None:
        lines.append((b"User-Agent", str(record["user_agent"]).encode()))
    host, id_ = record["host"], str(record["request_id"])
    return replace(
        head_for(f"{path}?{query}" if query else path),
        id=id_,
        # The time at which it came, while the record's own is that at which it was written.
        received=int(id_.replace("-", "")[:12], 16) / 1000,
        method=str(record["method"]),
        host=None if host is None else str(host),
        client=str(record["source_ip"]),
        fields=Fields(lines),
    )


def caller_again(record: Mapping[str, object], kinds: Mapping[str, str]) -> Principal | None:
    """Return who asked, as a record tells it."""
    actor, attributes = members(record["actor"]), members(record["attributes"])
    if not actor:
        return None
    roles, confined = record["roles"], attributes.get("credential.scopes")
    is_key = actor["kind"] == "api_key"
    authn = str(record["authn"])
    return Principal(
        id=str(actor["id"]),
        kind=PrincipalKind(str(actor["kind"])),
        name=str(actor["name"]),
        authn=authn,
        authn_kind=kinds[authn],
        roles=frozenset(roles if isinstance(roles, list) else ()),
        scope_limit=frozenset(confined) if isinstance(confined, list) else None,
        claims=None
        if is_key
        else {
            name.removeprefix("claims."): value
            for name, value in attributes.items()
            if name.startswith("claims.") and value is not None
        },
        subject="usr_1",
    )


def members(value: object) -> Mapping[str, object]:
    return value if isinstance(value, dict) else {}


WORDS = st.sampled_from(
    ["usr_1", "alice", "helpdesk", "rival", "raw", "all", "acme", "", "a b&c=%é", "x" * 9]
)
CLAIMS = st.fixed_dictionaries(
    {},
    optional={
        "suspended": st.sampled_from([True, False, None, "true"]),
        "groups": st.lists(st.sampled_from(["helpdesk", "staff"]), max_size=3) | WORDS,
        "tenant": st.sampled_from(["acme", "alice", 1, None]),
        "org": st.fixed_dictionaries({}, optional={"name": WORDS}) | WORDS,
    },
)
ROLES = st.sampled_from([{"reader"}, {"writer"}, {"reader", "writer"}, set[str]()]).map(frozenset)
CALLERS = (
    st.none()
    | st.builds(
        Principal,
        id=st.sampled_from(["usr_1", "usr_2"]),
        kind=st.just(PrincipalKind.USER),
        name=WORDS,
        authn=st.just("gateway"),
        authn_kind=st.just("gateway_jwt"),
        roles=ROLES,
        scope_limit=st.none() | st.frozensets(st.sampled_from(["a:read", "a:write"])),
        claims=CLAIMS,
        subject=st.sampled_from(["usr_1", None]),
    )
    | st.builds(
        Principal,
        id=st.just("key_1"),
        kind=st.just(PrincipalKind.API_KEY),
        name=WORDS,
        authn=st.just("keys"),
        authn_kind=st.just("api_key"),
        roles=ROLES,
        scope_limit=st.none() | st.frozensets(st.sampled_from(["a:read", "a:write"])),
        subject=st.just("usr_1"),
    )
)
QUERIES = st.lists(
    st.tuples(
        st.sampled_from(["mode", "as", "token", "other"]), WORDS.map(lambda word: quote(word, safe=""))
    ),
    max_size=3,
).map(lambda pairs: "&".join(f"{name}={value}" for name, value in pairs))
VALUES = st.sampled_from([b"acme", b"acme", b"curl/8", b"\xff", b"", b"1"])
LINES = st.lists(
    st.tuples(
        st.sampled_from([b"X-Tenant", b"x-tenant", b"x-debug", b"User-Agent", b"user-agent", b"Cookie"]),
        VALUES,
    ),
    max_size=3,
)


@st.composite
def requests(draw: st.DrawFn) -> RequestHead:
    # Most of them get as far as the conditions.
    paths = [
        "/items/usr_1",
        "/items/usr_1",
        "/items/alice",
        "/items/%61lice",
        "/items/x",
        "/quiet",
        "/open",
        "/writers/a",
    ]
    path = draw(st.sampled_from([*paths, *paths, "/none"]))
    query = draw(st.none() | QUERIES)
    # Around the ends of a schedule and of a week, where the time of writing would decide otherwise.
    day, minute = draw(st.integers(0, 6)), draw(st.sampled_from([0, 8 * 60, 18 * 60, 12 * 60]))
    received = MONDAY + day * 86400 + minute * 60 + draw(st.sampled_from([-0.001, 0.0, 0.0005]))
    return replace(
        head_for(path if query is None else f"{path}?{query}"),
        id=request_id(received),
        received=received,
        method=draw(st.sampled_from(["GET", "GET", "GET", "HEAD", "POST", "PUT"])),
        host=draw(st.sampled_from(["api.example.com", "api.example.com", "example.org", None])),
        client=draw(
            st.sampled_from(["203.0.113.9", "203.0.113.8", "198.51.100.1", "192.0.2.1", "2001:db8::1"])
        ),
        fields=Fields(draw(LINES)),
    )


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Gateway:
    folder: Path = tmp_path_factory.mktemp("policy")
    (folder / "policies.yaml").write_text(POLICIES)
    (folder / "upstreams.yaml").write_text(UPSTREAMS)
    loaded = load_configuration(folder / "policies.yaml", folder / "upstreams.yaml", environ={})
    assert loaded.snapshot is not None, loaded.findings
    return Gateway(loaded.snapshot)


@settings(max_examples=250)
@given(head=requests(), caller=CALLERS)
async def test_a_record_is_enough_to_decide_again(
    gateway: Gateway, head: RequestHead, caller: Principal | None
) -> None:
    record = await gateway.decide(head, caller)
    if record["reason"] in {"credentials-missing", "credentials-invalid"}:
        caller = None
    again = await gateway.decide(asked_again(record), caller_again(record, gateway.kinds))
    for name in ("decision", "reason", "route", "rule", "status", "actor", "roles"):
        assert again[name] == record[name], name
    assert members(again["attributes"]).get("broken") == members(record["attributes"]).get("broken")
