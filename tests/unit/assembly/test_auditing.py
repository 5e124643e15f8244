"""The audit trail, put together: a healthy gateway goes on in the room that its spool has."""

from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from pydantic import ValidationError

from gateway.assembly.auditing import Auditing, open_auditing
from gateway.audit import Level
from gateway.crypto import Roots, Sealer
from gateway.ports import SystemClock
from gateway.settings import Settings
from gateway.stores.spool import SpoolWriter
from gateway.stores.sql import Database

LEAST = 64 << 20
BODY = b'{"time":"2026-01-01T00:00:00.000000Z","kind":"event","detail":"%s"}' % (b"x" * (512 << 10))


def _settings(root: Path, **values: object) -> Settings:
    return Settings.model_validate({"data_dir": root, "audit_durability": "process", **values})


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    database = Database.open(f"sqlite:///{tmp_path / 'trail.db'}")
    await database.migrate()
    yield database
    await database.close()


@pytest.fixture
def ending() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def _process(settings: Settings, database: Database, ending: ExitStack) -> tuple[Auditing, SpoolWriter]:
    roots = Roots({1: b"s" * 32})
    opened = open_auditing(
        settings, database=database, roots=roots, sealer=Sealer(roots), clock=SystemClock()
    )
    assert isinstance(opened.spool, SpoolWriter)
    ending.callback(opened.spool.close)
    return opened, opened.spool


@pytest.mark.parametrize("workers", [1, 4])
async def test_what_is_shipped_does_not_fill_the_least_room_that_a_spool_may_have(
    tmp_path: Path, database: Database, ending: ExitStack, workers: int
) -> None:
    redis = "redis://localhost" if workers > 1 else "memory://"
    settings = _settings(tmp_path, audit_spool_limit=LEAST, workers=workers, redis_url=redis)
    processes = [_process(settings, database, ending) for _ in range(workers)]
    deliverers = [opened.deliverer() for opened, _ in processes]
    levels: set[Level] = set()
    written = 0
    while written < LEAST:
        for (opened, spool), deliverer in zip(processes, deliverers, strict=True):
            for _ in range(4):
                written += len(BODY)
                spool.append(BODY)
                await spool.flushed()
            assert await deliverer._look(to_the_end=False) is None
            await deliverer._attest()
            await deliverer._measure()
            levels.add(opened.pressure.level)
    assert levels == {Level.EASE}
    for deliverer in deliverers:
        await deliverer.drain()


def test_a_room_in_which_no_gateway_could_go_on_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="audit_spool_limit"):
        _settings(tmp_path, audit_spool_limit=LEAST - 1)


async def test_a_large_room_does_not_make_larger_files(
    tmp_path: Path, database: Database, ending: ExitStack
) -> None:
    _, spool = _process(_settings(tmp_path, audit_spool_limit=1 << 40), database, ending)
    assert spool._segment_bytes == 64 << 20
