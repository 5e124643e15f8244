"""From `respond` of a route to an answer that the gateway gives itself."""

from collections.abc import Mapping

from gateway.config.documents import RespondDocument, RouteDocument
from gateway.config.places import Path
from gateway.config.set_fields import check_set_fields
from gateway.config.snapshot import Respond
from gateway.config.source import SourceFile
from gateway.model import Line

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
"""RFC 9110 section 15.4: these mean nothing without `Location`."""
_BODILESS = frozenset({204, 205, 304})
"""RFC 9110 sections 15.3.5, 15.3.6 and 15.4.5."""
_TEXT = (b"content-type", b"text/plain; charset=utf-8")


def compile_respond(document: RouteDocument, path: Path, source: SourceFile) -> Respond | None:
    """Return the answer, if the route has one of its own; what is wrong with it is reported.

    `path` is that of the route.
    """
    answer = document.respond
    if answer is None:
        return None
    _check_answer(answer, (*path, "respond"), source)
    _check_others(document, path, source)
    body = (answer.body or "").encode()
    lines: tuple[Line, ...] = tuple(
        (name.encode("ascii"), value.encode("ascii")) for name, value in answer.headers.items()
    )
    if body and "content-type" not in answer.headers:
        lines = (*lines, _TEXT)
    return Respond(status=answer.status, lines=lines, body=body)


def _check_answer(answer: RespondDocument, path: Path, source: SourceFile) -> None:
    check_set_fields(source, (*path, "headers"), is_request=False)
    if answer.body and answer.status in _BODILESS:
        source.report(
            "E127",
            (*path, "body"),
            f"an answer with the status {answer.status} has no body",
            'remove "body", or write status: 200',
            key=True,
        )
    is_known_absent = not answer.headers.get("location") and not any(
        source.is_lost((*path, *below)) for below in (("headers",), ("headers", "location"))
    )
    if answer.status in _REDIRECTS and is_known_absent:
        source.report(
            "E102",
            (*path, "status"),
            f"the status {answer.status} sends callers elsewhere, and nothing says where",
            "add headers: {location: /orders}",
        )


def _check_others(document: RouteDocument, path: Path, source: SourceFile) -> None:
    """Report keys of the route that mean nothing where no upstream is asked."""
    useless: Mapping[str, tuple[object, str]] = {
        "websocket": (document.websocket, "never switches the protocol"),
        "body": (document.body and document.body.max_request, "does not read the request's body"),
        "streams": (document.streams, "is no stream"),
        "encrypt_response": (document.encrypt_response, "is not encrypted"),
        "decrypt_request": (document.decrypt_request, "does not read the request's body"),
        "encrypt_fields": (document.encrypt_fields, "is not encrypted"),
    }
    for key, (value, why) in useless.items():
        if value:
            source.report(
                "E127",
                (*path, key),
                f"an answer of the gateway itself {why}",
                f'remove "{key}", or "respond"',
                key=True,
            )
