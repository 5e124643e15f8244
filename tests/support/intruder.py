"""Somebody who owns the database or the disk, and knows how the trail is stored: what `verify` is for."""

import asyncio
import hashlib
import sqlite3
import struct
import zlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from typing import Any, Final

import asyncpg
from support.audited import AuditedGateway

TABLES: Final = (
    "audit_writers",
    "audit_chunks",
    "audit_terms",
    "audit_actors",
    "audit_personal",
    "audit_subjects",
    "audit_checkpoints",
)
"""All that a reader of the trail relies on."""
SEQ_BITS: Final = 40
MARK: Final = 8

Row = dict[str, Any]


class Intruder:
    """May do everything in the database of a gateway. SQL takes parameters as `$1`."""

    def __init__(self, gateway: AuditedGateway) -> None:
        self._url = gateway.environ.get("GATEWAY_DATABASE_URL")
        self._file = gateway.data_dir / "gateway.db"

    def rows(self, table: str) -> list[Row]:
        """Return all rows of a table, ordered by all of their columns."""
        columns = self.columns(table)
        # Table names are this file's own.
        return self.ask(f"SELECT {', '.join(columns)} FROM {table} ORDER BY {', '.join(columns)}")

    def columns(self, table: str) -> list[str]:
        """Return the names of a table's columns."""
        if self._url is None:
            return [row["name"] for row in self.ask(f"SELECT name FROM pragma_table_info('{table}')")]
        return [
            row["column_name"]
            for row in self.ask(
                "SELECT column_name FROM information_schema.columns WHERE table_name = $1 ORDER BY ordinal_position",
                table,
            )
        ]

    def ask(self, statement: str, *values: object, past_triggers: bool = True) -> list[Row]:
        """Execute a statement, whatever triggers say to it, and return its rows."""
        if self._url is None:
            with closing(sqlite3.connect(self._file, isolation_level=None, timeout=20)) as connection:
                connection.row_factory = sqlite3.Row
                triggers: list[sqlite3.Row] = []
                if past_triggers:
                    triggers = connection.execute(
                        "SELECT name, sql FROM sqlite_master WHERE type = 'trigger'"
                    ).fetchall()
                for trigger in triggers:
                    connection.execute(f'DROP TRIGGER "{trigger["name"]}"')
                named = {str(number): value for number, value in enumerate(values, 1)}
                found = [dict(row) for row in connection.execute(statement, named)]
                for trigger in triggers:
                    connection.execute(trigger["sql"])
                return found
        with ThreadPoolExecutor(1) as thread:
            return thread.submit(
                asyncio.run, _ask(self._url, statement, values, past_triggers=past_triggers)
            ).result()

    def set(self, table: str, row: Row, **values: object) -> None:
        """Change one row."""
        given = list(values.values())
        changes = ", ".join(f"{name} = ${number}" for number, name in enumerate(values, 1))
        where, more = _named(row, after=len(given))
        self.ask(f"UPDATE {table} SET {changes} WHERE {where}", *given, *more)

    def delete(self, table: str, row: Row) -> None:
        """Remove one row."""
        where, given = _named(row)
        self.ask(f"DELETE FROM {table} WHERE {where}", *given)

    def insert(self, table: str, row: Row) -> None:
        """Add a row."""
        places = ", ".join(f"${number}" for number in range(1, len(row) + 1))
        self.ask(f"INSERT INTO {table} ({', '.join(row)}) VALUES ({places})", *row.values())


async def _ask(url: str, statement: str, values: Sequence[object], *, past_triggers: bool) -> list[Row]:
    connection = await asyncpg.connect(url)
    try:
        if past_triggers:
            await connection.execute("SET session_replication_role = replica")
        return [dict(row) for row in await connection.fetch(statement, *values)]
    finally:
        await connection.close()


def _named(row: Row, *, after: int = 0) -> tuple[str, list[object]]:
    """Return a condition that only this row meets, as far as its values that are no blobs tell."""
    known = {name: value for name, value in row.items() if value is not None and not isinstance(value, bytes)}
    given = [f"{name} = ${number}" for number, name in enumerate(known, after + 1)]
    return " AND ".join(given), list(known.values())


def changed(value: object) -> object:
    """Return another value of the same type."""
    match value:
        case bytes() if value:
            place = len(value) // 2
            return value[:place] + bytes([value[place] ^ 1]) + value[place + 1 :]
        case bytes():
            return b"\0"
        case str() if value:
            place = len(value) // 2
            letter = "b" if value[place] == "a" else "a"
            return value[:place] + letter + value[place + 1 :]
        case str():
            return "a"
        case int() | float():
            # The next number may be taken.
            return value + 1000
        case _:
            raise AssertionError(f"{value!r} has no neighbour")


@dataclass(frozen=True, slots=True)
class Stored:
    """Records of one chunk, as they are stored: their texts, and the chain through them."""

    first: int
    bodies: tuple[bytes, ...]
    before: bytes

    @classmethod
    def of(cls, row: Row) -> "Stored":
        """Read a row of `audit_chunks`."""
        first = row["key"] & ((1 << SEQ_BITS) - 1)
        count = row["last_key"] - row["key"] + 1
        text = zlib.decompress(row["records"])
        bodies, end = [], 4 * count
        for length in struct.unpack_from(f"<{count}I", text):
            bodies.append(text[end : end + length])
            end += length
        return cls(first, tuple(bodies), row["chain"][:32])

    def with_body(self, place: int, change: Callable[[bytes], bytes]) -> "Stored":
        """Return them with one record changed."""
        bodies = list(self.bodies)
        bodies[place] = change(bodies[place])
        assert bodies[place] != self.bodies[place]
        return Stored(self.first, tuple(bodies), self.before)

    @property
    def records(self) -> bytes:
        """The column `records`."""
        lengths = struct.pack(f"<{len(self.bodies)}I", *map(len, self.bodies))
        return zlib.compress(b"".join((lengths, *self.bodies)), 1)

    @property
    def heads(self) -> list[bytes]:
        """The chain's head after each record."""
        heads, head = [], self.before
        for number, body in enumerate(self.bodies, self.first):
            head = hashlib.sha256(head + number.to_bytes(8, "little") + body).digest()
            heads.append(head)
        return heads

    @property
    def chain(self) -> bytes:
        """The column `chain`."""
        heads = self.heads
        return b"".join((self.before, heads[-1], *(head[:MARK] for head in heads)))
