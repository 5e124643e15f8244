"""What every process opens before anything else."""

from pathlib import Path

from databases import data_dir_below

from gateway.assembly import open_stores
from gateway.settings import Settings


async def test_passwords_are_hashed_at_their_full_cost(tmp_path: Path) -> None:
    settings = Settings.model_validate({"data_dir": data_dir_below(tmp_path)})
    async with open_stores(settings) as stores:
        assert "$12$" in await stores.passwords.hash("a password")
