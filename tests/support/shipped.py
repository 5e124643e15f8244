"""Runs of audit records made without a spool, and what is stored of them, read without the trail."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import uuid4

import orjson
from sqlalchemy import select

from gateway.crypto import MasterSecret, PersonalPart, Sealer, beginning, link, seal_parts
from gateway.ports import Run
from gateway.stores.sql import Database
from gateway.stores.sql.audit_chunk import Links, divided, opened
from gateway.stores.sql.audit_tables import SEQ_BITS, SEQ_MASK, audit_chunks, audit_writers

SEALER = Sealer(MasterSecret(b"the master secret of these tests"))
NAMES_KEY = b"the key of names in these tests!"
WRITER = str(uuid4())
OTHER = str(uuid4())


def body(number: int, *, time: str | None = None, **fields: object) -> bytes:
    """Return a record as it is written down."""
    time = time or f"2026-01-01T00:00:00.{number:06d}Z"
    return orjson.dumps({"time": time, "kind": "decision", **fields})


def run_of(
    bodies: Sequence[bytes],
    *,
    writer: str = WRITER,
    first: int = 1,
    before: bytes | None = None,
    personal: Sequence[bytes] | None = None,
) -> Run:
    """Return records as a spool gives them; the chain begins at `before`, or where a writer's begins."""
    heads = [beginning(writer) if before is None else before]
    for number, one in enumerate(bodies, first):
        heads.append(link(heads[-1], number, one))
    return Run(
        writer=writer,
        first=first,
        bodies=tuple(bodies),
        before=heads[0],
        heads=tuple(heads[1:]),
        personal=tuple(personal or [b""] * len(bodies)),
    )


def of_person(number: int, subject: str, *, time: str | None = None, **said: object) -> tuple[bytes, bytes]:
    """Return a record of a user, and what it says of the person, sealed as in the spool."""
    part = PersonalPart.of(subject, said)
    record = body(
        number,
        time=time,
        actor={"id": subject, "kind": "user"},
        personal={subject: part.commitment},
    )
    return record, seal_parts(SEALER, [part])


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """One record as it is stored."""

    writer: str
    seq: int
    body: bytes
    day: int
    mark: bytes | None


async def stored(database: Database) -> list[Stored]:
    """Return every record, writer by writer; one that was withheld has an empty body."""
    found = []
    async with database.read() as connection:
        writers = {row.id: row.writer for row in await connection.execute(select(audit_writers))}
        for row in await connection.execute(select(audit_chunks).order_by(audit_chunks.c.key)):
            count = row.last_key - row.key + 1
            data = opened(row.records) if row.records else None
            bodies = divided(data, count) if data is not None else [b""] * count
            links = Links.unpacked(row.chain, count) if row.chain is not None else None
            found += [
                Stored(
                    writer=writers[row.key >> SEQ_BITS],
                    seq=(row.key & SEQ_MASK) + index,
                    body=bodies[index],
                    day=row.day,
                    mark=links.marks[index] if links is not None else None,
                )
                for index in range(count)
            ]
    return found


async def numbers(database: Database, writer: str = WRITER) -> list[int]:
    """Return the numbers of a writer's records, in the order in which they are stored."""
    return [one.seq for one in await stored(database) if one.writer == writer]
