"""Carries permitted requests to their upstreams. It does not know the chain; it knows `Permit`."""

from gateway.proxy.assertion import Assertions, Sign
from gateway.proxy.deadline import Deadline
from gateway.proxy.downstream import BodyBroken, BodyTooLarge, ClientLeft, Downstream
from gateway.proxy.envelope import Envelope, EnvelopeRefused, Envelopes
from gateway.proxy.exchange import Exchange
from gateway.proxy.faults import Fault, UpstreamFault, outcome_of, reason_for
from gateway.proxy.forward import Forwarder
from gateway.proxy.identity_fields import identity_fields
from gateway.proxy.request_head import goes_no_further
from gateway.proxy.tunnel import Switched
from gateway.proxy.usage import CIRCUIT_STATES, TARGET_STATES, TargetUsage, Usage
from gateway.proxy.watch import Ongoing, Watch

__all__ = [
    "CIRCUIT_STATES",
    "TARGET_STATES",
    "Assertions",
    "BodyBroken",
    "BodyTooLarge",
    "ClientLeft",
    "Deadline",
    "Downstream",
    "Envelope",
    "EnvelopeRefused",
    "Envelopes",
    "Exchange",
    "Fault",
    "Forwarder",
    "Ongoing",
    "Sign",
    "Switched",
    "TargetUsage",
    "UpstreamFault",
    "Usage",
    "Watch",
    "goes_no_further",
    "identity_fields",
    "outcome_of",
    "reason_for",
]
