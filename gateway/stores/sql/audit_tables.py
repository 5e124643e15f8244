"""The tables of the audit trail.

Records are kept in chunks: those of one writer that were shipped together, compressed, in one row. A row for
each record, with its indexes, would cost many times what deciding about a request does; a record is found
through what is noted of its chunk. A chunk's key is one number, made of its writer's number and that of its
first record.
"""

from typing import Final

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, Table

from gateway.stores.sql.tables import metadata
from gateway.stores.sql.text import Text

SEQ_BITS: Final = 40
"""A writer may write 2**40 records; there may be 2**23 writers, one for each start of a process."""
SEQ_MASK: Final = (1 << SEQ_BITS) - 1

audit_writers = Table(
    "audit_writers",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("writer", Text, nullable=False, unique=True),
    Column("acked_seq", BigInteger, nullable=False),
)

audit_chunks = Table(
    "audit_chunks",
    metadata,
    Column("key", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=False),
    Column("last_key", BigInteger, nullable=False),
    # The earliest and the latest `time` of its records.
    Column("since", Text, nullable=False),
    Column("until", Text, nullable=False),
    # Between which request ids those lie that are not among its terms.
    Column("first_request", Text),
    Column("last_request", Text),
    Column("records", LargeBinary, nullable=False),
    Index("ix_audit_chunks_until", "until"),
)

# In which chunks an actor's id occurs, and a request's id that is far from the others.
audit_terms = Table(
    "audit_terms",
    metadata,
    Column("term", Text, primary_key=True),
    Column("chunk", BigInteger, primary_key=True),
    sqlite_with_rowid=False,
)

# Who has had which name: what finds the records of a name without an index on names.
audit_actors = Table(
    "audit_actors",
    metadata,
    Column("name", Text, primary_key=True),
    Column("id", Text, primary_key=True),
)
