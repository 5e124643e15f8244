"""The links in mails, in SQL: one row for each account and purpose."""

from sqlalchemy import ColumnElement, Row, delete, insert, select

from gateway.ports import Link, LinkPurpose, StoreUnavailable
from gateway.stores.sql.database import Database
from gateway.stores.sql.faults import UniqueViolation
from gateway.stores.sql.tables import links, users


class SqlLinkStore:
    """Links as one table."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, link: Link) -> bool:
        """Store a link, in place of the last of the same account and purpose; False when the account is
        gone. Raise `StoreUnavailable`."""
        same = (links.c.user_id == link.user_id) & (links.c.purpose == link.purpose.value)
        try:
            async with self._database.write() as connection:
                # Locked until the commit: of two links at once, the second takes the place of the first.
                owner = select(users.c.id).where(users.c.id == link.user_id).with_for_update()
                if await connection.scalar(owner) is None:
                    return False
                await connection.execute(delete(links).where(same))
                await connection.execute(insert(links).values(_columns(link)))
                return True
        except UniqueViolation as violation:
            raise StoreUnavailable(f"a link with this {violation} exists") from None

    async def find(self, token_hash: bytes, purpose: LinkPurpose, *, now: float) -> Link | None:
        """Return a link that is neither used nor expired nor replaced. Raise `StoreUnavailable`."""
        async with self._database.read() as connection:
            found = select(links).where(_is_good(token_hash, purpose, now))
            row = (await connection.execute(found)).one_or_none()
        return None if row is None else _link(row)

    async def use(self, token_hash: bytes, purpose: LinkPurpose, *, now: float) -> Link | None:
        """Take a link that is neither used nor expired nor replaced: of two that try, one gets it. Raise
        `StoreUnavailable`."""
        async with self._database.write() as connection:
            taken = delete(links).where(_is_good(token_hash, purpose, now)).returning(*links.c)
            row = (await connection.execute(taken)).one_or_none()
        return None if row is None else _link(row)


def _is_good(token_hash: bytes, purpose: LinkPurpose, now: float) -> ColumnElement[bool]:
    return (
        (links.c.token_hash == token_hash) & (links.c.purpose == purpose.value) & (links.c.expires_at > now)
    )


def _columns(link: Link) -> dict[str, object]:
    return {
        "user_id": link.user_id,
        "purpose": link.purpose.value,
        "token_hash": link.token_hash,
        "email": link.email,
        "password_version": link.password_version,
        "created_at": link.created_at,
        "expires_at": link.expires_at,
    }


def _link(row: Row[tuple[object, ...]]) -> Link:
    return Link(
        token_hash=row.token_hash,
        purpose=LinkPurpose(row.purpose),
        user_id=row.user_id,
        email=row.email,
        password_version=row.password_version,
        created_at=row.created_at,
        expires_at=row.expires_at,
    )
