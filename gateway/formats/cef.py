"""Records in the Common Event Format, CEF 0.1 (`CEF:0`): one line a record, for what reads syslog.

Only keys of ArcSight's extension dictionary are used, each within its length.
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
    members_of,
    milliseconds_of,
    names_of,
    number_of,
    succeeded,
    text_of,
)
from gateway.formats.format import Format
from gateway.formats.text import legible
from gateway.ports import Record

_HEAD: Final = f"CEF:0|gateway|gateway|{__version__}"
_SEVERITIES: Final = {Gravity.USUAL: 1, Gravity.NOTABLE: 5, Gravity.GRAVE: 8}
_LONGEST: Final = {"act": 63, "outcome": 63, "deviceExternalId": 255, **{f"cs{n}": 4000 for n in range(1, 7)}}
_USUAL_LENGTH: Final = 1023
_LONGEST_NAME: Final = 512
_NAMES: Final = {"decision": "Request decided", "completion": "Exchange ended"}


def _line(record: Record) -> bytes:
    head = "|".join((_HEAD, *_class(record), str(_SEVERITIES[gravity_of(record)])))
    found = (
        f"{key}={_value(key, value)}"
        for key, value in _extensions(record).items()
        if value is not None and value != ""
    )
    return f"{head}|{' '.join(found)}".encode()


def _class(record: Record) -> tuple[str, str]:
    """Return the class of the event, and its name for people: of a request what was decided, or how it ended,
    of an event what happened."""
    kind, action = text_of(record, "kind") or "unknown", text_of(record, "action") or "unknown"
    if kind == "event":
        return _header(action, _USUAL_LENGTH), _header(action, _LONGEST_NAME)
    what = text_of(record, "decision") or text_of(record, "outcome") or "unknown"
    return _header(f"{kind}.{what}", _USUAL_LENGTH), _NAMES.get(kind, "Unknown")


def _extensions(record: Record) -> dict[str, str | int | float | None]:
    id_, _, name = actor_of(record)
    address = address_of(record)
    is_six = address is not None and ":" in address
    host, _ = host_of(record)
    return {
        "rt": milliseconds_of(record),
        "deviceExternalId": text_of(record, "writer"),
        "externalId": number_of(record, "seq"),
        "cat": text_of(record, "kind"),
        "act": text_of(record, "decision"),
        "outcome": "success" if succeeded(record) else "failure",
        "reason": text_of(record, "reason"),
        "src": None if is_six else address,
        "c6a2": address if is_six else None,
        "c6a2Label": "Source IPv6 Address" if is_six else None,
        "suid": id_,
        "suser": name,
        "spriv": ",".join(names_of(record, "roles")),
        "dhost": host,
        "requestMethod": text_of(record, "method"),
        "request": text_of(record, "path"),
        "requestClientApplication": text_of(record, "user_agent"),
        "in": number_of(record, "bytes_in"),
        "out": number_of(record, "bytes_out"),
        "msg": text_of(members_of(record, "attributes"), "diagnosis"),
        **_labelled("cs1", "route", text_of(record, "route")),
        **_labelled("cs2", "rule", text_of(record, "rule")),
        **_labelled("cs3", "revision", text_of(record, "revision")),
        **_labelled("cs4", "requestId", text_of(record, "request_id")),
        **_labelled("cs5", "upstream", text_of(record, "upstream")),
        **_labelled("cs6", "session", text_of(record, "session")),
        **_labelled("cn1", "status", number_of(record, "status")),
        **_labelled("cfp1", "durationMs", duration_of(record)),
    }


def _labelled(key: str, label: str, value: str | float | None) -> dict[str, str | int | float | None]:
    return {} if value is None else {key: value, f"{key}Label": label}


def _value(key: str, value: str | float) -> str:
    """Return a value behind its key. A blank at its end would be lost, which nobody misses."""
    if not isinstance(value, str):
        return str(value)
    text = legible(value)[: _LONGEST.get(key, _USUAL_LENGTH)].strip()
    return text.replace("\\", "\\\\").replace("=", "\\=")


def _header(text: str, longest: int) -> str:
    return legible(text)[:longest].replace("\\", "\\\\").replace("|", "\\|")


CEF: Final = Format(name="cef", media_type="text/plain; charset=utf-8", line=_line)
"""Lines of CEF."""
