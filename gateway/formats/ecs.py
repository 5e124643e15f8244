"""Records in the Elastic Common Schema, ECS 8.17: one JSON document a line.

What the schema has no field for is under `gateway`, a name of ours; map `gateway.attributes` as `flattened`.
"""

from typing import Final

from gateway import __version__
from gateway.formats.fields import (
    Gravity,
    actor_of,
    address_of,
    duration_of,
    gravity_of,
    host_of,
    identity_of,
    members_of,
    names_of,
    number_of,
    succeeded,
    target_of,
    text_of,
    without_nothing,
)
from gateway.formats.format import Format
from gateway.formats.text import json_line
from gateway.ports import Record

VERSION: Final = "8.17.0"
_NO_TIME: Final = "1970-01-01T00:00:00.000000Z"
_NANOSECONDS: Final = 1_000_000
_SEVERITIES: Final = {Gravity.USUAL: 1, Gravity.NOTABLE: 3, Gravity.GRAVE: 7}
_EVENTS: Final = {
    "auth.login": ("authentication", "start"),
    "auth.login_failed": ("authentication", "start"),
    "auth.logout": ("authentication", "end"),
    "auth.refresh": ("authentication", "info"),
    "auth.reuse_detected": ("authentication", "info"),
    "auth.registered": ("iam", "user", "creation"),
    "auth.email_verified": ("iam", "user", "change"),
    "auth.password_changed": ("iam", "user", "change"),
    "auth.password_reset": ("iam", "user", "change"),
    "mfa.enrolled": ("iam", "user", "change"),
    "mfa.removed": ("iam", "user", "change"),
    "token.issued": ("authentication", "start"),
    "token.revoked": ("authentication", "end"),
    "user.created": ("iam", "user", "creation"),
    "user.updated": ("iam", "user", "change"),
    "user.disabled": ("iam", "user", "change"),
    "user.enabled": ("iam", "user", "change"),
    "user.deleted": ("iam", "user", "deletion"),
    "role.changed": ("iam", "admin", "change"),
    "invite.created": ("iam", "admin", "creation"),
    "invite.revoked": ("iam", "admin", "deletion"),
    "client.created": ("iam", "admin", "creation"),
    "client.rotated": ("iam", "admin", "change"),
    "client.revoked": ("iam", "admin", "deletion"),
    "client.key_set": ("iam", "admin", "change"),
    "key.created": ("iam", "admin", "creation"),
    "key.rotated": ("iam", "admin", "change"),
    "key.revoked": ("iam", "admin", "deletion"),
    "signing_key.rotated": ("configuration", "change"),
    "signing_key.revoked": ("configuration", "deletion"),
    "crypto_key.created": ("configuration", "creation"),
    "crypto_key.rotated": ("configuration", "change"),
    "crypto_key.retired": ("configuration", "change"),
    "secret.changed": ("configuration", "change"),
    "block.added": ("configuration", "creation"),
    "block.removed": ("configuration", "deletion"),
    "limit.reset": ("configuration", "change"),
    "config.reloaded": ("configuration", "change"),
    "config.rejected": ("configuration", "change"),
    "crypto.encrypt": ("api", "access"),
    "crypto.decrypt": ("api", "access"),
    "crypto.rewrap": ("api", "access"),
    "audit.read": ("api", "access"),
    "audit.gap": ("web", "error"),
}
"""The category of each event, then its types."""
_REQUEST: Final = ("web", "api")
_TYPES: Final = {"allow": "allowed", "deny": "denied"}
_OWN: Final = ("kind", "writer", "route", "upstream", "authn", "session", "outcome", "attributes")


def _line(record: Record) -> bytes:
    id_, kind, name = actor_of(record)
    address, ip = text_of(record, "source_ip"), address_of(record)
    path, query = target_of(record)
    host, port = host_of(record)
    document: dict[str, object] = {
        # The one field that a document must have; a record that cannot be read has no time.
        "@timestamp": text_of(record, "time") or _NO_TIME,
        "ecs": {"version": VERSION},
        "message": text_of(members_of(record, "attributes"), "diagnosis"),
        "event": _event(record),
        "service": {"name": "gateway", "type": "gateway", "version": __version__},
        "http": _http(record),
        "url": {
            "original": text_of(record, "path"),
            "path": path,
            "query": query,
            "domain": host,
            "port": port,
        },
        "source": {"address": address, "ip": ip},
        "user": {"id": id_, "name": name, "roles": names_of(record, "roles")},
        "user_agent": {"original": text_of(record, "user_agent")},
        "rule": {"name": text_of(record, "rule"), "version": text_of(record, "revision")},
        "related": {
            "ip": [ip] if ip else None,
            "user": [one for one in (id_, name) if one],
            "hosts": [host] if host else None,
        },
        "gateway": {"actor_kind": kind, **{field: record.get(field) for field in _OWN}},
    }
    return json_line(_whole(document))


def _event(record: Record) -> dict[str, object]:
    action, duration = text_of(record, "action"), duration_of(record)
    if record.get("kind") == "event":
        category, *types = _EVENTS.get(action or "", ("api", "info"))
        categories = [category]
    else:
        categories, types = list(_REQUEST), ["access", _TYPES.get(text_of(record, "decision") or "", "end")]
    return {
        "kind": "event",
        "category": categories,
        "type": types,
        "action": action,
        "outcome": "success" if succeeded(record) else "failure",
        "reason": text_of(record, "reason"),
        "id": identity_of(record),
        "sequence": number_of(record, "seq"),
        "severity": _SEVERITIES[gravity_of(record)],
        "duration": None if duration is None else round(duration * _NANOSECONDS),
        "module": "gateway",
        "dataset": "gateway.audit",
        "provider": "gateway",
    }


def _http(record: Record) -> dict[str, object]:
    received, sent = number_of(record, "bytes_in"), number_of(record, "bytes_out")
    return {
        "request": {
            "id": text_of(record, "request_id"),
            "method": text_of(record, "method"),
            "body": {"bytes": received},
        },
        "response": {"status_code": number_of(record, "status"), "body": {"bytes": sent}},
    }


def _whole(members: dict[str, object]) -> dict[str, object]:
    """Return an object without what says nothing, all the way down."""
    return without_nothing(
        {name: _whole(value) if isinstance(value, dict) else value for name, value in members.items()}
    )


ECS: Final = Format(name="ecs", media_type="application/x-ndjson", line=_line)
"""Documents of ECS."""
