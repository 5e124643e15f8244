"""From `encrypt_response`, `encrypt_fields`, `decrypt_request` of a route to what is encrypted, and how."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from gateway.config.documents import EncryptDocument, RouteDocument
from gateway.config.json_pointers import overlap, write_pointer
from gateway.config.places import Path
from gateway.config.quantities import LARGEST_HELD
from gateway.config.snapshot import ResponseEncryption
from gateway.config.source import SourceFile
from gateway.config.words import quoted

_USUAL = 1024 * 1024
_OF_CLIENTS = "gateway_jwt"
"""The kind of authenticators whose callers may be clients of this gateway."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Encryption:
    """What of a route's exchanges is encrypted."""

    response: ResponseEncryption | None
    """How responses are; None: they are not."""
    request: str | None
    """Name of the key that requests are encrypted with; None: they are not."""


def compile_encryption(
    document: RouteDocument, path: Path, source: SourceFile, kinds: Collection[str]
) -> Encryption:
    """Return what is encrypted; what is wrong with it is reported.

    `path` is that of the route; `kinds` are those of the authenticators that it asks, none when not all of
    them are known.
    """
    _check_others(document, path, source)
    _check_fields(document, path, source)
    response = document.encrypt_response
    if response is not None:
        _check_response(document, response, path, source, kinds)
    return Encryption(
        response=None
        if response is None
        else ResponseEncryption(
            key=response.key,
            largest=response.max_response or _USUAL,
            fields=tuple(document.encrypt_fields or ()),
        ),
        request=None if document.decrypt_request is None else document.decrypt_request.key,
    )


def _check_response(
    document: RouteDocument,
    response: EncryptDocument,
    route: Path,
    source: SourceFile,
    kinds: Collection[str],
) -> None:
    path: Path = (*route, "encrypt_response")
    if response.recipient is None:
        if response.key is None and not any(source.is_lost((*path, key)) for key in ("key", "recipient")):
            source.report(
                "E102",
                path,
                'the response encryption says neither "key" nor "recipient"',
                "add key: reports, or recipient: client",
            )
        return
    if response.key is not None:
        source.report(
            "E127",
            (*path, "recipient"),
            "a response is encrypted with one key: that of the gateway, or that of the client",
            'remove "key" or "recipient"',
            key=True,
        )
    elif document.authn == "public":
        source.report(
            "E111",
            (*path, "recipient"),
            "the callers of a public route are not known, and neither are their keys",
            "write key: reports, or remove authn: public",
            key=True,
        )
    elif kinds and _OF_CLIENTS not in kinds:
        source.report(
            "E127",
            (*path, "recipient"),
            "none of the callers that this route accepts can be a client with a registered key",
            f'add an authenticator of kind {_OF_CLIENTS} to its "authn", or write key: reports',
            key=True,
        )


def _check_fields(document: RouteDocument, route: Path, source: SourceFile) -> None:
    pointers = document.encrypt_fields
    if pointers is None:
        return
    path: Path = (*route, "encrypt_fields")
    if document.encrypt_response is None and not source.is_lost((*route, "encrypt_response")):
        source.report(
            "E127",
            path,
            "nothing says what these values are encrypted with",
            "add encrypt_response: {key: reports}",
            key=True,
        )
    for index, pointer in enumerate(pointers):
        for earlier in pointers[:index]:
            if overlap(earlier, pointer):
                source.report(
                    "E127",
                    (*path, index),
                    "it is in the list already"
                    if earlier == pointer
                    else f"it means values that {quoted(write_pointer(earlier))} means, or parts of them",
                    "keep one of the two",
                )
                break


def _check_others(document: RouteDocument, path: Path, source: SourceFile) -> None:
    """Report keys of the route that mean nothing beside encryption."""
    if document.respond is not None:
        return  # It is said there already.
    key = "encrypt_response" if document.encrypt_response is not None else "decrypt_request"
    if document.encrypt_response is None and document.decrypt_request is None:
        return
    useless: Mapping[str, tuple[object, str]] = {
        "websocket": (document.websocket, "messages of a WebSocket are not encrypted"),
        "streams": (
            document.streams if document.encrypt_response is not None else None,
            "a response that is encrypted as a whole is no stream",
        ),
    }
    for other, (value, why) in useless.items():
        if value:
            source.report("E127", (*path, other), why, f'remove "{other}", or "{key}"', key=True)
    size = None if document.body is None else document.body.max_request
    if (
        document.decrypt_request is not None
        and size is not None
        and (size.bytes is None or size.bytes > LARGEST_HELD)
    ):
        source.report(
            "E127",
            (*path, "body", "max_request"),
            "a request that is decrypted is in memory as a whole",
            "write at most 16MiB",
        )
