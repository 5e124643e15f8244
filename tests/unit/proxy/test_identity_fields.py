"""Identity in plain text: every field, always, and no two principals alike."""

from dataclasses import replace

from gateway.model import ANONYMOUS, Principal, PrincipalKind
from gateway.proxy.identity_fields import identity_fields, visible

SOMEBODY = Principal(
    id="https://issuer.example|Zoë 100%",
    kind=PrincipalKind.EXTERNAL,
    name="Zoë",
    authn="corporate",
    authn_kind="jwt",
    roles=frozenset({"writer", "admin"}),
)


def test_every_field_is_there_sorted_and_in_ascii() -> None:
    assert dict(identity_fields(SOMEBODY, frozenset({"b:x", "a:y"}))) == {
        b"X-Gateway-Subject": b"https://issuer.example|Zo%C3%AB%20100%25",
        b"X-Gateway-Roles": b"admin writer",
        b"X-Gateway-Scopes": b"a:y b:x",
        b"X-Gateway-Auth-Kind": b"jwt",
    }


def test_nobody_is_said_with_empty_fields() -> None:
    assert {value for _, value in identity_fields(ANONYMOUS, frozenset())} == {b""}
    assert dict(identity_fields(replace(SOMEBODY, roles=frozenset()), frozenset()))[b"X-Gateway-Roles"] == b""


def test_two_values_are_never_written_alike() -> None:
    assert len({visible(value) for value in ("a b", "a%20b", "a%2520b", "a\tb", "a\udc80b")}) == 5
