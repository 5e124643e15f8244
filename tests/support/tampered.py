"""Somebody who changes what is stored of the trail, past all that refuses it."""

from sqlalchemy import text

from gateway.stores.sql import Database


async def tampered(database: Database, *statements: str, **values: object) -> None:
    """Execute statements in one transaction, as the owner of the database can."""
    async with database.write() as connection:
        if connection.dialect.name == "postgresql":
            await connection.execute(text("SET LOCAL session_replication_role = replica"))
        else:
            for verb in ("update", "delete"):
                await connection.execute(text(f"DROP TRIGGER IF EXISTS audit_chunks_no_{verb}"))
        for statement in statements:
            names = {name for name in values if f":{name}" in statement}
            await connection.execute(text(statement), {name: values[name] for name in names})
