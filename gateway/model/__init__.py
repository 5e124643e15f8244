"""The nouns. Imports nothing of ours and does no I/O."""

from gateway.model.address import client_key
from gateway.model.audit import Completion, Event, EventKind, Outcome
from gateway.model.certificate import ClientCertificate
from gateway.model.cookies import DEVICE_COOKIE, HOST_PREFIX, without_own_cookies
from gateway.model.decision import (
    Authorized,
    Decision,
    Grant,
    Identified,
    Permit,
    Preflight,
    Refusal,
    Routed,
    Unsettled,
)
from gateway.model.limit import Algorithm, Charge, Limit, OnStoreError, Tally, Verdict
from gateway.model.names import canonical_name, is_name
from gateway.model.principal import ANONYMOUS, Principal, PrincipalKind
from gateway.model.reason import STATUS_AND_TITLE, Reason, status_of
from gateway.model.record import RECORD_FIELDS, time_of, with_persons
from gateway.model.record_filter import Comparison, Term, values_of
from gateway.model.request import Fields, Framing, Line, RequestHead, wants_websocket
from gateway.model.route import Route
from gateway.model.secure_url import is_secure_url
from gateway.model.timestamp import Timestamps, timestamp
from gateway.model.websocket import WEBSOCKET_VERSION, websocket_flaw

__all__ = [
    "ANONYMOUS",
    "DEVICE_COOKIE",
    "HOST_PREFIX",
    "RECORD_FIELDS",
    "STATUS_AND_TITLE",
    "WEBSOCKET_VERSION",
    "Algorithm",
    "Authorized",
    "Charge",
    "ClientCertificate",
    "Comparison",
    "Completion",
    "Decision",
    "Event",
    "EventKind",
    "Fields",
    "Framing",
    "Grant",
    "Identified",
    "Limit",
    "Line",
    "OnStoreError",
    "Outcome",
    "Permit",
    "Preflight",
    "Principal",
    "PrincipalKind",
    "Reason",
    "Refusal",
    "RequestHead",
    "Route",
    "Routed",
    "Tally",
    "Term",
    "Timestamps",
    "Unsettled",
    "Verdict",
    "canonical_name",
    "client_key",
    "is_name",
    "is_secure_url",
    "status_of",
    "time_of",
    "timestamp",
    "values_of",
    "wants_websocket",
    "websocket_flaw",
    "with_persons",
    "without_own_cookies",
]
