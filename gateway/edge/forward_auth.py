"""Forward-auth: another proxy asks whether it may forward a request, and is told who its caller is.

What is decided on is the request that the proxy describes, never the one that it asks with. It is read by the
same reader as any other, goes through the same chain, and leaves one record.
"""

from aiohttp.http_parser import RawRequestMessage

from gateway.config import Snapshot, Upstream
from gateway.edge.client_side import ClientSide
from gateway.edge.described import CHECK_PATH, FOR_NGINX, described
from gateway.edge.head import HeadReader
from gateway.edge.own import ANY, Call, Endpoint, OwnEndpoints
from gateway.model import ANONYMOUS, Line, Permit, Preflight, Reason, Refusal, RequestHead
from gateway.observability import AccessLog
from gateway.pipeline import CHECK_STATUS, PREFLIGHT_STATUS, Enforcer, page_lines
from gateway.proxy import Assertions, identity_fields
from gateway.web import NO_STORE, Answer, problem_for, rate_lines

_FORBIDDEN = 403
_UNDERSTOOD = frozenset({401, _FORBIDDEN})
"""Refusals that nginx passes on; any other it takes for a fault of ours."""
_NOBODY = identity_fields(ANONYMOUS, frozenset())
_ASSERTION = b"X-Gateway-Assertion"
_NO_ASSERTION: Line = (_ASSERTION, b"")


class ForwardAuth:
    """Answers proxies."""

    def __init__(
        self,
        *,
        reader: HeadReader,
        enforcer: Enforcer,
        own: OwnEndpoints,
        assertions: Assertions,
        access_log: AccessLog,
    ) -> None:
        self._reader = reader
        self._enforcer = enforcer
        self._own = own
        self._assertions = assertions
        self._access_log = access_log

    async def answer(self, client: ClientSide, head: RequestHead) -> None:
        """Answer one request to `CHECK_PATH` or below it; its record, the only one, is durable before."""
        message = described(head) if head.peer_trusted else ()
        if not isinstance(message, RawRequestMessage):
            # What is refused is the question itself, which is like any other request to an endpoint of ours.
            await self._own.answer(client, head)
            return
        original, refusal = self._reader.read(message, self._reader.block(message, head.peer))
        if refusal is None and self._own.owns(original, self._enforcer.snapshot):
            diagnosis = "a path of the gateway itself leads nowhere else"
            refusal = Refusal(head=original, reason=Reason.NO_ROUTE, diagnosis=diagnosis)
        if refusal is not None:
            self._refuse(client, head, await self._enforcer.refuse(refusal, is_check=True), ())
            return
        decision, snapshot = await self._enforcer.check(original)
        if isinstance(decision, Refusal):
            plan = None if decision.route is None else snapshot.plans[decision.route.id]
            pages = () if plan is None or plan.cors is None else page_lines(plan.cors, original)
            self._refuse(client, head, decision, pages)
        elif isinstance(decision, Preflight):
            self._permit(
                client,
                original,
                decision.route.id,
                PREFLIGHT_STATUS,
                (*decision.lines, *_NOBODY, _NO_ASSERTION),
            )
        else:
            lines = (*self._identity(decision, snapshot), *rate_lines(decision.tallies))
            self._permit(
                client, original, decision.route.id, CHECK_STATUS, lines, actor=decision.principal.id
            )

    def _permit(
        self,
        client: ClientSide,
        original: RequestHead,
        route: str,
        status: int,
        lines: tuple[Line, ...],
        *,
        actor: str = "",
    ) -> None:
        own = (NO_STORE, (b"X-Request-Id", original.id.encode()))
        client.answer(Answer(status=status, lines=(*own, *lines)))
        self._access_log.answered(original, route=route, status=status, actor=actor or None, reason=Reason.OK)

    def _refuse(
        self, client: ClientSide, asked: RequestHead, refusal: Refusal, pages: tuple[Line, ...]
    ) -> None:
        head = refusal.head or asked
        problem = problem_for(refusal, request_id=head.id)
        status, lines = problem.status, (*problem.lines, *pages)
        if asked.query == FOR_NGINX and asked.path == CHECK_PATH and status not in _UNDERSTOOD:
            lines = (*lines, (b"X-Gateway-Status", b"%d" % status))
            status = _FORBIDDEN
        # The proxy's connection is in order, whatever its client's is.
        client.answer(Answer(status=status, lines=lines, body=problem.body))
        self._access_log.refused(refusal)

    def _identity(self, permit: Permit, snapshot: Snapshot) -> tuple[Line, ...]:
        """Return every identity field, so that what the proxy's client says in them is always overwritten."""
        destination = snapshot.plans[permit.route.id].destination
        if not isinstance(destination, Upstream):
            return (*identity_fields(permit.principal, permit.grant.scopes), _NO_ASSERTION)
        rules = destination.forward
        if rules.identity == "none":
            return (*_NOBODY, _NO_ASSERTION)
        fields = identity_fields(permit.principal, permit.grant.scopes)
        if rules.identity != "signed_jwt":
            return (*fields, _NO_ASSERTION)
        if rules.binds_request:
            head = permit.head
            url = f"{head.scheme}://{head.authority or ''}{head.path}"
            assertion = self._assertions.about_request(permit, destination.id, url=url)
        else:
            assertion = self._assertions.about(permit, destination.id)
        return (*fields, (_ASSERTION, assertion or b""))


def check_endpoints() -> list[Endpoint]:
    """Return the endpoints that proxies ask, as far as they refuse the question itself."""
    paths = (CHECK_PATH, f"{CHECK_PATH}/**")
    summary = "Ask as a trusted proxy whether a request may be forwarded."
    return [
        Endpoint(method=ANY, path=path, name="gateway:check", answer=_refused, summary=summary)
        for path in paths
    ]


async def _refused(call: Call) -> Refusal:
    head = call.head
    if not head.peer_trusted:
        diagnosis = "the peer is not one of GATEWAY_TRUSTED_PROXIES"
        return Refusal(head=head, reason=Reason.DENIED, diagnosis=diagnosis)
    flaws = described(head)
    errors = () if isinstance(flaws, RawRequestMessage) else flaws
    return Refusal(head=head, reason=Reason.INVALID_REQUEST, errors=errors)
