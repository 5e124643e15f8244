"""What the live side of an upstream says of itself."""

from collections.abc import Mapping
from typing import Final, NamedTuple, get_args

from gateway.proxy.circuit import CircuitState
from gateway.proxy.faults import Fault
from gateway.proxy.instance import TargetState

CIRCUIT_STATES: Final[tuple[CircuitState, ...]] = get_args(CircuitState)
TARGET_STATES: Final[tuple[TargetState, ...]] = get_args(TargetState)


class TargetUsage(NamedTuple):
    """How one target does, and what has been noticed of it since it was first named."""

    state: TargetState
    ejections: int
    """Times that it was left out because exchanges failed."""
    checks: Mapping[str, int]
    """Health checks by what came of them: `good` or `bad`."""


class Usage(NamedTuple):
    """What the live side of an upstream is doing, and what has failed since it began."""

    busy: int
    """Connections that carry an exchange, are being opened or closed."""
    idle: int
    waiting: int
    """Exchanges that wait for a connection."""
    retries: int
    """Times that another target was tried, or a request repeated."""
    faults: Mapping[Fault, int]
    """Exchanges that failed."""
    targets: Mapping[str, TargetUsage]
    """By name: `https://host:port`."""
    circuit: CircuitState | None
    """None when the upstream has none."""
