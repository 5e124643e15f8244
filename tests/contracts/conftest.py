"""The databases that most contracts are tried on."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from databases import DATABASES, database_url, opened

from gateway.stores.sql import Database


@pytest.fixture(params=DATABASES)
async def url(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[str]:
    """The URL of a database of its own."""
    async with database_url(request.param, tmp_path) as lent:
        yield lent


@pytest.fixture
async def database(url: str) -> AsyncIterator[Database]:
    """The same, open."""
    async with opened(url) as database:
        yield database
