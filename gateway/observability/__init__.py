"""What the operator sees while it runs."""

from gateway.observability import metrics_families as families
from gateway.observability.access_log import AccessLog
from gateway.observability.logs import hide_addresses, log, set_up_logs
from gateway.observability.metrics import Metrics
from gateway.observability.metrics_state import MetricsState, lasting, merged_state, state_of
from gateway.observability.metrics_text import exposition

__all__ = [
    "AccessLog",
    "Metrics",
    "MetricsState",
    "exposition",
    "families",
    "hide_addresses",
    "lasting",
    "log",
    "merged_state",
    "set_up_logs",
    "state_of",
]
