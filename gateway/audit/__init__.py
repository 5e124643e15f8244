"""The audit trail: what was decided, for whom, why, and how it ended."""

from gateway.audit.auditor import Auditor
from gateway.audit.deliver import Deliverer
from gateway.audit.record import FIELDS, decode, encode, timestamp
from gateway.audit.silent import SilentAuditor
from gateway.audit.trail import WholeTrail

__all__ = ["FIELDS", "Auditor", "Deliverer", "SilentAuditor", "WholeTrail", "decode", "encode", "timestamp"]
