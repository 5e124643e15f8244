"""What conditions are compiled from and tried on."""

from dataclasses import dataclass, field, replace
from ipaddress import ip_network
from typing import Protocol

import pytest
from support.heads import HEAD

from gateway.model import (
    ANONYMOUS,
    ClientCertificate,
    Fields,
    Line,
    Principal,
    PrincipalKind,
)
from gateway.policy import Condition, Facts, Schedule, Truth, compile_condition

Path = tuple[str | int, ...]
Finding = tuple[Path, str, str, str | None]

ALICE = Principal(
    id="usr_1",
    kind=PrincipalKind.USER,
    name="alice",
    authn="gateway",
    authn_kind="gateway_jwt",
    roles=frozenset({"support"}),
    claims={
        "sub": "usr_1",
        "groups": ["finance", "helpdesk", 1],
        "level": 1,
        "score": 1.5,
        "active": True,
        "nothing": None,
        "scope": "read write",
        "https://example.com/team": "red",
        "realm_access": {"roles": ["auditor"], "deep": {"x": "y"}},
        "dotted.name": "literal",
        "dotted": {"name": "nested"},
    },
)
KEY = Principal(id="key_1", kind=PrincipalKind.API_KEY, name="ci", authn="keys", authn_kind="api_key")


@dataclass
class Bench:
    """Compiles conditions and tries them."""

    params: frozenset[str] | None = frozenset({"user_id", "order_id"})
    findings: list[Finding] = field(default_factory=list)

    def compile(self, tree: object) -> Condition | None:
        return compile_condition(
            tree,
            place=lambda path: f"policies.yaml:{len(path)}",
            networks={
                "office": (ip_network("203.0.113.0/24"), ip_network("2001:db8:10::/48")),
                "blocked": (ip_network("198.51.100.0/24"),),
            },
            schedules={"business_hours": Schedule.parse("mon-fri", "08:00", "18:00", "UTC")},
            params=self.params,
            roles=frozenset({"support", "finance"}),
            report=lambda *finding: self.findings.append(finding),
        )

    def truth(self, tree: object, facts: Facts) -> Truth:
        condition = self.compile(tree)
        assert condition is not None, self.findings
        return condition.test(facts)

    def finding(self, tree: object) -> Finding:
        assert self.compile(tree) is None
        (only,) = self.findings
        return only


class MakeFacts(Protocol):
    def __call__(
        self,
        *,
        principal: Principal = ALICE,
        lines: tuple[Line, ...] = (),
        query: str | None = None,
        client: str = "203.0.113.7",
        host: str | None = "api.example.com",
        method: str = "GET",
        params: dict[str, str] | None = None,
        now: float = 1_763_978_400.0,
        certificate: ClientCertificate | None = None,
    ) -> Facts: ...


@pytest.fixture
def bench() -> Bench:
    return Bench()


@pytest.fixture
def everywhere() -> Bench:
    return Bench(params=None)


@pytest.fixture
def facts() -> MakeFacts:
    """Make facts; `now` is Monday, 24 November 2025, 10:00 UTC."""

    def make(
        *,
        principal: Principal = ALICE,
        lines: tuple[Line, ...] = (),
        query: str | None = None,
        client: str = "203.0.113.7",
        host: str | None = "api.example.com",
        method: str = "GET",
        params: dict[str, str] | None = None,
        now: float = 1_763_978_400.0,
        certificate: ClientCertificate | None = None,
    ) -> Facts:
        head = replace(
            HEAD,
            fields=Fields(lines),
            query=query,
            client=client,
            host=host,
            method=method,
            certificate=certificate,
        )
        return Facts(head, params or {"user_id": "usr_1", "order_id": "17"}, principal, now)

    return make


@pytest.fixture
def anonymous(facts: MakeFacts) -> Facts:
    return facts(principal=ANONYMOUS)


@pytest.fixture
def by_key(facts: MakeFacts) -> Facts:
    return facts(principal=KEY)
