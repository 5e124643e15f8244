"""kill -9 at any instant: what was acknowledged is in the trail, once, before and after anything is restarted."""

import asyncio
import random
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from uuid import UUID

import pytest

from gateway.audit import Auditor, Deliverer, WholeTrail
from gateway.ports import AuditQuery, SystemClock
from gateway.stores.spool import SpoolBacklog, SpoolWriter, UnshippedSpool
from gateway.stores.sql import Database, SqlAuditSink, SqlAuditTrail

EVERYTHING = AuditQuery(limit=1_000_000)

# Appends as the gateway does, several at a time, ships beside it, and says which records are durable.
CHILD = """
    import asyncio, os, sys
    from pathlib import Path
    from gateway.audit import Auditor, Deliverer, deliver, encode
    from gateway.ports import Durability, SystemClock
    from gateway.stores.spool import SpoolBacklog, SpoolWriter
    from gateway.stores.sql import Database, SqlAuditSink

    deliver._EVERY = 0.02

    async def main(root, durability, ships):
        spool = SpoolWriter.open(root / "spool", durability=Durability(durability), segment_bytes=20_000)
        auditor = Auditor(spool, SystemClock())

        async def record(lane):
            number = 0
            while True:
                number += 1
                name = f"{spool.writer}:{lane}:{number}"
                body = {"time": "2026-01-01T00:00:00.000000Z", "kind": "decision", "request_id": name}
                body["path"] = "x" * (number % 700)
                spool.append(encode(body))
                await spool.flushed()
                os.write(1, name.encode() + b"\\n")
                await asyncio.sleep(0.0005)

        async with asyncio.TaskGroup() as group:
            for lane in range(4):
                group.create_task(record(lane))
            if ships:
                sink = SqlAuditSink(Database.open(f"sqlite:///{root / 'gateway.db'}"))
                backlog = SpoolBacklog(root / "spool", own=spool.writer)
                group.create_task(Deliverer(backlog, sink, auditor).run())

    asyncio.run(main(Path(sys.argv[1]), sys.argv[2], sys.argv[3] == "ships"))
"""


def _child(root: Path, durability: str, ships: str) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(CHILD), str(root), durability, ships], stdout=subprocess.PIPE
    )


def _acknowledged_until_killed(children: "list[subprocess.Popen[bytes]]", after: float) -> set[str]:
    """Kill each child some time after its first record, and return what they had been told is durable."""
    said = b""
    for child in children:
        assert child.stdout is not None
        said += child.stdout.readline()
    time.sleep(after)
    for child in children:
        child.kill()
    for child in children:
        assert child.stdout is not None
        said += child.stdout.read()
        child.stdout.close()
        child.wait()
    # The name that was being said when the child died has no end; the record behind it is durable all the same.
    return {line.decode() for line in said.split(b"\n")[:-1]}


async def _database(root: Path) -> Database:
    database = Database.open(f"sqlite:///{root / 'gateway.db'}")
    await database.migrate()
    return database


async def _recorded(database: Database, root: Path) -> list[str]:
    """Return what the trail shows now, the unshipped spool included."""
    trail = WholeTrail(SqlAuditTrail(database), SqlAuditSink(database), UnshippedSpool(root / "spool"))
    found = await trail.find(EVERYTHING)
    assert len({(record.writer, record.seq) for record in found}) == len(found)
    return [str(_request_id(record.body)) for record in found]


def _request_id(body: bytes) -> object:
    import orjson

    return orjson.loads(body).get("request_id")


@pytest.mark.parametrize(
    ("durability", "ships", "rounds"),
    [("process", "ships", 9), ("process", "only appends", 4), ("power", "ships", 2)],
)
def test_what_was_acknowledged_before_kill_9_is_in_the_trail_once(
    tmp_path: Path, durability: str, ships: str, rounds: int
) -> None:
    random.seed(20260101)
    acknowledged: set[str] = set()

    async def story() -> None:
        database = await _database(tmp_path)
        for _ in range(rounds):
            children = [_child(tmp_path, durability, ships) for _ in range(2)]
            acknowledged.update(_acknowledged_until_killed(children, random.uniform(0.0, 0.25)))
            # Before anything is restarted: what the two did not ship is read from their spools.
            shown = await _recorded(database, tmp_path)
            assert acknowledged <= set(shown)
            assert len(shown) == len(set(shown))
        # The next process takes over what is left. It is killed too, so to speak, right after a shipment.
        spool = SpoolWriter.open(tmp_path / "spool")
        sink = SqlAuditSink(database)
        for _ in range(2):
            backlog = SpoolBacklog(tmp_path / "spool", own=spool.writer)
            for writer in backlog.writers():
                run = backlog.read(writer, after=await sink.cursor(writer), limit=3)
                if run is not None:
                    await sink.ship(run)
                    await sink.ship(run)
            backlog.close()
        backlog = SpoolBacklog(tmp_path / "spool", own=spool.writer)
        await Deliverer(backlog, sink, Auditor(spool, SystemClock())).drain()
        shipped = [str(_request_id(record.body)) for record in await SqlAuditTrail(database).find(EVERYTHING)]
        assert acknowledged <= set(shipped)
        assert len(shipped) == len(set(shipped))
        assert "None" not in shipped, "no gap was reported: nothing was lost"
        assert [path.name for path in (tmp_path / "spool").iterdir()] == [spool.writer]
        backlog.close()
        spool.close()
        await database.close()

    asyncio.run(story())
    assert len(acknowledged) > rounds * 2
    assert {UUID(name.partition(":")[0]).version for name in acknowledged} == {4}


def test_a_living_process_shows_its_records_within_a_second_and_keeps_its_log(tmp_path: Path) -> None:
    async def story() -> None:
        database = await _database(tmp_path)
        child = _child(tmp_path, "process", "ships")
        try:
            assert child.stdout is not None
            name = child.stdout.readline().decode().strip()
            # The command line reads the spool beside the process that writes it: at once.
            assert name in await _recorded(database, tmp_path)
            async with asyncio.timeout(1.0):
                trail = SqlAuditTrail(database)
                while not await trail.find(AuditQuery(request_id=name)):
                    await asyncio.sleep(0.01)
            # Nobody takes over the log of the living.
            assert SpoolBacklog(tmp_path / "spool", own=None).writers() == []
        finally:
            child.kill()
            child.wait()
            assert child.stdout is not None
            child.stdout.close()
        await database.close()

    asyncio.run(story())
