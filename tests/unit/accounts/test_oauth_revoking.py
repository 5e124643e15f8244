"""What a client gives back has ended."""

import pytest
from unit.accounts.deeds import ORIGIN, claims, login, refresh, register
from unit.accounts.house import House

from gateway.accounts import (
    DONE,
    AccountRefusal,
    Client,
    Done,
    PublicClient,
    TokenPair,
    is_user_id,
)
from gateway.model import EventKind, Principal, PrincipalKind
from gateway.ports import AuditUnavailable, ChangeKind, ClientSecret, OAuthClient
from gateway.stores.sql import SqlChangeFeed

OTHER = OAuthClient(
    id="cli_" + "0" * 32,
    name="billing",
    roles=frozenset(),
    secrets=(ClientSecret(hash=bytes(32)),),
    epoch=0,
    created_at=0.0,
)


async def revoke(
    house: House, token: str, holder: Principal | None = None, *, client: Client | None = None
) -> Done | AccountRefusal:
    return await house.accounts.revoking.revoke(client or PublicClient(), token, holder, origin=ORIGIN)


def holder_of(pair: TokenPair) -> Principal:
    said = claims(pair)
    return Principal(
        id=said["sub"],
        kind=PrincipalKind.USER,
        name=said["name"],
        authn="gateway",
        authn_kind="gateway_jwt",
        claims=said,
        session=said["sid"],
        client_id=said["client_id"],
        subject=said["sub"],
    )


async def test_a_refresh_token_ends_its_session_here_and_everywhere(house: House) -> None:
    await register(house)
    pair = await login(house)
    session = claims(pair)["sid"]
    house.events.kept.clear()
    assert await revoke(house, pair.refresh_token) == DONE
    assert isinstance(await refresh(house, pair.refresh_token), AccountRefusal)
    assert [(one.kind, one.subject) for one in house.applied] == [(ChangeKind.SESSION_REVOKED, session)]
    assert [one.subject for one in await SqlChangeFeed(house.database).since(0)] == [session]
    (event,) = house.events.kept
    assert (event.kind, event.session) == (EventKind.TOKEN_REVOKED, session)
    assert event.attributes == {"client": "gateway"}
    assert event.subject is not None
    assert is_user_id(event.subject)


async def test_an_older_refresh_token_ends_it_too(house: House) -> None:
    await register(house)
    pair = await login(house)
    newer = await refresh(house, pair.refresh_token)
    assert isinstance(newer, TokenPair)
    assert await revoke(house, pair.refresh_token) == DONE
    assert isinstance(await refresh(house, newer.refresh_token), AccountRefusal)


async def test_an_access_token_ends_alone(house: House) -> None:
    await register(house)
    pair = await login(house)
    id_ = claims(pair)["jti"]
    house.events.kept.clear()
    assert await revoke(house, pair.access_token, holder_of(pair)) == DONE
    assert [(one.kind, one.subject) for one in house.applied] == [(ChangeKind.TOKEN_REVOKED, id_)]
    changes = await SqlChangeFeed(house.database).since(0)
    assert [(one.kind, one.subject) for one in changes] == [(ChangeKind.TOKEN_REVOKED, id_)]
    (event,) = house.events.kept
    assert event.attributes == {"client": "gateway", "token": id_}
    assert isinstance(await refresh(house, pair.refresh_token), TokenPair)


async def test_what_is_worth_nothing_leaves_no_trace(house: House) -> None:
    await register(house)
    pair = await login(house)
    await revoke(house, pair.refresh_token)
    house.events.kept.clear()
    house.applied.clear()
    for token in ("", "x", "gwr_x", pair.refresh_token, pair.access_token, pair.refresh_token[:-4] + "AAAA"):
        assert await revoke(house, token) == DONE
    assert (house.events.kept, house.applied) == ([], [])


async def test_what_is_another_clients_is_left_alone(house: House) -> None:
    await register(house)
    pair = await login(house)
    for token, holder in ((pair.refresh_token, None), (pair.access_token, holder_of(pair))):
        answer = await revoke(house, token, holder, client=OTHER)
        assert isinstance(answer, AccountRefusal)
        assert answer.oauth_error == "invalid_grant"
        assert token not in repr(answer)
    assert house.applied == []


async def test_it_has_ended_even_when_that_cannot_be_recorded(house: House) -> None:
    await register(house)
    pair = await login(house)
    house.events.away = True
    with pytest.raises(AuditUnavailable):
        await revoke(house, pair.access_token, holder_of(pair))
    with pytest.raises(AuditUnavailable):
        await revoke(house, pair.refresh_token)
    house.events.away = False
    assert [one.kind for one in house.applied] == [ChangeKind.TOKEN_REVOKED, ChangeKind.SESSION_REVOKED]
    assert isinstance(await refresh(house, pair.refresh_token), AccountRefusal)
