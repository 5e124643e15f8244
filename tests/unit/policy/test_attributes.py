"""What each attribute is read as, and when it counts as missing."""

from typing import Any

import pytest

from gateway.model import ANONYMOUS


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("sub", "usr_1"),
        ("level", 1),
        ("score", 1.5),
        ("active", True),
        ("https://example.com/team", "red"),
        ("realm_access.deep.x", "y"),
        ("dotted.name", "literal"),
    ],
)
def test_a_claim_is_read_by_its_whole_name_first_then_by_steps(
    bench: Any, facts: Any, name: str, value: object
) -> None:
    assert bench.truth({f"claims.{name}": {"is": value}}, facts()) is True


@pytest.mark.parametrize("name", ["absent", "nothing", "sub.x", "realm_access.deep.x.z", "groups.0"])
def test_a_claim_that_is_not_there_or_null_is_missing(bench: Any, facts: Any, name: str) -> None:
    assert bench.truth({f"claims.{name}": {"is": "x"}}, facts()) is None


def test_claims_of_a_principal_without_a_token_are_missing(bench: Any, by_key: Any) -> None:
    assert bench.truth({"claims.sub": {"is": "usr_1"}}, by_key) is None


@pytest.mark.parametrize(
    "question",
    [
        {"principal.id": {"is": ""}},
        {"principal.roles": {"has": "support"}},
        {"authn.kind": {"is": "api_key"}},
        {"claims.sub": {"is": "usr_1"}},
    ],
)
def test_everything_about_the_caller_is_missing_when_nobody_was_identified(
    bench: Any, anonymous: Any, question: object
) -> None:
    assert bench.truth(question, anonymous) is None


@pytest.mark.parametrize(
    ("lines", "truth"),
    [
        (((b"X-Tenant", b"red"),), True),
        (((b"x-TENANT", b"red"),), True),
        (((b"X-Tenant", b"blue"),), False),
        ((), None),
        (((b"X-Tenant", b"red"), (b"x-tenant", b"red")), None),
        (((b"X-Tenant", b"r\xc3\xa9d"),), None),
        (((b"X_Tenant", b"red"),), None),
    ],
)
def test_a_header_counts_when_it_occurs_once_and_is_ascii(
    bench: Any, facts: Any, lines: tuple[tuple[bytes, bytes], ...], truth: bool | None
) -> None:
    assert bench.truth({"header.X-Tenant": {"is": "red"}}, facts(lines=lines)) is truth


@pytest.mark.parametrize(
    ("query", "truth"),
    [
        ("mode=fast", True),
        ("a=1&mode=fast&b", True),
        ("mode=%66ast", True),
        ("%6dode=fast", True),
        ("mode=%2566ast", False),
        ("mode=fast&mode=fast", None),
        ("mode=fast&%6dode=slow", None),
        ("mode", False),
        ("mode=", False),
        ("Mode=fast", None),
        ("&&", None),
        ("", None),
        (None, None),
        ("mode=%ff", None),
    ],
)
def test_a_query_parameter_is_decoded_once_and_counts_when_it_occurs_once(
    bench: Any, facts: Any, query: str | None, truth: bool | None
) -> None:
    assert bench.truth({"query.mode": {"is": "fast"}}, facts(query=query)) is truth


def test_a_plus_in_the_query_stays_a_plus(bench: Any, facts: Any) -> None:
    assert bench.truth({"query.q": {"is": "a+b"}}, facts(query="q=a+b")) is True


def test_path_host_and_method_are_read_from_the_request(bench: Any, facts: Any) -> None:
    tree = {
        "path.order_id": {"is": "17"},
        "host": {"is": "API.example.com."},
        "method": {"in": ["GET", "HEAD"]},
    }
    assert bench.truth(tree, facts()) is True
    assert bench.truth({"host": {"is": "api.example.com"}}, facts(host=None)) is None


@pytest.mark.parametrize(
    ("client", "truth"),
    [
        ("2001:db8::1", True),
        ("2001:DB8:0::1", True),
        ("2001:db8::2", False),
        ("", None),
    ],
)
def test_addresses_are_compared_as_addresses(bench: Any, facts: Any, client: str, truth: bool | None) -> None:
    assert bench.truth({"client.ip": {"is": "2001:0db8::0001"}}, facts(client=client)) is truth


@pytest.mark.parametrize(
    ("name", "code", "suggestion"),
    [
        ("claim.groups", "E121", "claims.groups"),
        ("headers.x-tenant", "E121", "header.x-tenant"),
        ("client.pi", "E121", "client.ip"),
        ("principal.role", "E121", "principal.roles"),
        ("ip", "E121", None),
        ("claims", "E121", None),
        ("claims.", "E121", None),
        ("header.x tenant", "E121", None),
        ("path.userid", "E107", "path.user_id"),
        ("client.cert.san_url", "E121", "client.cert.san_uri"),
        ("client.cert", "E121", None),
    ],
)
def test_an_unknown_attribute_is_found_at_its_key(
    bench: Any, name: str, code: str, suggestion: str | None
) -> None:
    path, found, message, near = bench.finding({name: {"is": "x"}})
    assert (path, found) == ((name,), code)
    assert message
    if suggestion is not None:
        assert near == suggestion


def test_a_rule_for_every_route_cannot_look_at_the_path(everywhere: Any) -> None:
    assert everywhere.finding({"path.user_id": {"is": "x"}})[:2] == (("path.user_id",), "E107")


def test_an_anonymous_principal_keeps_no_roles(bench: Any, facts: Any) -> None:
    assert bench.truth({"principal.roles": {"present": True}}, facts(principal=ANONYMOUS)) is False
    assert bench.truth({"principal.roles": {"has": "support"}}, facts()) is True
    assert bench.truth({"principal.roles": {"has": "finance"}}, facts()) is False
