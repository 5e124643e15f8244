"""Records in the Open Cybersecurity Schema Framework, OCSF 1.8.0: one JSON object a line.

Requests are API Activity; events are Authentication, Account Change and whatever else fits, see
`ocsf_classes.py`. What the schema has no place for is under `unmapped`.
"""

from typing import Final

from gateway import __version__
from gateway.formats import ocsf_classes
from gateway.formats.fields import (
    Gravity,
    actor_of,
    address_of,
    duration_of,
    gravity_of,
    host_of,
    identity_of,
    members_of,
    milliseconds_of,
    names_of,
    number_of,
    succeeded,
    target_of,
    text_of,
    without_nothing,
)
from gateway.formats.format import Format
from gateway.formats.ocsf_classes import Activity
from gateway.formats.text import json_line
from gateway.ports import Record

VERSION: Final = "1.8.0"
_PRODUCT: Final = {"name": "gateway", "vendor_name": "gateway", "version": __version__}
_SEVERITIES: Final = {
    Gravity.USUAL: (1, "Informational"),
    Gravity.NOTABLE: (2, "Low"),
    Gravity.GRAVE: (4, "High"),
}
_METHODS: Final = frozenset({"CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE"})
_USER_TYPES: Final = {
    "user": (1, "User"),
    "external": (1, "User"),
    "client": (4, "Service"),
    "operator": (2, "Admin"),
    "anonymous": (0, "Unknown"),
}
_VERDICTS: Final = {"allow": (1, "Allowed", 1, "Allowed"), "deny": (2, "Denied", 2, "Blocked")}
_UNMAPPED: Final = (
    "kind",
    "route",
    "upstream",
    "rule",
    "revision",
    "authn",
    "roles",
    "outcome",
    "attributes",
)


def _line(record: Record) -> bytes:
    action = text_of(record, "action") or "unknown"
    is_event = record.get("kind") == "event"
    activity = (
        ocsf_classes.activity_of_event(action)
        if is_event
        else ocsf_classes.activity_of_request(text_of(record, "method"))
    )
    found = _base(record, activity)
    if not is_event:
        found |= _verdict(record)
    found |= _of_class(record, activity, action)
    found["unmapped"] = without_nothing({name: record.get(name) for name in _UNMAPPED})
    return json_line(without_nothing(found))


def _base(record: Record, activity: Activity) -> dict[str, object]:
    severity, severity_name = _SEVERITIES[gravity_of(record)]
    well = succeeded(record)
    status = number_of(record, "status")
    duration = duration_of(record)
    verdict = text_of(record, "decision")
    return {
        "activity_id": activity.id,
        "activity_name": activity.name,
        "category_uid": activity.category,
        "category_name": activity.category_name,
        "class_uid": activity.type,
        "class_name": activity.type_name,
        "type_uid": activity.uid,
        "type_name": activity.full_name,
        "time": milliseconds_of(record),
        "severity_id": severity,
        "severity": severity_name,
        "status_id": 1 if well else 2,
        "status": "Success" if well else "Failure",
        "status_code": None if status is None else str(status),
        "status_detail": text_of(record, "reason"),
        "duration": None if duration is None else round(duration),
        "message": text_of(members_of(record, "attributes"), "diagnosis"),
        "metadata": without_nothing(
            {
                "version": VERSION,
                "product": _PRODUCT,
                # Both, because since 1.7.0 the first is the event's own, and before it was the source's.
                "uid": identity_of(record),
                "original_event_uid": identity_of(record),
                "sequence": number_of(record, "seq"),
                "log_name": "audit",
                "event_code": text_of(record, "action") if record.get("kind") == "event" else None,
                "original_time": text_of(record, "time"),
                "correlation_uid": text_of(record, "request_id"),
                "profiles": ["security_control"] if verdict in _VERDICTS else None,
            }
        ),
    }


def _verdict(record: Record) -> dict[str, object]:
    """Return what was decided (profile `security_control`); nothing for how an exchange ended."""
    verdict = text_of(record, "decision")
    if verdict not in _VERDICTS:
        return {}
    action, action_name, disposition, disposition_name = _VERDICTS[verdict]
    rule = text_of(record, "rule")
    policy = None if rule is None else without_nothing({"name": rule, "version": text_of(record, "revision")})
    return {
        "action_id": action,
        "action": action_name,
        "disposition_id": disposition,
        "disposition": disposition_name,
        "authorizations": [without_nothing({"decision": verdict, "policy": policy})],
    }


def _of_class(record: Record, activity: Activity, action: str) -> dict[str, object]:
    """Return what only the class has."""
    match activity.type:
        case ocsf_classes.AUTHENTICATION:
            return {
                **_caller(record),
                "user": _account(record),
                "session": _session(record),
                "service": {"name": "gateway"},
                "is_remote": True,
            }
        case ocsf_classes.ACCOUNT_CHANGE:
            return {**_caller(record), "user": _account(record)}
        case ocsf_classes.USER_ACCESS:
            privileges = names_of(members_of(record, "attributes"), "roles")
            return {**_caller(record), "user": _account(record), "privileges": privileges or ["none"]}
        case ocsf_classes.ENTITY_MANAGEMENT:
            return {**_caller(record), "entity": _entity(record, action)}
        case ocsf_classes.APPLICATION_ERROR:
            return {}
        case _:
            return {**_caller(record), **_request(record, action)}


def _caller(record: Record) -> dict[str, object]:
    address = address_of(record)
    return {
        "actor": without_nothing({"user": _user(record), "session": _session(record)}),
        # Who has no address, or one that is masked, is still somebody: an operator on this machine.
        "src_endpoint": {"ip": address} if address else {"name": text_of(record, "source_ip") or "local"},
    }


def _user(record: Record) -> dict[str, object]:
    id_, kind, name = actor_of(record)
    type_id, type_ = _USER_TYPES.get(kind or "anonymous", (ocsf_classes.OTHER, kind))
    known = id_ is not None or name is not None
    return without_nothing(
        {"uid": id_, "name": name if known else "anonymous", "type_id": type_id, "type": type_}
    )


def _account(record: Record) -> dict[str, object]:
    """Return the account that an event is about: another's, or the actor's own."""
    attributes = members_of(record, "attributes")
    account = without_nothing({"uid": text_of(attributes, "user"), "name": text_of(attributes, "username")})
    return account or _user(record)


def _session(record: Record) -> dict[str, object]:
    return without_nothing({"uid": text_of(record, "session")})


def _entity(record: Record, action: str) -> dict[str, object]:
    """Return what was created, changed or ended: `key.revoked` is about a `key`, which attributes name."""
    family = action.partition(".")[0]
    attributes = members_of(record, "attributes")
    return without_nothing(
        {
            "uid": text_of(attributes, family),
            "name": text_of(attributes, "name") or family,
            "type": family,
            "type_id": ocsf_classes.OTHER,
            "version": text_of(record, "revision"),
        }
    )


def _request(record: Record, action: str) -> dict[str, object]:
    id_, status = text_of(record, "request_id"), number_of(record, "status")
    method = text_of(record, "method")
    path, query = target_of(record)
    host, port = host_of(record)
    url = without_nothing({"hostname": host, "port": port, "path": path, "query_string": query})
    asked = method is not None and path is not None
    request = {
        "uid": id_,
        "http_method": method if method in _METHODS else None,
        "url": url if path is not None else None,
        "user_agent": text_of(record, "user_agent"),
        "body_length": number_of(record, "bytes_in"),
    }
    return {
        "api": without_nothing(
            {
                "operation": action,
                "service": {"name": text_of(record, "upstream") or "gateway"},
                "request": None if id_ is None else {"uid": id_},
                "response": None if status is None else {"code": status},
            }
        ),
        "http_request": without_nothing(request) if asked else None,
        "http_response": None
        if status is None
        else without_nothing({"code": status, "body_length": number_of(record, "bytes_out")}),
        "dst_endpoint": without_nothing({"hostname": host, "port": port}) if asked else None,
    }


OCSF: Final = Format(name="ocsf", media_type="application/x-ndjson", line=_line)
"""Events of OCSF."""
