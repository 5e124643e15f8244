"""Failures of an exchange with an upstream, named by stage and side, and what the client is told."""

from collections.abc import Mapping
from enum import StrEnum

from gateway.model import Outcome, Reason


class Fault(StrEnum):
    """Where an exchange failed."""

    NO_UPSTREAM = "no_upstream"
    """The upstream has no target."""
    POOL_FULL = "pool_full"
    """Every connection to the target is busy, and the queue is full or did not move in time."""
    TOO_MANY = "too_many"
    """The upstream carries as many exchanges as its circuit allows."""
    UNHEALTHY = "unhealthy"
    """Every target is unhealthy or ejected."""
    CIRCUIT_OPEN = "circuit_open"
    """Too many exchanges failed: the upstream is left alone for a while."""
    CONNECT = "connect"
    """The connection was refused, or the name was not found."""
    CONNECT_TIMEOUT = "connect_timeout"
    TLS = "tls"
    """The upstream's certificate is not the right one, or it does not accept ours."""
    REQUEST_BODY_CLIENT = "request_body_client"
    """The client stopped sending its request body."""
    REQUEST_BODY_UPSTREAM = "request_body_upstream"
    """The upstream closed the connection while the request body was being sent."""
    REQUEST_BODY_TIMEOUT = "request_body_timeout"
    """The upstream stopped reading the request body."""
    RESPONSE_HEAD = "response_head"
    """The upstream closed the connection before the end of the response's head, or broke the protocol."""
    RESPONSE_HEAD_TIMEOUT = "response_head_timeout"
    RESPONSE_BODY_UPSTREAM = "response_body_upstream"
    """The response body ended too early, broke its framing, or stopped coming."""
    RESPONSE_BODY_CLIENT = "response_body_client"
    """The client stopped reading the response body."""
    NOT_ENCRYPTABLE = "not_encryptable"
    """The response has to be encrypted, and is nothing that can be."""
    MEMORY_FULL = "memory_full"
    """As much of bodies is in memory as a whole as may be."""
    TUNNEL_IDLE = "tunnel_idle"
    """Neither side of an upgraded connection sent anything for the idle time."""
    RECALLED = "recalled"
    """The permit no longer holds: its credential ended, was revoked, or the policy would refuse."""
    CLIENT_LEFT = "client_left"
    GIVEN_UP = "given_up"
    """The gateway closed its connections: it is stopping."""


_REASONS: Mapping[Fault, Reason] = {
    Fault.NO_UPSTREAM: Reason.UPSTREAM_UNREACHABLE,
    Fault.POOL_FULL: Reason.OVERLOADED,
    Fault.TOO_MANY: Reason.OVERLOADED,
    Fault.UNHEALTHY: Reason.NO_HEALTHY_UPSTREAM,
    Fault.CIRCUIT_OPEN: Reason.NO_HEALTHY_UPSTREAM,
    Fault.CONNECT: Reason.UPSTREAM_UNREACHABLE,
    Fault.CONNECT_TIMEOUT: Reason.UPSTREAM_TIMEOUT,
    Fault.TLS: Reason.UPSTREAM_UNREACHABLE,
    Fault.REQUEST_BODY_CLIENT: Reason.REQUEST_TIMEOUT,
    Fault.REQUEST_BODY_UPSTREAM: Reason.UPSTREAM_PROTOCOL_ERROR,
    Fault.REQUEST_BODY_TIMEOUT: Reason.UPSTREAM_TIMEOUT,
    Fault.RESPONSE_HEAD: Reason.UPSTREAM_PROTOCOL_ERROR,
    Fault.RESPONSE_HEAD_TIMEOUT: Reason.UPSTREAM_TIMEOUT,
    Fault.RESPONSE_BODY_UPSTREAM: Reason.UPSTREAM_PROTOCOL_ERROR,
    Fault.RESPONSE_BODY_CLIENT: Reason.REQUEST_TIMEOUT,
    Fault.NOT_ENCRYPTABLE: Reason.RESPONSE_NOT_ENCRYPTABLE,
    Fault.MEMORY_FULL: Reason.OVERLOADED,
    Fault.TUNNEL_IDLE: Reason.REQUEST_TIMEOUT,
    Fault.RECALLED: Reason.CREDENTIALS_INVALID,
    Fault.CLIENT_LEFT: Reason.REQUEST_TIMEOUT,
    Fault.GIVEN_UP: Reason.DRAINING,
}


class UpstreamFault(Exception):
    """An exchange failed before the client was sent anything. `diagnosis` is for the operator only: it may
    name internal addresses."""

    def __init__(self, fault: Fault, diagnosis: str = "") -> None:
        super().__init__(f"{fault.value}: {diagnosis}" if diagnosis else fault.value)
        self.fault = fault
        self.diagnosis = diagnosis


def reason_for(fault: Fault) -> Reason:
    """Return the problem that a fault becomes when the client has been sent nothing yet.

    The two faults of a client that no longer listens have a reason for the completion record only.
    """
    return _REASONS[fault]


_CUT = frozenset(
    {
        Fault.REQUEST_BODY_CLIENT,
        Fault.RESPONSE_BODY_CLIENT,
        Fault.NOT_ENCRYPTABLE,
        Fault.MEMORY_FULL,
        Fault.TUNNEL_IDLE,
        Fault.RECALLED,
        Fault.GIVEN_UP,
    }
)


def outcome_of(fault: Fault) -> Outcome:
    """Return how the completion record calls the end of an exchange that failed.

    What the client did, and what the gateway cut, is not the upstream's failure.
    """
    if fault is Fault.CLIENT_LEFT:
        return Outcome.CLIENT_LEFT
    return Outcome.CUT if fault in _CUT else Outcome.UPSTREAM_FAILED
