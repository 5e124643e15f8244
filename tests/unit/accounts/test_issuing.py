"""Pairs of tokens, and tokens of clients, as whoever asks for them is told."""

from dataclasses import replace

import jwt
import pytest
from unit.accounts.deeds import scopes_of
from unit.accounts.house import RULES, House

from gateway.accounts import AccessTokens, Issuing, Origin, Renewal
from gateway.ports import OAuthClient, User

ADA = User(
    id="usr_1",
    username="Ada",
    email=None,
    password_hash=None,
    roles=frozenset({"customer"}),
    epoch=0,
    created_at=0.0,
    verified_at=None,
)
CLIENT = OAuthClient(
    id="cli_1", name="billing", roles=frozenset({"customer"}), secrets=(), epoch=0, created_at=0.0
)


@pytest.fixture
def issuing(house: House) -> Issuing:
    return Issuing(AccessTokens(house.keyring, "https://gateway.example"))


@pytest.fixture
async def renewal(house: House) -> Renewal:
    await house.users.add(ADA)
    begun = await house.sessions.begin(ADA, RULES, Origin())
    assert begun is not None
    return begun


@pytest.mark.parametrize(
    ("confined", "wanted", "granted"),
    [
        (None, None, "orders:read profile:read"),
        (None, frozenset({"orders:read"}), "orders:read"),
        (None, frozenset({"orders:read", "orders:write"}), "orders:read"),
        (None, frozenset({"orders:write"}), ""),
        ("profile:read", None, "profile:read"),
        ("profile:read", frozenset({"orders:read"}), ""),
        ("orders:write", None, ""),
        ("", None, ""),
    ],
)
async def test_a_token_may_do_what_was_wanted_of_what_there_is(
    issuing: Issuing, renewal: Renewal, confined: str | None, wanted: frozenset[str] | None, granted: str
) -> None:
    pair = issuing.pair(ADA, replace(renewal, scope=confined), RULES, scopes_of, wanted=wanted)
    assert pair.scope == granted
    said = jwt.decode(pair.access_token, options={"verify_signature": False})
    assert said["scope"] == granted
    assert pair.refresh_token == renewal.refresh_token


async def test_a_bound_token_says_that_a_proof_goes_with_it(issuing: Issuing, renewal: Renewal) -> None:
    assert issuing.pair(ADA, renewal, RULES, scopes_of).token_type == "Bearer"
    assert issuing.pair(ADA, replace(renewal, jkt="A" * 43), RULES, scopes_of).token_type == "DPoP"


async def test_what_both_tokens_have_left_counts_from_when_the_session_was_found_alive(
    house: House, issuing: Issuing, renewal: Renewal
) -> None:
    house.clock.time += 0.7
    pair = issuing.pair(ADA, renewal, RULES, scopes_of)
    assert (pair.refresh_expires_in, pair.expires_in) == (RULES.refresh_idle, RULES.access_lifetime)


async def test_a_client_gets_a_token_for_itself(house: House, issuing: Issuing) -> None:
    now = house.clock.time
    token = issuing.client_token(CLIENT, RULES, scopes_of, at=now, wanted=frozenset({"orders:read"}))
    said = jwt.decode(token.access_token, options={"verify_signature": False})
    assert (said["sub"], said["scope"], said["jti"]) == ("cli_1", "orders:read", token.id)
    assert (token.token_type, token.expires_in, token.scope) == ("Bearer", 600, "orders:read")
    bound = issuing.client_token(CLIENT, RULES, scopes_of, at=now, jkt="A" * 43)
    assert (bound.token_type, bound.scope) == ("DPoP", "orders:read profile:read")


async def test_no_representation_shows_a_token(house: House, issuing: Issuing, renewal: Renewal) -> None:
    pair = issuing.pair(ADA, renewal, RULES, scopes_of)
    token = issuing.client_token(CLIENT, RULES, scopes_of, at=house.clock.time)
    assert "eyJ" not in repr(pair) + repr(token)
    assert "gwr_" not in repr(pair)
