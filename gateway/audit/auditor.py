"""Writes down what was decided, how it ended, and what else happened. Nothing is answered before that."""

from collections import Counter

from gateway.audit import redact
from gateway.audit.fragments import Fragments
from gateway.audit.record import Timestamps, encode, quoted, sealed
from gateway.model import (
    Completion,
    Event,
    EventKind,
    Permit,
    Principal,
    Reason,
    Refusal,
    RequestHead,
    status_of,
)
from gateway.ports import AuditUnavailable, Clock, Spool

Record = dict[str, object]


class Auditor:
    """The one writer of audit records in a process. Implements `ports.Events`."""

    def __init__(self, spool: Spool, clock: Clock) -> None:
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

    @property
    def available(self) -> bool:
        """Whether records can be written. When not, nothing may be decided."""
        return self._spool.available

    async def decision(self, decision: Permit | Refusal, *, revision: str, status: int | None = None) -> None:
        """Return once the decision is durable.

        `status` is that of an answer which the gateway makes itself; a refusal's follows from its reason
        unless given. Raise `AuditUnavailable` when the decision cannot be recorded: it must not be carried
        out then.
        """
        if isinstance(decision, Permit):
            body = self._permit(decision, revision, status)
        else:
            body = self._refusal(decision, revision, status)
        self._append(body)
        await self._flushed()

    async def own(
        self,
        head: RequestHead,
        *,
        route: str,
        principal: Principal | None,
        status: int,
        reason: Reason,
        revision: str | None = None,
        action: str | None = None,
        rule: str | None = None,
        diagnosis: str = "",
    ) -> None:
        """Return once an answer of the gateway itself is recorded as a decision: of one of its own endpoints,
        or to a preflight.

        `route` names the endpoint or the route; `action` is method and path unless given. Raise
        `AuditUnavailable`.
        """
        record = self._request(head)
        record["action"] = f"{head.method} {redact.clipped(head.path)}" if action is None else action
        record["route"] = route
        record["decision"] = "allow" if reason is Reason.OK else "deny"
        record["reason"] = reason.value
        if rule is not None:
            record["rule"] = rule
        if revision is not None:
            record["revision"] = revision
        record["status"] = status
        _explain(record, diagnosis)
        self._append(self._identified(record, principal))
        await self._flushed()

    def completion(self, permit: Permit, completion: Completion) -> None:
        """Record how an exchange ended, without waiting. Never raises: a completion that cannot be written is
        missing, which says that the outcome is unknown."""
        head, fragments = permit.head, self._fragments
        status, why = completion.status, completion.diagnosis
        body = sealed(
            f'{self._begin(head, "completion")},"reason":"{completion.reason!s}"'
            f'{f""","status":{status}""" if status else ""}'
            f',"bytes_in":{completion.bytes_in},"bytes_out":{completion.bytes_out}'
            f',"duration_ms":{completion.duration_ms:.3f},"outcome":"{completion.outcome!s}"'
            f"{_explained(why) if why else ''}{fragments.route(head.method, permit.route)}"
            f"{fragments.actor(permit.principal)}}}"
        )
        try:
            self._append(body)
        except AuditUnavailable:
            self.missing += 1

    async def event(self, event: Event) -> None:
        """Return once the event is durable. Raise `AuditUnavailable` when it cannot be."""
        record: Record = {"time": self._time(self._now())}
        if event.request_id is not None:
            record["request_id"] = event.request_id
        record |= {"kind": "event", "action": event.kind.value, "reason": event.reason.value}
        if event.session is not None and (event.actor is None or event.actor.session is None):
            record["session"] = event.session
        if event.source_ip:
            record["source_ip"] = event.source_ip
        if event.user_agent is not None:
            record["user_agent"] = redact.clipped(event.user_agent, redact.MAX_USER_AGENT)
        if event.attributes:
            record["attributes"] = redact.attributes(event.attributes)
        self._append(self._identified(record, event.actor))
        self.events[event.kind] += 1
        await self._flushed()

    def _permit(self, permit: Permit, revision: str, status: int | None) -> bytes:
        head, fragments = permit.head, self._fragments
        agent = head.fields.one(b"user-agent")
        return sealed(
            f"{self._begin(head, 'decision')}"
            f'{"" if agent is None else f""","user_agent":{quoted(redact.user_agent(agent))}"""}'
            f'{"" if status is None else f""","status":{status}"""}'
            f"{fragments.permit(head.method, permit.route, revision)}{fragments.identity(permit.principal)}}}"
        )

    def _refusal(self, refusal: Refusal, revision: str, status: int | None) -> bytes:
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
        _explain(record, refusal.diagnosis)
        return self._identified(record, refusal.principal)

    def _begin(self, head: RequestHead, kind: str) -> str:
        """Return the beginning of a hot record: an object without its closing brace."""
        time = self._time(self._now())
        host, path = head.host, head.path
        if head.query is not None or len(path) > redact.MAX_PATH:
            path = redact.target(head.target)
        return (
            f'{{"time":"{time}","request_id":"{head.id}","kind":"{kind}","method":{quoted(head.method)}'
            f'{"" if host is None else f""","host":{quoted(host[: redact.MAX_HOST])}"""}'
            f',"path":{quoted(path)},"source_ip":{quoted(head.client)}'
        )

    def _request(self, head: RequestHead) -> Record:
        """Begin the record of a decision."""
        record: Record = {
            "time": self._time(self._now()),
            "request_id": head.id,
            "kind": "decision",
            "method": head.method,
            "host": _host(head),
            "path": _path(head),
            "source_ip": head.client,
        }
        agent = head.fields.one(b"user-agent")
        if agent is not None:
            record["user_agent"] = redact.user_agent(agent)
        return record

    def _identified(self, record: Record, principal: Principal | None) -> bytes:
        if principal is None:
            return encode(record)
        return b"%b%b}" % (encode(record)[:-1], self._fragments.identity(principal).encode())


def _path(head: RequestHead) -> str:
    path = head.path
    if head.query is None and len(path) <= redact.MAX_PATH:
        return path
    return redact.target(head.target)


def _host(head: RequestHead) -> str | None:
    host = head.host
    return host if host is None or len(host) <= redact.MAX_HOST else host[: redact.MAX_HOST]


def _explained(diagnosis: str) -> str:
    return f',"attributes":{{"diagnosis":{quoted(redact.clipped(diagnosis))}}}'


def _explain(record: Record, diagnosis: str) -> None:
    if diagnosis:
        record["attributes"] = {"diagnosis": redact.clipped(diagnosis)}
