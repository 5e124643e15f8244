from dataclasses import replace

import pytest
from unit.policy.conftest import Bench, MakeFacts

from gateway.model import ClientCertificate, Principal, PrincipalKind
from gateway.policy import Condition, Facts, Grants
from gateway.policy.grant import CACHED, GrantRule

CAROL = Principal(
    id="https://login.example.com|carol",
    kind=PrincipalKind.EXTERNAL,
    name="carol",
    authn="corporate",
    authn_kind="jwt",
    claims={"groups": ["finance"], "level": 3},
    expires_at=1.0,
)
CERTIFICATE = ClientCertificate(subject="CN=x", issuer="CN=y", serial="1", fingerprint="00", not_after=2e9)


@pytest.fixture
def carol(facts: MakeFacts) -> Facts:
    return facts(principal=CAROL)


def rule(bench: Bench, role: str, tree: object, *authenticators: str) -> GrantRule:
    condition = bench.compile(tree)
    assert condition is not None, bench.findings
    return GrantRule(
        role=role, authenticators=frozenset(authenticators or {"corporate"}), condition=condition
    )


def test_roles_are_given_by_what_the_token_says(everywhere: Bench, carol: Facts) -> None:
    grants = Grants(
        [
            rule(everywhere, "finance", {"claims.groups": {"has": "finance"}}),
            rule(everywhere, "support", {"claims.groups": {"has": "helpdesk"}}),
            rule(everywhere, "senior", {"claims.level": {"in": [3, 4]}}),
        ]
    )
    assert grants.given(carol) == replace(CAROL, roles=frozenset({"finance", "senior"}))
    assert grants.given_now(carol) == grants.given(carol)
    assert not grants.unknown


def test_no_grant_is_no_role(carol: Facts) -> None:
    assert Grants().given(carol).roles == frozenset()
    # Whatever came along does not count: roles of callers from outside are the policy's to give.
    claimed = carol._replace(principal=replace(CAROL, roles=frozenset({"admin"})))
    assert Grants().given(claimed).roles == frozenset()
    assert Grants().given_now(claimed).roles == frozenset()


def test_only_callers_of_the_named_authenticators_are_meant(everywhere: Bench, carol: Facts) -> None:
    always = {"principal.id": {"present": True}}
    grants = Grants(
        [rule(everywhere, "a", always, "machines"), rule(everywhere, "b", always, "machines", "corporate")]
    )
    assert grants.given(carol).roles == {"b"}


def test_what_is_missing_grants_nothing_and_is_counted(everywhere: Bench, carol: Facts) -> None:
    grants = Grants(
        [
            rule(everywhere, "finance", {"claims.department": {"is": "finance"}}),
            rule(everywhere, "strange", {"none_of": [{"claims.department": {"is": "sales"}}]}),
            rule(everywhere, "senior", {"any_of": [{"claims.rank": {"is": 1}}, {"claims.level": {"is": 3}}]}),
        ]
    )
    assert grants.given(carol).roles == {"senior"}
    assert grants.given(carol).roles == {"senior"}
    assert grants.unknown == {"finance": 1, "strange": 1}


def test_a_role_that_was_given_is_not_asked_for_again(everywhere: Bench, carol: Facts) -> None:
    has = rule(everywhere, "finance", {"claims.groups": {"has": "finance"}})
    grants = Grants([has, rule(everywhere, "finance", {"claims.nothing": {"is": "x"}})])
    assert grants.given(carol).roles == {"finance"}
    assert not grants.unknown


def counting(condition: Condition, asked: list[Facts]) -> Condition:
    def test(facts: Facts) -> bool | None:
        asked.append(facts)
        return condition.test(facts)

    return replace(condition, test=test)


def test_what_only_the_caller_decides_is_decided_once_for_each_caller_and_certificate(
    everywhere: Bench, carol: Facts
) -> None:
    asked: list[Facts] = []
    found = rule(everywhere, "finance", {"claims.groups": {"has": "finance"}})
    grants = Grants([replace(found, condition=counting(found.condition, asked))])
    first = grants.given(carol)
    assert grants.given(carol) is first
    assert len(asked) == 1
    # An equal caller is another one: it was verified again.
    other = replace(CAROL)
    assert grants.given(carol._replace(principal=other)) == first
    assert len(asked) == 2
    with_certificate = carol._replace(head=replace(carol.head, certificate=CERTIFICATE))
    assert grants.given(with_certificate) == first
    assert len(asked) == 3
    assert grants.given_now(carol) == first
    assert len(asked) == 4
    assert len(grants._known) == 3


def test_a_role_that_a_certificate_gives_ends_with_it(everywhere: Bench, facts: MakeFacts) -> None:
    grants = Grants([rule(everywhere, "finance", {"client.cert.serial": {"is": "1"}})])
    caller = facts(principal=CAROL, certificate=CERTIFICATE)
    assert grants.given(caller).roles == {"finance"}
    assert grants.given(caller._replace(now=CERTIFICATE.not_after)).roles == set()


def test_what_the_request_decides_is_asked_each_time(everywhere: Bench, facts: MakeFacts) -> None:
    grants = Grants(
        [
            rule(everywhere, "finance", {"claims.groups": {"has": "finance"}}),
            rule(everywhere, "office", {"client.ip": {"in_network": "office"}}),
        ]
    )
    inside, outside = facts(principal=CAROL), facts(principal=CAROL, client="192.0.2.1")
    assert grants.given(inside).roles == {"finance", "office"}
    assert grants.given(outside).roles == {"finance"}
    assert grants.given(inside).roles == {"finance", "office"}
    assert grants.given(outside) is grants.given(outside)


def test_only_so_many_callers_are_remembered(
    everywhere: Bench, carol: Facts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.policy.grant.CACHED", 3)
    grants = Grants([rule(everywhere, "finance", {"claims.groups": {"has": "finance"}})])
    for _ in range(5):
        assert grants.given(carol._replace(principal=replace(CAROL))).roles == {"finance"}
    assert len(grants._known) == 3
    assert CACHED == 10_000
    assert repr(grants) == "Grants(1)"
