"""The tables of the audit trail.

Records are kept in chunks: those of one writer that were shipped together, compressed, in one row. A row for
each record, with its indexes, would cost many times what deciding about a request does; a record is found
through what is noted of its chunk. A chunk's key is one number, made of its writer's number and that of its
first record.

Days are those of UTC, as days since 1970. On PostgreSQL, whatever has a day is partitioned by it
(`audit_days`). Chunks and checkpoints are never changed: triggers refuse it.
"""

from typing import Final

from sqlalchemy import BigInteger, Column, Double, Index, Integer, LargeBinary, Table

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
    # The chain's head after that record; NULL where records were shipped before there was a chain.
    Column("head", LargeBinary),
    # Day of the newest chunk.
    Column("day", Integer),
)

audit_chunks = Table(
    "audit_chunks",
    metadata,
    Column("key", BigInteger, primary_key=True, autoincrement=False),
    # That of `until`, unless the writer's chunk before has a later one: a writer's days never go back.
    Column("day", Integer, primary_key=True, autoincrement=False),
    Column("last_key", BigInteger, nullable=False),
    # The earliest and the latest `time` of its records; both empty where a record was withheld.
    Column("since", Text, nullable=False),
    Column("until", Text, nullable=False),
    # Between which request ids those lie that are not among its terms.
    Column("first_request", Text),
    Column("last_request", Text),
    # `audit_chunk.Links`; NULL where records were shipped before there was a chain.
    Column("chain", LargeBinary),
    # Empty where a record was withheld: it could not be stored, and only has its place in the chain.
    Column("records", LargeBinary, nullable=False),
    # In the order in which readers go through them, with what bounds the other end.
    Index("ix_audit_chunks_until", "until", "key", "since"),
    Index("ix_audit_chunks_since", "since", "key", "until"),
)

# In which chunks an actor's id occurs, and a request's id that is far from the others.
audit_terms = Table(
    "audit_terms",
    metadata,
    Column("term", Text, primary_key=True),
    Column("day", Integer, primary_key=True, autoincrement=False),
    Column("chunk", BigInteger, primary_key=True, autoincrement=False),
    sqlite_with_rowid=False,
)

# Who has had which name: what finds the records of a name without an index on names.
audit_actors = Table(
    "audit_actors",
    metadata,
    # `audit_personal.name_hash`: nobody finds names here who does not know them.
    Column("name_hash", Text, primary_key=True),
    Column("id", Text, primary_key=True),
    # The person whose name it is, and with whom it is erased; empty when it is nobody's.
    Column("subject", Text, nullable=False),
    Index("ix_audit_actors_subject", "subject"),
)

# Names of an older schema, which `audit_personal` turns into actors' hashes, and removes.
audit_plain_names = Table(
    "audit_plain_names",
    metadata,
    Column("name", Text, primary_key=True),
    Column("id", Text, primary_key=True),
)

# What records say of persons, as `audit_personal` seals it. Each record has the commitment; what many records
# of a day say is here once, under the day of their chunk.
audit_personal = Table(
    "audit_personal",
    metadata,
    Column("day", Integer, primary_key=True, autoincrement=False),
    Column("commitment", Text, primary_key=True),
    Column("subject", Text, nullable=False),
    Column("sealed", LargeBinary, nullable=False),
    Index("ix_audit_personal_subject", "subject"),
    sqlite_with_rowid=False,
)

# Each person's own key, sealed; without it, nothing that is said of the person can be read. Here and above,
# subjects are as `audit_chunk.noted`.
audit_subjects = Table(
    "audit_subjects",
    metadata,
    Column("subject", Text, primary_key=True),
    # NULL when the person was erased.
    Column("sealed_key", LargeBinary),
    Column("erased_at", Double),
)

audit_checkpoints = Table(
    "audit_checkpoints",
    metadata,
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("at", Text, nullable=False),
    Column("note", Text, nullable=False),
)

# Which process serves an outlet, and until when without saying so again.
audit_outlets = Table(
    "audit_outlets",
    metadata,
    Column("outlet", Text, primary_key=True),
    Column("holder", Text, nullable=False),
    Column("until", Double, nullable=False),
)

# How far an outlet has come.
audit_positions = Table(
    "audit_positions",
    metadata,
    Column("outlet", Text, primary_key=True),
    Column("writer", Text, primary_key=True),
    Column("seq", BigInteger, nullable=False),
)
