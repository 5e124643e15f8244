"""The running whole: every room, put together."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass

from gateway.assembly.callers import Callers, open_callers
from gateway.assembly.counting import Counting, counting
from gateway.assembly.custody import Custody
from gateway.assembly.running import running
from gateway.assembly.serving import open_serving
from gateway.assembly.stores import Patience, StartRefused, Stores, open_stores
from gateway.assembly.watching import (
    watch_audit,
    watch_counting,
    watch_edge,
    watch_issuers,
    watch_knowledge,
    watch_outlets,
    watch_tls,
    watch_upstreams,
)
from gateway.audit import Level, Pressure
from gateway.config import Current, Snapshot
from gateway.edge import ClientsDoor, Listener, ParserMissing, ServerTls, TlsUnusable
from gateway.observability import Metrics, log
from gateway.ports import StoreUnavailable
from gateway.settings import Settings
from gateway.web import Readiness


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
    tls = _tls(settings)
    _warn_of_certificates(settings, snapshot)
    async with open_stores(settings, patience=patience) as stores, counting(stores) as counted:
        try:
            # What cannot be recorded must not be served.
            stores.audit.spool.write_now()
        except StoreUnavailable as error:
            raise StartRefused(str(error)) from None
        callers = await open_callers(stores, counted, snapshot)
        callers.encrypting.warn(snapshot)
        current = Current(snapshot)
        metrics = Metrics(worker=str(worker or 0))
        scheme = "http" if tls is None else "https"
        serving = open_serving(stores, counted, callers, current, metrics, scheme=scheme, worker=worker)
        door, forwarder, access_log = serving.door, serving.forwarder, serving.access_log
        custody = Custody.of(stores)
        try:
            listener = Listener(door, settings, tls)
        except ParserMissing as error:
            raise StartRefused(str(error)) from None
        watch_edge(metrics, door=door, listener=listener, access_log=access_log)
        if tls is not None:
            watch_tls(metrics, tls=tls, listener=listener)
        watch_upstreams(metrics, forwarder)
        watch_counting(metrics, counted)
        watch_audit(metrics, stores, custody)
        watch_outlets(metrics, custody)
        watch_issuers(metrics, callers.issuers, current=current)
        watch_knowledge(metrics, current=current, revocations=callers.revocations, stores=stores)
        access_log.start()
        try:
            async with running(
                **custody.works(),
                **callers.works(),
                vigil=serving.vigil.run(),
                upstreams=forwarder.run(),
                **({} if tls is None else {"certificate": tls.follow()}),
                **({} if counted.shared is None else {"processes": counted.shared.peers.run()}),
                **({} if stores.bell is None else {"announcements": stores.bell.run()}),
            ) as failed:
                yield Gateway(
                    listener=listener,
                    door=door,
                    readiness=_readiness(stores, counted, callers, custody, tls, current=current),
                    metrics=metrics,
                    failed=failed,
                )
        finally:
            await forwarder.close()
            await custody.finish()
            access_log.stop()


def _tls(settings: Settings) -> ServerTls | None:
    try:
        return ServerTls.of(settings)
    except TlsUnusable as error:
        raise StartRefused(str(error)) from None


def _warn_of_certificates(settings: Settings, snapshot: Snapshot) -> None:
    """Say so when callers are to be known by certificates that nobody will ask them for, or clients are told
    an address where nobody speaks as it says."""
    if settings.tls_cert is not None and settings.issuer.startswith("http:"):
        log.warning("public_url_without_tls", public_url=settings.public_url, set="GATEWAY_PUBLIC_URL")
    names = [name for name, spec in snapshot.authenticators.items() if spec.kind == "mtls"]
    if names and settings.tls_client_ca is None:
        log.warning(
            "client_certificates_not_asked_for", authenticators=names, missing="GATEWAY_TLS_CLIENT_CA"
        )


def _readiness(
    stores: Stores,
    counted: Counting,
    callers: Callers,
    custody: Custody,
    tls: ServerTls | None,
    *,
    current: Current,
) -> Readiness:
    readiness = Readiness()
    readiness.checks["audit"] = lambda: None if stores.events.available else "the audit trail cannot record"
    readiness.checks["secret"] = lambda: stores.root_keys.fault
    readiness.limps["shipping"] = lambda: custody.deliverer.failing
    readiness.limps["spool"] = lambda: _crowd_of(stores.audit.pressure)
    readiness.limps["outlets"] = custody.fault
    readiness.limps["database"] = callers.fault
    readiness.limps["counters"] = counted.fault
    readiness.limps["issuers"] = callers.issuers.fault
    readiness.limps["encryption"] = lambda: callers.encrypting.fault(current.snapshot)
    readiness.limps["mail"] = lambda: callers.mail.round.failing
    if tls is not None:
        readiness.limps["tls"] = lambda: tls.fault
    return readiness


def _crowd_of(pressure: Pressure) -> str | None:
    """Say how full the spool is when that is a cause for worry, None when it is not."""
    if pressure.level is Level.EASE:
        return None
    return f"the audit spool takes {pressure.fill:.0%} of what it may"
