"""What we need from outside, one protocol per need, and the exceptions that adapters may raise."""

from gateway.ports.accounts import ApiKey, ApiKeyStore, BeforeCommit, Session, SessionStore, User, UserStore
from gateway.ports.audit import (
    AuditQuery,
    AuditSink,
    AuditTrail,
    Backlog,
    Durability,
    Position,
    RecordRefused,
    Run,
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
from gateway.ports.revocations import Revocations

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
    "Clock",
    "CounterStore",
    "Durability",
    "Events",
    "PlaceUnknown",
    "Position",
    "RecordRefused",
    "Revocations",
    "Run",
    "SecretCheck",
    "Session",
    "SessionStore",
    "SigningKeyStore",
    "Spool",
    "StoreUnavailable",
    "StoredRecord",
    "StoredSigningKey",
    "SystemClock",
    "Taken",
    "Unshipped",
    "User",
    "UserStore",
]
