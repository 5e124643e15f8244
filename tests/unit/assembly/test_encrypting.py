"""What a process encrypts with, and how it learns that this has changed."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import delete, text
from structlog.testing import capture_logs

from gateway.assembly.encrypting import Encrypting, open_encrypting
from gateway.assembly.stores import Stores, open_stores
from gateway.config import Snapshot, load_configuration
from gateway.crypto import read_recipient
from gateway.operations import (
    IssuedClient,
    create_client,
    create_crypto_key,
    operator_at_the_command_line,
    retire_crypto_key,
    revoke_client,
    rotate_crypto_key,
    set_client_key,
)
from gateway.ports import Change
from gateway.settings import load_settings
from gateway.stores.memory import FollowedRevocations
from gateway.stores.sql import SqlChangeFeed, tables

OPERATOR = operator_at_the_command_line()
JWK = {"kty": "OKP", "crv": "X25519", "x": "3p7bfXt9wbTTW2HC7OQ1Nz-DQ8hbeGdNrfx-FG-IK08"}
POLICIES = """\
version: 1
scopes: {"orders:read": List orders}
authenticators: {gateway: {kind: gateway_jwt}}
defaults: {authn: [gateway]}
routes:
  - {id: plain, match: {methods: [GET], path: /plain}, upstream: orders, require: ["orders:read"]}
  - id: reports
    match: {methods: [GET], path: /reports}
    upstream: orders
    require: ["orders:read"]
    encrypt_response: {key: reports}
  - id: again
    match: {methods: [POST], path: /reports}
    upstream: orders
    require: ["orders:read"]
    encrypt_response: {key: reports}
    decrypt_request: {key: inbox}
  - id: own
    match: {methods: [GET], path: /own}
    upstream: orders
    require: ["orders:read"]
    encrypt_response: {recipient: client}
"""
UPSTREAMS = """\
version: 1
upstreams:
  orders: {targets: [{url: "http://127.0.0.1:9"}]}
"""


@pytest.fixture
async def stores(tmp_path: Path) -> AsyncIterator[Stores]:
    async with open_stores(load_settings({"GATEWAY_DATA_DIR": str(tmp_path / "data")})) as opened:
        yield opened


@pytest.fixture
def snapshot(tmp_path: Path) -> Snapshot:
    (tmp_path / "policies.yaml").write_text(POLICIES)
    (tmp_path / "upstreams.yaml").write_text(UPSTREAMS)
    loaded = load_configuration(tmp_path / "policies.yaml", tmp_path / "upstreams.yaml", environ={})
    assert loaded.snapshot is not None, loaded.findings
    return loaded.snapshot


async def opened(stores: Stores) -> tuple[Encrypting, FollowedRevocations]:
    """Return what a process has that starts."""
    revocations = FollowedRevocations(stores.changes, stores.clock, 60.0)
    encrypting = await open_encrypting(stores, revocations)
    await revocations.start()
    return encrypting, revocations


async def create(stores: Stores, name: str = "reports") -> None:
    await create_crypto_key(
        stores.crypto_keys, stores.sealer, stores.events, stores.clock, name=name, operator=OPERATOR
    )


async def rotate(stores: Stores, name: str = "reports") -> None:
    await rotate_crypto_key(
        stores.crypto_keys, stores.sealer, stores.events, stores.clock, name=name, operator=OPERATOR
    )


async def newest_is(encrypting: Encrypting, version: int) -> None:
    """Follow the changes until the key has this version."""
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        works = [group.create_task(work) for work in encrypting.works().values()]
        while (key := encrypting.keys.find("reports")) is None or key.newest != version:
            await asyncio.sleep(0.01)
        for work in works:
            work.cancel()


class RotatingFeed(SqlChangeFeed):
    """A feed that is asked right after somebody has rotated a key."""

    def __init__(self, stores: Stores) -> None:
        super().__init__(stores.database)
        self._stores = stores

    async def recent(self, after: float) -> tuple[int, Sequence[Change]]:
        await rotate(self._stores)
        return await super().recent(after)


async def test_a_key_that_is_rotated_during_the_start_is_known_after_it(stores: Stores) -> None:
    await create(stores)
    encrypting, _ = await opened(replace(stores, changes=RotatingFeed(stores)))
    await newest_is(encrypting, 2)


async def test_what_others_change_is_heard_of(stores: Stores) -> None:
    encrypting, revocations = await opened(stores)
    await create(stores)
    await rotate(stores)
    await revocations.poll()
    await newest_is(encrypting, 2)
    await retire_crypto_key(
        stores.crypto_keys,
        stores.events,
        stores.clock,
        name="reports",
        min_decryption_version=None,
        operator=OPERATOR,
    )
    await rotate(stores)
    await revocations.poll()
    await newest_is(encrypting, 3)
    key = encrypting.keys.find("reports")
    assert key is not None
    assert key.min_decryption_version == 2


async def test_in_a_database_that_was_set_back_keys_are_those_that_are_in_it(stores: Stores) -> None:
    await create(stores)
    await rotate(stores)
    encrypting, revocations = await opened(stores)
    await newest_is(encrypting, 2)
    async with stores.database.write() as connection:
        await connection.execute(delete(tables.crypto_key_versions).where(text("version = 2")))
        await connection.execute(delete(tables.changes))
    with capture_logs():
        await revocations.poll()
    # What the version that is gone encrypts would open nowhere after a restart.
    await newest_is(encrypting, 1)


async def test_another_key_of_a_client_is_heard_of_and_so_is_its_end(stores: Stores) -> None:
    made = await create_client(
        stores.clients, stores.events, stores.clock, name="c", roles=frozenset(), operator=OPERATOR
    )
    assert isinstance(made, IssuedClient)
    encrypting, revocations = await opened(stores)
    for jwk in (JWK, None, JWK):
        key = None if jwk is None else read_recipient(jwk)
        await set_client_key(
            stores.clients, stores.events, stores.clock, name="c", key=key, operator=OPERATOR
        )
        await revocations.poll()
        found = await encrypting.recipients.find(made.client.id)
        assert (found is None) is (jwk is None)
    await revoke_client(stores.clients, stores.events, stores.clock, name="c", operator=OPERATOR)
    await revocations.poll()
    assert await encrypting.recipients.find(made.client.id) is None


async def test_keys_that_the_policy_names_and_nobody_has_made_are_told_of(
    stores: Stores, snapshot: Snapshot
) -> None:
    encrypting, revocations = await opened(stores)
    with capture_logs() as logs:
        encrypting.warn(snapshot)
    assert [(line["event"], line["log_level"], line["run"]) for line in logs] == [
        ("encryption_key_missing", "warning", "gateway crypto-keys create inbox"),
        ("encryption_key_missing", "warning", "gateway crypto-keys create reports"),
    ]
    fault = encrypting.fault(snapshot)
    assert fault is not None
    assert fault.endswith(": inbox, reports")
    await create(stores, "inbox")
    await create(stores)
    await revocations.poll()
    await newest_is(encrypting, 1)
    assert encrypting.fault(snapshot) is None
    with capture_logs() as logs:
        encrypting.warn(snapshot)
    assert logs == []
