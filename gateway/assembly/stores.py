"""Everything that a process keeps, opened: what the gateway and the commands work on."""

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from gateway.accounts import Mailing, Passwords, Registrar
from gateway.assembly.auditing import Auditing, open_auditing
from gateway.audit import Auditor, WholeTrail
from gateway.crypto import (
    MasterSecret,
    RootKeys,
    Roots,
    Sealer,
    SecretUnusable,
    find_secret,
    load_or_create,
)
from gateway.ports import Clock, StoreUnavailable, SystemClock
from gateway.settings import Settings
from gateway.stores.sql import (
    Database,
    DatabaseUnusable,
    SqlApiKeyStore,
    SqlBlockStore,
    SqlChangeFeed,
    SqlClientStore,
    SqlCryptoKeyStore,
    SqlFactorStore,
    SqlInviteStore,
    SqlLinkStore,
    SqlMailQueue,
    SqlRevokedTokens,
    SqlRootKeyStore,
    SqlSealedValues,
    SqlSessionStore,
    SqlSigningKeyStore,
    SqlUserStore,
)
from gateway.workers import usable_cores

if TYPE_CHECKING:
    from gateway.stores.redis import Bell, RedisAddress

_SECRET: Final = "secret"  # noqa: S105 - the name of a file
"""Where in the data directory the master secret is, unless a setting has it."""

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
    root_keys: RootKeys
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
    crypto_keys: SqlCryptoKeyStore
    changes: SqlChangeFeed
    audit: Auditing
    passwords: Passwords
    blocks: SqlBlockStore
    registrar: Registrar
    links: SqlLinkStore
    invites: SqlInviteStore
    mailing: Mailing

    @property
    def roots(self) -> Roots:
        """What all keys at rest follow from."""
        return self.root_keys.roots

    @property
    def secret_file(self) -> Path | None:
        """Where the master secret is kept; None: a setting has it."""
        return None if self.settings.secret is not None else self.settings.data_dir / _SECRET

    @property
    def sealed_values(self) -> SqlSealedValues:
        """Everything in the database that is sealed with such keys."""
        return SqlSealedValues(self.database)

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
            root_keys = await _reach(
                database, secret, settings, clock, None if settings.is_embedded else patience
            )
            roots = root_keys.roots
            sealer = Sealer(roots)
            audit = open_auditing(settings, database=database, roots=roots, sealer=sealer, clock=clock)
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
            roots.keys_for("password-pepper"),
            threads=max(1, usable_cores() // settings.workers),
            unhurried=not serves,
        )
        stack.callback(passwords.close)
        yield Stores(
            settings=settings,
            clock=clock,
            root_keys=root_keys,
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
            crypto_keys=SqlCryptoKeyStore(database),
            changes=SqlChangeFeed(database),
            audit=audit,
            passwords=passwords,
            links=SqlLinkStore(database),
            invites=SqlInviteStore(database),
            mailing=Mailing(SqlMailQueue(database), sealer, clock),
            registrar=Registrar(users=users, passwords=passwords, events=audit.events, clock=clock),
        )


async def _reach(
    database: Database, secret: MasterSecret, settings: Settings, clock: Clock, patience: Patience | None
) -> RootKeys:
    """Bring the schema up to date, and open the roots with the master secret. Raise `SecretUnusable`."""

    def again() -> MasterSecret | None:
        return None if settings.secret is not None else find_secret(settings.data_dir / _SECRET)

    while True:
        try:
            await database.migrate()
            return await RootKeys.open(SqlRootKeyStore(database), secret, clock, again=again)
        except DatabaseUnusable:
            # No waiting helps.
            raise
        except StoreUnavailable as fault:
            if patience is None:
                raise
            await patience(str(fault))


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
    path = settings.data_dir / _SECRET
    if not path.exists() and (settings.data_dir / "gateway.db").exists():
        message = (
            f"the master secret {path} is missing, and the database beside it was made with it: "
            "restore the file, or set GATEWAY_SECRET or GATEWAY_SECRET_FILE"
        )
        raise StartRefused(message)
    return load_or_create(path)
