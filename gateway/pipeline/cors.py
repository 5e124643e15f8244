"""CORS: which pages of other origins may call, and how browsers are told (Fetch standard, CORS protocol).

What a page may read is the browser's business; the gateway only says what the route says.
"""

from typing import Final

from gateway.config import CorsRules
from gateway.model import Fields, Line, Preflight, Reason, Refusal, RequestHead, Route, Routed

PAGE_FIELDS: Final = frozenset({b"access-control-allow-origin", b"access-control-allow-credentials"})
"""Lower-case names of the fields that only the gateway sets where the policy says which pages may call."""

_ASKED: Final = b"access-control-request-method"
_VARY: Final[tuple[Line, ...]] = ((b"Vary", b"Origin"),)
"""Also where no page asks: a cache must not give one origin the answer that another one got."""


def asked_method(fields: Fields) -> str | None:
    """Return the method that a page wants to use, when an OPTIONS request is a preflight."""
    if b"origin" not in fields:
        return None
    asked = fields.one(_ASKED)
    return None if asked is None else asked.decode("latin-1")


def preflight(routed: Routed, rules: CorsRules, asked: str) -> Preflight | Refusal:
    """Answer a preflight: a page asks whether it may use this method on the route."""
    head, route = routed.head, routed.route
    origin = _listed(rules, head.fields)
    methods = _methods(rules, route)
    if origin is None or asked not in methods:
        flaw = "of this origin may not call" if origin is None else "may not use this method"
        return Refusal(
            head=head, route=route, reason=Reason.DENIED, rule=route.rule, diagnosis=f"pages {flaw}"
        )
    lines = [*_allowed(rules, origin), (b"Access-Control-Allow-Methods", ", ".join(methods).encode())]
    if rules.headers:
        lines.append((b"Access-Control-Allow-Headers", ", ".join(rules.headers).encode()))
    if rules.max_age is not None:
        lines.append((b"Access-Control-Max-Age", b"%d" % rules.max_age))
    return Preflight(head=head, route=route, lines=(*lines, *_VARY))


def page_lines(rules: CorsRules, head: RequestHead) -> tuple[Line, ...]:
    """Return what the answer to a request says about pages, be it the upstream's or a refusal."""
    fields = head.fields
    if b"origin" not in fields or (head.method == "OPTIONS" and _ASKED in fields):
        return _VARY
    origin = _listed(rules, fields)
    return _VARY if origin is None else (*_allowed(rules, origin), *_VARY)


def _listed(rules: CorsRules, fields: Fields) -> bytes | None:
    """Return the origin of the page that asks, as it came, when pages of it may call."""
    origin = fields.one(b"origin")
    return origin if origin is not None and origin.decode("latin-1").lower() in rules.origins else None


def _methods(rules: CorsRules, route: Route) -> tuple[str, ...]:
    methods = rules.methods or tuple(sorted(route.methods))
    return (*methods, "HEAD") if "GET" in methods and "HEAD" not in methods else methods


def _allowed(rules: CorsRules, origin: bytes) -> list[Line]:
    lines: list[Line] = [(b"Access-Control-Allow-Origin", origin)]
    if rules.credentials:
        lines.append((b"Access-Control-Allow-Credentials", b"true"))
    return lines
