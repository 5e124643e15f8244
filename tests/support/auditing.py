"""An auditor for tests whose subject is something else."""

from gateway.audit import Auditor, Pressure
from gateway.crypto import MasterSecret, Sealer
from gateway.ports import Clock, Spool, SystemClock

SEALER = Sealer(MasterSecret(b"the master secret of these tests"))
HASH_KEY = b"the key of hashed fields in here"


def auditor_on(spool: Spool, clock: Clock | None = None, *, pressure: Pressure | None = None) -> Auditor:
    """Return an auditor that writes to a spool, with room enough unless a pressure is given."""
    return Auditor(
        spool,
        clock or SystemClock(),
        sealer=SEALER,
        hash_key=HASH_KEY,
        pressure=pressure or Pressure(1 << 30),
    )
