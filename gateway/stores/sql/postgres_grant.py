"""What a gateway needs that runs as another role of PostgreSQL than the one that owns the tables: it adds
records, and cannot change or remove any, nor make or drop tables."""

from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.stores.sql.faults import DatabaseUnusable

_ALL: Final = "SELECT, INSERT, UPDATE, DELETE"
_ADD: Final = "SELECT, INSERT"
_NEEDED: Final = {
    "alembic_version": "SELECT",
    "users": _ALL,
    "user_roles": _ALL,
    "sessions": _ALL,
    "api_keys": _ALL,
    "api_key_secrets": _ALL,
    "clients": _ALL,
    "client_roles": _ALL,
    "client_secrets": _ALL,
    "links": _ALL,
    "invites": _ALL,
    "mails": _ALL,
    "factors": _ALL,
    "recovery_codes": _ALL,
    "blocks": _ALL,
    "signing_keys": _ALL,
    "crypto_keys": _ALL,
    "crypto_key_versions": _ALL,
    "root_keys": _ALL,
    "changes": _ALL,
    "settings": _ADD,
    "audit_chunks": _ADD,
    "audit_terms": _ADD,
    "audit_checkpoints": _ADD,
    # How far each writer was shipped.
    "audit_writers": f"{_ADD}, UPDATE",
    # Erasing a person removes these, and the key.
    "audit_personal": f"{_ADD}, DELETE",
    "audit_actors": f"{_ADD}, DELETE",
    "audit_plain_names": "SELECT, DELETE",
    "audit_subjects": f"{_ADD}, UPDATE",
    "audit_outlets": f"{_ADD}, UPDATE",
    "audit_positions": f"{_ADD}, UPDATE",
}
_COUNTED: Final = (("changes", "seq"), ("audit_writers", "id"))
_ROLE: Final = text(
    "SELECT quote_ident(rolname) AS name, "
    "rolsuper OR pg_has_role(rolname, (SELECT relowner FROM pg_class WHERE oid = 'audit_chunks'::regclass), "
    "'MEMBER') AS owns FROM pg_roles WHERE rolname = :role"
)
# Its rights on a whole table are enough for what is in the parts.
_PARTS: Final = text("SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = (:table)::regclass")
_SCHEMA: Final = text("SELECT quote_ident(current_schema())")
_SEQUENCE: Final = text("SELECT pg_get_serial_sequence(:table, :column)")


async def grant(connection: AsyncConnection, place: str, role: str) -> None:
    """Give a role what a gateway needs in this schema, and take what is more. Raise `DatabaseUnusable`."""
    found = (await connection.execute(_ROLE, {"role": role})).one_or_none()
    if found is None:
        raise DatabaseUnusable(
            f"{place}: there is no role {role}: make it with CREATE ROLE, or check its name"
        )
    if found.owns:
        raise DatabaseUnusable(
            f"{place}: role {role} is a superuser, or may act as the owner of the tables: "
            "name a role of its own for the gateway"
        )
    schema = await connection.scalar(_SCHEMA)
    statements = [f"GRANT USAGE ON SCHEMA {schema} TO {found.name}"]
    for table, rights in _NEEDED.items():
        parts = await connection.scalars(_PARTS, {"table": table})
        statements.append(f"REVOKE ALL ON {', '.join((table, *parts))} FROM {found.name}")
        statements.append(f"GRANT {rights} ON {table} TO {found.name}")
    for table, column in _COUNTED:
        sequence = await connection.scalar(_SEQUENCE, {"table": table, "column": column})
        statements.append(f"GRANT USAGE ON SEQUENCE {sequence} TO {found.name}")
    statements.append(f"GRANT EXECUTE ON FUNCTION audit_prepare_days TO {found.name}")
    for statement in statements:
        await connection.exec_driver_sql(statement)
