"""Where the metrics come from that nobody counts on the way of a request: read when somebody looks."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

from gateway.assembly.counting import Counting
from gateway.assembly.custody import Custody
from gateway.assembly.stores import Stores
from gateway.config import Current
from gateway.edge import HANDSHAKE_OUTCOMES, ClientsDoor, Listener, ServerTls
from gateway.identity import Issuers
from gateway.observability import AccessLog, Metrics, families
from gateway.proxy import CIRCUIT_STATES, TARGET_STATES, Forwarder
from gateway.stores.memory import FollowedRevocations
from gateway.stores.spool import SpoolWriter

T = TypeVar("T")


def watch_edge(metrics: Metrics, *, door: ClientsDoor, listener: Listener, access_log: AccessLog) -> None:
    """Show what clients do."""
    metrics.watch(families.IN_FLIGHT, lambda: door.in_flight)
    metrics.watch(families.CLIENT_CONNECTIONS, lambda: len(listener.connections))
    metrics.watch(families.LOG_DROPPED, lambda: access_log.dropped)
    metrics.watch(families.UNRECORDED, lambda: {"connection": listener.silent, "interim": listener.interim})


def watch_tls(metrics: Metrics, *, tls: ServerTls, listener: Listener) -> None:
    """Show how clients' connections are secured."""
    metrics.watch(
        families.TLS_HANDSHAKES,
        lambda: {outcome: listener.handshakes[outcome] for outcome in HANDSHAKE_OUTCOMES},
    )
    metrics.watch(families.TLS_EXPIRY, lambda: tls.expires)
    metrics.watch(families.TLS_UNUSABLE, lambda: int(tls.fault is not None))


def watch_upstreams(metrics: Metrics, forwarder: Forwarder) -> None:
    """Show the connections to upstreams, and what failed there."""
    look = _once_a_turn(forwarder.usage)

    def connections() -> dict[tuple[str, str], int]:
        found: dict[tuple[str, str], int] = {}
        for name, usage in look().items():
            found[name, "busy"], found[name, "idle"] = usage.busy, usage.idle
        return found

    def faults() -> dict[tuple[str, str], int]:
        used = look().items()
        return {(name, fault.value): count for name, usage in used for fault, count in usage.faults.items()}

    def targets() -> dict[tuple[str, str, str], int]:
        return {
            (name, target, state): int(state == seen.state)
            for name, usage in look().items()
            for target, seen in usage.targets.items()
            for state in TARGET_STATES
        }

    def ejections() -> dict[tuple[str, str], int]:
        used = look().items()
        return {
            (name, target): seen.ejections for name, usage in used for target, seen in usage.targets.items()
        }

    def checks() -> dict[tuple[str, str, str], int]:
        return {
            (name, target, result): count
            for name, usage in look().items()
            for target, seen in usage.targets.items()
            if any(seen.checks.values())
            for result, count in seen.checks.items()
        }

    def circuits() -> dict[tuple[str, str], int]:
        return {
            (name, state): int(state == usage.circuit)
            for name, usage in look().items()
            if usage.circuit is not None
            for state in CIRCUIT_STATES
        }

    metrics.watch(families.UPSTREAM_TARGETS, targets)
    metrics.watch(families.UPSTREAM_EJECTIONS, ejections)
    metrics.watch(families.UPSTREAM_HEALTH_CHECKS, checks)
    metrics.watch(families.UPSTREAM_CIRCUITS, circuits)
    metrics.watch(families.UPSTREAM_CONNECTIONS, connections)
    metrics.watch(families.UPSTREAM_FAULTS, faults)
    metrics.watch(
        families.UPSTREAM_WAITING,
        lambda: {name: usage.waiting for name, usage in look().items()},
    )
    metrics.watch(
        families.UPSTREAM_RETRIES,
        lambda: {name: usage.retries for name, usage in look().items()},
    )


def _once_a_turn(ask: Callable[[], T]) -> Callable[[], T]:
    """Return what asks once in each turn of the loop at most: one look at the metrics asks many times."""
    kept: list[T] = []

    def look() -> T:
        if not kept:
            kept.append(ask())
            asyncio.get_running_loop().call_soon(kept.clear)
        return kept[0]

    return look


def watch_counting(metrics: Metrics, counting: Counting) -> None:
    """Show the checks of limits, by who answered them."""
    local, shared = counting.local, counting.shared
    if shared is None:
        metrics.watch(
            families.LIMIT_CHECKS,
            lambda: {("memory", "admitted"): local.admitted, ("memory", "refused"): local.refused},
        )
        return
    answered, link, peers = shared.counters.statistics, shared.link, shared.peers
    metrics.watch(
        families.LIMIT_CHECKS,
        lambda: {(source, result): count for source, result, count in answered.by_source()},
    )
    metrics.watch(families.LATE_ADMISSIONS, lambda: answered.late_admitted)
    metrics.watch(families.REDIS_UP, lambda: int(link.fault is None))
    metrics.watch(families.REDIS_PROCESSES, lambda: peers.count)


def watch_audit(metrics: Metrics, stores: Stores, custody: Custody) -> None:
    """Show what is recorded, and how far it has come."""
    events, spool, deliverer = stores.events, stores.audit.spool, custody.deliverer
    metrics.watch(families.AUDIT_AVAILABLE, lambda: int(events.available))
    metrics.watch(families.EVENTS, lambda: {kind.value: count for kind, count in events.events.items()})
    metrics.watch(families.AUDIT_SHIPPED, lambda: deliverer.shipped)
    metrics.watch(families.AUDIT_LAG, lambda: deliverer.lag)
    metrics.watch(families.AUDIT_SPOOL_BYTES, lambda: deliverer.spool_bytes)
    metrics.watch(families.AUDIT_SPOOL_FILL, lambda: stores.audit.pressure.fill)
    metrics.watch(families.AUDIT_SPARED, lambda: stores.audit.pressure.spared)
    metrics.watch(families.AUDIT_CHECKPOINTS, lambda: stores.audit.notary.signed)
    metrics.watch(families.AUDIT_LOST, lambda: deliverer.lost)
    if isinstance(spool, SpoolWriter):
        metrics.watch(families.AUDIT_RECORDS, lambda: spool.last)
        metrics.watch(families.AUDIT_FAILED, lambda: spool.dropped + events.missing)
        metrics.watch(families.AUDIT_WAITING, lambda: spool.last - deliverer.shipped_upto(spool.writer))


def watch_outlets(metrics: Metrics, custody: Custody) -> None:
    """Show what goes to places besides the database."""
    served = (*custody.followers, *custody.witnesses)
    metrics.watch(families.OUTLET_SENT, lambda: {one.name: one.sent for one in served})
    metrics.watch(families.OUTLET_REFUSED, lambda: {one.name: one.refused for one in custody.followers})
    metrics.watch(
        families.OUTLET_LAG, lambda: {one.name: lag for one in served if (lag := one.lag) is not None}
    )
    metrics.watch(families.OUTLET_FAILING, lambda: {one.name: int(one.failing is not None) for one in served})


def watch_issuers(metrics: Metrics, issuers: Issuers, *, current: Current) -> None:
    """Show how fresh the keys of other issuers are, and which grants could not be decided."""
    keys = issuers.keys
    metrics.watch(
        families.ISSUER_FETCHES,
        lambda: {
            (name, result): count
            for name, one in keys.items()
            for result, count in (("fetched", one.fetched), ("failed", one.failed))
        },
    )
    metrics.watch(
        families.ISSUER_KEYS_AGE,
        lambda: {name: age for name, one in keys.items() if (age := one.age) is not None},
    )
    metrics.watch(
        families.ISSUER_FAILING, lambda: {name: int(one.fault is not None) for name, one in keys.items()}
    )
    metrics.watch(families.GRANTS_UNKNOWN, lambda: current.snapshot.grants.unknown)


def watch_knowledge(
    metrics: Metrics, *, current: Current, revocations: FollowedRevocations, stores: Stores
) -> None:
    """Show what requests are decided by."""
    metrics.watch(families.CONFIGURATION, lambda: {current.snapshot.revision: 1})
    metrics.watch(families.CHANGE_FEED_AGE, lambda: revocations.silence)
    metrics.watch(families.DATABASE_ERRORS, lambda: stores.database.errors)
