"""The keys of persons in the audit trail: made when something is first said of them, gone with an erasure."""

from collections.abc import Collection, Mapping
from contextlib import suppress

from sqlalchemy import Double, LargeBinary, bindparam, delete, or_, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.crypto import SealBroken, Sealer
from gateway.stores.sql.audit_chunk import noted
from gateway.stores.sql.audit_opening import batches
from gateway.stores.sql.audit_personal import new_key, opened_key
from gateway.stores.sql.audit_tables import (
    audit_actors,
    audit_personal,
    audit_plain_names,
    audit_subjects,
)
from gateway.stores.sql.database import Database
from gateway.stores.sql.text import Text

_subject = bindparam("subject", type_=Text)
_FIRST_SIGHT = text(
    "INSERT INTO audit_subjects (subject, sealed_key) VALUES (:subject, :sealed_key) ON CONFLICT DO NOTHING"
).bindparams(_subject, bindparam("sealed_key", type_=LargeBinary))
_ERASE = text(
    "INSERT INTO audit_subjects (subject, erased_at) VALUES (:subject, :at) ON CONFLICT (subject) "
    "DO UPDATE SET sealed_key = NULL, erased_at = coalesce(audit_subjects.erased_at, excluded.erased_at)"
).bindparams(_subject, bindparam("at", type_=Double))


class SqlErasure:
    """Removes what is kept of a person, and remembers to keep no more. Implements `ports.Erasure` and
    `ports.Erased`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def erase(self, subject: str, *, at: float) -> None:
        """Remove everything that is kept of a subject, and keep no more of what is shipped later.

        The records themselves stay as they are. Raise `StoreUnavailable`.
        """
        actors, names = audit_actors.c, audit_plain_names.c
        subject = noted(subject)
        async with self._database.write() as connection:
            # First: whoever ships something about the subject has ended, or sees that it is erased.
            await connection.execute(_ERASE, {"subject": subject, "at": at})
            await connection.execute(delete(audit_personal).where(audit_personal.c.subject == subject))
            its_own = or_(actors.subject == subject, actors.id == subject)
            await connection.execute(delete(audit_actors).where(its_own))
            await connection.execute(delete(audit_plain_names).where(names.id == subject))
        await self._database.wipe()

    async def among(self, subjects: Collection[str]) -> Collection[str]:
        """Return those of some subjects who were erased. Raise `StoreUnavailable`."""
        if not subjects:
            return ()
        wanted = {noted(one): one for one in subjects}
        async with self._database.read() as connection:
            found = await erased_among(connection, wanted)
        return {wanted[one] for one in found}


async def erased_among(connection: AsyncConnection, subjects: Collection[str]) -> set[str]:
    """Return those of subjects, as `noted`, who were erased."""
    columns = audit_subjects.c
    found: set[str] = set()
    for some in batches(sorted(subjects)):
        query = select(columns.subject).where(columns.subject.in_(some), columns.sealed_key.is_(None))
        found.update(await connection.scalars(query))
    return found


async def keys_of(
    connection: AsyncConnection, sealer: Sealer, subjects: Collection[str]
) -> Mapping[str, bytes]:
    """Return the keys of subjects, as part of a write transaction, until whose end none of them is erased.

    Subjects are as `noted`. One that has no key gets one; one that was erased is left out, and so is one
    whose key does not open.
    """
    if not subjects:
        return {}
    table = audit_subjects.c
    query = (
        select(table.subject, table.sealed_key)
        .where(table.subject.in_(subjects))
        # In one order, as below: of two transactions, none waits for the other while being waited for.
        .order_by(table.subject)
        .with_for_update(read=True)
    )
    found = {row.subject: row.sealed_key for row in await connection.execute(query)}
    missing = sorted(set(subjects).difference(found))
    if missing:
        rows = [{"subject": one, "sealed_key": new_key(sealer, one)} for one in missing]
        await connection.execute(_FIRST_SIGHT, rows)
        # Another process may have been quicker.
        found = {row.subject: row.sealed_key for row in await connection.execute(query)}
    await sealer.ready_for(*found.values())
    keys = {}
    for subject, sealed_key in found.items():
        with suppress(SealBroken):
            if sealed_key is not None:
                keys[subject] = opened_key(sealer, subject, sealed_key)
    return keys
