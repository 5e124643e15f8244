"""Clients, invitations, links in mails, mails, second factors, blocks; keys with an overlap."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

# The order of bytes, whatever the database was made with; it is SQLite's own.
TEXT = sa.String().with_variant(sa.String(collation="C"), "postgresql")


def upgrade() -> None:
    """Create the tables, and give those that are there what they lack."""
    _clients()
    _users_and_sessions()
    _api_keys()
    _signing_keys()
    _links_and_mails()
    _factors()
    op.create_table(
        "blocks",
        sa.Column("network", TEXT, nullable=False),
        sa.Column("reason", TEXT, nullable=False),
        sa.Column("created_by", TEXT),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("until", sa.Double),
        sa.Column("times", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("network", name="pk_blocks"),
    )
    op.create_index("ix_blocks_until", "blocks", ["until"])


def _clients() -> None:
    op.create_table(
        "clients",
        sa.Column("id", TEXT, nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("name_key", TEXT, nullable=False),
        sa.Column("epoch", sa.Integer, nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("revoked_at", sa.Double),
        sa.PrimaryKeyConstraint("id", name="pk_clients"),
        sa.UniqueConstraint("name_key", name="uq_clients_name_key"),
    )
    op.create_table(
        "client_roles",
        sa.Column("client_id", TEXT, nullable=False),
        sa.Column("role", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("client_id", "role", name="pk_client_roles"),
        _owned("client_roles", "client_id", "clients"),
    )
    _secrets("client_secrets", "client_id", "clients")


def _users_and_sessions() -> None:
    op.add_column("users", sa.Column("password_version", sa.Integer, nullable=False, server_default="0"))
    # Without a reference, which SQLite cannot add: clients are revoked, never removed.
    op.add_column("sessions", sa.Column("client_id", TEXT))
    op.add_column("sessions", sa.Column("amr", TEXT, nullable=False, server_default="pwd"))
    op.add_column("sessions", sa.Column("mfa_at", sa.Double))
    op.add_column("sessions", sa.Column("jkt", TEXT))
    op.add_column("sessions", sa.Column("scope", TEXT))
    op.create_index("ix_sessions_client_id", "sessions", ["client_id"])


def _api_keys() -> None:
    _secrets("api_key_secrets", "key_id", "api_keys")
    op.execute(
        "INSERT INTO api_key_secrets (key_id, hash, created_at) "
        "SELECT id, secret_hash, created_at FROM api_keys"
    )
    op.drop_column("api_keys", "secret_hash")
    op.add_column("api_keys", sa.Column("networks", TEXT))
    op.add_column("api_keys", sa.Column("last_used_at", sa.Double))


def _signing_keys() -> None:
    op.add_column("signing_keys", sa.Column("signs_from", sa.Double, nullable=False, server_default="0"))
    op.add_column("signing_keys", sa.Column("verifies_until", sa.Double))
    # Only one was ever active, and it is the newest.
    op.execute("UPDATE signing_keys SET signs_from = created_at")
    op.drop_column("signing_keys", "state")


def _links_and_mails() -> None:
    op.create_table(
        "links",
        sa.Column("user_id", TEXT, nullable=False),
        sa.Column("purpose", TEXT, nullable=False),
        sa.Column("token_hash", sa.LargeBinary, nullable=False),
        sa.Column("email", TEXT, nullable=False),
        sa.Column("password_version", sa.Integer, nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("expires_at", sa.Double, nullable=False),
        sa.PrimaryKeyConstraint("user_id", "purpose", name="pk_links"),
        sa.UniqueConstraint("token_hash", name="uq_links_token_hash"),
        _owned("links", "user_id", "users"),
    )
    op.create_table(
        "invites",
        sa.Column("id", TEXT, nullable=False),
        sa.Column("code_hash", sa.LargeBinary, nullable=False),
        sa.Column("roles", TEXT, nullable=False),
        sa.Column("email", TEXT),
        sa.Column("created_by", TEXT, nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("expires_at", sa.Double, nullable=False),
        sa.Column("used_at", sa.Double),
        sa.Column("used_by", TEXT),
        sa.Column("revoked_at", sa.Double),
        sa.PrimaryKeyConstraint("id", name="pk_invites"),
        sa.UniqueConstraint("code_hash", name="uq_invites_code_hash"),
    )
    op.create_table(
        "mails",
        sa.Column("id", TEXT, nullable=False),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("due_at", sa.Double, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_mails"),
    )
    op.create_index("ix_mails_due_at", "mails", ["due_at"])


def _factors() -> None:
    op.create_table(
        "factors",
        sa.Column("user_id", TEXT, nullable=False),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("confirmed_at", sa.Double),
        sa.Column("last_step", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("user_id", name="pk_factors"),
        _owned("factors", "user_id", "users"),
    )
    op.create_table(
        "recovery_codes",
        sa.Column("user_id", TEXT, nullable=False),
        sa.Column("hash", sa.LargeBinary, nullable=False),
        sa.Column("used_at", sa.Double),
        sa.PrimaryKeyConstraint("user_id", "hash", name="pk_recovery_codes"),
        _owned("recovery_codes", "user_id", "users"),
    )


def _secrets(table: str, owner: str, owners: str) -> None:
    op.create_table(
        table,
        sa.Column(owner, TEXT, nullable=False),
        sa.Column("hash", sa.LargeBinary, nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("expires_at", sa.Double),
        sa.PrimaryKeyConstraint(owner, "hash", name=f"pk_{table}"),
        _owned(table, owner, owners),
    )


def _owned(table: str, column: str, owners: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        [column], [f"{owners}.id"], name=f"fk_{table}_{column}", ondelete="CASCADE"
    )
