"""What answers clients, put together: the enforcement point, the forwarder, the gateway's own endpoints."""

import sys
from dataclasses import dataclass

from gateway.assembly.accounts import own_endpoints
from gateway.assembly.callers import Callers
from gateway.assembly.counting import Counting
from gateway.assembly.stores import Stores
from gateway.audit import Redactor
from gateway.config import Current
from gateway.edge import (
    ClientsDoor,
    Crypto,
    ForwardAuth,
    HeadReader,
    OwnEndpoints,
    Vigil,
    check_endpoints,
    metadata_endpoints,
)
from gateway.identity import ApiKeyAuthenticator
from gateway.observability import AccessLog, Metrics, hide_addresses
from gateway.pipeline import Enforcer, Stages
from gateway.proxy import Assertions, Envelopes, Forwarder
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
    _hide(access_log, Redactor(current.snapshot.recording.redaction, stores.audit.hash_key))
    assertions = Assertions(
        # The active key changes under a rotation, so it is asked for at each signature.
        issuer=settings.issuer,
        sign=lambda claims, *, typ: callers.keyring.active.sign(claims, typ=typ),
        clock=stores.clock,
    )
    callers.keyring.subscribe(assertions.forget)
    forwarder = Forwarder(assertions=assertions, watch=vigil)
    forwarder.follow(current.snapshot.upstreams)
    crypto = Crypto(keys=callers.encrypting.keys, events=stores.events, charge=enforcer.charge_values)
    endpoints = [
        *own_endpoints(callers.accounts, callers.tokens, callers.proofs, settings),
        *crypto.endpoints(),
        *check_endpoints(),
    ]
    of_policy = callers.authenticators.values()
    own = OwnEndpoints(
        metadata_endpoints(callers.keyring.jwks, endpoints, issuer=settings.issuer),
        enforcer=enforcer,
        authenticators=(callers.tokens,),
        key_authenticators=[one for one in of_policy if isinstance(one, ApiKeyAuthenticator)],
        access_log=access_log,
    )
    reader = HeadReader(settings, scheme=scheme)
    door = ClientsDoor(
        reader=reader,
        enforcer=enforcer,
        forwarder=forwarder,
        envelopes=Envelopes(callers.encrypting.keys, callers.encrypting.recipients),
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


def _hide(access_log: AccessLog, redactor: Redactor) -> None:
    """Have the log of this process show no more of clients than the audit trail does."""
    access_log.hide_address = redactor.address if redactor.hides_addresses else None
    hide_addresses(access_log.hide_address)
