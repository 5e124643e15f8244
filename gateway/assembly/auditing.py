"""The audit trail, put together: where records are made durable, shipped, found, proved and erased."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gateway.audit import Auditor, Deliverer, Notary, Pressure, SilentAuditor, WholeTrail
from gateway.crypto import NoteSigners, Roots, Sealer
from gateway.observability import log
from gateway.ports import AuditUnavailable, Clock, Durability
from gateway.settings import Settings
from gateway.stores.spool import (
    SEGMENT_BYTES,
    ExaminedSpool,
    SpoolBacklog,
    SpoolWriter,
    UnopenedSpool,
    UnshippedSpool,
)
from gateway.stores.sql import (
    Database,
    SqlAuditSink,
    SqlAuditTrail,
    SqlCheckpoints,
    SqlErasure,
    SqlOutletPositions,
    SqlRetention,
    SqlTrailEvidence,
)

_NOTES: Final = "gateway-audit"
"""Whose checkpoints they are, as their signatures say."""
_PORTIONS: Final = 16
"""What is shipped stays until its file is full and a checkpoint signs for it: about three portions of each
process at most, so that a fifth of the room is never free, and the rest is for what waits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Auditing:
    """What a process writes down, and what becomes of it."""

    spool: SpoolWriter | UnopenedSpool
    """Not opened: the disk is full, say. What only reads goes on; what must be recorded cannot."""
    events: Auditor
    pressure: Pressure
    backlog: SpoolBacklog
    sink: SqlAuditSink
    trail: WholeTrail
    shipped: SqlAuditTrail
    """The part of the trail that all processes see alike."""
    erasure: SqlErasure
    retention: SqlRetention
    checkpoints: SqlCheckpoints
    positions: SqlOutletPositions
    evidence: SqlTrailEvidence
    logs: ExaminedSpool
    """The spool, to be checked."""
    signers: NoteSigners
    notary: Notary
    hash_key: bytes
    """Of the fields that are shown as a keyed hash."""

    def deliverer(self, backlog: SpoolBacklog | None = None) -> Deliverer:
        """Return what ships the spool, or some other logs. One at a time in a process."""
        return Deliverer(
            self.backlog if backlog is None else backlog,
            self.sink,
            self.events,
            notary=self.notary,
            pressure=self.pressure,
        )


def open_auditing(
    settings: Settings, *, database: Database, roots: Roots, sealer: Sealer, clock: Clock
) -> Auditing:
    """Open the spool, and put together what works on it and on the database."""
    spool_dir = settings.data_dir / "spool"
    portion = min(SEGMENT_BYTES, settings.audit_spool_limit // (_PORTIONS * settings.workers))
    spool = _open_spool(spool_dir, settings.audit_durability, portion)
    pressure = Pressure(settings.audit_spool_limit)
    hash_key, names_key = roots.derive("audit-hash"), roots.derive("audit-names")
    kind = SilentAuditor if settings.audit_durability == "off" else Auditor
    sink = SqlAuditSink(database, sealer, names_key)
    shipped = SqlAuditTrail(database, sealer, names_key)
    erasure, checkpoints = SqlErasure(database), SqlCheckpoints(database)
    signers = NoteSigners(_NOTES, roots.keys_for("audit-checkpoints"))
    if kind is SilentAuditor:
        log.warning(
            "audit.off",
            detail="GATEWAY_AUDIT_DURABILITY=off: no request is recorded. For benchmarks only.",
        )
    return Auditing(
        spool=spool,
        events=kind(spool, clock, sealer=sealer, hash_key=hash_key, pressure=pressure),
        pressure=pressure,
        backlog=SpoolBacklog(spool_dir, own=spool.writer, recent=spool.recent),
        sink=sink,
        trail=WholeTrail(shipped, sink, UnshippedSpool(spool_dir), sealer, erasure),
        shipped=shipped,
        erasure=erasure,
        retention=SqlRetention(database),
        checkpoints=checkpoints,
        positions=SqlOutletPositions(database),
        evidence=SqlTrailEvidence(database, sealer, names_key),
        logs=ExaminedSpool(spool_dir),
        signers=signers,
        notary=Notary(checkpoints, signers, clock, portion=portion),
        hash_key=hash_key,
    )


def _open_spool(directory: Path, durability: str, portion: int) -> SpoolWriter | UnopenedSpool:
    try:
        return SpoolWriter.open(
            directory,
            durability=Durability.POWER if durability == "power" else Durability.PROCESS,
            segment_bytes=portion,
        )
    except AuditUnavailable as unavailable:
        return UnopenedSpool(str(unavailable))
