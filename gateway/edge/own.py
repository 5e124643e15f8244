"""The gateway's own endpoints on the clients' listener: found, guarded, limited, answered, recorded.

Each endpoint is a plain function from a `Call` to an answer or a refusal; this file is the only way to it.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from gateway.accounts import Body, Form
from gateway.config import CorsRules, Snapshot
from gateway.edge.client_side import ClientSide
from gateway.edge.own_body import LARGEST_BODY, read_form_body, read_json_body
from gateway.identity import Authenticator
from gateway.model import (
    ANONYMOUS,
    Preflight,
    Principal,
    Reason,
    Refusal,
    RequestHead,
    Route,
    Routed,
    wants_websocket,
)
from gateway.observability import AccessLog
from gateway.pipeline import (
    PREFLIGHT_STATUS,
    Enforcer,
    OwnRoute,
    ambiguous,
    asked_method,
    page_lines,
    preflight,
)
from gateway.ports import AuditUnavailable, StoreUnavailable
from gateway.routing import Match, MethodMismatch, RouteTrie
from gateway.web import Answer, oauth_error_for, problem_for

_OAUTH = ("gateway", "v1", "oauth")
"""What is below speaks RFC 6749, whatever it has to say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request to one of the gateway's own endpoints, after every guard."""

    head: RequestHead
    principal: Principal
    snapshot: Snapshot
    """The configuration that it was admitted by."""
    body: Mapping[str, object] = field(default_factory=dict, repr=False)
    """The JSON object that was sent; empty for endpoints that take none."""
    form: Form = field(default_factory=Form, repr=False)
    """The form that was sent; empty for endpoints that take none."""
    params: Mapping[str, str] = field(default_factory=dict)
    """Values of the path's parameters, percent-decoded once."""

    @property
    def user_agent(self) -> str | None:
        """What the client calls itself."""
        value = self.head.fields.one(b"user-agent")
        return None if value is None else value.decode("utf-8", "replace")[:256]


@dataclass(frozen=True, slots=True)
class Known:
    """An answer to somebody whom the endpoint itself has recognised, as the record is to say."""

    answer: Answer
    principal: Principal


ANY = "ANY"
"""Method of an endpoint that takes all of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """One of the gateway's own endpoints."""

    method: str
    path: str
    name: str
    """As the audit record names it: `gateway:auth.login`."""
    answer: Callable[[Call], Awaitable[Answer | Known | Refusal]]
    needs_principal: bool = False
    body: type[Body] | None = None
    """The JSON object that it takes; None: none."""
    takes_form: bool = False
    takes_keys: bool = False
    """Whether API keys open it too, and not only the gateway's own tokens."""
    scope: str | None = None
    """What identified callers must hold; None: nothing."""
    largest_body: int = LARGEST_BODY
    """Bytes of the JSON object that it takes."""
    summary: str = ""

    @property
    def route(self) -> OwnRoute:
        """What the enforcer needs to know of it."""
        route = Route(
            id=self.name,
            host=None,
            methods=frozenset({self.method}),
            path=self.path,
            upstream="",
            place="built in",
        )
        return OwnRoute(route=route, needs_principal=self.needs_principal, scope=self.scope)


class _Found(NamedTuple):
    """The endpoint that a request is for."""

    endpoint: Endpoint
    route: OwnRoute
    params: Mapping[str, str]


class OwnEndpoints:
    """All of them."""

    def __init__(
        self,
        endpoints: Sequence[Endpoint],
        *,
        enforcer: Enforcer,
        authenticators: Sequence[Authenticator],
        access_log: AccessLog,
        key_authenticators: Sequence[Authenticator] = (),
    ) -> None:
        """`authenticators` read the gateway's own tokens, `key_authenticators` API keys."""
        self._enforcer = enforcer
        self._authenticators = authenticators
        self._with_keys = (*authenticators, *key_authenticators)
        self._access_log = access_log
        self._routes: RouteTrie[tuple[Endpoint, OwnRoute]] = RouteTrie()
        for endpoint in endpoints:
            self._routes.add(None, [endpoint.method], endpoint.path, (endpoint, endpoint.route))

    def owns(self, head: RequestHead, snapshot: Snapshot) -> bool:
        """Say whether a request is for the gateway itself. An explicit route for a well-known path wins."""
        segments = head.segments
        if not segments:
            return head.path == "*"
        first = segments[0]
        if first == "gateway":
            return len(segments) > 1
        if first == ".well-known" and isinstance(self._routes.match(None, segments, "GET"), Match):
            found = snapshot.routes.match(head.host, segments, "GET")
            # A pattern that only happens to match would hand our keys' address to a service.
            return not (isinstance(found, Match) and found.value.route.path == head.path)
        return False

    async def answer(self, client: ClientSide, head: RequestHead) -> None:
        """Answer one request, its record durable before the first byte."""
        snapshot = self._enforcer.snapshot
        cors = snapshot.own_cors
        if cors is not None and head.method != "OPTIONS":
            client.tell_pages(page_lines(cors, head))
        found = self._find(head, cors)
        if isinstance(found, Refusal) and found.head is not None:
            head = found.head
        route = None if isinstance(found, Refusal) else found.route
        takes_keys = not isinstance(found, Refusal) and found.endpoint.takes_keys
        admitted = await self._enforcer.admit_own(
            head,
            found if isinstance(found, Refusal) else found.route,
            self._with_keys if takes_keys else self._authenticators,
        )
        principal = ANONYMOUS
        answer: Answer | Known | Refusal
        if isinstance(admitted, Refusal):
            answer = admitted
        elif isinstance(found, Refusal):
            answer = found
        else:
            principal = admitted
            if wants_websocket(head.fields, head.version):
                answer = Refusal(head=head, reason=Reason.UPGRADE_REQUIRED, close=True)
            else:
                answer = await self._call(client, head, found, principal, snapshot)
        if isinstance(answer, Known):
            principal, answer = answer.principal, answer.answer
        tell = oauth_error_for if head.segments[: len(_OAUTH)] == _OAUTH else problem_for
        if isinstance(answer, Refusal):
            refusal, sent = answer, tell(answer, request_id=head.id)
        else:
            refusal, sent = None, _signed(answer, head)
        if not await self._enforcer.record_own(
            head, route=route, principal=principal, status=sent.status, refusal=refusal
        ):
            refusal = Refusal(head=head, reason=Reason.AUDIT_UNAVAILABLE, retry_after=1, close=answer.close)
            sent = tell(refusal, request_id=head.id)
        client.answer(sent)
        self._access_log.answered(
            head,
            route="gateway:unknown" if route is None else route.route.id,
            status=sent.status,
            actor=principal.id or None,
            reason=Reason.OK if refusal is None else refusal.reason,
        )

    def _find(self, head: RequestHead, cors: CorsRules | None) -> _Found | Refusal:
        if head.path == "*":
            return _OPTIONS
        if head.oddities:
            return ambiguous(head)
        asked = asked_method(head.fields) if cors is not None and head.method == "OPTIONS" else None
        if cors is not None and asked is not None:
            wanted = self._routes.match(None, head.segments, asked)
            if isinstance(wanted, Match):
                return _preflight_of(wanted.value[0], cors, asked)
        match = self._routes.match(None, head.segments, head.method)
        if isinstance(match, MethodMismatch) and ANY in match.allow:
            match = self._routes.match(None, head.segments, ANY)
        if match is None:
            return Refusal(head=head, reason=Reason.NOT_FOUND)
        if isinstance(match, MethodMismatch):
            return Refusal(
                head=head,
                reason=Reason.METHOD_NOT_ALLOWED,
                detail=f"This endpoint takes {', '.join(match.allow)}.",
                allow=match.allow,
            )
        return _Found(*match.value, match.params)

    async def _call(
        self, client: ClientSide, head: RequestHead, found: _Found, principal: Principal, snapshot: Snapshot
    ) -> Answer | Known | Refusal:
        endpoint = found.endpoint
        call = Call(head=head, principal=principal, snapshot=snapshot, params=found.params)
        if endpoint.body is not None:
            body = await read_json_body(client, head, largest=endpoint.largest_body)
            if isinstance(body, Refusal):
                return body
            call = replace(call, body=body)
        elif endpoint.takes_form:
            form = await read_form_body(client, head)
            if isinstance(form, Refusal):
                return form
            call = replace(call, form=form)
        try:
            return await endpoint.answer(call)
        except AuditUnavailable as fault:
            return Refusal(head=head, reason=Reason.AUDIT_UNAVAILABLE, diagnosis=str(fault), retry_after=1)
        except StoreUnavailable as fault:
            return Refusal(
                head=head, reason=Reason.DEPENDENCY_UNAVAILABLE, diagnosis=str(fault), retry_after=1
            )


def _signed(answer: Answer, head: RequestHead) -> Answer:
    lines = (*answer.lines, (b"X-Request-Id", head.id.encode()))
    return Answer(status=answer.status, lines=lines, body=answer.body, close=answer.close)


def _preflight_of(endpoint: Endpoint, rules: CorsRules, asked: str) -> _Found:
    """Return what answers the question whether a page may use an endpoint."""
    route = endpoint.route.route

    async def answer(call: Call) -> Answer | Refusal:
        told = preflight(Routed(call.head, route, {}), rules, asked)
        return Answer(status=PREFLIGHT_STATUS, lines=told.lines) if isinstance(told, Preflight) else told

    return _Found(
        replace(endpoint, answer=answer, body=None, takes_form=False),
        OwnRoute(route=route, needs_principal=False),
        {},
    )


async def _no_content(_call: Call) -> Answer:
    return Answer(status=204)


_options = Endpoint(method="OPTIONS", path="/*", name="gateway:options", answer=_no_content)
_OPTIONS = _Found(_options, _options.route, {})
