"""What outlets are given in tests."""

from typing import Any

from gateway.model import RECORD_FIELDS


def record(seq: int = 1, **fields: Any) -> dict[str, object]:
    """Return a record with all fields."""
    return {
        **dict.fromkeys(RECORD_FIELDS),
        "writer": "5f2b1c9e-0000-4000-8000-000000000001",
        "seq": seq,
        "time": "2026-11-21T14:00:00.000001Z",
        "kind": "decision",
        "decision": "allow",
        "reason": "ok",
        "path": "/orders",
        "attributes": {},
        **fields,
    }
