"""OAuth clients prove who they are."""

from dataclasses import replace

import pytest
from unit.accounts.house import RULES, House

from gateway.accounts import (
    AccountRefusal,
    AccountRules,
    BlockRules,
    Client,
    ClientProof,
    Origin,
    PublicClient,
    client_principal,
    issue_client_secret,
)
from gateway.accounts.client_proof import ProofMethod
from gateway.accounts.client_secret import IssuedSecret
from gateway.model import EventKind, PrincipalKind, Reason
from gateway.ports import AuditUnavailable, ClientSecret, OAuthClient
from gateway.stores.sql import SqlClientStore

ORIGIN = Origin(request_id="r", source_ip="192.0.2.1", user_agent="batch")


@pytest.fixture
def own_secret() -> IssuedSecret:
    return issue_client_secret()


@pytest.fixture
async def client(house: House, own_secret: IssuedSecret) -> OAuthClient:
    made = OAuthClient(
        id="cli_" + "0" * 32,
        name="billing",
        roles=frozenset({"customer"}),
        secrets=(ClientSecret(hash=own_secret.hash),),
        epoch=0,
        created_at=house.clock.time,
    )
    await SqlClientStore(house.database).add(made)
    return made


async def prove(
    house: House, id_: str, secret: str | None, *, rules: AccountRules | None = RULES
) -> Client | AccountRefusal:
    method = ProofMethod.NONE if secret is None else ProofMethod.POST
    proof = ClientProof(id=id_, secret=secret, method=method)
    return await house.accounts.clients.prove(proof, rules=rules, origin=ORIGIN)


async def test_a_client_with_its_secret_is_that_client(
    house: House, client: OAuthClient, own_secret: IssuedSecret
) -> None:
    assert await prove(house, client.id, own_secret.text) == client
    assert house.events.kept == []


@pytest.mark.parametrize(
    "wrong",
    [None, "", "gws_1", "hunter2", issue_client_secret().text],
    ids=["none", "empty", "cut", "a word", "another"],
)
async def test_a_wrong_secret_is_recorded_and_shown_nowhere(
    house: House, client: OAuthClient, wrong: str | None
) -> None:
    answer = await prove(house, client.id, wrong)
    assert isinstance(answer, AccountRefusal)
    assert (answer.reason, answer.oauth_error) == (Reason.CREDENTIALS_INVALID, "invalid_client")
    (event,) = house.events.kept
    assert (event.kind, event.reason) == (EventKind.LOGIN_FAILED, Reason.CREDENTIALS_INVALID)
    assert (event.source_ip, event.user_agent, event.request_id) == ("192.0.2.1", "batch", "r")
    assert event.attributes == {"known": True, "client": client.id, "revoked": False}
    assert not wrong or wrong not in repr((answer, event))


@pytest.mark.parametrize(
    "id_", ["cli_" + "1" * 32, "usr_" + "0" * 32, "", "gws_in_the_wrong_field", "x" * 9000]
)
async def test_what_names_no_client_is_not_written_down(
    house: House, own_secret: IssuedSecret, id_: str
) -> None:
    answer = await prove(house, id_, own_secret.text)
    assert isinstance(answer, AccountRefusal)
    assert answer.oauth_error == "invalid_client"
    (event,) = house.events.kept
    assert event.attributes == {"known": False}
    assert not id_ or id_ not in repr((answer, event))


async def test_all_that_is_wrong_is_one_answer(
    house: House, client: OAuthClient, own_secret: IssuedSecret
) -> None:
    unknown = await prove(house, "cli_" + "1" * 32, own_secret.text)
    wrong = await prove(house, client.id, issue_client_secret().text)
    await SqlClientStore(house.database).revoke(client.id, at=house.clock.time)
    revoked = await prove(house, client.id, own_secret.text)
    assert isinstance(unknown, AccountRefusal)
    for other in (wrong, revoked):
        assert isinstance(other, AccountRefusal)
        assert replace(other, diagnosis="") == replace(unknown, diagnosis="")
    assert house.events.kept[-1].attributes["revoked"] is True


async def test_the_secret_before_the_last_is_good_until_its_overlap_ends(
    house: House, client: OAuthClient, own_secret: IssuedSecret
) -> None:
    newer, now = issue_client_secret(), house.clock.time
    rotated = await SqlClientStore(house.database).rotate(client.id, newer.hash, at=now, old_until=now + 60)
    house.clock.time = now + 59.9
    assert await prove(house, client.id, own_secret.text) == rotated
    assert await prove(house, client.id, newer.text) == rotated
    house.clock.time = now + 60
    assert isinstance(await prove(house, client.id, own_secret.text), AccountRefusal)
    assert await prove(house, client.id, newer.text) == rotated


async def test_the_gateways_own_client_has_no_secret(house: House, own_secret: IssuedSecret) -> None:
    assert await prove(house, "gateway", None) == PublicClient()
    assert isinstance(await prove(house, "gateway", own_secret.text), AccountRefusal)


async def test_a_failure_that_cannot_be_recorded_is_not_answered(house: House) -> None:
    house.events.away = True
    with pytest.raises(AuditUnavailable):
        await prove(house, "cli_1", None)


async def test_a_client_acts_as_itself(client: OAuthClient) -> None:
    principal = client_principal(client)
    assert (principal.id, principal.kind, principal.name) == (client.id, PrincipalKind.CLIENT, "billing")
    assert (principal.roles, principal.client_id) == (client.roles, client.id)
    assert (principal.subject, principal.session) == (None, None)


async def test_failures_shut_the_address_out_as_wrong_passwords_do(
    house: House, client: OAuthClient, own_secret: IssuedSecret
) -> None:
    block = BlockRules(failures=2, within=60.0, first=600.0, factor=1, longest=None)
    rules = replace(RULES, block=block)
    for _ in range(2):
        assert house.blocked.holds("192.0.2.1") is None
        await prove(house, client.id, "wrong", rules=rules)
    assert house.blocked.holds("192.0.2.1") == 600.0
    assert house.events.kinds[-1] is EventKind.BLOCK_ADDED


async def test_where_there_are_no_accounts_failures_are_recorded_all_the_same(
    house: House, client: OAuthClient
) -> None:
    assert isinstance(await prove(house, client.id, "wrong", rules=None), AccountRefusal)
    assert house.events.kinds == [EventKind.LOGIN_FAILED]
