"""Access tokens, as a stranger with our public key reads them."""

from dataclasses import replace
from typing import Any

import jwt
import pytest
from unit.accounts.house import RULES, House

from gateway.accounts import AccessTokens, Origin, Renewal
from gateway.identity.access_token import read_access_token
from gateway.ports import OAuthClient, User

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
    begun = await house.sessions.begin(ADA, RULES, Origin())
    assert begun is not None
    return begun


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
    tokens = AccessTokens(house.keyring, ISSUER)
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
        "auth_time": now,
        "amr": ["pwd"],
    }
    assert token.expires_in == 600
    assert len(token.id) == 32
    assert jwt.get_unverified_header(token.text) == {
        "alg": "ES256",
        "kid": house.keyring.active.kid,
        "typ": "at+jwt",
    }


async def test_a_token_never_outlives_its_session(house: House, renewal: Renewal) -> None:
    tokens = AccessTokens(house.keyring, ISSUER)
    house.clock.time = renewal.session_ends - 60
    token = tokens.mint(ADA, replace(renewal, at=house.clock.time), "", RULES)
    assert token.expires_in == 60
    assert decoded(house, token.text)["exp"] == int(renewal.session_ends)


async def test_a_token_lives_from_when_its_session_was_found_alive(house: House, renewal: Renewal) -> None:
    # Whatever ends the session after that moment is remembered for longer than the token lives.
    tokens = AccessTokens(house.keyring, ISSUER)
    house.clock.time += 9
    token = tokens.mint(ADA, renewal, "", RULES)
    claims = decoded(house, token.text)
    assert (claims["iat"], claims["exp"]) == (int(renewal.at), int(renewal.at) + 600)
    assert token.expires_in == 600


async def test_a_token_says_how_and_when_its_user_proved_who_they_are(house: House, renewal: Renewal) -> None:
    tokens = AccessTokens(house.keyring, ISSUER)
    proved = replace(
        renewal, began=1000.5, amr=("otp", "pwd"), mfa_at=2000.75, client_id="cli_1", jkt="A" * 43
    )
    claims = decoded(house, tokens.mint(ADA, proved, "", RULES).text)
    assert (claims["auth_time"], claims["amr"], claims["mfa_time"]) == (1000, ["otp", "pwd"], 2000)
    assert (claims["client_id"], claims["cnf"]) == ("cli_1", {"jkt": "A" * 43})


async def test_a_token_of_a_client_says_nothing_of_a_user(house: House) -> None:
    client = OAuthClient(
        id="cli_1", name="billing", roles=frozenset({"support"}), secrets=(), epoch=2, created_at=0.0
    )
    tokens = AccessTokens(house.keyring, ISSUER)
    now = house.clock.time
    token = tokens.mint_for_client(client, "orders:read", RULES, at=now, jkt=None)
    claims = decoded(house, token.text)
    assert claims.pop("jti") == token.id
    assert claims == {
        "iss": ISSUER,
        "aud": ISSUER,
        "sub": "cli_1",
        "client_id": "cli_1",
        "iat": int(now),
        "exp": int(now) + 600,
        "ep": 2,
        "roles": ["support"],
        "scope": "orders:read",
        "name": "billing",
    }
    assert token.expires_in == 600


async def test_what_is_minted_is_what_the_gateway_itself_takes(house: House, renewal: Renewal) -> None:
    tokens = AccessTokens(house.keyring, ISSUER)
    client = OAuthClient(id="cli_1", name="b", roles=frozenset(), secrets=(), epoch=0, created_at=0.0)
    now = house.clock.time
    minted = [
        tokens.mint(ADA, renewal, "orders:read", RULES),
        tokens.mint(ADA, replace(renewal, mfa_at=now, amr=("otp", "pwd"), jkt="A" * 43), "", RULES),
        tokens.mint_for_client(client, "", RULES, at=now, jkt="A" * 43),
    ]
    for token in minted:
        claims = read_access_token(
            token.text, keys=house.keyring.verifying, issuer=ISSUER, audience=ISSUER, now=now, longest=600.0
        )
        assert claims.id == token.id


async def test_no_two_tokens_have_one_id(house: House, renewal: Renewal) -> None:
    tokens = AccessTokens(house.keyring, ISSUER)
    ids = {decoded(house, tokens.mint(ADA, renewal, "", RULES).text)["jti"] for _ in range(5)}
    assert len(ids) == 5


async def test_the_key_that_is_active_now_signs(house: House, renewal: Renewal) -> None:
    tokens = AccessTokens(house.keyring, ISSUER)
    other = type(house.keyring.active).generate(created_at=0.0)
    house.keyring.active = other
    assert jwt.get_unverified_header(tokens.mint(ADA, renewal, "", RULES).text)["kid"] == other.kid


async def test_no_representation_shows_a_token(house: House, renewal: Renewal) -> None:
    token = AccessTokens(house.keyring, ISSUER).mint(ADA, replace(renewal), "", RULES)
    assert "eyJ" not in repr(token)
    assert "gwr_" not in repr(renewal)
