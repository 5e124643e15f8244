"""What we need from outside, one protocol per need, and the exceptions that adapters may raise."""

from gateway.ports.accounts import ApiKey, ApiKeyStore, BeforeCommit, Session, SessionStore, User, UserStore
from gateway.ports.audit import (
    AuditSink,
    Backlog,
    Dropped,
    Durability,
    Erased,
    Erasure,
    Position,
    RecordRefused,
    Retention,
    RetentionRefused,
    Run,
    SinkAstray,
    Spool,
    StoredRecord,
    Unshipped,
)
from gateway.ports.changes import Change, ChangeFeed, ChangeKind, PlaceUnknown
from gateway.ports.clock import Clock, SystemClock
from gateway.ports.counters import CounterStore
from gateway.ports.events import Events
from gateway.ports.faults import AuditUnavailable, StoreUnavailable, Taken
from gateway.ports.keys import SecretCheck, SigningKeyStore, StoredSigningKey
from gateway.ports.outlets import CheckpointOutlet, Outlet, OutletPositions, OutletUnavailable, Record
from gateway.ports.proof import Checkpoint, Checkpoints, Damage, SpoolEvidence, TrailEvidence, Withheld
from gateway.ports.revocations import Revocations
from gateway.ports.trail import AuditQuery, AuditTrail, Place

__all__ = [
    "ApiKey",
    "ApiKeyStore",
    "AuditQuery",
    "AuditSink",
    "AuditTrail",
    "AuditUnavailable",
    "Backlog",
    "BeforeCommit",
    "Change",
    "ChangeFeed",
    "ChangeKind",
    "Checkpoint",
    "CheckpointOutlet",
    "Checkpoints",
    "Clock",
    "CounterStore",
    "Damage",
    "Dropped",
    "Durability",
    "Erased",
    "Erasure",
    "Events",
    "Outlet",
    "OutletPositions",
    "OutletUnavailable",
    "Place",
    "PlaceUnknown",
    "Position",
    "Record",
    "RecordRefused",
    "Retention",
    "RetentionRefused",
    "Revocations",
    "Run",
    "SecretCheck",
    "Session",
    "SessionStore",
    "SigningKeyStore",
    "SinkAstray",
    "Spool",
    "SpoolEvidence",
    "StoreUnavailable",
    "StoredRecord",
    "StoredSigningKey",
    "SystemClock",
    "Taken",
    "TrailEvidence",
    "Unshipped",
    "User",
    "UserStore",
    "Withheld",
]
