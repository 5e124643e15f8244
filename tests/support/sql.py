"""SQL for tests that are not asynchronous, or must not wait in their own loop."""

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from uuid import uuid4

from sqlalchemy import make_url, text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool


def sql(url: str, statement: str) -> tuple[object, ...]:
    """Execute one statement on a PostgreSQL, outside transactions; return its first row, empty without one."""
    # A thread has no loop that runs already, whoever asks.
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, _execute(url, statement)).result()


async def _execute(url: str, statement: str) -> tuple[object, ...]:
    address = make_url(url).set(drivername="postgresql+asyncpg")
    engine = create_async_engine(address, isolation_level="AUTOCOMMIT", poolclass=NullPool)
    try:
        async with engine.connect() as connection:
            result = await connection.execute(text(statement))
            row = result.first() if result.returns_rows else None
            return () if row is None else tuple(row)
    finally:
        await engine.dispose()


@contextmanager
def new_database(server: str, *, template: str | None = None) -> Iterator[str]:
    """Lend a database of a server, whoever else uses the server; give its URL. It is empty, or a copy of another
    one that nobody is connected to."""
    name = f"gateway_test_{uuid4().hex}"
    sql(server, f"CREATE DATABASE {name}" + (f" TEMPLATE {template}" if template else ""))
    try:
        yield make_url(server).set(database=name).render_as_string(hide_password=False)
    finally:
        sql(server, f"DROP DATABASE {name} WITH (FORCE)")
