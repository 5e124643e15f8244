"""Accounts as rows: what reading and changing them have in common."""

from collections.abc import Collection, Mapping, Sequence

from sqlalchemy import ColumnElement, Row, case, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.model import canonical_name
from gateway.ports import Taken, User
from gateway.stores.sql.session_rows import end_sessions
from gateway.stores.sql.tables import invites, sessions, user_roles, users


async def updated(
    connection: AsyncConnection, condition: ColumnElement[bool], **values: object
) -> User | None:
    """Change the account that meets a condition, which locks it, and return it as it is then."""
    changed = update(users).where(condition).values(values).returning(*users.c)
    row = (await connection.execute(changed)).one_or_none()
    if row is None:
        return None
    roles = await roles_of(connection, [row.id])
    return user_of(row, roles.get(row.id, frozenset()))


async def end_sessions_of(
    connection: AsyncConnection, user_id: str, *, at: float, but: str | None = None
) -> Sequence[str]:
    """End the sessions of an account, which is locked already; return the ids of those that were alive."""
    of_user = sessions.c.user_id == user_id
    return await end_sessions(connection, of_user if but is None else of_user & (sessions.c.id != but), at=at)


async def give_roles(connection: AsyncConnection, user_id: str, roles: Collection[str]) -> None:
    """Add these roles to an account that has none."""
    if roles:
        await connection.execute(
            insert(user_roles), [{"user_id": user_id, "role": role} for role in sorted(roles)]
        )


async def use_up(connection: AsyncConnection, invite: str, user: User) -> None:
    """Use an invitation for an account. Raise `Taken` when it cannot be used any more: of two that try at
    the same moment, the second waits here and finds that."""
    result = await connection.execute(
        update(invites)
        .where(
            (invites.c.id == invite)
            & invites.c.used_at.is_(None)
            & invites.c.revoked_at.is_(None)
            & (invites.c.expires_at > user.created_at)
        )
        .values(used_at=user.created_at, used_by=user.id)
    )
    if result.rowcount == 0:
        raise Taken("invite")


async def forget_address(connection: AsyncConnection, user: User, *, at: float) -> None:
    """Remove the address of an account from invitations; one that is still open, and was good for it alone,
    ends with that."""
    if user.email is None:
        return
    sent = select(invites.c.id, invites.c.email).where(invites.c.email.is_not(None))
    key = canonical_name(user.email)
    ids = [row.id for row in await connection.execute(sent) if canonical_name(row.email) == key]
    if ids:
        open_ = invites.c.used_at.is_(None) & invites.c.revoked_at.is_(None)
        await connection.execute(
            update(invites)
            .where(invites.c.id.in_(ids))
            .values(email=None, revoked_at=case((open_, at), else_=invites.c.revoked_at))
        )


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


def columns_of(user: User) -> dict[str, object]:
    """Return the row of an account; its roles are rows of their own."""
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
        "password_version": user.password_version,
    }


def user_of(row: Row[tuple[object, ...]], roles: frozenset[str]) -> User:
    """Return the account of a row."""
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
        password_version=row.password_version,
    )
