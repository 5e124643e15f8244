"""The audit trail: its records, their writers and their actors."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

# The order of bytes, whatever the database was made with; it is SQLite's own.
TEXT = sa.String().with_variant(sa.String(collation="C"), "postgresql")


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "audit_writers",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("writer", TEXT, nullable=False),
        sa.Column("acked_seq", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_audit_writers"),
        sa.UniqueConstraint("writer", name="uq_audit_writers_writer"),
    )
    op.create_table(
        "audit_chunks",
        sa.Column(
            "key",
            sa.BigInteger().with_variant(sa.Integer, "sqlite"),
            autoincrement=False,
            nullable=False,
        ),
        sa.Column("last_key", sa.BigInteger, nullable=False),
        sa.Column("since", TEXT, nullable=False),
        sa.Column("until", TEXT, nullable=False),
        sa.Column("first_request", TEXT),
        sa.Column("last_request", TEXT),
        sa.Column("records", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_audit_chunks"),
    )
    op.create_index("ix_audit_chunks_until", "audit_chunks", ["until"])
    op.create_table(
        "audit_terms",
        sa.Column("term", TEXT, nullable=False),
        sa.Column("chunk", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("term", "chunk", name="pk_audit_terms"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "audit_actors",
        sa.Column("name", TEXT, nullable=False),
        sa.Column("id", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("name", "id", name="pk_audit_actors"),
    )
