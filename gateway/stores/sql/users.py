"""Accounts in SQL."""

from collections.abc import Sequence
from dataclasses import replace

from sqlalchemy import Column, ColumnElement, delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.model import canonical_name
from gateway.ports import BeforeCommit, ChangeKind, StoreUnavailable, Taken, User
from gateway.stores.sql.changes import announce
from gateway.stores.sql.database import Database
from gateway.stores.sql.faults import UniqueViolation
from gateway.stores.sql.order import lock_in_order
from gateway.stores.sql.tables import (
    api_keys,
    factors,
    links,
    recovery_codes,
    sessions,
    user_roles,
    users,
)
from gateway.stores.sql.user_rows import (
    columns_of,
    end_sessions_of,
    forget_address,
    give_roles,
    roles_of,
    updated,
    use_up,
    user_of,
)

_FIELDS = {"users.username_key": "username", "users.email_key": "email"}


class SqlUserStore:
    """Accounts as two tables: the account, and one row for each of its roles."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(
        self, user: User, *, invite: str | None = None, before_commit: BeforeCommit | None = None
    ) -> None:
        """Store a new account, and use up the invitation that it is made with. Raise `Taken`,
        `StoreUnavailable`, and what `before_commit` raises."""
        try:
            async with self._database.write() as connection:
                await connection.execute(insert(users).values(columns_of(user)))
                await give_roles(connection, user.id, user.roles)
                if invite is not None:
                    await use_up(connection, invite, user)
                if before_commit is not None:
                    await before_commit()
        except UniqueViolation as violation:
            for column in violation.columns:
                if column in _FIELDS:
                    raise Taken(_FIELDS[column]) from None
            raise StoreUnavailable(f"an account with this {violation} exists") from None

    async def find(self, id: str) -> User | None:
        """Return an account by id. Raise `StoreUnavailable`."""
        return await self._find(users.c.id == id)

    async def find_by_login(self, name: str) -> User | None:
        """Return an account by canonical user name or e-mail. Raise `StoreUnavailable`.

        One name never means two accounts: addresses contain an `@`, user names must not.
        """
        column = users.c.email_key if "@" in name else users.c.username_key
        return await self._find(column == name)

    async def update_password_hash(self, id: str, password_hash: str, *, instead_of: str) -> None:
        """Replace the stored hash, unless it is another one by now. Raise `StoreUnavailable`."""
        async with self._database.write() as connection:
            await connection.execute(
                update(users)
                .where((users.c.id == id) & (users.c.password_hash == instead_of))
                .values(password_hash=password_hash),
            )

    async def list(self) -> Sequence[User]:
        """Return every account, by name. Raise `StoreUnavailable`."""
        async with self._database.read() as connection:
            rows = (await connection.execute(select(users).order_by(users.c.username_key))).all()
            roles = await roles_of(connection)
        return [user_of(row, roles.get(row.id, frozenset())) for row in rows]

    async def delete(self, id: str, *, at: float, before_commit: BeforeCommit | None = None) -> bool:
        """Remove an account with its sessions and keys, and announce the end of all of them; False when there
        is none. Of its address nothing stays in invitations. Raise `StoreUnavailable`, and what
        `before_commit` raises."""
        async with self._database.write() as connection:
            # The account comes first: of two that work on what it owns, one waits here, and holds none.
            # Raising the epoch locks it, and gives the number below which every token of it is dead.
            user = await updated(connection, users.c.id == id, epoch=users.c.epoch + 1)
            if user is None:
                return False
            ended = await _removed(connection, sessions.c.id, sessions.c.user_id == id)
            revoked = await _removed(connection, api_keys.c.id, api_keys.c.owner_id == id)
            await forget_address(connection, user, at=at)
            # Before the row itself goes: who has locked one of these may still have to look at that row.
            for table in (factors, recovery_codes, links, user_roles):
                await connection.execute(delete(table).where(table.c.user_id == id))
            await connection.execute(delete(users).where(users.c.id == id))
            if before_commit is not None:
                await before_commit()
            await announce(connection, ChangeKind.SESSION_REVOKED, *ended, at=at)
            await announce(connection, ChangeKind.KEY_REVOKED, *revoked, at=at)
            await announce(connection, ChangeKind.USER_CHANGED, id, at=at, epoch=user.epoch)
            return True

    async def set_roles(
        self, id: str, roles: frozenset[str], *, at: float, before_commit: BeforeCommit | None = None
    ) -> User | None:
        """Replace an account's roles, raise its epoch and announce it; None when there is no such account.
        Raise `StoreUnavailable`, and what `before_commit` raises."""
        async with self._database.write() as connection:
            user = await updated(connection, users.c.id == id, epoch=users.c.epoch + 1)
            if user is None:
                return None
            await connection.execute(delete(user_roles).where(user_roles.c.user_id == id))
            await give_roles(connection, id, roles)
            if before_commit is not None:
                await before_commit()
            await announce(connection, ChangeKind.USER_CHANGED, id, at=at, epoch=user.epoch)
            return replace(user, roles=roles)

    async def set_password(
        self,
        id: str,
        password_hash: str,
        *,
        at: float,
        keep_session: str | None = None,
        as_found: User | None = None,
        before_commit: BeforeCommit | None = None,
    ) -> User | None:
        """Replace an account's password, end its sessions but one, announce that, and remove its links; None
        when there is no such account, or it has another epoch or password than `as_found`. Raise
        `StoreUnavailable`, and what `before_commit` raises.

        Only when no session is kept does the epoch grow: the tokens of the one that is kept go on.
        """
        async with self._database.write() as connection:
            user = await updated(
                connection,
                users.c.id == id if as_found is None else _is_still(as_found),
                password_hash=password_hash,
                password_version=users.c.password_version + 1,
                epoch=users.c.epoch + int(keep_session is None),
            )
            if user is None:
                return None
            ended = await end_sessions_of(connection, id, at=at, but=keep_session)
            await connection.execute(delete(links).where(links.c.user_id == id))
            if before_commit is not None:
                await before_commit()
            await announce(connection, ChangeKind.SESSION_REVOKED, *ended, at=at)
            if keep_session is None:
                await announce(connection, ChangeKind.USER_CHANGED, id, at=at, epoch=user.epoch)
            return user

    async def set_disabled(
        self, id: str, *, disabled: bool, at: float, before_commit: BeforeCommit | None = None
    ) -> User | None:
        """Disable an account, which ends its sessions, or enable it; raise its epoch and announce it. None
        when there is no such account. Raise `StoreUnavailable`, and what `before_commit` raises."""
        async with self._database.write() as connection:
            user = await updated(
                connection,
                users.c.id == id,
                disabled_at=at if disabled else None,
                epoch=users.c.epoch + 1,
            )
            if user is None:
                return None
            ended = await end_sessions_of(connection, id, at=at) if disabled else ()
            if disabled:
                await connection.execute(delete(links).where(links.c.user_id == id))
            if before_commit is not None:
                await before_commit()
            await announce(connection, ChangeKind.SESSION_REVOKED, *ended, at=at)
            await announce(connection, ChangeKind.USER_CHANGED, id, at=at, epoch=user.epoch)
            return user

    async def verify_email(
        self, id: str, *, email: str, at: float, before_commit: BeforeCommit | None = None
    ) -> User | None:
        """Note that an address is its account's, and end the sessions that were begun before; None when the
        account has another address, or is verified. Raise `StoreUnavailable`, and what `before_commit`
        raises."""
        async with self._database.write() as connection:
            is_so = (
                (users.c.id == id)
                & (users.c.email_key == canonical_name(email))
                & users.c.verified_at.is_(None)
            )
            user = await updated(connection, is_so, verified_at=at)
            if user is None:
                return None
            ended = await end_sessions_of(connection, id, at=at)
            if before_commit is not None:
                await before_commit()
            await announce(connection, ChangeKind.SESSION_REVOKED, *ended, at=at)
            return user

    async def _find(self, condition: ColumnElement[bool]) -> User | None:
        async with self._database.read() as connection:
            row = (await connection.execute(select(users).where(condition))).one_or_none()
            # Asked even when there is no account, so that finding none takes no less time.
            roles = await roles_of(connection, [] if row is None else [row.id])
        return None if row is None else user_of(row, roles.get(row.id, frozenset()))


def _is_still(user: User) -> ColumnElement[bool]:
    return (
        (users.c.id == user.id)
        & (users.c.epoch == user.epoch)
        & (users.c.password_version == user.password_version)
    )


async def _removed(
    connection: AsyncConnection, id_column: Column[str], condition: ColumnElement[bool]
) -> Sequence[str]:
    """Remove the rows that meet a condition, and return their ids."""
    table = id_column.table
    await lock_in_order(connection, id_column, condition)
    return sorted(await connection.scalars(delete(table).where(condition).returning(id_column)))
