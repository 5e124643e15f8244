"""The audit record as everybody reads it: its fields, its time, and what it says of persons in its place."""

import re
from collections.abc import Mapping
from typing import Final

import orjson

RECORD_FIELDS: Final = (
    "writer",
    "seq",
    "time",
    "kind",
    "request_id",
    "actor",
    "action",
    "method",
    "host",
    "path",
    "route",
    "upstream",
    "decision",
    "reason",
    "rule",
    "revision",
    "authn",
    "session",
    "roles",
    "source_ip",
    "user_agent",
    "status",
    "bytes_in",
    "bytes_out",
    "duration_ms",
    "outcome",
    "attributes",
)
"""What an audit record has, in the order in which it is read."""
_BESIDE: Final = ("source_ip", "user_agent")
_TIME: Final = re.compile(rb'\{"time":"([^"\\]*)"')


def time_of(body: bytes) -> str:
    """Return the time of a record, without reading all of it if possible; empty when it has none."""
    begin = _TIME.match(body)
    if begin is not None:
        return begin[1].decode(errors="replace")
    try:
        fields = orjson.loads(body)
    except orjson.JSONDecodeError:
        return ""
    return str(fields.get("time", "")) if isinstance(fields, dict) else ""


def with_persons(
    fields: Mapping[str, object], said: Mapping[str, Mapping[str, object]]
) -> Mapping[str, object]:
    """Return what a record says together with what is said of persons beside it, by subject.

    Those of whom nothing is left, of all that the record commits to, are the attribute `erased`.
    """
    commitments = fields.get("personal")
    if not isinstance(commitments, dict):
        return fields
    whole = dict(fields)
    actor = whole.get("actor")
    if isinstance(actor, dict):
        actor = {**actor, "name": actor.get("name")}
    attributes: dict[str, object] = {}
    for part in (said[subject] for subject in commitments if subject in said):
        # Only the caller's own part has these three.
        if isinstance(actor, dict) and "name" in part:
            actor = {**actor, "name": part["name"]}
        whole |= {name: part[name] for name in _BESIDE if name in part}
        more = part.get("attributes")
        attributes |= more if isinstance(more, dict) else {}
    own = fields.get("attributes")
    attributes |= own if isinstance(own, dict) else {}
    erased = [subject for subject in commitments if subject not in said]
    if erased:
        attributes["erased"] = erased
    return whole | {"actor": actor, "attributes": attributes}
