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
    Column("password_version", Integer, nullable=False, server_default="0"),
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
    # NULL: the gateway's own public client. Others are revoked, never removed.
    Column("client_id", Text),
    Column("amr", Text, nullable=False, server_default="pwd"),
    Column("mfa_at", Double),
    Column("jkt", Text),
    Column("scope", Text),
    Index("ix_sessions_client_id", "client_id"),
    Index("ix_sessions_user_id", "user_id"),
    Index("ix_sessions_expires_at", "expires_at"),
)

api_keys = Table(
    "api_keys",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("owner_id", ForeignKey("users.id", ondelete="CASCADE"), nullable=False),
    Column("scopes", Text),
    Column("created_at", Double, nullable=False),
    Column("expires_at", Double),
    Column("revoked_at", Double),
    Column("networks", Text),
    Column("last_used_at", Double),
    UniqueConstraint("owner_id", "name"),
)

api_key_secrets = Table(
    "api_key_secrets",
    metadata,
    Column("key_id", ForeignKey("api_keys.id", ondelete="CASCADE"), primary_key=True),
    Column("hash", LargeBinary, primary_key=True),
    Column("created_at", Double, nullable=False),
    Column("expires_at", Double),
)

clients = Table(
    "clients",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("name_key", Text, nullable=False, unique=True),
    Column("epoch", Integer, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("revoked_at", Double),
    # A public key as JSON: what is encrypted for the client is encrypted with it.
    Column("jwk", Text),
)

client_roles = Table(
    "client_roles",
    metadata,
    Column("client_id", ForeignKey("clients.id", ondelete="CASCADE"), primary_key=True),
    Column("role", Text, primary_key=True),
)

client_secrets = Table(
    "client_secrets",
    metadata,
    Column("client_id", ForeignKey("clients.id", ondelete="CASCADE"), primary_key=True),
    Column("hash", LargeBinary, primary_key=True),
    Column("created_at", Double, nullable=False),
    Column("expires_at", Double),
)

links = Table(
    "links",
    metadata,
    # One of a kind for each account: a new one takes the place of the last.
    Column("user_id", ForeignKey("users.id", ondelete="CASCADE"), primary_key=True),
    Column("purpose", Text, primary_key=True),
    Column("token_hash", LargeBinary, nullable=False, unique=True),
    Column("email", Text, nullable=False),
    Column("password_version", Integer, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("expires_at", Double, nullable=False),
)

invites = Table(
    "invites",
    metadata,
    Column("id", Text, primary_key=True),
    Column("code_hash", LargeBinary, nullable=False, unique=True),
    Column("roles", Text, nullable=False),
    Column("email", Text),
    Column("created_by", Text, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("expires_at", Double, nullable=False),
    Column("used_at", Double),
    Column("used_by", Text),
    Column("revoked_at", Double),
)

mails = Table(
    "mails",
    metadata,
    Column("id", Text, primary_key=True),
    Column("sealed", LargeBinary, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("due_at", Double, nullable=False),
    Column("attempts", Integer, nullable=False),
    Index("ix_mails_due_at", "due_at"),
)

factors = Table(
    "factors",
    metadata,
    Column("user_id", ForeignKey("users.id", ondelete="CASCADE"), primary_key=True),
    Column("sealed", LargeBinary, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("confirmed_at", Double),
    Column("last_step", BigInteger, nullable=False),
)

recovery_codes = Table(
    "recovery_codes",
    metadata,
    Column("user_id", ForeignKey("users.id", ondelete="CASCADE"), primary_key=True),
    Column("hash", LargeBinary, primary_key=True),
    Column("used_at", Double),
)

blocks = Table(
    "blocks",
    metadata,
    Column("network", Text, primary_key=True),
    Column("reason", Text, nullable=False),
    Column("created_by", Text),
    Column("created_at", Double, nullable=False),
    # NULL: until it is lifted.
    Column("until", Double),
    Column("times", Integer, nullable=False),
    Index("ix_blocks_until", "until"),
)

signing_keys = Table(
    "signing_keys",
    metadata,
    Column("kid", Text, primary_key=True),
    Column("public_pem", LargeBinary, nullable=False),
    Column("sealed_private", LargeBinary, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("signs_from", Double, nullable=False, server_default="0"),
    Column("verifies_until", Double),
)

crypto_keys = Table(
    "crypto_keys",
    metadata,
    Column("name", Text, primary_key=True),
    Column("created_at", Double, nullable=False),
    # Ciphertexts of older versions are refused.
    Column("min_decryption_version", Integer, nullable=False),
)

crypto_key_versions = Table(
    "crypto_key_versions",
    metadata,
    Column("key_name", ForeignKey("crypto_keys.name", ondelete="CASCADE"), primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("sealed", LargeBinary, nullable=False),
    Column("created_at", Double, nullable=False),
    # How many messages were encrypted with it, as far as processes have told.
    Column("messages", BigInteger, nullable=False, server_default="0"),
)

root_keys = Table(
    "root_keys",
    metadata,
    # One row for each master secret that opens the others; two while it is being changed.
    Column("check_value", LargeBinary, primary_key=True),
    Column("sealed", LargeBinary, nullable=False),
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
