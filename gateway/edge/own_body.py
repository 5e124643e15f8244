"""Reading the body of a request to one of the gateway's own endpoints: JSON, or a form; small, and soon."""

import asyncio
import json
from collections.abc import Mapping

from gateway.accounts import Form, FormFlaw, read_form
from gateway.edge.client_side import ClientSide
from gateway.model import Framing, Reason, Refusal, RequestHead
from gateway.proxy import BodyBroken, BodyTooLarge, ClientLeft

LARGEST_BODY = 64 * 1024
"""Bytes that a request to one of the gateway's own endpoints may carry."""
BODY_SECONDS = 10.0
"""How long such a body may take to arrive."""
_FORM = b"application/x-www-form-urlencoded"


async def read_json_body(client: ClientSide, head: RequestHead) -> Mapping[str, object] | Refusal:
    """Return the JSON object that a client sends; empty when it sends nothing."""
    if not _is(head, b"application/json"):
        return Refusal(
            head=head, reason=Reason.UNSUPPORTED_MEDIA_TYPE, detail="Send JSON as application/json."
        )
    text = await _read(client, head)
    if isinstance(text, Refusal):
        return text
    if not text:
        return {}
    try:
        value = json.loads(text.decode(), object_pairs_hook=_once, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        twice = isinstance(error, MemberTwice)
        return _invalid(head, str(error) if twice else "the body is not JSON")
    return value if isinstance(value, dict) else _invalid(head, "the body is not a JSON object")


async def read_form_body(client: ClientSide, head: RequestHead) -> Form | Refusal:
    """Return the form that a client sends; empty when it sends nothing."""
    if not _is(head, _FORM):
        return Refusal(
            head=head,
            reason=Reason.UNSUPPORTED_MEDIA_TYPE,
            detail="Send a form as application/x-www-form-urlencoded.",
            oauth_error="invalid_request",
        )
    text = await _read(client, head)
    if isinstance(text, Refusal):
        return text
    try:
        return read_form(text)
    except FormFlaw as flaw:
        return Refusal(
            head=head,
            reason=Reason.INVALID_REQUEST,
            diagnosis=str(flaw),
            detail=f"Refused because {flaw}.",
            oauth_error="invalid_request",
        )


class MemberTwice(ValueError):
    """A JSON object names a member twice, and readers differ in which one counts."""


def _is(head: RequestHead, media_type: bytes) -> bool:
    if head.framing is Framing.NONE or head.content_length == 0:
        # Of nothing there is no kind. What is needed is asked for by name.
        return True
    return (head.fields.one(b"content-type") or b"").partition(b";")[0].strip().lower() == media_type


async def _read(client: ClientSide, head: RequestHead) -> bytes | Refusal:
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
    return b"".join(parts)


def _too_large(head: RequestHead) -> Refusal:
    detail = f"The body may have at most {LARGEST_BODY} bytes."
    return Refusal(head=head, reason=Reason.BODY_TOO_LARGE, detail=detail, close=True)


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise MemberTwice("an object names a member twice")
    return members


def _no_constant(name: str) -> float:
    raise ValueError(name)


def _invalid(head: RequestHead, message: str) -> Refusal:
    return Refusal(head=head, reason=Reason.INVALID_REQUEST, errors=({"field": "", "message": message},))
