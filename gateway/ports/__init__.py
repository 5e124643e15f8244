"""What we need from outside, one protocol per need, and the exceptions that adapters may raise."""

from gateway.ports.api_keys import ApiKey, ApiKeyStore, KeySecret
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
from gateway.ports.blocks import REMEMBERED_SECONDS, Block, Blocked, BlockStore
from gateway.ports.changes import Change, ChangeFeed, ChangeKind, PlaceUnknown
from gateway.ports.clients import ClientSecret, ClientStore, OAuthClient
from gateway.ports.clock import Clock, SystemClock
from gateway.ports.counters import CounterStore
from gateway.ports.crypto_keys import CryptoKeyStore, StoredCryptoKey, StoredKeyVersion
from gateway.ports.events import Events
from gateway.ports.factors import FactorStore, Totp
from gateway.ports.faults import AuditUnavailable, StoreUnavailable, Taken
from gateway.ports.invites import Invite, InviteStore
from gateway.ports.keys import SigningKeyStore, StoredSigningKey
from gateway.ports.links import Link, LinkPurpose, LinkStore
from gateway.ports.mails import Mail, MailQueue, MailRefused, Postman, QueuedMail
from gateway.ports.outlets import CheckpointOutlet, Outlet, OutletPositions, OutletUnavailable, Record
from gateway.ports.pages import Page, Pages, PageUnavailable
from gateway.ports.proof import Checkpoint, Checkpoints, Damage, SpoolEvidence, TrailEvidence, Withheld
from gateway.ports.revocations import Revocations, RevokedTokens
from gateway.ports.root_keys import Renew, RootKeyStore, Round, SealedValues, StoredRoots
from gateway.ports.sessions import Session, SessionStore
from gateway.ports.trail import AuditQuery, AuditTrail, Place
from gateway.ports.users import BeforeCommit, User, UserStore

__all__ = [
    "REMEMBERED_SECONDS",
    "ApiKey",
    "ApiKeyStore",
    "AuditQuery",
    "AuditSink",
    "AuditTrail",
    "AuditUnavailable",
    "Backlog",
    "BeforeCommit",
    "Block",
    "BlockStore",
    "Blocked",
    "Change",
    "ChangeFeed",
    "ChangeKind",
    "Checkpoint",
    "CheckpointOutlet",
    "Checkpoints",
    "ClientSecret",
    "ClientStore",
    "Clock",
    "CounterStore",
    "CryptoKeyStore",
    "Damage",
    "Dropped",
    "Durability",
    "Erased",
    "Erasure",
    "Events",
    "FactorStore",
    "Invite",
    "InviteStore",
    "KeySecret",
    "Link",
    "LinkPurpose",
    "LinkStore",
    "Mail",
    "MailQueue",
    "MailRefused",
    "OAuthClient",
    "Outlet",
    "OutletPositions",
    "OutletUnavailable",
    "Page",
    "PageUnavailable",
    "Pages",
    "Place",
    "PlaceUnknown",
    "Position",
    "Postman",
    "QueuedMail",
    "Record",
    "RecordRefused",
    "Renew",
    "Retention",
    "RetentionRefused",
    "Revocations",
    "RevokedTokens",
    "RootKeyStore",
    "Round",
    "Run",
    "SealedValues",
    "Session",
    "SessionStore",
    "SigningKeyStore",
    "SinkAstray",
    "Spool",
    "SpoolEvidence",
    "StoreUnavailable",
    "StoredCryptoKey",
    "StoredKeyVersion",
    "StoredRecord",
    "StoredRoots",
    "StoredSigningKey",
    "SystemClock",
    "Taken",
    "Totp",
    "TrailEvidence",
    "Unshipped",
    "User",
    "UserStore",
    "Withheld",
]
