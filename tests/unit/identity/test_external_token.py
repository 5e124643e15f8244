from dataclasses import replace

import pytest
from support.issuer import ISSUER, Issuer, IssuerKey
from unit.crypto.rows import START
from unit.identity.outside import RULES

from gateway.crypto import Jws, read_jws
from gateway.identity.access_token import TokenRefused
from gateway.identity.external_token import ExternalClaims, read_claims, read_header

ISSUED = Issuer(IssuerKey(), now=lambda: START)


def jws_of(**changes: object) -> Jws:
    return read_jws(ISSUED.token(**changes).encode())  # type: ignore[arg-type] # any claim is one


def said(**changes: object) -> ExternalClaims:
    return read_claims(jws_of(**changes), RULES, now=START)


def why(**changes: object) -> str:
    with pytest.raises(TokenRefused) as refused:
        said(**changes)
    return str(refused.value)


def test_issuer_and_subject_identify_somebody_and_nothing_else_does() -> None:
    claims = said(email="alice@example.com", preferred_username="alice.w")
    assert claims.id == f"{ISSUER}|alice"
    assert claims.name == "alice.w"
    assert claims.client_id == "web"
    assert claims.expires == START + 600
    assert claims.binding is None
    assert claims.all["groups"] == ["finance", "helpdesk"]


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({}, "alice"),
        ({"email": "a@b.example"}, "a@b.example"),
        ({"preferred_username": "", "email": "a@b.example"}, "a@b.example"),
        ({"preferred_username": 5}, "alice"),
        ({"preferred_username": "x" * 257}, "alice"),
    ],
)
def test_the_name_is_the_first_that_is_one(changes: dict[str, object], name: str) -> None:
    assert said(**changes).name == name


@pytest.mark.parametrize(
    ("changes", "client"),
    [
        ({"client_id": None}, None),
        ({"client_id": None, "azp": "spa"}, "spa"),
        ({"client_id": 1, "cid": "c"}, "c"),
    ],
)
def test_the_client_is_called_differently_by_issuers(changes: dict[str, object], client: str | None) -> None:
    assert said(**changes).client_id == client


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"iss": f"{ISSUER}/"}, "iss is another issuer"),
        ({"iss": None}, "iss is another issuer"),
        ({"sub": None}, "sub is missing"),
        ({"sub": ""}, "sub is missing"),
        ({"sub": 5}, "sub is missing"),
        ({"sub": ["alice"]}, "sub is missing"),
        ({"sub": "a" * 256}, "too long"),
        ({"sub": "a\nb"}, "characters that no name has"),
        ({"sub": "a\0"}, "characters that no name has"),
        ({"sub": "a\x7f"}, "characters that no name has"),
        ({"sub": "\ud800"}, "characters that no name has"),
        ({"aud": None}, "aud is missing"),
        ({"aud": 5}, "aud is missing"),
        ({"aud": {"orders-api": True}}, "aud is missing"),
        ({"aud": ["orders-api", 5]}, "aud is missing"),
        ({"aud": []}, "aud is somebody else"),
        ({"aud": "orders"}, "aud is somebody else"),
        ({"aud": "orders-api "}, "aud is somebody else"),
        ({"aud": "Orders-API"}, "aud is somebody else"),
        ({"aud": ["web", "orders-apix"]}, "aud is somebody else"),
        ({"exp": None}, "exp is missing"),
        ({"exp": str(int(START) + 600)}, "exp is missing or not a number"),
        ({"exp": True}, "exp is missing or not a number"),
        ({"exp": [START]}, "exp is missing or not a number"),
        ({"exp": 1e300}, "exp is missing or not a number"),
        ({"exp": -1}, "exp is missing or not a number"),
        ({"exp": 10**400}, "exp is missing or not a number"),
        ({"exp": START - 30}, "expired"),
        ({"iat": START + 31}, "iat is in the future"),
        ({"iat": "now"}, "iat is missing or not a number"),
        ({"nbf": START + 31}, "nbf is in the future"),
        ({"nbf": str(START)}, "nbf is missing or not a number"),
        ({"scope": ["orders"]}, "scope is not a string"),
        ({"at_hash": "x"}, "this is an ID token"),
        ({"c_hash": "x"}, "this is an ID token"),
        ({"typ": "ID"}, "this is an ID token"),
        ({"token_use": "id"}, "this is an ID token"),
        ({"nonce": "n", "scope": None, "client_id": None}, "this is an ID token"),
        ({"cnf": {}}, "cnf names nothing that can be proved"),
        ({"cnf": {"x5t": "abc"}}, "cnf names nothing that can be proved"),
        ({"cnf": "jkt"}, "cnf is not an object"),
        ({"cnf": {"jkt": 5}}, "not a string"),
    ],
)
def test_what_a_token_must_say_is_asked_to_the_letter(changes: dict[str, object], reason: str) -> None:
    assert reason in why(**changes)


@pytest.mark.parametrize(
    "changes",
    [
        {"aud": ["web", "billing-api"]},
        {"exp": START + 0.5},
        {"exp": START - 29.9},
        {"iat": START + 30},
        {"nbf": START + 30},
        {"iat": None},
        {"nonce": "of an issuer that repeats it everywhere"},
        {"sub": "ü" * 255},
        {"scope": None},
        {"roles": "not a list, and nobody's business"},
        {"jti": None},
    ],
)
def test_what_is_within_the_rules_is_taken(changes: dict[str, object]) -> None:
    assert said(**changes).id.startswith(f"{ISSUER}|")


def test_whose_a_bad_token_was_is_told() -> None:
    cases: list[dict[str, object]] = [{"exp": START - 60}, {"cnf": {}}, {"aud": "x"}]
    for changes in cases:
        with pytest.raises(TokenRefused) as refused:
            said(**changes)
        assert refused.value.subject == f"{ISSUER}|alice"


@pytest.mark.parametrize(
    ("amr", "auth_time", "at"),
    [
        (["pwd", "mfa"], START - 100, START - 100),
        (["pwd", "otp"], START, START),
        (["hwk", "pin"], START - 0.5, START - 0.5),
        (["mfa"], START + 30, START + 30),
        (["mfa"], START + 31, None),
        (["mfa"], None, None),
        (["mfa"], "now", None),
        (["pwd"], START, None),
        (["otp"], START, None),
        (["pwd", "pin"], START, None),
        (["otp", "sms"], START, None),
        ("mfa", START, None),
        ([["mfa"], 5], START, None),
        ([], START, None),
        (None, START, None),
    ],
)
def test_a_second_factor_is_one_of_another_kind_at_a_known_time(
    amr: object, auth_time: object, at: float | None
) -> None:
    assert said(amr=amr, auth_time=auth_time).mfa_at == at


def test_what_a_token_is_bound_to_is_kept() -> None:
    binding = said(cnf={"jkt": "abc", "x5t#S256": "def"}).binding
    assert binding is not None
    assert (binding.key, binding.certificate) == ("abc", "def")


def header(**changes: object) -> tuple[str | None, str]:
    return read_header(ISSUED.header(**changes), RULES)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"alg": "none"}, "alg is not one"),
        ({"alg": "None"}, "alg is not one"),
        ({"alg": "HS256"}, "alg is not one"),
        ({"alg": "ES384"}, "alg is not one"),
        ({"alg": "es256"}, "alg is not one"),
        ({"alg": ["ES256"]}, "alg is not one"),
        ({"alg": None}, "alg is not one"),
        ({"crit": ["b64"], "b64": False}, "demands extensions"),
        ({"crit": []}, "demands extensions"),
        ({"crit": ["exp"]}, "demands extensions"),
        ({"typ": "JWT"}, "typ is not one"),
        ({"typ": None}, "typ is not one"),
        ({"typ": "dpop+jwt"}, "typ is not one"),
        ({"typ": "gw-assertion+jwt"}, "typ is not one"),
        ({"typ": "logout+jwt"}, "typ is not one"),
        ({"typ": ["at+jwt"]}, "typ is not one"),
        ({"typ": ""}, "typ is not one"),
        ({"kid": 5}, "kid is not a string"),
        ({"kid": ["k1"]}, "kid is not a string"),
    ],
)
def test_a_header_that_is_not_what_was_agreed_is_refused(changes: dict[str, object], reason: str) -> None:
    with pytest.raises(TokenRefused, match=reason):
        header(**changes)


@pytest.mark.parametrize("typ", ["at+jwt", "AT+JWT", "application/at+jwt", "Application/AT+jwt"])
def test_a_type_is_written_in_several_ways(typ: str) -> None:
    assert header(typ=typ) == ("k1", "ES256")


def test_a_token_without_type_is_a_jwt_where_those_are_accepted() -> None:
    lenient = replace(RULES, types=frozenset({"jwt"}))
    assert read_header({"alg": "ES256"}, lenient) == (None, "ES256")
    assert read_header({"alg": "ES256", "typ": "JWT", "kid": "k"}, lenient) == ("k", "ES256")
    with pytest.raises(TokenRefused):
        read_header({"alg": "ES256", "typ": "at+jwt"}, lenient)


def test_where_a_token_says_its_key_is_does_not_matter() -> None:
    assert header(jku="https://evil.example/keys", jwk={"kty": "oct"}, x5u="https://e", x5c=["AA"]) == (
        "k1",
        "ES256",
    )
