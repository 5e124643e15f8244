"""Access tokens, as a stranger with our public key reads them."""

from dataclasses import replace
from typing import Any

import jwt
import pytest
from unit.accounts.house import RULES, House

from gateway.accounts import AccessTokens, Origin
from gateway.accounts.sessions import Renewal
from gateway.ports import User

ISSUER = "https://gateway.example"
ADA = User(
    id="usr_1",
    username="Ada",
    email=None,
    password_hash=None,
    roles=frozenset({"support", "customer"}),
    epoch=3,
    created_at=0.0,
    verified_at=None,
)


@pytest.fixture
async def renewal(house: House) -> Renewal:
    await house.users.add(ADA)
    return await house.sessions.begin(ADA.id, RULES, Origin())


def decoded(house: House, token: str) -> dict[str, Any]:
    claims: dict[str, Any] = jwt.decode(
        token,
        house.keyring.active.public,
        algorithms=["ES256"],
        audience=ISSUER,
        issuer=ISSUER,
        options={
            "require": ["exp", "iat", "sub", "jti", "client_id"],
            "verify_exp": False,
            "verify_iat": False,
        },
    )
    return claims


async def test_a_token_has_every_claim_of_rfc_9068_and_ours(house: House, renewal: Renewal) -> None:
    house.clock.time += 0.75
    tokens = AccessTokens(house.keyring, ISSUER, house.clock)
    token = tokens.mint(ADA, renewal, "orders:read profile:read", RULES)
    claims = decoded(house, token.text)
    assert len(claims.pop("jti")) == 32
    now = int(house.clock.time)
    assert claims == {
        "iss": ISSUER,
        "aud": ISSUER,
        "sub": "usr_1",
        "client_id": "gateway",
        "iat": now,
        "exp": now + 600,
        "sid": renewal.session,
        "rg": 0,
        "ep": 3,
        "roles": ["customer", "support"],
        "scope": "orders:read profile:read",
        "name": "Ada",
    }
    assert token.expires_in == 600
    assert jwt.get_unverified_header(token.text) == {
        "alg": "ES256",
        "kid": house.keyring.active.kid,
        "typ": "at+jwt",
    }


async def test_a_token_never_outlives_its_session(house: House, renewal: Renewal) -> None:
    tokens = AccessTokens(house.keyring, ISSUER, house.clock)
    house.clock.time = renewal.session_ends - 60
    token = tokens.mint(ADA, renewal, "", RULES)
    assert token.expires_in == 60
    assert decoded(house, token.text)["exp"] == int(renewal.session_ends)


async def test_no_two_tokens_have_one_id(house: House, renewal: Renewal) -> None:
    tokens = AccessTokens(house.keyring, ISSUER, house.clock)
    ids = {decoded(house, tokens.mint(ADA, renewal, "", RULES).text)["jti"] for _ in range(5)}
    assert len(ids) == 5


async def test_the_key_that_is_active_now_signs(house: House, renewal: Renewal) -> None:
    tokens = AccessTokens(house.keyring, ISSUER, house.clock)
    other = type(house.keyring.active).generate(created_at=0.0)
    house.keyring.active = other
    assert jwt.get_unverified_header(tokens.mint(ADA, renewal, "", RULES).text)["kid"] == other.kid


async def test_no_representation_shows_a_token(house: House, renewal: Renewal) -> None:
    token = AccessTokens(house.keyring, ISSUER, house.clock).mint(ADA, replace(renewal), "", RULES)
    assert "eyJ" not in repr(token)
    assert "gwr_" not in repr(renewal)
