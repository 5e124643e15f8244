"""What the operator sees while it runs."""

from gateway.observability.access_log import AccessLog
from gateway.observability.logs import log, set_up_logs

__all__ = ["AccessLog", "log", "set_up_logs"]
