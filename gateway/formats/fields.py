"""What the formats for other systems ask of a record: its fields, with the types that they expect.

A field may be null, masked (`203***`) or hashed (`hmac:...`), and a record may come from a version that wrote
other things: what does not have the type is left out, and no format fails.
"""

import re
from collections.abc import Mapping
from datetime import datetime
from enum import IntEnum
from ipaddress import ip_address
from typing import Final

from gateway.ports import Record

_PORT: Final = re.compile(r":\d{1,5}$", re.ASCII)
_TOO_LONG: Final = 9e12
_LAST_PORT: Final = 65535
_GRAVE: Final = frozenset({"auth.reuse_detected", "audit.gap"})


class Gravity(IntEnum):
    """How much a record matters to somebody who looks for attacks."""

    USUAL = 0
    NOTABLE = 1
    """Something was refused, or failed."""
    GRAVE = 2
    """A credential was stolen, or records are missing."""


def text_of(record: Record, name: str) -> str | None:
    """Return a field that is a text; None for an empty one."""
    value = record.get(name)
    return value if isinstance(value, str) and value else None


def number_of(record: Record, name: str) -> int | None:
    """Return a field that is a whole number."""
    value = record.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def names_of(record: Record, name: str) -> list[str]:
    """Return a field that is a list of texts; without those that are none."""
    value = record.get(name)
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []


def members_of(record: Record, name: str) -> Mapping[str, object]:
    """Return a field that is an object; empty when it is none."""
    value = record.get(name)
    return value if isinstance(value, dict) else {}


def identity_of(record: Record) -> str:
    """Return what no other record is called: `WRITER/SEQ`."""
    return f"{record.get('writer')}/{record.get('seq')}"


def milliseconds_of(record: Record) -> int:
    """Return the record's time in milliseconds since the epoch; 0 for one that cannot be read."""
    try:
        return int(datetime.fromisoformat(str(record.get("time"))).timestamp() * 1000)
    except ValueError:
        return 0


def duration_of(record: Record) -> float | None:
    """Return how long the exchange took, in milliseconds; in nanoseconds it still has 64 bits."""
    value = record.get("duration_ms")
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < _TOO_LONG:
        return None
    return float(value)


def address_of(record: Record) -> str | None:
    """Return where the caller was, when that is an address of IP: not masked, not hashed, no unix socket."""
    value = text_of(record, "source_ip")
    try:
        return None if value is None else str(ip_address(value))
    except ValueError:
        return None


def target_of(record: Record) -> tuple[str | None, str | None]:
    """Return the path and the query of what was asked for."""
    path, mark, query = (text_of(record, "path") or "").partition("?")
    return path or None, query if mark else None


def host_of(record: Record) -> tuple[str | None, int | None]:
    """Return the name and the port of the host that was asked; as the client wrote them, if it did."""
    host = text_of(record, "host") or ""
    name, _, port = host.rpartition(":") if _PORT.search(host) else (host, "", "")
    return name.removeprefix("[").removesuffix("]") or None, int(port) if port and int(
        port
    ) <= _LAST_PORT else None


def actor_of(record: Record) -> tuple[str | None, str | None, str | None]:
    """Return id, kind and name of who acted; the name of somebody who was erased is gone."""
    actor = members_of(record, "actor")
    return text_of(actor, "id"), text_of(actor, "kind"), text_of(actor, "name")


def gravity_of(record: Record) -> Gravity:
    """Say how much the record matters to somebody who looks for attacks."""
    if text_of(record, "action") in _GRAVE and record.get("kind") == "event":
        return Gravity.GRAVE
    return Gravity.USUAL if succeeded(record) else Gravity.NOTABLE


def without_nothing(members: Mapping[str, object]) -> dict[str, object]:
    """Return an object without members that say nothing: null, and empty texts, lists and objects."""
    return {name: value for name, value in members.items() if value is not None and value not in ("", [], {})}


def succeeded(record: Record) -> bool:
    """Say whether what the record tells of went well: it was allowed, was answered whole and without an
    error, or happened."""
    status = number_of(record, "status")
    if status is not None and status >= 400:  # noqa: PLR2004 - RFC 9110, 15.5: where errors begin
        return False
    return (
        record.get("decision") != "deny"
        and record.get("outcome") in (None, "complete")
        and not _failed(record)
    )


def _failed(record: Record) -> bool:
    return record.get("kind") == "event" and record.get("reason") not in (None, "ok")
