"""Carries permitted requests to their upstreams. It does not know the chain; it knows `Permit`."""

from gateway.proxy.assertion import Assertions, Sign
from gateway.proxy.downstream import BodyBroken, BodyTooLarge, ClientLeft, Downstream
from gateway.proxy.exchange import Exchange
from gateway.proxy.faults import Fault, UpstreamFault, reason_for
from gateway.proxy.fleet import Usage
from gateway.proxy.forward import Forwarder

__all__ = [
    "Assertions",
    "BodyBroken",
    "BodyTooLarge",
    "ClientLeft",
    "Downstream",
    "Exchange",
    "Fault",
    "Forwarder",
    "Sign",
    "UpstreamFault",
    "Usage",
    "reason_for",
]
