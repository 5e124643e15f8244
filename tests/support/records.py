"""Audit records as they are read, for tests of what reads them."""

import asyncio
from collections.abc import Mapping

from gateway.audit import encode
from gateway.model import RECORD_FIELDS
from gateway.settings import Settings
from gateway.stores.spool import SpoolWriter

WRITER = "0192f0c1-7d2b-7000-8000-00000000000a"
REQUEST = "0192f0c1-9a00-7000-8000-000000000001"
ALICE = {"id": "usr_1", "kind": "user", "name": "alice"}


def record(**fields: object) -> dict[str, object]:
    """Return a record with all fields, null but for those given."""
    known = {"writer": WRITER, "seq": 7, "time": "2026-11-21T14:00:00.123456Z", "attributes": {}}
    return {**dict.fromkeys(RECORD_FIELDS), **known, **fields}


def decision(**fields: object) -> dict[str, object]:
    """Return the record of a request that was allowed."""
    members: dict[str, object] = {
        "kind": "decision",
        "request_id": REQUEST,
        "actor": ALICE,
        "action": "GET /orders/{order_id}",
        "method": "GET",
        "host": "api.example.com:8443",
        "path": "/orders/7?token=***",
        "route": "order",
        "upstream": "orders",
        "decision": "allow",
        "reason": "ok",
        "rule": "order policies.yaml:47",
        "revision": "3f2a",
        "authn": "gateway",
        "session": "ses_1",
        "roles": ["customer", "support"],
        "source_ip": "203.0.113.7",
        "user_agent": "curl/8.5",
    }
    return record(**members | fields)


def refusal(**fields: object) -> dict[str, object]:
    """Return the record of a request that was refused."""
    members = {
        "decision": "deny",
        "reason": "rate-exceeded",
        "status": 429,
        "attributes": {"diagnosis": "a limit"},
    }
    return decision(**members | fields)


def completion(**fields: object) -> dict[str, object]:
    """Return the record of how an exchange ended."""
    members: dict[str, object] = {
        "kind": "completion",
        "decision": None,
        "status": 200,
        "bytes_in": 0,
        "bytes_out": 512,
        "duration_ms": 12.345,
        "outcome": "complete",
    }
    return decision(**members | fields)


def event(action: str, **fields: object) -> dict[str, object]:
    """Return the record of an event."""
    members: dict[str, object] = {"kind": "event", "action": action, "reason": "ok", "actor": ALICE}
    return record(**members | fields)


def leave_behind(settings: Settings, *records: Mapping[str, object]) -> None:
    """Write records as a process does that is killed afterwards."""

    async def story() -> None:
        spool = SpoolWriter.open(settings.data_dir / "spool")
        for record in records:
            spool.append(encode({"time": "2026-01-01T00:00:00.000000Z", "kind": "decision", **record}))
        await spool.flushed()
        spool.close()

    settings.data_dir.mkdir(mode=0o700, exist_ok=True)
    asyncio.run(story())
