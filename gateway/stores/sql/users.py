"""Accounts in SQL."""

from collections.abc import Collection, Mapping, Sequence

from sqlalchemy import Column, ColumnElement, Row, delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.model import canonical_name
from gateway.ports import BeforeCommit, ChangeKind, StoreUnavailable, Taken, User
from gateway.stores.sql.changes import announce
from gateway.stores.sql.database import Database
from gateway.stores.sql.faults import UniqueViolation
from gateway.stores.sql.tables import api_keys, sessions, user_roles, users

_FIELDS = {"users.username_key": "username", "users.email_key": "email"}


class SqlUserStore:
    """Accounts as two tables: the account, and one row for each of its roles."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, user: User, *, before_commit: BeforeCommit | None = None) -> None:
        """Store a new account. Raise `Taken`, `StoreUnavailable`, and what `before_commit` raises."""
        try:
            async with self._database.write() as connection:
                await connection.execute(insert(users).values(_columns(user)))
                if user.roles:
                    await connection.execute(
                        insert(user_roles),
                        [{"user_id": user.id, "role": role} for role in sorted(user.roles)],
                    )
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
        return [_user(row, roles.get(row.id, frozenset())) for row in rows]

    async def delete(self, id: str, *, at: float, before_commit: BeforeCommit | None = None) -> bool:
        """Remove an account with its sessions and keys, and announce the end of all of them; False when there
        is none. Raise `StoreUnavailable`, and what `before_commit` raises."""
        async with self._database.write() as connection:
            # The account comes first: of two that work on what it owns, one waits here, and holds none.
            # Raising the epoch locks it, and gives the number below which every token of it is dead.
            epoch = await connection.scalar(
                update(users).where(users.c.id == id).values(epoch=users.c.epoch + 1).returning(users.c.epoch)
            )
            if epoch is None:
                return False
            ended = await _removed(connection, sessions.c.id, sessions.c.user_id == id)
            revoked = await _removed(connection, api_keys.c.id, api_keys.c.owner_id == id)
            await connection.execute(delete(user_roles).where(user_roles.c.user_id == id))
            await connection.execute(delete(users).where(users.c.id == id))
            if before_commit is not None:
                await before_commit()
            await announce(connection, ChangeKind.SESSION_REVOKED, *ended, at=at)
            await announce(connection, ChangeKind.KEY_REVOKED, *revoked, at=at)
            await announce(connection, ChangeKind.USER_CHANGED, id, at=at, epoch=epoch)
            return True

    async def _find(self, condition: ColumnElement[bool]) -> User | None:
        async with self._database.read() as connection:
            row = (await connection.execute(select(users).where(condition))).one_or_none()
            # Asked even when there is no account, so that finding none takes no less time.
            roles = await roles_of(connection, [] if row is None else [row.id])
        return None if row is None else _user(row, roles.get(row.id, frozenset()))


async def _removed(
    connection: AsyncConnection, id_column: Column[str], condition: ColumnElement[bool]
) -> Sequence[str]:
    """Remove the rows that meet a condition, and return their ids."""
    table = id_column.table
    return sorted(await connection.scalars(delete(table).where(condition).returning(id_column)))


async def roles_of(
    connection: AsyncConnection, user_ids: Collection[str] | None = None
) -> Mapping[str, frozenset[str]]:
    """Return the roles of these users, or of all, by user id; a user without roles is left out."""
    query = select(user_roles.c.user_id, user_roles.c.role)
    if user_ids is not None:
        query = query.where(user_roles.c.user_id.in_(user_ids))
    found: dict[str, set[str]] = {}
    for user_id, role in await connection.execute(query):
        found.setdefault(user_id, set()).add(role)
    return {user_id: frozenset(roles) for user_id, roles in found.items()}


def _columns(user: User) -> dict[str, object]:
    return {
        "id": user.id,
        "username": user.username,
        "username_key": canonical_name(user.username),
        "email": user.email,
        "email_key": None if user.email is None else canonical_name(user.email),
        "password_hash": user.password_hash,
        "epoch": user.epoch,
        "created_at": user.created_at,
        "verified_at": user.verified_at,
        "disabled_at": user.disabled_at,
    }


def _user(row: Row[tuple[object, ...]], roles: frozenset[str]) -> User:
    return User(
        id=row.id,
        username=row.username,
        email=row.email,
        password_hash=row.password_hash,
        roles=roles,
        epoch=row.epoch,
        created_at=row.created_at,
        verified_at=row.verified_at,
        disabled_at=row.disabled_at,
    )
