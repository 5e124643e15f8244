"""Places besides the database that audit records and checkpoints are sent to."""

from gateway.outlets.address import OutletFlaw
from gateway.outlets.build import (
    checkpoint_files_from,
    checkpoint_outlet_from,
    checkpoint_outlets_from,
    outlet_from,
    outlets_from,
)
from gateway.outlets.lines import LineFormat

__all__ = [
    "LineFormat",
    "OutletFlaw",
    "checkpoint_files_from",
    "checkpoint_outlet_from",
    "checkpoint_outlets_from",
    "outlet_from",
    "outlets_from",
]
