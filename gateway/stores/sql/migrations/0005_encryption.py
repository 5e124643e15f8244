"""Encryption keys with their versions, the keys of clients, and what the master secret opens."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

# The order of bytes, whatever the database was made with; it is SQLite's own.
TEXT = sa.String().with_variant(sa.String(collation="C"), "postgresql")


def upgrade() -> None:
    """Create the tables, and give clients a key."""
    op.create_table(
        "crypto_keys",
        sa.Column("name", TEXT, nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("min_decryption_version", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_crypto_keys"),
    )
    op.create_table(
        "crypto_key_versions",
        sa.Column("key_name", TEXT, nullable=False),
        sa.Column("version", sa.Integer, nullable=False, autoincrement=False),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("messages", sa.BigInteger, nullable=False, server_default="0"),
        sa.PrimaryKeyConstraint("key_name", "version", name="pk_crypto_key_versions"),
        sa.ForeignKeyConstraint(
            ["key_name"], ["crypto_keys.name"], name="fk_crypto_key_versions_key_name", ondelete="CASCADE"
        ),
    )
    op.create_table(
        "root_keys",
        sa.Column("check_value", sa.LargeBinary, nullable=False),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.PrimaryKeyConstraint("check_value", name="pk_root_keys"),
    )
    op.add_column("clients", sa.Column("jwk", TEXT))
