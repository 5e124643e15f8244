"""What people do with their accounts, as tests do it."""

from typing import Any

import jwt
from sqlalchemy import text
from unit.accounts.house import RULES, House

from gateway.accounts import (
    Account,
    AccountRefusal,
    AccountRules,
    LoggedIn,
    LoginBody,
    Origin,
    RegisterBody,
    TokenPair,
)
from gateway.model import Principal, PrincipalKind

ORIGIN = Origin(request_id="r-1", source_ip="203.0.113.7", user_agent="agent")
PASSWORD = "correct horse battery"


def scopes_of(roles: frozenset[str]) -> frozenset[str]:
    return frozenset({"profile:read", "orders:read"}) if "customer" in roles else frozenset()


async def register(house: House, username: str = "Ada") -> Account:
    body = RegisterBody(username=username, email=f"{username}@example.com", password=PASSWORD)
    made = await house.accounts.registering.register(body, rules=RULES, origin=ORIGIN)
    assert isinstance(made, Account)
    return made


async def try_to_log_in(
    house: House,
    username: str = "ada",
    password: str = PASSWORD,
    *,
    otp: str | None = None,
    rules: AccountRules = RULES,
    origin: Origin = ORIGIN,
    device: str | None = None,
) -> LoggedIn | AccountRefusal:
    body = LoginBody(username=username, password=password, otp=otp)
    return await house.accounts.login.login(
        body, rules=rules, scopes_of=scopes_of, origin=origin, device=device
    )


async def try_login(
    house: House, username: str = "ada", password: str = PASSWORD
) -> TokenPair | AccountRefusal:
    begun = await try_to_log_in(house, username, password)
    return begun if isinstance(begun, AccountRefusal) else begun.pair


async def login(house: House, username: str = "ada") -> TokenPair:
    pair = await try_login(house, username)
    assert isinstance(pair, TokenPair)
    return pair


async def refresh(
    house: House,
    token: str,
    *,
    rules: AccountRules = RULES,
    origin: Origin = ORIGIN,
    client_id: str | None = None,
    jkt: str | None = None,
    wanted: frozenset[str] | None = None,
) -> TokenPair | AccountRefusal:
    return await house.accounts.refreshing.refresh(
        token,
        rules=rules,
        scopes_of=scopes_of,
        origin=origin,
        client_id=client_id,
        jkt=jkt,
        wanted=wanted,
    )


def claims(pair: TokenPair) -> dict[str, Any]:
    unverified: dict[str, Any] = jwt.decode(pair.access_token, options={"verify_signature": False})
    return unverified


def principal(pair: TokenPair) -> Principal:
    said = claims(pair)
    return Principal(
        id=said["sub"],
        kind=PrincipalKind.USER,
        name=said["name"],
        authn="gateway",
        authn_kind="gateway_jwt",
        session=said["sid"],
    )


async def disable(house: House, id_: str) -> None:
    async with house.database.write() as connection:
        await connection.execute(text("UPDATE users SET disabled_at = 1 WHERE id = :id"), {"id": id_})
