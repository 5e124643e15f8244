"""Writes down what was decided, how it ended, and what else happened. Nothing is answered before that."""

from collections import Counter
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from gateway.audit import redact
from gateway.audit.fragments import Fragments, Introduction, attributes_member
from gateway.audit.happened import Record, happened
from gateway.audit.persons import NOTHING, Fields, Persons, Said
from gateway.audit.pressure import Level, Pressure
from gateway.audit.record import encode, quoted, written
from gateway.audit.recording import Recording, Redaction
from gateway.crypto import Sealer
from gateway.model import (
    ANONYMOUS,
    Completion,
    Event,
    EventKind,
    Permit,
    Principal,
    Reason,
    Refusal,
    RequestHead,
    Timestamps,
    status_of,
)
from gateway.ports import AuditUnavailable, Clock, Spool

Attributes = Mapping[str, object]

OPEN: Final = frozenset({"authn.kind", "broken", "credential.scopes", "diagnosis", "forward_auth"})
"""Attributes that are nobody's personal data."""
_NONE: Final[Attributes] = MappingProxyType({})
_UNANSWERED: Final = 4096
"""Requests that events have told of and that are not answered yet; there are never that many."""
# Looking up a member of an enum costs as much as ten of these (Python 3.11).
_FULL: Final = Level.FULL
_SPARE: Final = Level.SPARE


class Auditor:
    """The one writer of audit records in a process. Implements `ports.Events`."""

    def __init__(
        self, spool: Spool, clock: Clock, *, sealer: Sealer, hash_key: bytes, pressure: Pressure
    ) -> None:
        self.missing = 0
        """Completions that could not be written."""
        self.events: Counter[EventKind] = Counter()
        """Events taken, by kind."""
        self._spool = spool
        self._append = spool.append
        self._flushed = spool.flushed
        self._now = clock.now
        self._time = Timestamps().text
        self._fragments = Fragments()
        self._hash_key = hash_key
        self._pressure = pressure
        self._about: dict[str, str] = {}
        self._redaction = Redaction()
        self._redactor = redact.Redactor(self._redaction, hash_key)
        self._persons = Persons(sealer, self._redactor)

    @property
    def available(self) -> bool:
        """Whether records can be written. When not, nothing may be decided."""
        return self._spool.available and self._pressure.level is not _FULL

    def adopt(self, redaction: Redaction) -> None:
        """Write from here on as a configuration says. Events belong to no request, and to the last one that
        was adopted; every decision adopts its own."""
        if redaction != self._redaction:
            self._redactor = redact.Redactor(redaction, self._hash_key)
            self._persons.adopt(self._redactor)
        self._redaction = redaction

    async def decision(
        self,
        decision: Permit | Refusal,
        *,
        recording: Recording,
        status: int | None = None,
        attributes: Attributes = _NONE,
    ) -> None:
        """Return once the decision is durable.

        `status` is that of an answer which the gateway makes itself; a refusal's follows from its reason
        unless given. `attributes` are what conditions looked at, as they are: what is not to be shown is
        hidden here. Raise `AuditUnavailable` when the decision cannot be recorded: it must not be carried
        out then.
        """
        if self._pressure.level is _FULL:
            raise _no_room()
        if recording.redaction is not self._redaction:
            self.adopt(recording.redaction)
        if isinstance(decision, Permit):
            self._permit(decision, recording.revision, status, attributes)
        else:
            self._refusal(decision, recording.revision, status, attributes)
        await self._flushed()

    async def own(
        self,
        head: RequestHead,
        *,
        route: str,
        principal: Principal | None,
        status: int,
        reason: Reason,
        recording: Recording | None = None,
        action: str | None = None,
        rule: str | None = None,
        diagnosis: str = "",
        attributes: Attributes = _NONE,
        broken: bool = False,
        about: str | None = None,
    ) -> None:
        """Return once an answer of the gateway itself is recorded as a decision: of one of its own endpoints,
        or to a preflight.

        `route` names the endpoint or the route; `action` is method and path unless given; `about` is the
        person whom it came from, where there is no principal and that is known. Raise `AuditUnavailable`.
        """
        if self._pressure.level is _FULL:
            raise _no_room()
        if recording is not None and recording.redaction is not self._redaction:
            self.adopt(recording.redaction)
        record = self._request(head)
        record["action"] = f"{head.method} {redact.clipped(head.path)}" if action is None else action
        record["route"] = route
        record["decision"] = "allow" if reason is Reason.OK else "deny"
        record["reason"] = reason.value
        if rule is not None:
            record["rule"] = rule
        if recording is not None:
            record["revision"] = recording.revision
        record["status"] = status
        about = self._about.pop(head.id, about)
        self._decided(record, head, principal, attributes, diagnosis, broken=broken, about=about)
        await self._flushed()

    def completion(self, permit: Permit, completion: Completion, *, recording: Recording) -> None:
        """Record how an exchange ended, without waiting. Never raises: a completion that cannot be written is
        missing, which says that the outcome is unknown."""
        pressure = self._pressure
        if pressure.level >= _SPARE:
            pressure.spared += 1
            return
        if recording.redaction is not self._redaction:
            self.adopt(recording.redaction)
        head, fragments = permit.head, self._fragments
        known = fragments.introduction(permit.principal)
        told, said = self._caller(head, known, with_agent=False)
        status, why = completion.status, completion.diagnosis
        body = written(
            f'{self._begin(head, "completion")}{told},"reason":"{completion.reason!s}"'
            f'{f""","status":{status}""" if status else ""}'
            f',"bytes_in":{completion.bytes_in},"bytes_out":{completion.bytes_out}'
            f',"duration_ms":{completion.duration_ms:.3f},"outcome":"{completion.outcome!s}"'
            f"{_explained(why) if why else ''}{fragments.route(head.method, permit.route)}"
            f"{known.actor}{said.member}}}"
        )
        try:
            self._append(body, said.personal)
        except AuditUnavailable:
            self.missing += 1

    async def event(self, event: Event) -> None:
        """Return once the event is durable. Raise `AuditUnavailable` when it cannot be.

        There is room for events even when there is none for decisions: they are few, and tell what was lost.
        """
        time = self._time(self._now())
        record, identity, parts, client = happened(event, time=time, redactor=self._redactor)
        if client is not None and event.request_id is not None:
            self._remember(event.request_id, client)
        self._close(record, identity, self._persons.say(parts))
        self.events[event.kind] += 1
        await self._flushed()

    def _permit(self, permit: Permit, revision: str, status: int | None, attributes: Attributes) -> None:
        head, fragments = permit.head, self._fragments
        known = fragments.introduction(permit.principal)
        if attributes:
            opened, apart = self._sorted(known, attributes, known.subject)
            told, said = self._caller(head, known, apart)
            identity = f"{known.credentials}{attributes_member(opened)}{known.actor}"
        else:
            told, said = self._caller(head, known)
            identity = known.decided
        body = written(
            f"{self._begin(head, 'decision')}{told}"
            f'{"" if status is None else f""","status":{status}"""}'
            f"{fragments.permit(head.method, permit.route, revision)}{identity}{said.member}}}"
        )
        self._append(body, said.personal)

    def _refusal(self, refusal: Refusal, revision: str, status: int | None, attributes: Attributes) -> None:
        head, route, rule = refusal.head, refusal.route, refusal.rule
        if head is None:
            record: Record = {"time": self._time(self._now()), "kind": "decision"}
        else:
            record = self._request(head)
        if head is None or route is None:
            record["action"] = "request"
        else:
            record["action"] = f"{head.method} {route.path}"
        if route is not None:
            record["route"] = route.id
            if rule is None:
                # Without a rule of its own, a refusal on a route is what that route asks for.
                rule = route.rule
        record["decision"] = "deny"
        record["reason"] = refusal.reason.value
        if rule is not None:
            record["rule"] = rule
        record["revision"] = revision
        record["status"] = status_of(refusal.reason) if status is None else status
        self._decided(
            record,
            head,
            refusal.principal,
            attributes,
            refusal.diagnosis,
            broken=refusal.broken,
            about=refusal.subject,
        )

    def _begin(self, head: RequestHead, kind: str) -> str:
        """Return the beginning of a hot record: an object without its closing brace."""
        time = self._time(self._now())
        host, path = head.host, head.path
        if head.query is not None or len(path) > redact.MAX_PATH:
            path = self._redactor.target(head.target)
        return (
            f'{{"time":"{time}","request_id":"{head.id}","kind":"{kind}","method":{quoted(head.method)}'
            f'{"" if host is None else f""","host":{quoted(host[: redact.MAX_HOST])}"""}'
            f',"path":{quoted(path)}'
        )

    def _caller(
        self, head: RequestHead, known: Introduction, apart: Attributes = _NONE, *, with_agent: bool = True
    ) -> tuple[str, Said]:
        """Return where a request came from: as members of its record, or as what is said of a person."""
        agent = head.fields.one(b"user-agent")
        if known.subject is not None:
            return "", self._persons.of_request(known.subject, known, head.client, agent, apart)
        told = f',"source_ip":{quoted(self._redactor.address(head.client))}'
        if agent is None or not with_agent:
            return told, NOTHING
        return f'{told},"user_agent":{quoted(self._redactor.agent(agent))}', NOTHING

    def _sorted(
        self, known: Introduction, attributes: Attributes, subject: str | None
    ) -> tuple[Record, Fields]:
        """Return the attributes of a record, and those that are kept apart from it, as they are shown."""
        shown = {**known.confined, **self._redactor.attributes(attributes)}
        if subject is None:
            return shown, _NONE
        opened = {name: value for name, value in shown.items() if name in OPEN}
        return opened, {name: value for name, value in shown.items() if name not in OPEN}

    def _request(self, head: RequestHead) -> Record:
        """Begin the record of a decision."""
        path = head.path
        if head.query is not None or len(path) > redact.MAX_PATH:
            path = self._redactor.target(head.target)
        return {
            "time": self._time(self._now()),
            "request_id": head.id,
            "kind": "decision",
            "method": head.method,
            **({} if head.host is None else {"host": head.host[: redact.MAX_HOST]}),
            "path": path,
        }

    def _decided(
        self,
        record: Record,
        head: RequestHead | None,
        principal: Principal | None,
        attributes: Attributes,
        diagnosis: str,
        *,
        broken: bool,
        about: str | None = None,
    ) -> None:
        """Finish the record of a decision that is not the usual one, and append it."""
        known = self._fragments.introduction(ANONYMOUS if principal is None else principal)
        subject = known.subject or about
        opened, apart = self._sorted(known, attributes, subject)
        if broken:
            opened["broken"] = True
        if diagnosis:
            opened["diagnosis"] = redact.clipped(diagnosis)
        if opened:
            record["attributes"] = opened
        said = NOTHING
        if head is not None:
            agent = head.fields.one(b"user-agent")
            if subject is not None:
                said = self._persons.of_request(subject, known, head.client, agent, apart)
            else:
                record["source_ip"] = self._redactor.address(head.client)
                if agent is not None:
                    record["user_agent"] = self._redactor.agent(agent)
        self._close(record, known.credentials + known.actor, said)

    def _remember(self, request_id: str, subject: str) -> None:
        """Note whose request it was that an event tells of, until its answer is recorded.

        A login names nobody beforehand, and the record of its answer must not say where it came from either.
        """
        if len(self._about) >= _UNANSWERED:
            # The oldest, which is not about to be answered any more: its client has left.
            del self._about[next(iter(self._about))]
        self._about[request_id] = subject

    def _close(self, record: Record, identity: str, said: Said) -> None:
        """Append a record with its last members."""
        body = b"%b%b}" % (encode(record)[:-1], (identity + said.member).encode())
        self._append(body, said.personal)


def _explained(diagnosis: str) -> str:
    return f',"attributes":{{"diagnosis":{quoted(redact.clipped(diagnosis))}}}'


def _no_room() -> AuditUnavailable:
    return AuditUnavailable("the audit spool has no room left for decisions")
