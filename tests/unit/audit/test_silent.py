"""What `GATEWAY_AUDIT_DURABILITY=off` leaves out, and what it does not."""

from pathlib import Path

from support.downstream import head_of, permit_for

from gateway.audit import Pressure, Recording, SilentAuditor
from gateway.crypto import MasterSecret, Sealer
from gateway.model import ANONYMOUS, Completion, Event, EventKind, Outcome, Reason
from gateway.ports import SystemClock
from gateway.stores.spool import SpoolWriter


async def test_no_request_is_recorded_but_what_happens_to_accounts_is(tmp_path: Path) -> None:
    spool = SpoolWriter.open(tmp_path)
    auditor = SilentAuditor(
        spool,
        SystemClock(),
        sealer=Sealer(MasterSecret(b"s" * 32)),
        hash_key=b"k" * 32,
        pressure=Pressure(1_000_000),
    )
    recording = Recording(revision="abc")
    head = head_of()
    permit = permit_for(head)
    await auditor.decision(permit, recording=recording)
    await auditor.own(head, route="gateway:welcome", principal=ANONYMOUS, status=200, reason=Reason.OK)
    auditor.completion(
        permit,
        Completion(
            status=200, bytes_in=0, bytes_out=5, duration_ms=1.0, outcome=Outcome.COMPLETE, reason=Reason.OK
        ),
        recording=recording,
    )
    assert spool.last == 0
    await auditor.event(Event(kind=EventKind.LOGIN, actor=None))
    assert spool.last == 1
    spool.close()
