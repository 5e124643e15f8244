"""Where a record is among all: by time, then by writer and number."""

from gateway.model import time_of
from gateway.ports import Place, StoredRecord


def place_of(record: StoredRecord) -> Place:
    """Return a record's place among all."""
    return Place(time_of(record.body), record.writer, record.seq)
