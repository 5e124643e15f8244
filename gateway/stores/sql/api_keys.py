"""API keys in SQL. The owner's name and roles are joined when a key is read, so they are always today's."""

from collections.abc import Sequence

from sqlalchemy import Row, insert, select, update

from gateway.ports import ApiKey, BeforeCommit, ChangeKind, StoreUnavailable, Taken
from gateway.stores.sql.changes import announce
from gateway.stores.sql.database import Database
from gateway.stores.sql.faults import UniqueViolation
from gateway.stores.sql.tables import api_keys, users
from gateway.stores.sql.users import roles_of

_KEYS = select(api_keys, users.c.username, users.c.disabled_at).join(users, users.c.id == api_keys.c.owner_id)


class SqlApiKeyStore:
    """API keys as one table."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, key: ApiKey, *, before_commit: BeforeCommit | None = None) -> None:
        """Store a new key. Raise `Taken("name")`, `StoreUnavailable`, and what `before_commit` raises."""
        try:
            async with self._database.write() as connection:
                await connection.execute(insert(api_keys).values(_columns(key)))
                if before_commit is not None:
                    await before_commit()
        except UniqueViolation as violation:
            if "api_keys.name" in violation.columns:
                raise Taken("name") from None
            raise StoreUnavailable(f"a key with this {violation} exists") from None

    async def find(self, id: str) -> ApiKey | None:
        """Return a key by id, revoked and expired ones too. Raise `StoreUnavailable`."""
        async with self._database.read() as connection:
            row = (await connection.execute(_KEYS.where(api_keys.c.id == id))).one_or_none()
            if row is None:
                return None
            roles = await roles_of(connection, [row.owner_id])
        return _key(row, roles.get(row.owner_id, frozenset()))

    async def list(self) -> Sequence[ApiKey]:
        """Return every key, newest first. Raise `StoreUnavailable`."""
        async with self._database.read() as connection:
            query = _KEYS.order_by(api_keys.c.created_at.desc(), api_keys.c.id)
            rows = (await connection.execute(query)).all()
            roles = await roles_of(connection)
        return [_key(row, roles.get(row.owner_id, frozenset())) for row in rows]

    async def revoke(self, id: str, *, at: float) -> bool:
        """End a key and announce it; False when there is none or it had ended already.
        Raise `StoreUnavailable`."""
        async with self._database.write() as connection:
            ended = await connection.execute(
                update(api_keys)
                .where((api_keys.c.id == id) & api_keys.c.revoked_at.is_(None))
                .values(revoked_at=at),
            )
            if ended.rowcount == 0:
                return False
            await announce(connection, ChangeKind.KEY_REVOKED, id, at=at)
            return True


def _columns(key: ApiKey) -> dict[str, object]:
    return {
        "id": key.id,
        "name": key.name,
        "owner_id": key.owner_id,
        "secret_hash": key.secret_hash,
        # The empty string is "no scope at all"; NULL is "all of the owner's".
        "scopes": None if key.scopes is None else " ".join(sorted(key.scopes)),
        "created_at": key.created_at,
        "expires_at": key.expires_at,
        "revoked_at": key.revoked_at,
    }


def _key(row: Row[tuple[object, ...]], roles: frozenset[str]) -> ApiKey:
    return ApiKey(
        id=row.id,
        name=row.name,
        owner_id=row.owner_id,
        owner_name=row.username,
        owner_roles=roles,
        owner_active=row.disabled_at is None,
        secret_hash=row.secret_hash,
        scopes=None if row.scopes is None else frozenset(row.scopes.split()),
        created_at=row.created_at,
        expires_at=row.expires_at,
        revoked_at=row.revoked_at,
    )
