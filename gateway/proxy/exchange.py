"""How one exchange with an upstream ended."""

from typing import NamedTuple

from gateway.model import Outcome
from gateway.proxy.faults import Fault


class Exchange(NamedTuple):
    """What the completion record needs to know."""

    status: int
    """Status that the client was sent; 0 when it got none."""
    bytes_in: int
    """Bytes of the request body, without framing, that were taken from the client."""
    bytes_out: int
    """Bytes of the response body, without framing, that were handed to the client's side."""
    outcome: Outcome
    fault: Fault | None = None
    diagnosis: str = ""
    """For the operator: what exactly failed."""
