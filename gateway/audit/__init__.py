"""The audit trail: what was decided, for whom, why, and how it ended."""

from gateway.audit.auditor import Auditor
from gateway.audit.cursor import cursor_of, parse_cursor
from gateway.audit.deliver import Deliverer
from gateway.audit.doubts import Unproven
from gateway.audit.filter import Filter, FilterError, described, exact_term, parse_filter, parse_time
from gateway.audit.findings import Finding
from gateway.audit.follow import Follower
from gateway.audit.follow_checkpoints import CheckpointFollower
from gateway.audit.ledger import Reach
from gateway.audit.notary import Notary
from gateway.audit.pressure import Level, Pressure
from gateway.audit.record import decode, encode
from gateway.audit.recording import Recording, Redaction
from gateway.audit.redact import Redactor, keyed_hash
from gateway.audit.retention import Disposal
from gateway.audit.silent import SilentAuditor
from gateway.audit.trail import WholeTrail
from gateway.audit.verify import Copy, Verdict, Verifier

__all__ = [
    "Auditor",
    "CheckpointFollower",
    "Copy",
    "Deliverer",
    "Disposal",
    "Filter",
    "FilterError",
    "Finding",
    "Follower",
    "Level",
    "Notary",
    "Pressure",
    "Reach",
    "Recording",
    "Redaction",
    "Redactor",
    "SilentAuditor",
    "Unproven",
    "Verdict",
    "Verifier",
    "WholeTrail",
    "cursor_of",
    "decode",
    "described",
    "encode",
    "exact_term",
    "keyed_hash",
    "parse_cursor",
    "parse_filter",
    "parse_time",
]
