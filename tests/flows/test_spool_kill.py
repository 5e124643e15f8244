"""kill -9 at any instant: what was acknowledged is in the trail, once, before and after anything is restarted."""

import asyncio
import random
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from uuid import UUID

import orjson
import pytest

from gateway.audit import Auditor, Deliverer, Notary, Pressure, Verifier, WholeTrail
from gateway.crypto import MasterSecret, NoteSigners, Roots, Sealer
from gateway.model import Comparison, Term
from gateway.ports import AuditQuery, AuditTrail, Damage, SystemClock
from gateway.stores.spool import ExaminedSpool, SpoolBacklog, SpoolWriter, UnshippedSpool
from gateway.stores.sql import (
    Database,
    SqlAuditSink,
    SqlAuditTrail,
    SqlCheckpoints,
    SqlErasure,
    SqlTrailEvidence,
)

EVERYTHING = AuditQuery(limit=1_000_000)
SECRET = MasterSecret(b"a secret of the spool's kill tests")
SEALER = Sealer(SECRET)
NAMES = SECRET.derive("audit-names")
SIGNERS = NoteSigners("gateway-audit", Roots.of(SECRET).keys_for("audit-checkpoints"))

# Appends as the gateway does, several at a time, ships beside it, and says which records are durable.
CHILD = """
    import asyncio, os, sys
    from pathlib import Path
    from gateway.audit import Auditor, Deliverer, Notary, Pressure, deliver, encode
    from gateway.crypto import MasterSecret, NoteSigners, PersonalPart, Roots, Sealer, seal_parts
    from gateway.ports import Durability, SystemClock
    from gateway.stores.spool import SpoolBacklog, SpoolWriter
    from gateway.stores.sql import Database, SqlAuditSink, SqlCheckpoints

    deliver._EVERY = 0.02

    async def main(root, secret, durability, ships):
        spool = SpoolWriter.open(root / "spool", durability=Durability(durability), segment_bytes=20_000)
        secret = MasterSecret(bytes.fromhex(secret))
        sealer, pressure = Sealer(secret), Pressure(1 << 40)

        async def record(lane):
            number = 0
            while True:
                number += 1
                name = f"{spool.writer}:{lane}:{number}"
                body = {"time": "2026-01-01T00:00:00.000000Z", "kind": "decision", "request_id": name}
                body["path"] = "x" * (number % 700)
                sealed = b""
                if number % 2:
                    part = PersonalPart.of("usr_1", {"name": f"person {lane}"})
                    body["actor"] = {"id": "usr_1", "kind": "user"}
                    body["personal"] = {"usr_1": part.commitment}
                    sealed = seal_parts(sealer, [part])
                spool.append(encode(body), sealed)
                await spool.flushed()
                os.write(1, name.encode() + b"\\n")
                await asyncio.sleep(0.0005)

        async with asyncio.TaskGroup() as group:
            for lane in range(4):
                group.create_task(record(lane))
            if ships:
                database = Database.open(f"sqlite:///{root / 'gateway.db'}")
                sink = SqlAuditSink(database, sealer, secret.derive("audit-names"))
                signers = NoteSigners("gateway-audit", Roots.of(secret).keys_for("audit-checkpoints"))
                notary = Notary(SqlCheckpoints(database), signers, SystemClock())
                auditor = Auditor(
                    spool, SystemClock(), sealer=sealer, hash_key=secret.derive("audit-hash"), pressure=pressure
                )
                backlog = SpoolBacklog(root / "spool", own=spool.writer, recent=spool.recent)
                shipping = Deliverer(backlog, sink, auditor, notary=notary, pressure=pressure)
                group.create_task(shipping.run())

    asyncio.run(main(Path(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4] == "ships"))
"""


def _child(root: Path, durability: str, ships: str) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(CHILD), str(root), SECRET.value.hex(), durability, ships],
        stdout=subprocess.PIPE,
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


def _sink(database: Database) -> SqlAuditSink:
    return SqlAuditSink(database, SEALER, NAMES)


def _shipped(database: Database) -> SqlAuditTrail:
    return SqlAuditTrail(database, SEALER, NAMES)


def _deliverer(database: Database, backlog: SpoolBacklog, spool: SpoolWriter) -> Deliverer:
    clock, pressure = SystemClock(), Pressure(1 << 40)
    events = Auditor(spool, clock, sealer=SEALER, hash_key=SECRET.derive("audit-hash"), pressure=pressure)
    notary = Notary(SqlCheckpoints(database), SIGNERS, clock)
    return Deliverer(backlog, _sink(database), events, notary=notary, pressure=pressure)


async def _recorded(database: Database, root: Path) -> list[str]:
    """Return what the trail shows, the unshipped spool included."""
    unshipped = UnshippedSpool(root / "spool")
    return await _shown(
        WholeTrail(_shipped(database), _sink(database), unshipped, SEALER, SqlErasure(database))
    )


async def _shown(trail: AuditTrail) -> list[str]:
    found = await trail.find(EVERYTHING)
    assert len({(record.writer, record.seq) for record in found}) == len(found)
    names = []
    for record in found:
        fields = orjson.loads(record.body)
        names.append(str(fields.get("request_id")))
        if "personal" in fields:
            lane = names[-1].split(":")[1]
            assert orjson.loads(record.personal) == {"usr_1": {"name": f"person {lane}"}}
    return names


async def _prove(database: Database, root: Path) -> None:
    """Look whether every log, and the whole trail, is as it was written."""
    logs = ExaminedSpool(root / "spool")
    for writer in logs.writers():
        assert [found for found in logs.examine(writer) if isinstance(found, Damage)] == []
    evidence = SqlTrailEvidence(database, SEALER, NAMES)
    verdict = await Verifier(evidence, logs, SqlCheckpoints(database), SIGNERS.keys).verify()
    assert list(verdict.findings) == []


@pytest.mark.parametrize(
    ("durability", "ships", "rounds"),
    [
        ("process", "ships", 2),
        ("power", "ships", 1),
        pytest.param("process", "ships", 9, marks=pytest.mark.slow),
        pytest.param("process", "only appends", 4, marks=pytest.mark.slow),
        pytest.param("power", "ships", 4, marks=pytest.mark.slow),
    ],
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
            await _prove(database, tmp_path)
        # The next process takes over what is left. It is killed too, so to speak, right after a shipment.
        spool = SpoolWriter.open(tmp_path / "spool")
        sink = _sink(database)
        for _ in range(2):
            backlog = SpoolBacklog(tmp_path / "spool", own=spool.writer)
            for writer in backlog.writers():
                run = backlog.read(writer, after=await sink.cursor(writer), limit=3)
                if run is not None:
                    await sink.ship(run)
                    await sink.ship(run)
            backlog.close()
        backlog = SpoolBacklog(tmp_path / "spool", own=spool.writer)
        await _deliverer(database, backlog, spool).drain()
        shipped = await _shown(_shipped(database))
        assert acknowledged <= set(shipped)
        assert len(shipped) == len(set(shipped))
        assert "None" not in shipped, "no gap was reported: nothing was lost"
        assert [path.name for path in (tmp_path / "spool").iterdir()] == [spool.writer]
        await _prove(database, tmp_path)
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
                trail = _shipped(database)
                asked = Term(field="request_id", values=(name,), comparison=Comparison.IS)
                while not await trail.find(AuditQuery(terms=(asked,))):
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
