"""What an upstream learns of the caller, and what it never gets to see."""

import base64
import json
import time

import pytest
from support.conformance import Conversation, request, response
from support.gateway import Gateway


@pytest.fixture
def bearer(token: str) -> bytes:
    return b"Authorization: Bearer " + token.encode()


@pytest.fixture(scope="session")
def key(gateway: Gateway, token: str) -> bytes:
    """The line of an API key of rita."""
    assert token, "rita has registered"
    done = gateway.run("keys", "create", "robot", "--user", "rita", "--format", "json")
    assert done.returncode == 0, done.stderr
    key: str = json.loads(done.stdout)["key"]
    return b"X-Api-Key: " + key.encode()


def claims_of(assertion: bytes) -> tuple[dict[str, object], dict[str, object]]:
    """Return header and claims of a JWT."""
    header, claims, _ = (
        base64.urlsafe_b64decode(part + b"=" * (-len(part) % 4)) for part in assertion.split(b".")
    )
    return json.loads(header), json.loads(claims)


def test_a_bearer_token_is_not_passed_on(talk: Conversation, bearer: bytes) -> None:
    """RFC 6750 5.3; RFC 9110 11.6.2."""
    seen = talk.forwarded(b"GET /named/x HTTP/1.1", bearer, at="named")
    assert seen.values("authorization") == []
    assert bearer.split()[-1] not in b"\n".join(seen.lines)


def test_an_api_key_is_not_passed_on(talk: Conversation, key: bytes) -> None:
    """RFC 9110 7.6: hop by hop in spirit."""
    seen = talk.forwarded(b"GET /named/x HTTP/1.1", key, at="named")
    assert seen.values("x-api-key") == []
    assert seen.values("x-gateway-auth-kind") == [b"api_key"]


@pytest.mark.parametrize("spelling", [b"x_api_key", b"X.Api.Key", b"x-api_key"])
def test_a_credential_field_is_not_passed_on_in_any_spelling(talk: Conversation, spelling: bytes) -> None:
    """Traefik TestUnderscoreHeadersStrategy."""
    assert b"secret" not in b"".join(talk.forwarded(b"GET /plain/x HTTP/1.1", spelling + b": secret").lines)


@pytest.mark.parametrize("value", [b"Bearer x", b"bearer x", b"BEARER x"])
def test_a_token_is_not_passed_on_even_where_nobody_asked_for_it(talk: Conversation, value: bytes) -> None:
    """RFC 9110 11.6.2."""
    assert talk.forwarded(b"GET /plain/x HTTP/1.1", b"Authorization: " + value).values("authorization") == []


def test_credentials_are_passed_on_where_the_configuration_says_so(talk: Conversation, bearer: bytes) -> None:
    """RFC 9110 11.6.2: "MAY relay the credentials"."""
    assert bearer in talk.forwarded(b"GET /passing/x HTTP/1.1", bearer, at="passing").lines


def test_the_gateways_own_cookies_are_not_passed_on_and_others_are(talk: Conversation) -> None:
    """RFC 6265 5.4."""
    seen = talk.forwarded(b"GET /plain/x HTTP/1.1", b"Cookie: a=1; __Host-gateway-device=secret; b=2")
    assert b"; ".join(seen.values("cookie")) == b"a=1; b=2"


def test_the_caller_is_named_in_fields(talk: Conversation, bearer: bytes) -> None:
    """oauth2-proxy X-Auth-Request-User."""
    seen = talk.forwarded(
        b"GET /named/x HTTP/1.1", bearer, b"X-Gateway-Subject: root", b"X_Gateway_Roles: admin", at="named"
    )
    (subject,) = seen.values("x-gateway-subject")
    assert subject.startswith(b"usr_")
    assert seen.values("x-gateway-roles") == [b"reader"]
    assert seen.values("x-gateway-scopes") == [b"things:read"]
    assert seen.values("x-gateway-auth-kind") == [b"gateway_jwt"]
    assert seen.values("x-gateway-assertion") == []
    assert b"X_Gateway_Roles" not in b"".join(seen.lines)


def test_the_caller_is_named_in_a_signed_assertion(talk: Conversation, bearer: bytes) -> None:
    """RFC 7519; Google IAP x-goog-iap-jwt-assertion."""
    seen = talk.forwarded(b"GET /signed/x HTTP/1.1", bearer, b"X-Gateway-Assertion: forged", at="signed")
    (assertion,) = seen.values("x-gateway-assertion")
    header, claims = claims_of(assertion)
    assert (header["alg"], header["typ"]) == ("ES256", "gw-assertion+jwt")
    assert claims["iss"] == "http://localhost:8000"
    assert claims["aud"] == "signed"
    assert str(claims["sub"]).startswith("usr_")
    assert claims["roles"] == ["reader"]
    assert claims["scope"] == "things:read"
    assert isinstance(claims["exp"], int)
    assert 0 < claims["exp"] - time.time() <= 60
    assert not {"rid", "htm", "htu"} & claims.keys()
    assert not {name for name in seen.names() if name.startswith("x-gateway-")} - {"x-gateway-assertion"}


def test_an_assertion_may_be_bound_to_one_request(talk: Conversation, bearer: bytes) -> None:
    """RFC 9449 4.2."""
    seen = talk.forwarded(b"GET /bound/x?y=z HTTP/1.1", bearer, at="bound")
    (assertion,) = seen.values("x-gateway-assertion")
    _, claims = claims_of(assertion)
    assert [str(claims["rid"]).encode()] == seen.values("x-request-id")
    assert claims["htm"] == "GET"
    assert "/bound/x" in str(claims["htu"])


def test_nobody_is_named_on_a_public_route(talk: Conversation, bearer: bytes) -> None:
    """RFC 9110 11."""
    seen = talk.forwarded(b"GET /plain/x HTTP/1.1", bearer)
    assert not [name for name in seen.names() if name.startswith("x-gateway-")]


def test_a_client_is_told_about_a_limit_that_applied(talk: Conversation) -> None:
    """draft-ietf-httpapi-ratelimit-headers 3, 4."""
    answer = talk.answered(
        response(b"RateLimit: theirs", b"RateLimit-Policy: theirs"), b"GET /plain/counted HTTP/1.1"
    )
    assert len(answer.values("ratelimit-policy")) >= 1
    assert any(b"1000" in value for value in answer.values("ratelimit-policy"))
    assert any(b"r=" in value for value in answer.values("ratelimit"))
    assert talk.answered(response()).values("ratelimit") == []


def test_a_client_over_its_limit_is_told_when_to_come_back(talk: Conversation) -> None:
    """RFC 6585 4."""
    talk.forwarded(b"GET /plain/spent HTTP/1.1", b"X-Key: a")
    answer = talk.client().send(request(b"GET /plain/spent HTTP/1.1", b"X-Key: a")).message()
    assert (answer.status, answer.slug) == (429, "rate-exceeded")
    assert 1 <= int(answer.values("retry-after")[0]) <= 3600


def test_a_missing_credential_is_challenged_with_the_schemes_that_would_do(talk: Conversation) -> None:
    """RFC 9110 15.5.2, RFC 6750 3."""
    answer = talk.refused(request(b"GET /named/x HTTP/1.1"))
    assert (answer.status, answer.slug) == (401, "credentials-missing")
    assert b"bearer" in b",".join(answer.values("www-authenticate")).lower()


@pytest.mark.parametrize(
    "value", [b"Bearer", b"Bearer ", b"Bearer  x", b"Bearer a b", b"Bearer\tx", b"Bearer x,y"]
)
def test_a_bad_token_is_refused(talk: Conversation, value: bytes) -> None:
    """RFC 6750 2.1."""
    answer = talk.refused(request(b"GET /named/x HTTP/1.1", b"Authorization: " + value))
    assert answer.status == 401


def test_two_authorization_lines_are_refused(talk: Conversation, bearer: bytes) -> None:
    """RFC 9110 5.3."""
    assert talk.refused(request(b"GET /named/x HTTP/1.1", bearer, bearer)).status == 400
