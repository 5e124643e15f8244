"""A process that ships is killed before every statement and every commit: each record is there once."""

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest
from databases import DATABASES, database_url, opened
from sqlalchemy import func, select
from support.dying import AT_ONCE, RECORDS, whole
from support.shipped import stored

from gateway.stores.sql.audit_chunk import MARK_BYTES
from gateway.stores.sql.audit_tables import audit_actors, audit_personal, audit_writers

TESTS = Path(__file__).parents[1]


@pytest.mark.parametrize(
    "kind", [DATABASES[0], *(pytest.param(kind, marks=pytest.mark.slow) for kind in DATABASES[1:])]
)
async def test_what_was_shipped_is_there_once_wherever_the_kill_was(kind: str, tmp_path: Path) -> None:
    async with database_url(kind, tmp_path) as url:
        program = [sys.executable, "-m", "support.dying", url]
        done = await asyncio.to_thread(
            subprocess.run, program, cwd=TESTS, check=True, capture_output=True, text=True, timeout=60
        )
        assert int(done.stdout) > RECORDS // AT_ONCE
        run = whole()
        async with opened(url) as database:
            found = await stored(database)
            assert [one.body for one in found] == list(run.bodies)
            assert [one.seq for one in found] == list(range(1, RECORDS + 1))
            assert [one.mark for one in found] == [head[:MARK_BYTES] for head in run.heads]
            async with database.read() as connection:
                writer = (await connection.execute(select(audit_writers))).one()
                parts = await connection.scalar(select(func.count()).select_from(audit_personal))
                names = await connection.scalar(select(func.count()).select_from(audit_actors))
    assert (writer.acked_seq, writer.head) == (RECORDS, run.heads[-1])
    assert (parts, names) == (RECORDS, 3)
