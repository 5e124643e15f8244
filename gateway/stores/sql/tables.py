"""The tables of accounts, sessions and keys. Times are seconds since the epoch.

Names are stored twice: as they were typed, and in the form in which they are compared.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    UniqueConstraint,
)

from gateway.stores.sql.text import Text

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(column_0_label)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)

users = Table(
    "users",
    metadata,
    Column("id", Text, primary_key=True),
    Column("username", Text, nullable=False),
    Column("username_key", Text, nullable=False, unique=True),
    Column("email", Text),
    Column("email_key", Text, unique=True),
    Column("password_hash", Text),
    Column("epoch", Integer, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("verified_at", Double),
    Column("disabled_at", Double),
)

user_roles = Table(
    "user_roles",
    metadata,
    Column("user_id", ForeignKey("users.id", ondelete="CASCADE"), primary_key=True),
    Column("role", Text, primary_key=True),
)

sessions = Table(
    "sessions",
    metadata,
    Column("id", Text, primary_key=True),
    Column("user_id", ForeignKey("users.id", ondelete="CASCADE"), nullable=False),
    Column("key", LargeBinary, nullable=False),
    Column("counter", Integer, nullable=False),
    Column("rotated_at", Double, nullable=False),
    Column("confirmed", Boolean, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("last_used_at", Double, nullable=False),
    Column("expires_at", Double, nullable=False),
    Column("revoked_at", Double),
    Column("source_ip", Text),
    Column("user_agent", Text),
    Index("ix_sessions_user_id", "user_id"),
    Index("ix_sessions_expires_at", "expires_at"),
)

api_keys = Table(
    "api_keys",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("owner_id", ForeignKey("users.id", ondelete="CASCADE"), nullable=False),
    Column("secret_hash", LargeBinary, nullable=False),
    Column("scopes", Text),
    Column("created_at", Double, nullable=False),
    Column("expires_at", Double),
    Column("revoked_at", Double),
    UniqueConstraint("owner_id", "name"),
)

signing_keys = Table(
    "signing_keys",
    metadata,
    Column("kid", Text, primary_key=True),
    Column("public_pem", LargeBinary, nullable=False),
    Column("sealed_private", LargeBinary, nullable=False),
    Column("state", Text, nullable=False),
    Column("created_at", Double, nullable=False),
)

changes = Table(
    "changes",
    metadata,
    # AUTOINCREMENT: a number is never given twice, even when the newest rows are pruned.
    Column("seq", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("kind", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("epoch", Integer, nullable=False),
    Column("at", Double, nullable=False),
    Index("ix_changes_at", "at"),
    sqlite_autoincrement=True,
)

settings = Table(
    "settings",
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", LargeBinary, nullable=False),
)
