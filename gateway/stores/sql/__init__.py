"""Adapters on a SQL database, SQLite or PostgreSQL: one set of queries, one file for what differs in each."""

from gateway.stores.sql.api_keys import SqlApiKeyStore
from gateway.stores.sql.audit_checkpoints import SqlCheckpoints
from gateway.stores.sql.audit_days import SqlRetention, prepare_days
from gateway.stores.sql.audit_erasure import SqlErasure
from gateway.stores.sql.audit_evidence import SqlTrailEvidence
from gateway.stores.sql.audit_outlets import SqlOutletPositions
from gateway.stores.sql.audit_sink import SqlAuditSink
from gateway.stores.sql.audit_trail import SqlAuditTrail
from gateway.stores.sql.blocks import SqlBlockStore
from gateway.stores.sql.changes import SqlChangeFeed, SqlRevokedTokens
from gateway.stores.sql.clients import SqlClientStore
from gateway.stores.sql.crypto_keys import SqlCryptoKeyStore
from gateway.stores.sql.database import Database
from gateway.stores.sql.factors import SqlFactorStore
from gateway.stores.sql.faults import DatabaseUnusable
from gateway.stores.sql.invites import SqlInviteStore
from gateway.stores.sql.links import SqlLinkStore
from gateway.stores.sql.mails import SqlMailQueue
from gateway.stores.sql.root_keys import SqlRootKeyStore
from gateway.stores.sql.sealed_values import SqlSealedValues
from gateway.stores.sql.sessions import SqlSessionStore
from gateway.stores.sql.signing_keys import SqlSigningKeyStore
from gateway.stores.sql.users import SqlUserStore

__all__ = [
    "Database",
    "DatabaseUnusable",
    "SqlApiKeyStore",
    "SqlAuditSink",
    "SqlAuditTrail",
    "SqlBlockStore",
    "SqlChangeFeed",
    "SqlCheckpoints",
    "SqlClientStore",
    "SqlCryptoKeyStore",
    "SqlErasure",
    "SqlFactorStore",
    "SqlInviteStore",
    "SqlLinkStore",
    "SqlMailQueue",
    "SqlOutletPositions",
    "SqlRetention",
    "SqlRevokedTokens",
    "SqlRootKeyStore",
    "SqlSealedValues",
    "SqlSessionStore",
    "SqlSigningKeyStore",
    "SqlTrailEvidence",
    "SqlUserStore",
    "prepare_days",
]
