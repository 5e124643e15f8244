"""From what a route says about web pages to whom browsers let call: `cors` and the origins of `websocket`."""

from math import ceil

from gateway.config.documents import CorsDocument, RouteDocument, WebsocketDocument
from gateway.config.places import Path
from gateway.config.snapshot import CorsRules, WebsocketRules
from gateway.config.source import SourceFile
from gateway.config.words import listed


def compile_cors(document: CorsDocument | None) -> CorsRules | None:
    """Return the rules; None where no page of another origin may call."""
    if document is None:
        return None
    return CorsRules(
        origins=frozenset(document.origins),
        methods=tuple(dict.fromkeys(document.methods)),
        headers=tuple(dict.fromkeys(document.headers)),
        credentials=document.credentials,
        max_age=None if document.max_age is None else ceil(document.max_age),
    )


def compile_websocket(document: RouteDocument) -> WebsocketRules | None:
    """Return whose handshakes are let through; None: nobody's."""
    if isinstance(document.websocket, WebsocketDocument):
        return WebsocketRules(origins=frozenset(document.websocket.origins))
    return WebsocketRules(origins=None) if document.websocket else None


def check_pages(document: RouteDocument, path: Path, source: SourceFile) -> None:
    """Report rules about web pages that no request of this route could meet."""
    if not source.is_whole((*path, "match")):
        return
    methods = document.match.methods
    if document.websocket and "GET" not in methods:
        source.report(
            "E127",
            (*path, "websocket"),
            "a WebSocket begins with a GET, which this route does not list",
            'add GET to its methods, or remove "websocket"',
            key=True,
        )
    cors = document.cors
    if cors is None or not cors.methods or not source.is_whole((*path, "cors", "methods")):
        return
    reachable = {*methods, "HEAD"} if "GET" in methods else set(methods)
    if reachable.isdisjoint(cors.methods):
        source.report(
            "E127",
            (*path, "cors", "methods"),
            f"the route lists {listed(methods)}, and no page may use any of them",
            f"write methods: [{listed(methods)}], or leave it out",
        )
