"""The keys of clients as one process knows them."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import orjson
import pytest
from joserfc.jwk import ECKey
from structlog.testing import capture_logs
from unit.crypto.rows import START

from gateway.crypto import Recipients, read_recipient
from gateway.crypto.recipients import MOST_WITHOUT
from gateway.ports import BeforeCommit, Change, ChangeKind, OAuthClient, StoreUnavailable


def jwk_of(pair: ECKey, kid: str) -> str:
    return orjson.dumps(dict(read_recipient({**pair.as_dict(private=False), "kid": kid}).members)).decode()


JWK = jwk_of(ECKey.generate_key("P-256"), "first")
OTHER = jwk_of(ECKey.generate_key("P-256"), "second")
CLIENT = OAuthClient(
    id="cli_1", name="batch", roles=frozenset(), secrets=(), epoch=1, created_at=START, jwk=JWK
)


class ClientRows:
    """A table of clients, which can be down or slow, and counts how often it is read."""

    def __init__(self, *clients: OAuthClient) -> None:
        self.rows = {client.id: client for client in clients}
        self.down = False
        self.reads = 0
        self.slow: asyncio.Event | None = None

    async def find(self, id: str) -> OAuthClient | None:
        self.reads += 1
        if self.down:
            raise StoreUnavailable("the table is gone")
        found = self.rows.get(id)
        if self.slow is not None:
            await self.slow.wait()
        return found

    async def add(self, client: OAuthClient, *, before_commit: BeforeCommit | None = None) -> None:
        raise NotImplementedError

    async def list(self) -> Sequence[OAuthClient]:
        raise NotImplementedError

    async def rotate(
        self,
        id: str,
        secret_hash: bytes,
        *,
        at: float,
        old_until: float,
        before_commit: BeforeCommit | None = None,
    ) -> OAuthClient | None:
        raise NotImplementedError

    async def set_jwk(
        self, id: str, jwk: str | None, *, at: float, before_commit: BeforeCommit | None = None
    ) -> OAuthClient | None:
        raise NotImplementedError

    async def revoke(self, id: str, *, at: float) -> bool:
        raise NotImplementedError


def changed(id: str = "cli_1") -> Change:
    return Change(1, ChangeKind.CLIENT_KEY, id, 0, START)


async def kid_of(recipients: Recipients, id: str = "cli_1") -> str | None:
    key = await recipients.find(id)
    return None if key is None else key.kid


async def test_a_key_is_read_once_until_it_changes() -> None:
    rows = ClientRows(CLIENT)
    recipients = Recipients(rows)
    assert [await kid_of(recipients) for _ in range(3)] == ["first"] * 3
    assert rows.reads == 1
    rows.rows["cli_1"] = replace(CLIENT, jwk=OTHER)
    recipients.notice(changed("cli_2"))
    assert await kid_of(recipients) == "first"
    recipients.notice(changed())
    assert [await kid_of(recipients) for _ in range(2)] == ["second"] * 2
    assert rows.reads == 2


async def test_a_client_without_a_key_is_known_as_such_until_it_has_one() -> None:
    rows = ClientRows(replace(CLIENT, jwk=None))
    recipients = Recipients(rows)
    for id in ("cli_1", "cli_absent"):
        assert [await recipients.find(id) for _ in range(3)] == [None] * 3
    assert rows.reads == 2
    rows.rows["cli_1"] = CLIENT
    recipients.notice(changed())
    assert await kid_of(recipients) == "first"


async def test_all_are_read_again_when_any_may_have_changed() -> None:
    rows = ClientRows(CLIENT, replace(CLIENT, id="cli_2", jwk=None))
    recipients = Recipients(rows)
    assert [await kid_of(recipients, id) for id in rows.rows] == ["first", None]
    rows.rows = {id: replace(client, jwk=OTHER) for id, client in rows.rows.items()}
    recipients.notice(changed(""))
    assert [await kid_of(recipients, id) for id in rows.rows] == ["second", "second"]


async def test_a_client_that_has_ended_has_no_key() -> None:
    assert await Recipients(ClientRows(replace(CLIENT, revoked_at=START))).find("cli_1") is None


async def test_clients_that_are_not_there_do_not_make_keys_be_forgotten() -> None:
    rows = ClientRows(CLIENT)
    recipients = Recipients(rows)
    await recipients.find("cli_1")
    for number in range(MOST_WITHOUT + 100):
        await recipients.find(f"cli_x{number}")
    assert repr(recipients) == f"Recipients(keys=1, without={MOST_WITHOUT})"
    reads = rows.reads
    assert await kid_of(recipients) == "first"
    assert rows.reads == reads


async def test_the_keys_that_were_used_last_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.crypto.recipients.MOST_KEYS", 2)
    rows = ClientRows(*(replace(CLIENT, id=f"cli_{number}") for number in range(1, 4)))
    recipients = Recipients(rows)
    for id in ("cli_1", "cli_2", "cli_1", "cli_3"):
        await recipients.find(id)
    assert list(recipients._keys) == ["cli_1", "cli_3"]


async def test_what_was_read_before_a_change_is_not_kept_after_it() -> None:
    rows = ClientRows(CLIENT)
    rows.slow = asyncio.Event()
    recipients = Recipients(rows)
    async with asyncio.TaskGroup() as tasks:
        finding = tasks.create_task(recipients.find("cli_1"))
        while not rows.reads:
            await asyncio.sleep(0)
        rows.rows["cli_1"] = replace(CLIENT, jwk=OTHER)
        recipients.notice(changed())
        rows.slow.set()
    assert finding.result() is not None
    assert await kid_of(recipients) == "second"


async def test_a_store_that_is_away_is_said_and_not_remembered() -> None:
    rows = ClientRows(CLIENT)
    recipients = Recipients(rows)
    rows.down = True
    with pytest.raises(StoreUnavailable):
        await recipients.find("cli_1")
    rows.down = False
    assert await kid_of(recipients) == "first"


@pytest.mark.parametrize("jwk", ["", "{", "[]", "\ud800", '{"kty":"RSA"}', '{"kty":"EC","kty":"EC"}'])
async def test_a_key_that_cannot_be_read_is_none_and_logged(jwk: str) -> None:
    with capture_logs() as logs:
        assert await Recipients(ClientRows(replace(CLIENT, jwk=jwk))).find("cli_1") is None
    assert [(line["event"], line["client"]) for line in logs] == [("client_key.unusable", "cli_1")]
