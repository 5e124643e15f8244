"""The running whole: every room, put together."""

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass

from gateway.accounts import AccessTokens, Accounts, Sessions
from gateway.assembly.counting import counting
from gateway.assembly.custody import Custody
from gateway.assembly.running import running
from gateway.assembly.stores import Patience, StartRefused, Stores, open_stores
from gateway.assembly.watching import (
    watch_audit,
    watch_counting,
    watch_edge,
    watch_knowledge,
    watch_outlets,
    watch_upstreams,
)
from gateway.audit import Level, Pressure
from gateway.config import Current, Snapshot
from gateway.crypto import (
    Keyring,
    KeyringUnusable,
    SealBroken,
)
from gateway.edge import (
    ClientsDoor,
    HeadReader,
    Listener,
    OwnEndpoints,
    ParserMissing,
    Vigil,
    account_endpoints,
    metadata_endpoints,
)
from gateway.identity import Authenticator, AuthenticatorSpec, Needs, build_authenticator
from gateway.observability import AccessLog, Metrics
from gateway.pipeline import Enforcer, Stages
from gateway.ports import (
    ChangeKind,
    StoreUnavailable,
)
from gateway.proxy import Assertions, Forwarder
from gateway.settings import Settings
from gateway.stores.memory import FollowedRevocations
from gateway.web import Readiness

_OWN_TOKENS = AuthenticatorSpec(name="gateway", kind="gateway_jwt")
"""The tokens of this gateway open its own endpoints even where no route of the policy asks for them."""
_LONGEST_ACCESS = 3600.0
"""Seconds for which revocations are remembered at least, whatever the policy says of access tokens."""
_LEEWAY = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Gateway:
    """The running whole, for whoever listens."""

    listener: Listener
    door: ClientsDoor
    readiness: Readiness
    metrics: Metrics
    failed: "asyncio.Future[None]"
    """Done when a task that the gateway cannot do without has ended; its exception says why."""


@contextlib.asynccontextmanager
async def assemble(
    settings: Settings, snapshot: Snapshot, *, worker: int | None = None, patience: Patience | None = None
) -> AsyncIterator[Gateway]:
    """Build the gateway and keep its tasks running while the block lasts. Raise `StartRefused`.

    `worker` is the number of this process among several; for `patience` see `open_stores`.
    """
    async with open_stores(settings, patience=patience) as stores, counting(stores) as counted:
        clock = stores.clock
        access_lifetime = snapshot.accounts.access_lifetime if snapshot.accounts is not None else 0.0
        revocations = FollowedRevocations(
            stores.changes,
            clock,
            keep_for=max(access_lifetime, _LONGEST_ACCESS) + _LEEWAY,
            pause=asyncio.sleep if stores.bell is None else stores.bell.wait,
        )
        try:
            # What cannot be recorded must not be served.
            stores.audit.spool.write_now()
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
        metrics = Metrics(worker=str(worker or 0))
        enforcer = Enforcer(
            current=current,
            stages=Stages(authenticators=authenticators, counters=counted.store),
            auditor=stores.events,
            metrics=metrics,
        )
        vigil = Vigil(enforcer)
        access_log = _access_log(settings, worker)
        forwarder = Forwarder(
            assertions=Assertions(
                # The active key changes under a rotation, so it is asked for at each signature.
                issuer=settings.issuer,
                sign=lambda claims, *, typ: keyring.active.sign(claims, typ=typ),
                clock=clock,
            ),
            watch=vigil,
        )
        forwarder.follow(snapshot.upstreams)
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
            vigil=vigil,
        )
        custody = Custody.of(stores)
        readiness = _readiness(stores, custody, revocations)
        readiness.limps["counters"] = counted.fault
        try:
            listener = Listener(door, settings)
        except ParserMissing as error:
            raise StartRefused(str(error)) from None
        watch_edge(metrics, door=door, listener=listener, access_log=access_log)
        watch_upstreams(metrics, forwarder)
        watch_counting(metrics, counted)
        watch_audit(metrics, stores, custody)
        watch_outlets(metrics, custody)
        watch_knowledge(metrics, current=current, revocations=revocations, stores=stores)
        access_log.start()
        try:
            async with running(
                **custody.works(),
                revocations=revocations.follow(),
                signing_keys=keyring.follow(),
                confirmations=accounts.flush_confirmations(),
                vigil=vigil.run(),
                upstreams=forwarder.run(),
                **({} if counted.shared is None else {"processes": counted.shared.peers.run()}),
                **({} if stores.bell is None else {"announcements": stores.bell.run()}),
            ) as failed:
                yield Gateway(
                    listener=listener,
                    door=door,
                    readiness=readiness,
                    metrics=metrics,
                    failed=failed,
                )
        finally:
            await forwarder.close()
            await custody.finish()
            access_log.stop()


def _readiness(stores: Stores, custody: Custody, revocations: FollowedRevocations) -> Readiness:
    readiness = Readiness()
    readiness.checks["audit"] = lambda: None if stores.events.available else "the audit trail cannot record"
    readiness.limps["shipping"] = lambda: custody.deliverer.failing
    readiness.limps["spool"] = lambda: _crowd_of(stores.audit.pressure)
    readiness.limps["outlets"] = custody.fault
    readiness.limps["database"] = lambda: _fault_of(revocations)
    return readiness


def _fault_of(revocations: FollowedRevocations) -> str | None:
    """Say why callers cannot be identified at the moment, None when they can."""
    try:
        revocations.check_fresh()
    except StoreUnavailable as fault:
        return str(fault)
    return None


def _crowd_of(pressure: Pressure) -> str | None:
    """Say how full the spool is when that is a cause for worry, None when it is not."""
    if pressure.level is Level.EASE:
        return None
    return f"the audit spool takes {pressure.fill:.0%} of what it may"


def _own_authenticators(authenticators: dict[str, Authenticator], needs: Needs) -> tuple[Authenticator, ...]:
    """Return what is asked at the gateway's own endpoints: its own tokens."""
    own = tuple(one for one in authenticators.values() if one.kind == _OWN_TOKENS.kind)
    return own or (build_authenticator(_OWN_TOKENS, needs),)


def _access_log(settings: Settings, worker: int | None) -> AccessLog:
    as_json = settings.log_format == "json" or (settings.log_format == "auto" and not sys.stdout.isatty())
    return AccessLog(enabled=settings.log_level in {"debug", "info"}, as_json=as_json, worker=worker)
