"""Adapters on a SQL database, SQLite or PostgreSQL: one set of queries, one file for what differs in each."""

from gateway.stores.sql.api_keys import SqlApiKeyStore
from gateway.stores.sql.audit import SqlAuditSink, SqlAuditTrail
from gateway.stores.sql.changes import SqlChangeFeed
from gateway.stores.sql.database import Database
from gateway.stores.sql.faults import DatabaseUnusable
from gateway.stores.sql.secret_check import SqlSecretCheck
from gateway.stores.sql.sessions import SqlSessionStore
from gateway.stores.sql.signing_keys import SqlSigningKeyStore
from gateway.stores.sql.users import SqlUserStore

__all__ = [
    "Database",
    "DatabaseUnusable",
    "SqlApiKeyStore",
    "SqlAuditSink",
    "SqlAuditTrail",
    "SqlChangeFeed",
    "SqlSecretCheck",
    "SqlSessionStore",
    "SqlSigningKeyStore",
    "SqlUserStore",
]
