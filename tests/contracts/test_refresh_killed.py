"""A process that refreshes a session is killed before every statement and every commit: the token still
works."""

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest
from databases import DATABASES, database_url, opened

from gateway.stores.sql import SqlSessionStore

TESTS = Path(__file__).parents[1]
LEAST = 4
"""Look, begin, advance, commit: a client of a refresh can be left without an answer at any of them."""


@pytest.mark.parametrize(
    "kind", [DATABASES[0], *(pytest.param(kind, marks=pytest.mark.slow) for kind in DATABASES[1:])]
)
async def test_the_token_that_a_client_holds_works_wherever_the_kill_was(kind: str, tmp_path: Path) -> None:
    async with database_url(kind, tmp_path) as url:
        program = [sys.executable, "-m", "support.dying_refresh", url]
        done = await asyncio.to_thread(
            subprocess.run, program, cwd=TESTS, check=False, capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0, done.stderr
        kills = int(done.stdout)
        assert kills >= LEAST
        async with opened(url) as database:
            (session,) = await SqlSessionStore(database).list_of("usr_1", now=0.0)
            # Each death and the answer after it are one step, wherever the death was; the last went through.
            assert (session.revoked_at, session.counter) == (None, kills + 1)
