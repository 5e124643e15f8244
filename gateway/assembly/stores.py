"""Everything that a process keeps, opened: what the gateway and the commands work on."""

import contextlib
import hmac
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from gateway.accounts import Mailing, Passwords, Registrar
from gateway.assembly.auditing import Auditing, open_auditing
from gateway.audit import Auditor, WholeTrail
from gateway.crypto import MasterSecret, Sealer, SecretUnusable, load_or_create
from gateway.ports import Clock, StoreUnavailable, SystemClock
from gateway.settings import Settings
from gateway.stores.sql import (
    Database,
    DatabaseUnusable,
    SqlApiKeyStore,
    SqlBlockStore,
    SqlChangeFeed,
    SqlClientStore,
    SqlFactorStore,
    SqlInviteStore,
    SqlLinkStore,
    SqlMailQueue,
    SqlRevokedTokens,
    SqlSecretCheck,
    SqlSessionStore,
    SqlSigningKeyStore,
    SqlUserStore,
)
from gateway.workers import usable_cores

if TYPE_CHECKING:
    from gateway.stores.redis import Bell, RedisAddress

Patience = Callable[[str], Awaitable[None]]
"""Awaited between two attempts, with what is missing. Whoever has none left raises."""


class StartRefused(Exception):
    """The gateway, or a command, cannot start. The text says what is wrong and what to do."""


class StoreAway(StartRefused):
    """A store does not answer. Trying again later may be all that it takes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stores:
    """What a process keeps and where it writes down what it did; commands work on this."""

    settings: Settings
    clock: Clock
    secret: MasterSecret
    sealer: Sealer
    database: Database
    redis: "RedisAddress | None"
    """Where counters are shared, None when they are not."""
    bell: "Bell | None"
    """What tells other processes of changes before they look by themselves."""
    users: SqlUserStore
    sessions: SqlSessionStore
    api_keys: SqlApiKeyStore
    factors: SqlFactorStore
    clients: SqlClientStore
    revoked_tokens: SqlRevokedTokens
    signing_keys: SqlSigningKeyStore
    changes: SqlChangeFeed
    audit: Auditing
    passwords: Passwords
    blocks: SqlBlockStore
    registrar: Registrar
    links: SqlLinkStore
    invites: SqlInviteStore
    mailing: Mailing

    @property
    def events(self) -> Auditor:
        """Where it is written down what happened."""
        return self.audit.events

    @property
    def trail(self) -> WholeTrail:
        """Where it is found again."""
        return self.audit.trail


@contextlib.asynccontextmanager
async def open_stores(
    settings: Settings, *, patience: Patience | None = None, serves: bool = True
) -> AsyncIterator[Stores]:
    """Open everything that a process keeps, creating what is missing. Raise `StartRefused`, `StoreAway`.

    A database server that is away is waited for with `patience`; without it, that is a refusal, and so is
    everything that is wrong with a file. `serves`: requests are waited on meanwhile, so that hashing gives
    way to them.
    """
    clock = SystemClock()
    async with contextlib.AsyncExitStack() as stack:
        try:
            _make_private(settings.data_dir)
            secret = _secret(settings)
            redis, bell = _redis(settings)
            database = Database.open(settings.database)
            stack.push_async_callback(database.close)
            await _reach(database, secret, None if settings.is_embedded else patience)
            sealer = Sealer(secret)
            audit = open_auditing(settings, database=database, secret=secret, sealer=sealer, clock=clock)
            stack.callback(audit.spool.close)
        except (SecretUnusable, DatabaseUnusable) as error:
            raise StartRefused(str(error)) from None
        except StoreUnavailable as fault:
            raise StoreAway(str(fault)) from None
        if bell is not None:
            database.on_announced = bell.ring
            # A command ends sooner than anybody would ring for it.
            stack.push_async_callback(bell.flush)
        users = SqlUserStore(database)
        # Processes that share a machine share its cores.
        passwords = Passwords(
            secret.derive("password-pepper"),
            threads=max(1, usable_cores() // settings.workers),
            unhurried=not serves,
        )
        stack.callback(passwords.close)
        yield Stores(
            settings=settings,
            clock=clock,
            secret=secret,
            sealer=sealer,
            database=database,
            redis=redis,
            bell=bell,
            users=users,
            sessions=SqlSessionStore(database),
            api_keys=SqlApiKeyStore(database),
            blocks=SqlBlockStore(database),
            factors=SqlFactorStore(database),
            clients=SqlClientStore(database),
            revoked_tokens=SqlRevokedTokens(database),
            signing_keys=SqlSigningKeyStore(database),
            changes=SqlChangeFeed(database),
            audit=audit,
            passwords=passwords,
            links=SqlLinkStore(database),
            invites=SqlInviteStore(database),
            mailing=Mailing(SqlMailQueue(database), sealer, clock),
            registrar=Registrar(users=users, passwords=passwords, events=audit.events, clock=clock),
        )


async def _reach(database: Database, secret: MasterSecret, patience: Patience | None) -> None:
    """Bring the schema up to date, and see whether the secret is the right one."""
    while True:
        try:
            await database.migrate()
            await _check_secret(SqlSecretCheck(database), secret)
        except DatabaseUnusable:
            # No waiting helps.
            raise
        except StoreUnavailable as fault:
            if patience is None:
                raise
            await patience(str(fault))
        else:
            return


def _redis(settings: Settings) -> "tuple[RedisAddress, Bell] | tuple[None, None]":
    if not settings.is_shared:
        return None, None
    from gateway.stores.redis import (  # noqa: PLC0415 - most commands need no second client
        Bell,
        RedisAddress,
        RedisUnusable,
    )

    try:
        address = RedisAddress.parse(settings.redis_url)
    except RedisUnusable as fault:
        raise StartRefused(str(fault)) from None
    return address, Bell(address)


def _make_private(directory: Path) -> None:
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise StartRefused(f"cannot create the data directory {directory}: {error.strerror}") from None


def _secret(settings: Settings) -> MasterSecret:
    if settings.secret is not None:
        return MasterSecret(settings.secret.encode())
    path = settings.data_dir / "secret"
    if not path.exists() and (settings.data_dir / "gateway.db").exists():
        message = (
            f"the master secret {path} is missing, and the database beside it was made with it: "
            "restore the file, or set GATEWAY_SECRET or GATEWAY_SECRET_FILE"
        )
        raise StartRefused(message)
    return load_or_create(path)


async def _check_secret(store: SqlSecretCheck, secret: MasterSecret) -> None:
    """Refuse to work on a database whose keys and hashes were made with another master secret."""
    value = secret.check_value()
    stored = await store.check_value()
    if stored is None:
        stored = await store.set_check_value(value)
    if not hmac.compare_digest(stored, value):
        message = (
            "the master secret is not the one this database was made with; "
            "set GATEWAY_SECRET (or GATEWAY_SECRET_FILE), or restore the file `secret` of the data directory"
        )
        raise StartRefused(message)
