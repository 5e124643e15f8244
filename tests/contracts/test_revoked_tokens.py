"""What every store of revoked access tokens does."""

import pytest

from gateway.ports import ChangeKind, RevokedTokens
from gateway.stores.sql import Database, SqlChangeFeed, SqlRevokedTokens


@pytest.fixture
def tokens(database: Database) -> RevokedTokens:
    return SqlRevokedTokens(database)


async def test_a_revoked_token_is_announced_and_known_to_whoever_starts_later(
    database: Database, tokens: RevokedTokens
) -> None:
    await tokens.revoke("a1", at=1000.0)
    await tokens.revoke("b2", at=1001.0)
    feed = SqlChangeFeed(database)
    changes = await feed.since(0)
    assert [(one.kind, one.subject, one.at) for one in changes] == [
        (ChangeKind.TOKEN_REVOKED, "a1", 1000.0),
        (ChangeKind.TOKEN_REVOKED, "b2", 1001.0),
    ]
    _, recent = await feed.recent(1000.5)
    assert [one.subject for one in recent] == ["b2"]


async def test_revoking_it_once_more_is_no_fault(tokens: RevokedTokens) -> None:
    await tokens.revoke("a1", at=1000.0)
    await tokens.revoke("a1", at=1000.0)
