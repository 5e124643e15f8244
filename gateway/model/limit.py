"""Limits as they are written, what a request spends on them, and what is left."""

from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple


class Algorithm(Enum):
    """How a limit counts."""

    WINDOW = "window"
    """Never more than `quota` in any window of `window_us`: what `limit: N/W` says."""
    GCRA = "gcra"
    """`quota` per `window_us` evenly, with bursts of `burst`: what `rate: N/W` says."""


class OnStoreError(Enum):
    """What a limit does while its counters cannot be reached."""

    LOCAL = "local"
    """Counts in this process, its share of the quota."""
    OPEN = "open"
    """Admits without counting."""
    CLOSED = "closed"
    """Refuses with 503."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """One limit of the policy. Two limits with the same `id` never exist in one snapshot."""

    id: str
    """As in the `RateLimit` fields and the audit record: `defaults:0`, `role:customer:0`."""
    place: str
    """Where it is written: `policies.yaml:41`."""
    algorithm: Algorithm
    per: tuple[str, ...]
    """What is counted apart: `principal`, `client_ip`, `api_key`, `username`, `route`, `all`, `claims.X`,
    `header.X`."""
    quota: int
    window_us: int
    burst: int
    """Only GCRA: requests that may come at once. Equals `quota` for windows."""
    cost: int = 1
    on_store_error: OnStoreError = OnStoreError.LOCAL


class Charge(NamedTuple):
    """What one request would spend on one limit. `key` begins with the limit's id; its parts are data, so
    no separator can be forged."""

    limit: Limit
    key: tuple[str, str]


class Tally(NamedTuple):
    """What one limit said."""

    limit: Limit
    wait_us: int
    """0: admitted. Else how long until this limit alone would admit the request."""
    remaining: int
    """How many more requests of cost 1 would be admitted now."""
    reset_us: int
    """Until more quota becomes available (window) or all of it has (GCRA); 0 when nothing is used."""


class Verdict(NamedTuple):
    """The answer of a counter store to all charges of one request: all were taken, or none."""

    admitted: bool
    tallies: tuple[Tally, ...]
