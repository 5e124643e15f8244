"""Builds the running whole; the only file that knows every room. Resources are opened and closed here."""

import asyncio
import contextlib
import hmac
import sys
from collections.abc import AsyncIterator, Coroutine
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web

from gateway.accounts import AccessTokens, Accounts, Passwords, Registrar, Sessions
from gateway.admin import operators_application
from gateway.audit import Auditor, Deliverer, WholeTrail
from gateway.config import Current, Snapshot
from gateway.crypto import (
    Keyring,
    KeyringUnusable,
    MasterSecret,
    SealBroken,
    Sealer,
    SecretUnusable,
    load_or_create,
)
from gateway.edge import (
    ClientsDoor,
    HeadReader,
    Listener,
    OwnEndpoints,
    ParserMissing,
    account_endpoints,
    metadata_endpoints,
)
from gateway.identity import Authenticator, AuthenticatorSpec, Needs, build_authenticator
from gateway.observability import AccessLog
from gateway.pipeline import Enforcer, Stages
from gateway.ports import (
    AuditUnavailable,
    ChangeKind,
    Clock,
    Durability,
    StoreUnavailable,
    SystemClock,
)
from gateway.proxy import Assertions, Forwarder
from gateway.settings import Settings
from gateway.stores.memory import FollowedRevocations, MemoryCounters
from gateway.stores.spool import SpoolBacklog, SpoolWriter, UnopenedSpool, UnshippedSpool
from gateway.stores.sql import (
    Database,
    DatabaseUnusable,
    SqlApiKeyStore,
    SqlAuditSink,
    SqlAuditTrail,
    SqlChangeFeed,
    SqlSecretCheck,
    SqlSessionStore,
    SqlSigningKeyStore,
    SqlUserStore,
)
from gateway.web import Readiness

_OWN_TOKENS = AuthenticatorSpec(name="gateway", kind="gateway_jwt")
"""The tokens of this gateway open its own endpoints even where no route of the policy asks for them."""
_LONGEST_ACCESS = 3600.0
"""Seconds for which revocations are remembered at least, whatever the policy says of access tokens."""
_LEEWAY = 60.0
_LAST_SHIPPING = 3.0
"""Seconds for bringing the last records to where the trail is kept; the next process ships what is left."""


class StartRefused(Exception):
    """The gateway, or a command, cannot start. The text says what is wrong and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stores:
    """What a process keeps and where it writes down what it did; commands work on this."""

    settings: Settings
    clock: Clock
    secret: MasterSecret
    sealer: Sealer
    database: Database
    users: SqlUserStore
    sessions: SqlSessionStore
    api_keys: SqlApiKeyStore
    signing_keys: SqlSigningKeyStore
    changes: SqlChangeFeed
    spool: SpoolWriter | UnopenedSpool
    """Not opened: the disk is full, say. What only reads goes on; what must be recorded cannot."""
    events: Auditor
    backlog: SpoolBacklog
    sink: SqlAuditSink
    trail: WholeTrail
    passwords: Passwords
    registrar: Registrar


@dataclass(frozen=True, slots=True, kw_only=True)
class Gateway:
    """The running whole, for whoever listens."""

    listener: Listener
    door: ClientsDoor
    operators: web.Application
    readiness: Readiness
    failed: "asyncio.Future[None]"
    """Done when a task that the gateway cannot do without has ended; its exception says why."""


@contextlib.asynccontextmanager
async def open_stores(settings: Settings) -> AsyncIterator[Stores]:
    """Open everything that a process keeps, creating what is missing. Raise `StartRefused`."""
    clock = SystemClock()
    async with contextlib.AsyncExitStack() as stack:
        try:
            _make_private(settings.data_dir)
            secret = _secret(settings)
            database = Database.open(settings.database)
            stack.push_async_callback(database.close)
            await database.migrate()
            await _check_secret(SqlSecretCheck(database), secret)
            spool_dir = settings.data_dir / "spool"
            spool = _open_spool(spool_dir, Durability(settings.audit_durability))
            stack.callback(spool.close)
        except (SecretUnusable, DatabaseUnusable, StoreUnavailable) as error:
            raise StartRefused(str(error)) from None
        events = Auditor(spool, clock)
        users = SqlUserStore(database)
        passwords = Passwords(secret.derive("password-pepper"))
        stack.callback(passwords.close)
        sink = SqlAuditSink(database)
        unshipped = UnshippedSpool(spool_dir)
        yield Stores(
            settings=settings,
            clock=clock,
            secret=secret,
            sealer=Sealer(secret),
            database=database,
            users=users,
            sessions=SqlSessionStore(database),
            api_keys=SqlApiKeyStore(database),
            signing_keys=SqlSigningKeyStore(database),
            changes=SqlChangeFeed(database),
            spool=spool,
            events=events,
            backlog=SpoolBacklog(spool_dir, own=spool.writer, recent=spool.recent),
            sink=sink,
            trail=WholeTrail(SqlAuditTrail(database), sink, unshipped),
            passwords=passwords,
            registrar=Registrar(users=users, passwords=passwords, events=events, clock=clock),
        )


@contextlib.asynccontextmanager
async def assemble(settings: Settings, snapshot: Snapshot) -> AsyncIterator[Gateway]:
    """Build the gateway and keep its tasks running while the block lasts. Raise `StartRefused`."""
    async with open_stores(settings) as stores:
        clock = stores.clock
        access_lifetime = snapshot.accounts.access_lifetime if snapshot.accounts is not None else 0.0
        revocations = FollowedRevocations(
            stores.changes, clock, keep_for=max(access_lifetime, _LONGEST_ACCESS) + _LEEWAY
        )
        try:
            # What cannot be recorded must not be served.
            stores.spool.write_now()
            keyring = await Keyring.open(stores.signing_keys, stores.sealer, clock)
            await revocations.start()
        except (KeyringUnusable, SealBroken, StoreUnavailable) as error:
            raise StartRefused(str(error)) from None
        revocations.subscribe(ChangeKind.SIGNING_KEYS, keyring.notice)
        accounts = Accounts(
            users=stores.users,
            sessions=Sessions(stores.sessions, stores.sealer, clock),
            passwords=stores.passwords,
            registrar=stores.registrar,
            tokens=AccessTokens(keyring, settings.issuer, clock),
            events=stores.events,
            clock=clock,
            applied=revocations.apply,
        )
        needs = Needs(
            keyring=keyring,
            issuer=settings.issuer,
            audience=settings.issuer,
            revocations=revocations,
            api_keys=stores.api_keys,
            clock=clock,
            seen=accounts.seen,
        )
        authenticators = {
            name: build_authenticator(spec, needs) for name, spec in snapshot.authenticators.items()
        }
        current = Current(snapshot)
        enforcer = Enforcer(
            current=current,
            stages=Stages(authenticators=authenticators, counters=MemoryCounters(clock)),
            auditor=stores.events,
        )
        access_log = _access_log(settings)
        forwarder = Forwarder(
            assertions=Assertions(
                # The active key changes under a rotation, so it is asked for at each signature.
                issuer=settings.issuer,
                sign=lambda claims, *, typ: keyring.active.sign(claims, typ=typ),
                clock=clock,
            ),
        )
        own = OwnEndpoints(
            metadata_endpoints(keyring.jwks, account_endpoints(accounts)),
            enforcer=enforcer,
            authenticators=_own_authenticators(authenticators, needs),
            access_log=access_log,
        )
        door = ClientsDoor(
            reader=HeadReader(settings),
            enforcer=enforcer,
            forwarder=forwarder,
            own=own,
            access_log=access_log,
            credential_fields=frozenset().union(*(one.fields for one in authenticators.values())),
        )
        deliverer = Deliverer(stores.backlog, stores.sink, stores.events)
        readiness = Readiness()
        readiness.checks["audit"] = lambda: (
            None if stores.events.available else "the audit trail cannot record"
        )
        readiness.limps["shipping"] = lambda: deliverer.failing
        readiness.limps["database"] = lambda: _fault_of(revocations)
        try:
            listener = Listener(door, settings)
        except ParserMissing as error:
            raise StartRefused(str(error)) from None
        access_log.start()
        try:
            async with _running(
                shipping=deliverer.run(),
                revocations=revocations.follow(),
                signing_keys=keyring.follow(),
                confirmations=accounts.flush_confirmations(),
            ) as failed:
                yield Gateway(
                    listener=listener,
                    door=door,
                    operators=operators_application(readiness),
                    readiness=readiness,
                    failed=failed,
                )
        finally:
            await forwarder.close()
            await _ship_the_rest(deliverer)
            access_log.stop()


def _fault_of(revocations: FollowedRevocations) -> str | None:
    """Say why callers cannot be identified at the moment, None when they can."""
    try:
        revocations.check_fresh()
    except StoreUnavailable as fault:
        return str(fault)
    return None


def _open_spool(directory: Path, durability: Durability) -> SpoolWriter | UnopenedSpool:
    try:
        return SpoolWriter.open(directory, durability=durability)
    except AuditUnavailable as unavailable:
        return UnopenedSpool(str(unavailable))


async def _ship_the_rest(deliverer: Deliverer) -> None:
    with contextlib.suppress(StoreUnavailable, OSError):
        async with asyncio.timeout(_LAST_SHIPPING):
            await deliverer.drain()


def _own_authenticators(authenticators: dict[str, Authenticator], needs: Needs) -> tuple[Authenticator, ...]:
    """Return what is asked at the gateway's own endpoints: its own tokens."""
    own = tuple(one for one in authenticators.values() if one.kind == _OWN_TOKENS.kind)
    return own or (build_authenticator(_OWN_TOKENS, needs),)


@contextlib.asynccontextmanager
async def _running(**works: Coroutine[None, None, None]) -> AsyncIterator["asyncio.Future[None]"]:
    """Run works for ever beside the block; the future that is given is done when one of them ends."""
    failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def ended(task: "asyncio.Task[None]") -> None:
        if failed.done() or task.cancelled():
            return
        error = task.exception() or RuntimeError(f"{task.get_name()} ended")
        failed.set_exception(error)
        failed.exception()

    tasks = [asyncio.create_task(work, name=name) for name, work in works.items()]
    for task in tasks:
        task.add_done_callback(ended)
    try:
        yield failed
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        failed.cancel()


def _access_log(settings: Settings) -> AccessLog:
    as_json = settings.log_format == "json" or (settings.log_format == "auto" and not sys.stdout.isatty())
    return AccessLog(enabled=settings.log_level in {"debug", "info"}, as_json=as_json)


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
