"""The audit trail's chain, checkpoints, days, personal data apart from the records, and outlets."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

# The order of bytes, whatever the database was made with; it is SQLite's own.
TEXT = sa.String().with_variant(sa.String(collation="C"), "postgresql")

BY_DAY = ("audit_chunks", "audit_terms", "audit_personal")
KEPT = ("audit_chunks", "audit_checkpoints")
"""What is never changed."""
REPLACED = ("audit_chunks", "audit_terms", "audit_actors")

DAY = {
    "sqlite": "coalesce(CAST(strftime('%s', substr(until, 1, 10)) AS INTEGER) / 86400, 0)",
    "postgresql": (
        r"CASE WHEN until ~ '^\d{4}-\d\d-\d\dT' THEN left(until, 10)::date - DATE '1970-01-01' ELSE 0 END"
    ),
}
"""The day of a chunk by its latest record."""

SQLITE_REFUSAL = """
CREATE TRIGGER {table}_no_{verb} BEFORE {verb} ON {table}
BEGIN SELECT RAISE(ABORT, '{table} is never changed'); END
"""

POSTGRESQL_REFUSAL = """
CREATE FUNCTION audit_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is never changed', TG_TABLE_NAME;
END $$
"""

# Partitions do not inherit what watches over whole statements.
POSTGRESQL_NO_TRUNCATE = """
CREATE FUNCTION audit_refuse_truncate(name text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format(
        'CREATE TRIGGER no_truncate BEFORE TRUNCATE ON %I '
        'FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse_change()', name
    );
END $$
"""

# It runs as the owner, who alone may make tables: whoever may call it gives days and nothing else. Rows that
# came before the partition of their day was there are moved into it.
POSTGRESQL_DAYS = """
CREATE FUNCTION audit_prepare_days(first_day integer, last_day integer) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = {schema}, pg_temp SET lock_timeout = '1s' AS $$
DECLARE
    parent text;
    part text;
    number integer;
    days integer[];
    strays boolean;
BEGIN
    FOREACH parent IN ARRAY ARRAY['audit_chunks', 'audit_terms', 'audit_personal'] LOOP
        days := ARRAY(SELECT generate_series(first_day, last_day));
        EXECUTE format('SELECT EXISTS (SELECT FROM %I)', parent || '_default') INTO strays;
        IF strays THEN
            EXECUTE format('ALTER TABLE %I DETACH PARTITION %I', parent, parent || '_default');
            EXECUTE format('ALTER TABLE %I RENAME TO %I', parent || '_default', parent || '_strays');
            EXECUTE format('CREATE TABLE %I PARTITION OF %I DEFAULT', parent || '_default', parent);
            IF parent = 'audit_chunks' THEN
                PERFORM audit_refuse_truncate(parent || '_default');
            END IF;
            EXECUTE format('SELECT $1 || array_agg(DISTINCT day) FROM %I', parent || '_strays')
                INTO days USING days;
        END IF;
        FOREACH number IN ARRAY days LOOP
            part := parent || '_' || to_char(DATE '1970-01-01' + number, 'YYYYMMDD');
            CONTINUE WHEN to_regclass(part) IS NOT NULL;
            -- A table that is attached keeps neither those who read nor those who write from the others.
            EXECUTE format('CREATE TABLE %I (LIKE %I INCLUDING ALL)', part, parent);
            EXECUTE format(
                'ALTER TABLE %I ATTACH PARTITION %I FOR VALUES FROM (%s) TO (%s)',
                parent, part, number, number + 1
            );
            IF parent = 'audit_chunks' THEN
                PERFORM audit_refuse_truncate(part);
            END IF;
        END LOOP;
        IF strays THEN
            EXECUTE format('INSERT INTO %I SELECT * FROM %I', parent, parent || '_strays');
            EXECUTE format('DROP TABLE %I', parent || '_strays');
        END IF;
    END LOOP;
END $$
"""


def upgrade() -> None:
    """Make the tables, move what is there into them, and have the database refuse changes."""
    database = op.get_bind().dialect.name
    op.drop_index("ix_audit_chunks_until", "audit_chunks")
    for table in REPLACED:
        if database == "postgresql":
            _execute(f"ALTER INDEX pk_{table} RENAME TO pk_{table}_before")
        op.rename_table(table, f"{table}_before")
    _create_tables()
    if database == "postgresql":
        _prepare_postgresql()
    _move(DAY[database])
    if database == "postgresql":
        _refuse_on_postgresql()
    else:
        _refuse_on_sqlite()


def _execute(statement: str) -> None:
    # As it is: nothing in it stands for a parameter.
    op.get_bind().exec_driver_sql(statement)


def _create_tables() -> None:
    op.add_column("audit_writers", sa.Column("head", sa.LargeBinary))
    op.add_column("audit_writers", sa.Column("day", sa.Integer))
    op.create_table(
        "audit_chunks",
        sa.Column("key", sa.BigInteger, autoincrement=False, nullable=False),
        sa.Column("day", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("last_key", sa.BigInteger, nullable=False),
        sa.Column("since", TEXT, nullable=False),
        sa.Column("until", TEXT, nullable=False),
        sa.Column("first_request", TEXT),
        sa.Column("last_request", TEXT),
        sa.Column("chain", sa.LargeBinary),
        sa.Column("records", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("key", "day", name="pk_audit_chunks"),
        postgresql_partition_by="RANGE (day)",
    )
    op.create_index("ix_audit_chunks_until", "audit_chunks", ["until", "key", "since"])
    op.create_index("ix_audit_chunks_since", "audit_chunks", ["since", "key", "until"])
    op.create_table(
        "audit_terms",
        sa.Column("term", TEXT, nullable=False),
        sa.Column("day", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("chunk", sa.BigInteger, autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("term", "day", "chunk", name="pk_audit_terms"),
        postgresql_partition_by="RANGE (day)",
        sqlite_with_rowid=False,
    )
    op.create_table(
        "audit_actors",
        sa.Column("name_hash", TEXT, nullable=False),
        sa.Column("id", TEXT, nullable=False),
        sa.Column("subject", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("name_hash", "id", name="pk_audit_actors"),
    )
    op.create_index("ix_audit_actors_subject", "audit_actors", ["subject"])
    op.create_table(
        "audit_plain_names",
        sa.Column("name", TEXT, nullable=False),
        sa.Column("id", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("name", "id", name="pk_audit_plain_names"),
    )
    op.create_table(
        "audit_personal",
        sa.Column("day", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("commitment", TEXT, nullable=False),
        sa.Column("subject", TEXT, nullable=False),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("day", "commitment", name="pk_audit_personal"),
        postgresql_partition_by="RANGE (day)",
        sqlite_with_rowid=False,
    )
    op.create_index("ix_audit_personal_subject", "audit_personal", ["subject"])
    op.create_table(
        "audit_subjects",
        sa.Column("subject", TEXT, nullable=False),
        sa.Column("sealed_key", sa.LargeBinary),
        sa.Column("erased_at", sa.Double),
        sa.PrimaryKeyConstraint("subject", name="pk_audit_subjects"),
    )
    op.create_table(
        "audit_checkpoints",
        sa.Column("number", sa.BigInteger, autoincrement=False, nullable=False),
        sa.Column("at", TEXT, nullable=False),
        sa.Column("note", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_audit_checkpoints"),
    )
    op.create_table(
        "audit_outlets",
        sa.Column("outlet", TEXT, nullable=False),
        sa.Column("holder", TEXT, nullable=False),
        sa.Column("until", sa.Double, nullable=False),
        sa.PrimaryKeyConstraint("outlet", name="pk_audit_outlets"),
    )
    op.create_table(
        "audit_positions",
        sa.Column("outlet", TEXT, nullable=False),
        sa.Column("writer", TEXT, nullable=False),
        sa.Column("seq", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("outlet", "writer", name="pk_audit_positions"),
    )


def _prepare_postgresql() -> None:
    # As it is written in SQL. Names are looked for where the tables are, whoever calls.
    schema = str(op.get_bind().scalar(sa.text("SELECT quote_ident(current_schema())")))
    for table in BY_DAY:
        _execute(f"CREATE TABLE {table}_default PARTITION OF {table} DEFAULT")
    for statement in (POSTGRESQL_REFUSAL, POSTGRESQL_NO_TRUNCATE, POSTGRESQL_DAYS):
        _execute(statement.replace("{schema}", schema))
    _execute("REVOKE ALL ON FUNCTION audit_prepare_days FROM PUBLIC")
    _execute(
        "SELECT audit_refuse_truncate(name) FROM unnest(ARRAY['audit_chunks', 'audit_chunks_default']) name"
    )


def _move(day: str) -> None:
    _execute(
        "INSERT INTO audit_chunks (key, day, last_key, since, until, first_request, last_request, records) "  # noqa: S608 - made of what is written here
        f"SELECT key, max({day}) OVER (PARTITION BY key >> 40 ORDER BY key), last_key, since, until, "
        "first_request, last_request, records FROM audit_chunks_before"
    )
    _execute(
        "INSERT INTO audit_terms (term, day, chunk) SELECT term, day, chunk "
        "FROM audit_terms_before JOIN audit_chunks ON key = chunk"
    )
    _execute("INSERT INTO audit_plain_names (name, id) SELECT name, id FROM audit_actors_before")
    _execute(
        "UPDATE audit_writers SET day = (SELECT max(day) FROM audit_chunks WHERE key "
        "BETWEEN CAST(id AS BIGINT) << 40 AND (CAST(id AS BIGINT) + 1) << 40)"
    )
    for table in REPLACED:
        op.drop_table(f"{table}_before")
    if op.get_bind().dialect.name == "postgresql":
        # What was there goes from the default partition into that of its day.
        _execute("SELECT audit_prepare_days(1, 0)")


def _refuse_on_sqlite() -> None:
    for table in KEPT:
        for verb in ("update", "delete"):
            _execute(SQLITE_REFUSAL.format(table=table, verb=verb))


def _refuse_on_postgresql() -> None:
    for table in KEPT:
        _execute(
            f"CREATE TRIGGER no_change BEFORE UPDATE OR DELETE ON {table} "
            "FOR EACH ROW EXECUTE FUNCTION audit_refuse_change()"
        )
    _execute("SELECT audit_refuse_truncate('audit_checkpoints')")
