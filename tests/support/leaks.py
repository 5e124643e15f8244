"""Looks for texts that must be nowhere: in files, in what is compressed or encoded in them, and in tables."""

import asyncio
import base64
import sqlite3
import zlib
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from functools import cache
from pathlib import Path

import asyncpg
from support.audited import AuditedGateway


@cache
def disguises(canary: str) -> list[bytes]:
    """Return a text as it may be written: plain, percent-encoded, in hexadecimal digits, in base64 at any place."""
    plain = canary.encode()
    forms = [plain, plain.hex().encode(), "".join(f"%{byte:02x}" for byte in plain).encode()]
    for before in range(3):
        # Of the first and the last letters, some bits are the neighbours'.
        text = base64.b64encode(b"\0" * before + plain)
        forms.append(text[4 if before else 0 : len(text) - 4])
    return forms


def within(data: bytes) -> Iterator[bytes]:
    """Give data, and what is compressed in it."""
    yield data
    place = data.find(b"\x78")
    while place != -1:
        if data[place : place + 2] in {b"\x78\x01", b"\x78\x5e", b"\x78\x9c", b"\x78\xda"}:
            with suppress(zlib.error):
                yield zlib.decompressobj().decompress(data[place:])
        place = data.find(b"\x78", place + 1)


def found_in(data: bytes, canaries: Iterable[str]) -> list[str]:
    """Return the canaries that are in data, however they are written."""
    # Hosts and names of fields are compared without case, so they may be kept in small letters.
    text = b"\n".join(within(data)).lower()
    return [canary for canary in canaries if any(form.lower() in text for form in disguises(canary))]


def everything(gateway: AuditedGateway, *files: Path) -> Iterator[tuple[str, bytes]]:
    """Give all that a gateway keeps and says: files, tables, output; with names."""
    yield "output", "\n".join(gateway.lines).encode()
    for root in (gateway.data_dir, *files):
        for path in [root, *sorted(root.rglob("*"))]:
            if path.is_file():
                yield str(path), path.read_bytes()
    url = gateway.environ.get("GATEWAY_DATABASE_URL")
    if url is None:
        yield from _tables_of_sqlite(gateway.data_dir / "gateway.db")
    else:
        with ThreadPoolExecutor(1) as thread:
            yield from thread.submit(asyncio.run, _tables_of_postgresql(url)).result()


def leaks(gateway: AuditedGateway, canaries: Iterable[str], *files: Path) -> list[tuple[str, str]]:
    """Return which canaries are where."""
    canaries = list(canaries)
    return [
        (canary, name) for name, data in everything(gateway, *files) for canary in found_in(data, canaries)
    ]


def _flat(value: object) -> bytes:
    match value:
        case bytes():
            return value
        case None:
            return b""
        case _:
            return str(value).encode()


def _tables_of_sqlite(file: Path) -> Iterator[tuple[str, bytes]]:
    with closing(sqlite3.connect(file)) as database:
        for (table,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
            rows = database.execute(f'SELECT * FROM "{table}"')
            yield f"table {table}", b"\n".join(_flat(value) for row in rows for value in row)


async def _tables_of_postgresql(url: str) -> list[tuple[str, bytes]]:
    found: list[tuple[str, bytes]] = []
    database = await asyncpg.connect(url)
    try:
        tables = await database.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        for (table,) in tables:
            rows = await database.fetch(f'SELECT * FROM "{table}"')
            found.append((f"table {table}", b"\n".join(_flat(value) for row in rows for value in row)))
    finally:
        await database.close()
    return found
