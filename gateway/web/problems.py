"""A refusal as RFC 9457 sees it: `application/problem+json`, the same from every listener."""

import math

from gateway.limits import rate_fields
from gateway.model import STATUS_AND_TITLE, WEBSOCKET_VERSION, Line, Reason, Refusal, Tally
from gateway.web.answer import Answer, json_answer

MEDIA_TYPE = b"application/problem+json"
TYPE_PREFIX = "urn:gateway:problem:"

_RETRY_SOON = frozenset(
    {
        Reason.RATE_EXCEEDED,
        Reason.NO_HEALTHY_UPSTREAM,
        Reason.OVERLOADED,
        Reason.DEPENDENCY_UNAVAILABLE,
        Reason.AUDIT_UNAVAILABLE,
        Reason.DRAINING,
    }
)
"""Answers that always say when to come back, be it in a second."""


def problem_for(refusal: Refusal, *, request_id: str) -> Answer:
    """Return the answer to a refused request. The diagnosis stays inside."""
    status, title = STATUS_AND_TITLE[refusal.reason]
    body: dict[str, object] = {
        "type": TYPE_PREFIX + refusal.reason,
        "title": title,
        "status": status,
        "instance": f"urn:uuid:{request_id}",
    }
    if refusal.detail is not None:
        body["detail"] = refusal.detail
    if refusal.errors:
        body["errors"] = refusal.errors
    answer = json_answer(status, body, *refusal_lines(refusal, request_id), media_type=MEDIA_TYPE)
    return Answer(status=answer.status, lines=answer.lines, body=answer.body, close=refusal.close)


def refusal_lines(refusal: Refusal, request_id: str) -> list[Line]:
    """Return the header lines that a refusal has in whatever form it is told."""
    lines: list[Line] = [(b"X-Request-Id", request_id.encode())]
    lines += [(b"WWW-Authenticate", challenge.encode()) for challenge in refusal.challenges]
    if refusal.allow:
        lines.append((b"Allow", ", ".join(refusal.allow).encode()))
    if refusal.reason is Reason.UPGRADE_REQUIRED:
        # RFC 9110 section 15.5.22: the protocol that is spoken here; RFC 6455 section 4.2.2: in
        # which version.
        if refusal.is_websocket_here:
            lines += [(b"Upgrade", b"websocket"), (b"Sec-WebSocket-Version", WEBSOCKET_VERSION)]
        else:
            lines.append((b"Upgrade", b"HTTP/1.1"))
    if refusal.retry_after is not None or refusal.reason in _RETRY_SOON:
        # Rounded up: a client that comes back exactly then must not be refused again.
        lines.append((b"Retry-After", b"%d" % max(1, math.ceil(refusal.retry_after or 1))))
    lines += rate_lines(refusal.tallies)
    lines += refusal.more
    return lines


def rate_lines(tallies: tuple[Tally, ...]) -> list[Line]:
    """Return the `RateLimit` fields of an answer that a limit had a say in, none when no limit applied."""
    fields = rate_fields(tallies)
    if fields is None:
        return []
    return [(b"RateLimit-Policy", fields[0]), (b"RateLimit", fields[1])]
