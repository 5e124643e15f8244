"""API keys in SQL. The owner's name and roles are joined when a key is read, so they are always today's."""

from collections.abc import Mapping, Sequence

from sqlalchemy import BindParameter, Row, bindparam, insert, or_, select, update

from gateway.ports import ApiKey, BeforeCommit, ChangeKind, KeySecret, StoreUnavailable, Taken
from gateway.stores.sql.changes import announce
from gateway.stores.sql.database import Database
from gateway.stores.sql.faults import UniqueViolation
from gateway.stores.sql.secret_rows import Kept, add_secrets, replace_secret, secrets_of
from gateway.stores.sql.tables import api_key_secrets, api_keys, users
from gateway.stores.sql.user_rows import roles_of

_KEYS = select(api_keys, users.c.username, users.c.disabled_at).join(users, users.c.id == api_keys.c.owner_id)
_OWNER = api_key_secrets.c.key_id


class SqlApiKeyStore:
    """API keys as one table, and their secrets as another."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, key: ApiKey, *, before_commit: BeforeCommit | None = None) -> None:
        """Store a new key. Raise `Taken("name")`, `StoreUnavailable`, and what `before_commit` raises."""
        try:
            async with self._database.write() as connection:
                await connection.execute(insert(api_keys).values(_columns(key)))
                secrets = [(each.hash, each.expires_at) for each in key.secrets]
                await add_secrets(connection, _OWNER, key.id, secrets, at=key.created_at)
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
            secrets = await secrets_of(connection, _OWNER, [id])
        return _key(row, roles.get(row.owner_id, frozenset()), secrets.get(id, ()))

    async def list(self) -> Sequence[ApiKey]:
        """Return every key, newest first. Raise `StoreUnavailable`."""
        async with self._database.read() as connection:
            query = _KEYS.order_by(api_keys.c.created_at.desc(), api_keys.c.id)
            rows = (await connection.execute(query)).all()
            roles = await roles_of(connection)
            secrets = await secrets_of(connection, _OWNER)
        return [_key(row, roles.get(row.owner_id, frozenset()), secrets.get(row.id, ())) for row in rows]

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

    async def rotate(
        self,
        id: str,
        secret_hash: bytes,
        *,
        at: float,
        old_until: float,
        before_commit: BeforeCommit | None = None,
    ) -> ApiKey | None:
        """Give a key a new secret and announce it; return the key as it is then, None when there is none that
        lives. Raise `StoreUnavailable`, and what `before_commit` raises."""
        async with self._database.write() as connection:
            # Locked, so that of two rotations at once one sees what the other did.
            row = (
                await connection.execute(_KEYS.where(api_keys.c.id == id).with_for_update(of=api_keys))
            ).one_or_none()
            if row is None or row.revoked_at is not None:
                return None
            if row.expires_at is not None and row.expires_at <= at:
                return None
            await replace_secret(connection, _OWNER, id, secret_hash, at=at, old_until=old_until)
            roles = await roles_of(connection, [row.owner_id])
            secrets = await secrets_of(connection, _OWNER, [id])
            if before_commit is not None:
                await before_commit()
            await announce(connection, ChangeKind.KEY_REVOKED, id, at=at)
        return _key(row, roles.get(row.owner_id, frozenset()), secrets.get(id, ()))

    async def note_used(self, used: Mapping[str, float]) -> None:
        """Note when keys were last used, by id; never moves one back. Raise `StoreUnavailable`."""
        if not used:
            return
        at: BindParameter[float] = bindparam("at")
        query = update(api_keys).where(
            api_keys.c.id == bindparam("key"),
            or_(api_keys.c.last_used_at.is_(None), api_keys.c.last_used_at < at),
        )
        async with self._database.write() as connection:
            # In one order, so that two processes that note the same keys do not wait for each other.
            await connection.execute(
                query.values(last_used_at=at), [{"key": id, "at": used[id]} for id in sorted(used)]
            )


def _columns(key: ApiKey) -> dict[str, object]:
    return {
        "id": key.id,
        "name": key.name,
        "owner_id": key.owner_id,
        # The empty string is "no scope at all"; NULL is "all of the owner's".
        "scopes": None if key.scopes is None else " ".join(sorted(key.scopes)),
        "created_at": key.created_at,
        "expires_at": key.expires_at,
        "revoked_at": key.revoked_at,
        "networks": " ".join(key.networks) or None,
        "last_used_at": key.last_used_at,
    }


def _key(row: Row[tuple[object, ...]], roles: frozenset[str], secrets: Sequence[Kept]) -> ApiKey:
    return ApiKey(
        id=row.id,
        name=row.name,
        owner_id=row.owner_id,
        owner_name=row.username,
        owner_roles=roles,
        owner_active=row.disabled_at is None,
        secrets=tuple(KeySecret(hash=hash_, expires_at=end) for hash_, end in secrets),
        scopes=None if row.scopes is None else frozenset(row.scopes.split()),
        created_at=row.created_at,
        expires_at=row.expires_at,
        revoked_at=row.revoked_at,
        networks=tuple((row.networks or "").split()),
        last_used_at=row.last_used_at,
    )
