"""The record of an event: what it says openly, and what it says of which person."""

from typing import NamedTuple

from gateway.audit import redact
from gateway.audit.fragments import introduced
from gateway.model import ANONYMOUS, Event

Record = dict[str, object]


class Happened(NamedTuple):
    """An event as it is written down."""

    record: Record
    identity: str
    """Members that name the actor."""
    parts: list[tuple[str, Record]]
    """What it says of persons: subjects, and what is said of each."""
    client: str | None
    """The person who sent the request that it happened by; None: nobody knows, or there was none."""


def happened(event: Event, *, time: str, redactor: redact.Redactor) -> Happened:
    """Return the record of an event."""
    record: Record = {"time": time}
    if event.request_id is not None:
        record["request_id"] = event.request_id
    record |= {"kind": "event", "action": event.kind.value, "reason": event.reason.value}
    actor = event.actor
    if event.session is not None and (actor is None or actor.session is None):
        record["session"] = event.session
    known = introduced(ANONYMOUS if actor is None else actor)
    where: Record = {}
    if event.source_ip:
        where["source_ip"] = redactor.address(event.source_ip)
    if event.user_agent is not None:
        where["user_agent"] = redactor.agent_text(event.user_agent)
    # When nobody is said to act, the one whom it is about may have: a login that failed.
    client = event.subject if actor is None else known.subject
    person = event.subject or known.subject
    parts: dict[str, Record] = {}
    if client is None:
        record |= where
    else:
        parts[client] = where if actor is None else {"name": actor.name, **where}
    opened = {**known.confined, **redact.attributes(event.attributes)}
    apart = redact.attributes(event.personal)
    if person is None:
        opened |= apart
    elif apart:
        parts.setdefault(person, {})["attributes"] = apart
    if opened:
        record["attributes"] = opened
    told = [(subject, fields) for subject, fields in parts.items() if fields]
    return Happened(record, known.credentials + known.actor, told, client)
