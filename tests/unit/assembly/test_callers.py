"""What a process learns of callers at its start."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.assembly.callers import open_callers
from gateway.assembly.counting import Counting, counting
from gateway.assembly.stores import StartRefused, Stores, open_stores
from gateway.config import Snapshot, load_configuration
from gateway.crypto import SigningKey
from gateway.ports import Change
from gateway.settings import load_settings
from gateway.stores.sql import SqlChangeFeed

ISSUER = "https://id.example.com/gateway"
POLICIES = """\
version: 1
authenticators:
  gateway: {kind: gateway_jwt}
  corporate: {kind: jwt, issuer: "ISSUER", audience: [orders], jwks: "https://keys.example.com"}
accounts: {registration: open, tokens: {access: 3600500ms}}
"""


@pytest.fixture
async def stores(tmp_path: Path) -> AsyncIterator[Stores]:
    settings = load_settings({"GATEWAY_DATA_DIR": str(tmp_path / "data"), "GATEWAY_PUBLIC_URL": ISSUER + "/"})
    async with open_stores(settings) as opened:
        yield opened


@pytest.fixture
async def counted(stores: Stores) -> AsyncIterator[Counting]:
    async with counting(stores) as opened:
        yield opened


def snapshot(directory: Path, *, issuer: str = "https://login.example.com") -> Snapshot:
    (directory / "policies.yaml").write_text(POLICIES.replace("ISSUER", issuer))
    (directory / "upstreams.yaml").write_text("version: 1\n")
    loaded = load_configuration(directory / "policies.yaml", directory / "upstreams.yaml", environ={})
    assert loaded.snapshot is not None, loaded.findings
    return loaded.snapshot


class RevokingFeed(SqlChangeFeed):
    """A feed that is asked right after somebody has revoked the key that signs."""

    def __init__(self, stores: Stores) -> None:
        super().__init__(stores.database)
        self.stores = stores
        self.kid = ""

    async def recent(self, after: float) -> tuple[int, Sequence[Change]]:
        keys, now = self.stores.signing_keys, self.stores.clock.now()
        (active,) = await keys.all()
        self.kid = active.kid
        fresh = SigningKey.generate(created_at=now).to_stored(self.stores.sealer, signs_from=now)
        assert await keys.revoke(active.kid, successor=fresh, old_until=now, at=now)
        return await super().recent(after)


async def test_a_key_that_is_revoked_during_the_start_is_not_trusted_after_it(
    stores: Stores, counted: Counting, tmp_path: Path
) -> None:
    feed = RevokingFeed(stores)
    callers = await open_callers(replace(stores, changes=feed), counted, snapshot(tmp_path))
    assert feed.kid not in callers.keyring.verifying
    await callers.keyring.reload()
    assert callers.keyring.active.kid != feed.kid


async def test_the_gateways_own_tokens_cannot_pass_for_another_issuers(
    stores: Stores, counted: Counting, tmp_path: Path
) -> None:
    with pytest.raises(StartRefused, match=r'"corporate".*GATEWAY_PUBLIC_URL') as refused:
        await open_callers(stores, counted, snapshot(tmp_path, issuer=ISSUER))
    assert ISSUER in str(refused.value)


async def test_a_life_of_broken_seconds_is_remembered_for_longer(
    stores: Stores, counted: Counting, tmp_path: Path
) -> None:
    # Issued at the end of a second, a token ends 3601 s after the second in which it was issued.
    callers = await open_callers(stores, counted, snapshot(tmp_path))
    now = int(stores.clock.now())
    claims = {
        "iss": ISSUER,
        "aud": ISSUER,
        "sub": "cli_1",
        "client_id": "cli_1",
        "name": "billing",
        "iat": now,
        "exp": now + 3601,
        "jti": "1",
        "ep": 0,
        "roles": [],
        "scope": "",
    }
    token = callers.keyring.active.sign(claims, typ="at+jwt")
    assert getattr(callers.tokens.examine(token), "id", None) == "cli_1"
