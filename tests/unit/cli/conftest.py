"""A gateway's own directory, in which nothing has happened yet, and passwords that are hashed quickly."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from databases import data_dir_below
from support.commands import LEAST_COST, hash_at

from gateway.settings import Settings


@pytest.fixture(autouse=True)
def _quick_passwords() -> Iterator[None]:
    cost = hash_at(LEAST_COST)
    yield
    hash_at(cost)


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    """The directory: a secret, and a database with nothing in it."""
    return data_dir_below(tmp_path)


@pytest.fixture
def settings(data_dir: Path) -> Settings:
    """Settings that name it."""
    return Settings.model_validate({"data_dir": data_dir})
