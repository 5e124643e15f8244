"""What answers clients, put together: the enforcement point, the forwarder, the gateway's own endpoints."""

import sys
from dataclasses import dataclass

from gateway.assembly.accounts import own_endpoints
from gateway.assembly.callers import Callers
from gateway.assembly.counting import Counting
from gateway.assembly.stores import Stores
from gateway.config import Current
from gateway.edge import (
    ClientsDoor,
    ForwardAuth,
    HeadReader,
    OwnEndpoints,
    Vigil,
    check_endpoints,
    metadata_endpoints,
)
from gateway.observability import AccessLog, Metrics
from gateway.pipeline import Enforcer, Stages
from gateway.proxy import Assertions, Forwarder
from gateway.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Serving:
    """The way of a request."""

    door: ClientsDoor
    forwarder: Forwarder
    vigil: Vigil
    access_log: AccessLog


def open_serving(
    stores: Stores,
    counted: Counting,
    callers: Callers,
    current: Current,
    metrics: Metrics,
    *,
    scheme: str,
    worker: int | None,
) -> Serving:
    """Return what answers clients, who speak this scheme; `worker` is the number of this process among
    several."""
    settings = stores.settings
    enforcer = Enforcer(
        current=current,
        stages=Stages(authenticators=callers.authenticators, counters=counted.store, blocked=callers.blocked),
        auditor=stores.events,
        metrics=metrics,
    )
    vigil = Vigil(enforcer)
    access_log = _access_log(settings, worker)
    assertions = Assertions(
        # The active key changes under a rotation, so it is asked for at each signature.
        issuer=settings.issuer,
        sign=lambda claims, *, typ: callers.keyring.active.sign(claims, typ=typ),
        clock=stores.clock,
    )
    callers.keyring.subscribe(assertions.forget)
    forwarder = Forwarder(assertions=assertions, watch=vigil)
    forwarder.follow(current.snapshot.upstreams)
    endpoints = own_endpoints(callers.accounts, callers.tokens, callers.proofs, settings)
    own = OwnEndpoints(
        metadata_endpoints(callers.keyring.jwks, [*endpoints, *check_endpoints()], issuer=settings.issuer),
        enforcer=enforcer,
        authenticators=(callers.tokens,),
        access_log=access_log,
    )
    reader = HeadReader(settings, scheme=scheme)
    door = ClientsDoor(
        reader=reader,
        enforcer=enforcer,
        forwarder=forwarder,
        own=own,
        forward_auth=ForwardAuth(
            reader=reader, enforcer=enforcer, own=own, assertions=assertions, access_log=access_log
        ),
        access_log=access_log,
        credential_fields=frozenset().union(*(one.fields for one in callers.authenticators.values())),
        vigil=vigil,
    )
    return Serving(door=door, forwarder=forwarder, vigil=vigil, access_log=access_log)


def _access_log(settings: Settings, worker: int | None) -> AccessLog:
    as_json = settings.log_format == "json" or (settings.log_format == "auto" and not sys.stdout.isatty())
    return AccessLog(enabled=settings.log_level in {"debug", "info"}, as_json=as_json, worker=worker)
