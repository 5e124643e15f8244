"""What the gateway's own endpoints answer is written down first."""

import json
import os
from pathlib import Path

from support.auditing import auditor_on
from support.blocking import HeldOff
from support.heads import head_for
from unit.edge.sides import side

from gateway.config import Current, load_configuration
from gateway.edge.own import Call, Endpoint, OwnEndpoints
from gateway.observability import AccessLog, Metrics
from gateway.pipeline import Enforcer, Stages
from gateway.ports import SystemClock
from gateway.stores.memory import MemoryCounters
from gateway.stores.spool import SpoolWriter
from gateway.web import Answer


async def test_an_answer_that_cannot_be_written_down_is_logged_as_what_is_sent_instead(
    tmp_path: Path,
) -> None:
    (tmp_path / "policies.yaml").write_text("version: 1\nroutes: []\n")
    (tmp_path / "upstreams.yaml").write_text("version: 1\nupstreams: {}\n")
    snapshot = load_configuration(
        tmp_path / "policies.yaml", tmp_path / "upstreams.yaml", environ={}
    ).snapshot
    assert snapshot is not None
    spool, clock = SpoolWriter.open(tmp_path / "spool"), SystemClock()
    enforcer = Enforcer(
        current=Current(snapshot),
        stages=Stages(authenticators={}, counters=MemoryCounters(clock), blocked=HeldOff()),
        auditor=auditor_on(spool, clock),
        metrics=Metrics(),
    )

    async def answer(_call: Call) -> Answer:
        spool.close()
        return Answer(status=200, body=b"a token")

    reading, writing = os.pipe()
    log = AccessLog(enabled=True, as_json=True, descriptor=writing)
    log.start()
    endpoint = Endpoint(method="GET", path="/gateway/v1/x", name="gateway:x", answer=answer)
    endpoints = OwnEndpoints([endpoint], enforcer=enforcer, authenticators=(), access_log=log)
    client = side(ended=True)
    # Its client has left, which changes nothing about the log.
    client._connection.transport = None
    await endpoints.answer(client, head_for("/gateway/v1/x"))
    log.stop()
    os.close(writing)
    line = json.loads(os.read(reading, 4096))
    os.close(reading)
    assert (line["status"], line["reason"]) == (503, "audit-unavailable")
