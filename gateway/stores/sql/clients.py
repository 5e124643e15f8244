"""OAuth clients in SQL: the client with its public key, its roles, and its secrets as digests."""

from collections.abc import Collection, Mapping, Sequence

from sqlalchemy import Row, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.model import canonical_name
from gateway.ports import BeforeCommit, ChangeKind, ClientSecret, OAuthClient, StoreUnavailable, Taken
from gateway.stores.sql.changes import announce
from gateway.stores.sql.database import Database
from gateway.stores.sql.faults import UniqueViolation
from gateway.stores.sql.secret_rows import Kept, add_secrets, replace_secret, secrets_of
from gateway.stores.sql.session_rows import end_sessions
from gateway.stores.sql.tables import client_roles, client_secrets, clients, sessions

_OWNER = client_secrets.c.client_id


class SqlClientStore:
    """Clients as three tables."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, client: OAuthClient, *, before_commit: BeforeCommit | None = None) -> None:
        """Store a new client. Raise `Taken("name")`, `StoreUnavailable`, and what `before_commit` raises."""
        try:
            async with self._database.write() as connection:
                await connection.execute(insert(clients).values(_columns(client)))
                if client.roles:
                    await connection.execute(
                        insert(client_roles),
                        [{"client_id": client.id, "role": role} for role in sorted(client.roles)],
                    )
                secrets = [(each.hash, each.expires_at) for each in client.secrets]
                await add_secrets(connection, _OWNER, client.id, secrets, at=client.created_at)
                if before_commit is not None:
                    await before_commit()
        except UniqueViolation as violation:
            if "clients.name_key" in violation.columns:
                raise Taken("name") from None
            raise StoreUnavailable(f"a client with this {violation} exists") from None

    async def find(self, id: str) -> OAuthClient | None:
        """Return a client by id, revoked ones too. Raise `StoreUnavailable`."""
        async with self._database.read() as connection:
            return await _found(connection, id)

    async def list(self) -> Sequence[OAuthClient]:
        """Return every client, newest first. Raise `StoreUnavailable`."""
        async with self._database.read() as connection:
            query = select(clients).order_by(clients.c.created_at.desc(), clients.c.id)
            rows = (await connection.execute(query)).all()
            roles, secrets = await _roles_of(connection), await secrets_of(connection, _OWNER)
        return [_client(row, roles, secrets) for row in rows]

    async def rotate(
        self,
        id: str,
        secret_hash: bytes,
        *,
        at: float,
        old_until: float,
        before_commit: BeforeCommit | None = None,
    ) -> OAuthClient | None:
        """Give a client a new secret, and the newest of the old ones an end; any older one ends at once.

        Return the client as it is then, None when there is none that lives. Raise `StoreUnavailable`, and
        what `before_commit` raises; then nothing has changed.
        """
        async with self._database.write() as connection:
            # The client comes first: of two rotations at once, one waits here and finds what the other has
            # left.
            found = await connection.execute(
                update(clients)
                .where((clients.c.id == id) & clients.c.revoked_at.is_(None))
                .values(epoch=clients.c.epoch)
            )
            if found.rowcount == 0:
                return None
            await replace_secret(connection, _OWNER, id, secret_hash, at=at, old_until=old_until)
            client = await _found(connection, id)
            if before_commit is not None:
                await before_commit()
            return client

    async def set_jwk(
        self, id: str, jwk: str | None, *, at: float, before_commit: BeforeCommit | None = None
    ) -> OAuthClient | None:
        """Give a client a public key, or none, and announce it; return the client as it is then, None when
        there is none that lives. Raise `StoreUnavailable`, and what `before_commit` raises; then nothing has
        changed."""
        async with self._database.write() as connection:
            found = await connection.execute(
                update(clients).where((clients.c.id == id) & clients.c.revoked_at.is_(None)).values(jwk=jwk)
            )
            if found.rowcount == 0:
                return None
            client = await _found(connection, id)
            if before_commit is not None:
                await before_commit()
            await announce(connection, ChangeKind.CLIENT_KEY, id, at=at)
            return client

    async def revoke(self, id: str, *, at: float) -> bool:
        """End a client with its sessions and tokens, and announce it; False when there is none or it had
        ended already. Raise `StoreUnavailable`."""
        async with self._database.write() as connection:
            epoch = await connection.scalar(
                update(clients)
                .where((clients.c.id == id) & clients.c.revoked_at.is_(None))
                .values(revoked_at=at, epoch=clients.c.epoch + 1)
                .returning(clients.c.epoch)
            )
            if epoch is None:
                return False
            ended = await end_sessions(connection, sessions.c.client_id == id, at=at)
            await announce(connection, ChangeKind.SESSION_REVOKED, *ended, at=at)
            await announce(connection, ChangeKind.CLIENT_CHANGED, id, at=at, epoch=epoch)
            return True


async def _found(connection: AsyncConnection, id_: str) -> OAuthClient | None:
    row = (await connection.execute(select(clients).where(clients.c.id == id_))).one_or_none()
    # Asked even when there is no such client, so that finding none takes no less time.
    roles, secrets = await _roles_of(connection, [id_]), await secrets_of(connection, _OWNER, [id_])
    return None if row is None else _client(row, roles, secrets)


async def _roles_of(
    connection: AsyncConnection, ids: Collection[str] | None = None
) -> Mapping[str, set[str]]:
    """Return the roles of these clients, or of all, by client."""
    query = select(client_roles.c.client_id, client_roles.c.role)
    if ids is not None:
        query = query.where(client_roles.c.client_id.in_(ids))
    found: dict[str, set[str]] = {}
    for client_id, role in await connection.execute(query):
        found.setdefault(client_id, set()).add(role)
    return found


def _columns(client: OAuthClient) -> dict[str, object]:
    return {
        "id": client.id,
        "name": client.name,
        "name_key": canonical_name(client.name),
        "epoch": client.epoch,
        "created_at": client.created_at,
        "revoked_at": client.revoked_at,
        "jwk": client.jwk,
    }


def _client(
    row: Row[tuple[object, ...]],
    roles: Mapping[str, set[str]],
    secrets: Mapping[str, Sequence[Kept]],
) -> OAuthClient:
    return OAuthClient(
        id=row.id,
        name=row.name,
        roles=frozenset(roles.get(row.id, ())),
        secrets=tuple(ClientSecret(hash=hash_, expires_at=end) for hash_, end in secrets.get(row.id, ())),
        epoch=row.epoch,
        created_at=row.created_at,
        revoked_at=row.revoked_at,
        jwk=row.jwk,
    )
