"""A change of the master secret is killed before every statement, every commit and every touch of the file: the
gateway starts each time, and the same command comes to the end."""

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest
from databases import DATABASES, database_url

TESTS = Path(__file__).parents[1]
LEAST = 20
"""Statements, commits and files of a change, a few rows being sealed anew."""


@pytest.mark.slow
@pytest.mark.parametrize("kind", DATABASES)
async def test_the_gateway_starts_wherever_the_kill_was_and_the_command_goes_on(
    kind: str, tmp_path: Path
) -> None:
    async with database_url(kind, tmp_path) as url:
        program = [sys.executable, "-m", "support.dying_rekey", str(tmp_path / "data"), url]
        done = await asyncio.to_thread(
            subprocess.run, program, cwd=TESTS, check=False, capture_output=True, text=True, timeout=120
        )
        assert done.returncode == 0, done.stderr
        assert int(done.stdout) >= LEAST
