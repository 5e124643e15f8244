"""The gateway's own endpoints on the clients' listener: found, guarded, limited, answered, recorded.

Each endpoint is a plain function from a `Call` to an answer or a refusal; this file is the only way to it.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field

from gateway.config import Snapshot
from gateway.edge.client_side import ClientSide
from gateway.identity import Authenticator
from gateway.model import ANONYMOUS, Framing, Principal, Reason, Refusal, RequestHead, Route, wants_websocket
from gateway.observability import AccessLog
from gateway.pipeline import Enforcer, OwnRoute, ambiguous
from gateway.ports import AuditUnavailable, StoreUnavailable
from gateway.proxy import BodyBroken, BodyTooLarge, ClientLeft
from gateway.routing import Match, MethodMismatch, RouteTrie
from gateway.web import Answer, problem_for

LARGEST_BODY = 64 * 1024
"""Bytes that a request to one of the gateway's own endpoints may carry."""
BODY_SECONDS = 10.0
"""How long such a body may take to arrive."""
_WELL_KNOWN = frozenset({"jwks.json", "oauth-authorization-server", "oauth-protected-resource"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request to one of the gateway's own endpoints, after every guard."""

    head: RequestHead
    principal: Principal
    snapshot: Snapshot
    body: Mapping[str, object] = field(default_factory=dict, repr=False)
    """The JSON object that was sent; empty for endpoints that take none."""

    @property
    def user_agent(self) -> str | None:
        """What the client calls itself."""
        value = self.head.fields.one(b"user-agent")
        return None if value is None else value.decode("utf-8", "replace")[:256]


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """One of the gateway's own endpoints."""

    method: str
    path: str
    name: str
    """As the audit record names it: `gateway:auth.login`."""
    answer: Callable[[Call], Awaitable[Answer | Refusal]]
    needs_principal: bool = False
    takes_body: bool = False
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
        return OwnRoute(route=route, needs_principal=self.needs_principal)


class OwnEndpoints:
    """All of them."""

    def __init__(
        self,
        endpoints: Sequence[Endpoint],
        *,
        enforcer: Enforcer,
        authenticators: Sequence[Authenticator],
        access_log: AccessLog,
    ) -> None:
        self._enforcer = enforcer
        self._authenticators = authenticators
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
        if first == ".well-known" and len(segments) == 2 and segments[1] in _WELL_KNOWN:  # noqa: PLR2004
            found = snapshot.routes.match(head.host, segments, "GET")
            # A pattern that only happens to match would hand our keys' address to a service.
            return not (isinstance(found, Match) and found.value.route.path == head.path)
        return False

    async def answer(self, client: ClientSide, head: RequestHead) -> None:
        """Answer one request, its record durable before the first byte."""
        found = self._find(head)
        if isinstance(found, Refusal) and found.head is not None:
            head = found.head
        route = None if isinstance(found, Refusal) else found[1]
        admitted = await self._enforcer.admit_own(
            head, found if isinstance(found, Refusal) else found[1], self._authenticators
        )
        principal = ANONYMOUS
        answer: Answer | Refusal
        if isinstance(admitted, Refusal):
            answer = admitted
        elif isinstance(found, Refusal):
            answer = found
        else:
            principal = admitted
            if wants_websocket(head.fields, head.version):
                answer = Refusal(head=head, reason=Reason.UPGRADE_REQUIRED, close=True)
            else:
                answer = await self._call(client, head, found[0], principal)
        if isinstance(answer, Refusal):
            refusal, sent = answer, problem_for(answer, request_id=head.id)
        else:
            refusal, sent = None, _signed(answer, head)
        if not await self._enforcer.record_own(
            head, route=route, principal=principal, status=sent.status, refusal=refusal
        ):
            refusal = Refusal(head=head, reason=Reason.AUDIT_UNAVAILABLE, retry_after=1, close=answer.close)
            sent = problem_for(refusal, request_id=head.id)
        client.answer(sent)
        self._access_log.answered(
            head,
            route="gateway:unknown" if route is None else route.route.id,
            status=sent.status,
            actor=principal.id or None,
            reason=Reason.OK if refusal is None else refusal.reason,
        )

    def _find(self, head: RequestHead) -> tuple[Endpoint, OwnRoute] | Refusal:
        if head.path == "*":
            return _OPTIONS
        if head.oddities:
            return ambiguous(head)
        match = self._routes.match(None, head.segments, head.method)
        if match is None:
            return Refusal(head=head, reason=Reason.NOT_FOUND)
        if isinstance(match, MethodMismatch):
            return Refusal(head=head, reason=Reason.METHOD_NOT_ALLOWED, allow=match.allow)
        return match.value

    async def _call(
        self, client: ClientSide, head: RequestHead, endpoint: Endpoint, principal: Principal
    ) -> Answer | Refusal:
        body: Mapping[str, object] = {}
        if endpoint.takes_body:
            read = await _read_json(client, head)
            if isinstance(read, Refusal):
                return read
            body = read
        try:
            return await endpoint.answer(
                Call(head=head, principal=principal, snapshot=self._enforcer.snapshot, body=body)
            )
        except AuditUnavailable as fault:
            return Refusal(head=head, reason=Reason.AUDIT_UNAVAILABLE, diagnosis=str(fault), retry_after=1)
        except StoreUnavailable as fault:
            return Refusal(
                head=head, reason=Reason.DEPENDENCY_UNAVAILABLE, diagnosis=str(fault), retry_after=1
            )


async def _read_json(client: ClientSide, head: RequestHead) -> Mapping[str, object] | Refusal:
    if head.framing is not Framing.NONE:
        media_type = (head.fields.one(b"content-type") or b"").partition(b";")[0].strip().lower()
        if media_type != b"application/json":
            return Refusal(
                head=head, reason=Reason.UNSUPPORTED_MEDIA_TYPE, detail="Send JSON as application/json."
            )
    client.limit_body(LARGEST_BODY)
    if (head.content_length or 0) > LARGEST_BODY:
        return _too_large(head)
    parts: list[bytes] = []
    client.continue_()
    try:
        async with asyncio.timeout(BODY_SECONDS):
            while data := await client.read():
                parts.append(data)
    except TimeoutError:
        detail = f"The body did not arrive within {BODY_SECONDS:.0f} seconds."
        return Refusal(head=head, reason=Reason.REQUEST_TIMEOUT, detail=detail, close=True)
    except ClientLeft:
        return Refusal(head=head, reason=Reason.REQUEST_TIMEOUT, diagnosis="the client left", close=True)
    except BodyTooLarge:
        return _too_large(head)
    except BodyBroken:
        return Refusal(head=head, reason=Reason.MALFORMED_REQUEST, diagnosis="body framing", close=True)
    text = b"".join(parts)
    if not text:
        return {}
    try:
        value = json.loads(text.decode(), object_pairs_hook=_once, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        twice = isinstance(error, MemberTwice)
        return _invalid(head, str(error) if twice else "the body is not JSON")
    return value if isinstance(value, dict) else _invalid(head, "the body is not a JSON object")


def _too_large(head: RequestHead) -> Refusal:
    detail = f"The body may have at most {LARGEST_BODY} bytes."
    return Refusal(head=head, reason=Reason.BODY_TOO_LARGE, detail=detail, close=True)


class MemberTwice(ValueError):
    """A JSON object names a member twice, and readers differ in which one counts."""


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise MemberTwice("an object names a member twice")
    return members


def _no_constant(name: str) -> float:
    raise ValueError(name)


def _invalid(head: RequestHead, message: str) -> Refusal:
    return Refusal(head=head, reason=Reason.INVALID_REQUEST, errors=({"field": "", "message": message},))


def _signed(answer: Answer, head: RequestHead) -> Answer:
    lines = (*answer.lines, (b"X-Request-Id", head.id.encode()))
    return Answer(status=answer.status, lines=lines, body=answer.body, close=answer.close)


async def _no_content(_call: Call) -> Answer:
    return Answer(status=204)


_options = Endpoint(method="OPTIONS", path="/*", name="gateway:options", answer=_no_content)
_OPTIONS = (_options, _options.route)
