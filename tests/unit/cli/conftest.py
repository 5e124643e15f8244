"""A gateway's own directory, empty."""

from pathlib import Path

import pytest

from gateway.settings import Settings


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings that name it."""
    return Settings.model_validate({"data_dir": tmp_path / "data"})
