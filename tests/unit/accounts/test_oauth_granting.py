"""What clients get at the token endpoint. The endpoint itself is tried in the flows."""

import jwt
import pytest
from unit.accounts.deeds import ORIGIN, login, register, scopes_of
from unit.accounts.house import RULES, House

from gateway.accounts import (
    AccountRefusal,
    AccountRules,
    Client,
    ClientToken,
    Form,
    PublicClient,
    TokenPair,
)
from gateway.accounts.rules import WITHOUT_ACCOUNTS
from gateway.config.documents import AccountsDocument
from gateway.model import EventKind, Reason
from gateway.ports import AuditUnavailable, ClientSecret, OAuthClient

CLIENT = OAuthClient(
    id="cli_" + "0" * 32,
    name="billing",
    roles=frozenset({"customer"}),
    secrets=(ClientSecret(hash=bytes(32)),),
    epoch=3,
    created_at=0.0,
)
ITSELF = {"grant_type": "client_credentials"}


async def grant(
    house: House,
    parameters: dict[str, str],
    *,
    client: Client = CLIENT,
    rules: AccountRules | None = RULES,
    jkt: str | None = None,
) -> ClientToken | TokenPair | AccountRefusal:
    return await house.accounts.granting.grant(
        client,
        Form({name: (value,) for name, value in parameters.items()}),
        rules=rules,
        scopes_of=scopes_of,
        at=house.clock.time,
        jkt=jkt,
        origin=ORIGIN,
    )


def refused(answer: ClientToken | TokenPair | AccountRefusal) -> str:
    assert isinstance(answer, AccountRefusal)
    return answer.oauth_error


async def test_a_client_gets_a_token_of_its_own_which_is_recorded_first(house: House) -> None:
    token = await grant(house, ITSELF)
    assert isinstance(token, ClientToken)
    said = jwt.decode(token.access_token, options={"verify_signature": False})
    assert (said["sub"], said["client_id"], said["ep"], said["jti"]) == (CLIENT.id, CLIENT.id, 3, token.id)
    assert not {"sid", "rg", "amr", "auth_time"} & set(said)
    (event,) = house.events.kept
    assert event.kind is EventKind.TOKEN_ISSUED
    assert event.attributes == {
        "client": CLIENT.id,
        "token": token.id,
        "scope": ["orders:read", "profile:read"],
    }
    assert event.actor is not None
    assert event.actor.id == CLIENT.id
    assert token.access_token not in repr((token, event))


async def test_a_token_that_cannot_be_recorded_is_not_given(house: House) -> None:
    house.events.away = True
    with pytest.raises(AuditUnavailable):
        await grant(house, ITSELF)


async def test_a_token_is_bound_to_the_key_that_was_proved(house: House) -> None:
    token = await grant(house, ITSELF, jkt="thumbprint")
    assert isinstance(token, ClientToken)
    assert token.token_type == "DPoP"
    said = jwt.decode(token.access_token, options={"verify_signature": False})
    assert said["cnf"] == {"jkt": "thumbprint"}


async def test_scopes_are_narrowed_and_never_widened(house: House) -> None:
    token = await grant(house, {**ITSELF, "scope": "orders:read orders:write"})
    assert isinstance(token, ClientToken)
    assert token.scope == "orders:read"
    assert refused(await grant(house, {**ITSELF, "scope": "orders:write"})) == "invalid_scope"


async def test_without_accounts_machines_get_tokens_and_sessions_are_not_renewed(house: House) -> None:
    await register(house)
    pair = await login(house)
    token = await grant(house, ITSELF, rules=None)
    assert isinstance(token, ClientToken)
    assert token.expires_in == 600
    refresh = {"grant_type": "refresh_token", "refresh_token": pair.refresh_token}
    answer = await grant(house, refresh, client=PublicClient(), rules=None)
    assert refused(answer) == "unsupported_grant_type"


async def test_what_holds_without_accounts_are_the_defaults_of_accounts() -> None:
    document = AccountsDocument()
    assert WITHOUT_ACCOUNTS.access_lifetime == document.tokens.access
    assert WITHOUT_ACCOUNTS.refresh_idle == document.tokens.refresh_idle
    assert WITHOUT_ACCOUNTS.refresh_absolute == document.tokens.refresh_absolute
    assert WITHOUT_ACCOUNTS.reuse_grace == document.tokens.reuse_grace
    assert WITHOUT_ACCOUNTS.password_min_length == document.password.min_length
    assert WITHOUT_ACCOUNTS.registration == document.registration


async def test_the_gateways_own_client_renews_the_sessions_of_users(house: House) -> None:
    await register(house)
    pair = await login(house)
    refresh = {"grant_type": "refresh_token", "refresh_token": pair.refresh_token}
    renewed = await grant(house, refresh, client=PublicClient())
    assert isinstance(renewed, TokenPair)
    assert refused(await grant(house, ITSELF, client=PublicClient())) == "unauthorized_client"


async def test_nobody_uses_up_what_is_another_clients(house: House) -> None:
    await register(house)
    pair = await login(house)
    refresh = {"grant_type": "refresh_token", "refresh_token": pair.refresh_token}
    answer = await grant(house, refresh, client=CLIENT)
    assert isinstance(answer, AccountRefusal)
    assert answer.reason is Reason.CREDENTIALS_INVALID
    assert isinstance(await grant(house, refresh, client=PublicClient()), TokenPair)
