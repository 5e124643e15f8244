"""What tokens are worth, as it is told."""

from dataclasses import replace

import pytest
from unit.accounts.deeds import ORIGIN, PASSWORD, claims, login, register, scopes_of
from unit.accounts.house import RULES, House

from gateway.accounts import (
    INACTIVE,
    AccountRules,
    LoggedIn,
    LoginBody,
    TokenPair,
    client_principal,
)
from gateway.model import Principal, PrincipalKind
from gateway.ports import ClientSecret, OAuthClient
from gateway.stores.sql import SqlClientStore

CLIENT = OAuthClient(
    id="cli_" + "0" * 32,
    name="backend",
    roles=frozenset(),
    secrets=(ClientSecret(hash=bytes(32)),),
    epoch=0,
    created_at=0.0,
)
ASKER = client_principal(CLIENT)


@pytest.fixture
async def pair(house: House) -> TokenPair:
    """Tokens of a session that belongs to the client."""
    await SqlClientStore(house.database).add(CLIENT)
    await register(house)
    begun = await house.accounts.login.login(
        LoginBody(username="ada", password=PASSWORD),
        rules=RULES,
        scopes_of=scopes_of,
        origin=ORIGIN,
        client_id=CLIENT.id,
    )
    assert isinstance(begun, LoggedIn)
    return begun.pair


async def told(house: House, token: str, asker: Principal = ASKER, *, rules: AccountRules = RULES) -> object:
    return await house.accounts.introspecting.refresh_token(token, asker, rules=rules, scopes_of=scopes_of)


def holder(pair: TokenPair, *, scopes: frozenset[str] | None = None) -> Principal:
    said = claims(pair)
    return Principal(
        id=said["sub"],
        kind=PrincipalKind.USER,
        name=said["name"],
        authn="gateway",
        authn_kind="gateway_jwt",
        roles=frozenset(said["roles"]),
        scope_limit=scopes,
        claims=said,
        expires_at=float(said["exp"]),
        subject=said["sub"],
    )


async def test_a_refresh_token_is_explained_to_its_client_alone(house: House, pair: TokenPair) -> None:
    worth = await told(house, pair.refresh_token)
    assert isinstance(worth, dict)
    assert worth["active"] is True
    assert (worth["username"], worth["scope"]) == ("Ada", "orders:read profile:read")
    assert worth["exp"] - worth["iat"] == RULES.refresh_idle
    assert await told(house, pair.refresh_token, replace(ASKER, id="cli_" + "1" * 32)) is INACTIVE
    assert await told(house, pair.access_token) is INACTIVE
    own = await login(house)
    assert await told(house, own.refresh_token) is INACTIVE


async def test_a_refresh_token_that_would_not_be_taken_is_inactive(house: House, pair: TokenPair) -> None:
    began = house.clock.time
    house.clock.time = began + RULES.refresh_idle - 1
    assert await told(house, pair.refresh_token) is not INACTIVE
    house.clock.time = began + RULES.refresh_idle
    assert await told(house, pair.refresh_token) is INACTIVE
    house.clock.time = began
    confirming = replace(RULES, verifies_email=True)
    assert await told(house, pair.refresh_token, rules=confirming) is INACTIVE
    await house.sessions.end(claims(pair)["sid"])
    assert await told(house, pair.refresh_token) is INACTIVE


async def test_an_access_token_is_worth_what_the_policy_says_by_now(house: House, pair: TokenPair) -> None:
    introspecting = house.accounts.introspecting
    worth = introspecting.access_token(holder(pair), scopes_of)
    assert (worth["scope"], worth["jti"]) == ("orders:read profile:read", claims(pair)["jti"])
    narrow = introspecting.access_token(holder(pair, scopes=frozenset({"orders:read", "x"})), scopes_of)
    assert narrow["scope"] == "orders:read"
    assert "scope" not in introspecting.access_token(holder(pair), lambda _: frozenset())


async def test_an_access_token_is_inactive_at_the_second_of_its_end(house: House, pair: TokenPair) -> None:
    ends = claims(pair)["exp"]
    house.clock.time = ends - 0.5
    assert house.accounts.introspecting.access_token(holder(pair), scopes_of)["active"] is True
    house.clock.time = ends
    assert house.accounts.introspecting.access_token(holder(pair), scopes_of) is INACTIVE
