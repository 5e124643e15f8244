"""How much? Which limits apply, what a request is charged, and what the caller is told."""

from gateway.limits.answer import rate_fields, retry_after
from gateway.limits.base import LimitPlan
from gateway.limits.charges import DIMENSIONS, charges_for, times
from gateway.limits.rate_text import parse_rate

__all__ = [
    "DIMENSIONS",
    "LimitPlan",
    "charges_for",
    "parse_rate",
    "rate_fields",
    "retry_after",
    "times",
]
