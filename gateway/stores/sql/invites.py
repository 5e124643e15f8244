"""Invitations in SQL. They are used up where the account is stored that is made with them."""

from collections.abc import Sequence

from sqlalchemy import Row, insert, select, update

from gateway.ports import BeforeCommit, Invite, StoreUnavailable
from gateway.stores.sql.database import Database
from gateway.stores.sql.faults import UniqueViolation
from gateway.stores.sql.tables import invites


class SqlInviteStore:
    """Invitations as one table; those that were used stay, and say by whom."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, invite: Invite, *, before_commit: BeforeCommit | None = None) -> None:
        """Store an invitation. Raise `StoreUnavailable`, and what `before_commit` raises."""
        try:
            async with self._database.write() as connection:
                await connection.execute(insert(invites).values(_columns(invite)))
                if before_commit is not None:
                    await before_commit()
        except UniqueViolation as violation:
            raise StoreUnavailable(f"an invitation with this {violation} exists") from None

    async def find(self, code_hash: bytes) -> Invite | None:
        """Return an invitation by the hash of its code, used and expired ones too. Raise
        `StoreUnavailable`."""
        async with self._database.read() as connection:
            found = select(invites).where(invites.c.code_hash == code_hash)
            row = (await connection.execute(found)).one_or_none()
        return None if row is None else _invite(row)

    async def list(self) -> Sequence[Invite]:
        """Return every invitation, newest first. Raise `StoreUnavailable`."""
        newest_first = select(invites).order_by(invites.c.created_at.desc(), invites.c.id)
        async with self._database.read() as connection:
            return [_invite(row) for row in await connection.execute(newest_first)]

    async def revoke(self, id: str, *, at: float) -> bool:
        """End an invitation; False when there is none that could still be used. Raise `StoreUnavailable`."""
        async with self._database.write() as connection:
            result = await connection.execute(
                update(invites)
                .where(
                    (invites.c.id == id)
                    & invites.c.used_at.is_(None)
                    & invites.c.revoked_at.is_(None)
                    & (invites.c.expires_at > at)
                )
                .values(revoked_at=at)
            )
            return result.rowcount > 0


def _columns(invite: Invite) -> dict[str, object]:
    return {
        "id": invite.id,
        "code_hash": invite.code_hash,
        "roles": " ".join(sorted(invite.roles)),
        "email": invite.email,
        "created_by": invite.created_by,
        "created_at": invite.created_at,
        "expires_at": invite.expires_at,
        "used_at": invite.used_at,
        "used_by": invite.used_by,
        "revoked_at": invite.revoked_at,
    }


def _invite(row: Row[tuple[object, ...]]) -> Invite:
    return Invite(
        id=row.id,
        code_hash=row.code_hash,
        roles=frozenset(row.roles.split()),
        email=row.email,
        created_by=row.created_by,
        created_at=row.created_at,
        expires_at=row.expires_at,
        used_at=row.used_at,
        used_by=row.used_by,
        revoked_at=row.revoked_at,
    )
