"""Sessions in SQL. What must be decided once is one conditional UPDATE; the database picks the winner."""

from collections.abc import Sequence
from typing import Final

from sqlalchemy import ColumnElement, Row, delete, insert, select, update

from gateway.ports import ChangeKind, Session, User
from gateway.stores.sql.changes import announce
from gateway.stores.sql.database import Database
from gateway.stores.sql.session_rows import end_sessions
from gateway.stores.sql.tables import clients, sessions, users

_DROPPED: Final = 100
"""How many sessions that are over may go with each new one."""


class SqlSessionStore:
    """Sessions as one table."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, session: Session, *, user: User) -> bool:
        """Store a new session, and drop those whose absolute end has passed; False when the account is not as
        it was found, or the session's client was revoked. Raise `StoreUnavailable`."""
        async with self._database.write() as connection:
            # Locked until the commit, so that whoever ends all sessions of the account, or of the client,
            # waits and finds this one too.
            owner = select(users.c.id).where(
                (users.c.id == user.id)
                & (users.c.epoch == user.epoch)
                & (users.c.password_version == user.password_version)
                & users.c.disabled_at.is_(None)
            )
            if await connection.scalar(owner.with_for_update(read=True)) is None:
                return False
            if session.client_id is not None:
                client = select(clients.c.id).where(
                    (clients.c.id == session.client_id) & clients.c.revoked_at.is_(None)
                )
                if await connection.scalar(client.with_for_update(read=True)) is None:
                    return False
            await connection.execute(insert(sessions).values(_columns(session)))
            # Passing over what another transaction works on: two that drop the same sessions, in different
            # order, would wait for each other. A few at a time: nobody's login waits for all that a long
            # standstill, or a flood, has left.
            over = select(sessions.c.id).where(sessions.c.expires_at < session.created_at).limit(_DROPPED)
            await connection.execute(
                delete(sessions).where(sessions.c.id.in_(over.with_for_update(skip_locked=True)))
            )
            return True

    async def find(self, id: str) -> Session | None:
        """Return a session by id, revoked and expired ones too. Raise `StoreUnavailable`."""
        async with self._database.read() as connection:
            row = (await connection.execute(select(sessions).where(sessions.c.id == id))).one_or_none()
        return None if row is None else _session(row)

    async def advance(self, id: str, *, seen: int, at: float, jkt: str | None = None) -> bool:
        """Move the counter from `seen` to `seen + 1`, unconfirmed, and bind the session to a key where one is
        given. False when somebody else was first, and when the session has ended meanwhile. Raise
        `StoreUnavailable`."""
        bound = {} if jkt is None else {"jkt": jkt}
        return await self._updated(
            (sessions.c.id == id) & (sessions.c.counter == seen) & sessions.c.revoked_at.is_(None),
            counter=seen + 1,
            rotated_at=at,
            last_used_at=at,
            confirmed=False,
            **bound,
        )

    async def bind(self, id: str, *, seen: int, jkt: str, at: float) -> bool:
        """Bind a session that is bound to no key, and note a use. False when it is bound by now, its counter
        is not `seen`, or it has ended. Raise `StoreUnavailable`."""
        is_free = (sessions.c.counter == seen) & sessions.c.jkt.is_(None) & sessions.c.revoked_at.is_(None)
        return await self._updated((sessions.c.id == id) & is_free, jkt=jkt, rotated_at=at, last_used_at=at)

    async def touch(self, id: str, *, at: float) -> None:
        """Note a use that did not advance the counter. Raise `StoreUnavailable`."""
        await self._updated((sessions.c.id == id) & (sessions.c.last_used_at < at), last_used_at=at)

    async def confirm(self, id: str, *, counter: int) -> None:
        """Note that an access token of this generation has been seen. Raise `StoreUnavailable`."""
        await self._updated((sessions.c.id == id) & (sessions.c.counter == counter), confirmed=True)

    async def revoke(self, id: str, *, at: float) -> bool:
        """End a session and announce it; False when it had ended already. Raise `StoreUnavailable`."""
        async with self._database.write() as connection:
            ended = await connection.execute(
                update(sessions)
                .where((sessions.c.id == id) & sessions.c.revoked_at.is_(None))
                .values(revoked_at=at),
            )
            if ended.rowcount == 0:
                return False
            await announce(connection, ChangeKind.SESSION_REVOKED, id, at=at)
            return True

    async def revoke_all(self, user_id: str, *, at: float) -> Sequence[str]:
        """End every session of a user, raise the user's epoch and announce both; return the ended ids.
        Raise `StoreUnavailable`."""
        async with self._database.write() as connection:
            # The account comes first: of two that end all its sessions, one waits here, and holds none.
            epoch = await connection.scalar(
                update(users)
                .where(users.c.id == user_id)
                .values(epoch=users.c.epoch + 1)
                .returning(users.c.epoch),
            )
            if epoch is None:
                return []
            ids = await end_sessions(connection, sessions.c.user_id == user_id, at=at)
            await announce(connection, ChangeKind.SESSION_REVOKED, *ids, at=at)
            await announce(connection, ChangeKind.USER_CHANGED, user_id, at=at, epoch=epoch)
            return ids

    async def list_of(self, user_id: str, *, now: float) -> Sequence[Session]:
        """Return the sessions of a user that have not ended, the newest first. Raise `StoreUnavailable`."""
        live = (
            (sessions.c.user_id == user_id) & sessions.c.revoked_at.is_(None) & (sessions.c.expires_at > now)
        )
        query = select(sessions).where(live).order_by(sessions.c.created_at.desc(), sessions.c.id)
        async with self._database.read() as connection:
            return [_session(row) for row in await connection.execute(query)]

    async def note_factor(self, id: str, *, amr: tuple[str, ...], mfa_at: float) -> bool:
        """Note that a second factor was proved in a session; False when it has ended. Raise
        `StoreUnavailable`."""
        return await self._updated(
            (sessions.c.id == id) & sessions.c.revoked_at.is_(None), amr=" ".join(amr), mfa_at=mfa_at
        )

    async def _updated(self, condition: ColumnElement[bool], **values: object) -> bool:
        async with self._database.write() as connection:
            result = await connection.execute(update(sessions).where(condition).values(values))
            return result.rowcount > 0


def _columns(session: Session) -> dict[str, object]:
    return {
        "id": session.id,
        "user_id": session.user_id,
        "key": session.key,
        "counter": session.counter,
        "rotated_at": session.rotated_at,
        "confirmed": session.confirmed,
        "created_at": session.created_at,
        "last_used_at": session.last_used_at,
        "expires_at": session.expires_at,
        "revoked_at": session.revoked_at,
        "source_ip": session.source_ip,
        "user_agent": session.user_agent,
        "client_id": session.client_id,
        "amr": " ".join(session.amr),
        "mfa_at": session.mfa_at,
        "jkt": session.jkt,
        "scope": session.scope,
    }


def _session(row: Row[tuple[object, ...]]) -> Session:
    return Session(
        id=row.id,
        user_id=row.user_id,
        key=row.key,
        counter=row.counter,
        rotated_at=row.rotated_at,
        confirmed=row.confirmed,
        created_at=row.created_at,
        last_used_at=row.last_used_at,
        expires_at=row.expires_at,
        revoked_at=row.revoked_at,
        source_ip=row.source_ip,
        user_agent=row.user_agent,
        client_id=row.client_id,
        amr=tuple(row.amr.split()),
        mfa_at=row.mfa_at,
        jkt=row.jkt,
        scope=row.scope,
    )
