"""Attempts of many processes, which began together, kept from coming together."""

import random


def about(seconds: float, *, by: float = 0.2) -> float:
    """Return so many seconds, more or less by a part of them."""
    return seconds * random.uniform(1 - by, 1 + by)  # noqa: S311 - no secret
