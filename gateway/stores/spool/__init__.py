"""The spool: audit records on the local disk, durable before anybody is answered."""

from gateway.stores.spool.backlog import SpoolBacklog, UnshippedSpool
from gateway.stores.spool.examined import ExaminedSpool
from gateway.stores.spool.unopened import UnopenedSpool
from gateway.stores.spool.writer import SEGMENT_BYTES, SpoolWriter

__all__ = ["SEGMENT_BYTES", "ExaminedSpool", "SpoolBacklog", "SpoolWriter", "UnopenedSpool", "UnshippedSpool"]
