"""Reading the body of a request to one of the gateway's own endpoints: JSON, or a form; small, and soon.

Some bodies are larger, because a few of their texts are: what is to be encrypted. Of everything else there is
no more in them than in the others, so that reading them keeps nobody waiting.
"""

import asyncio
import json
from collections.abc import Mapping

from gateway.accounts import Form, FormFlaw, read_form
from gateway.crypto import in_thread
from gateway.edge.client_side import ClientSide
from gateway.model import Framing, Reason, Refusal, RequestHead
from gateway.proxy import BodyBroken, BodyTooLarge, ClientLeft

LARGEST_BODY = 64 * 1024
"""Bytes that a request to one of the gateway's own endpoints may carry, where the endpoint does not say."""
LARGEST_STRUCTURE = 96 * 1024
"""Characters of a larger body that may be anything but the contents of strings: enough for a batch of a
thousand values on lines of their own. What they could stand for else takes ten milliseconds to read."""
BODY_SECONDS = 10.0
"""How long such a body may take to arrive."""
_FORM = b"application/x-www-form-urlencoded"
_UNCODED = "Send the body as it is, without a Content-Encoding."
_DECODER = json.JSONDecoder()


async def read_json_body(
    client: ClientSide, head: RequestHead, *, largest: int = LARGEST_BODY
) -> Mapping[str, object] | Refusal:
    """Return the JSON object of at most so many bytes that a client sends; empty when it sends nothing."""
    if not _is(head, b"application/json"):
        return Refusal(
            head=head, reason=Reason.UNSUPPORTED_MEDIA_TYPE, detail="Send JSON as application/json."
        )
    if _is_coded(head):
        return Refusal(head=head, reason=Reason.UNSUPPORTED_MEDIA_TYPE, detail=_UNCODED)
    text = await _read(client, head, largest)
    if isinstance(text, Refusal):
        return text
    if not text:
        return {}
    try:
        value = _parsed(text) if len(text) <= LARGEST_BODY else await in_thread(_parsed_large, text)
    except (ValueError, RecursionError) as error:
        return _invalid(head, str(error) if isinstance(error, BodyFlaw) else "the body is not JSON")
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
    if _is_coded(head):
        return Refusal(
            head=head,
            reason=Reason.UNSUPPORTED_MEDIA_TYPE,
            detail=_UNCODED,
            oauth_error="invalid_request",
        )
    text = await _read(client, head, LARGEST_BODY)
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


class BodyFlaw(ValueError):
    """The body is JSON that nobody should send. The text says why, and holds nothing of it."""


def _is(head: RequestHead, media_type: bytes) -> bool:
    if head.framing is Framing.NONE or head.content_length == 0:
        # Of nothing there is no kind. What is needed is asked for by name.
        return True
    return (head.fields.one(b"content-type") or b"").partition(b";")[0].strip().lower() == media_type


def _is_coded(head: RequestHead) -> bool:
    """Say whether a body is not sent as it is (RFC 9110 section 8.4). Of nothing there is no coding."""
    if head.framing is Framing.NONE or head.content_length == 0:
        return False
    codings = b",".join(head.fields.all(b"content-encoding")).split(b",")
    return any(each.strip(b" \t").lower() not in (b"", b"identity") for each in codings)


async def _read(client: ClientSide, head: RequestHead, largest: int) -> bytes | Refusal:
    client.limit_body(largest)
    if (head.content_length or 0) > largest:
        return _too_large(head, largest)
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
        return _too_large(head, largest)
    except BodyBroken:
        return Refusal(head=head, reason=Reason.MALFORMED_REQUEST, diagnosis="body framing", close=True)
    return b"".join(parts)


def _too_large(head: RequestHead, largest: int) -> Refusal:
    detail = f"The body may have at most {largest} bytes."
    return Refusal(head=head, reason=Reason.BODY_TOO_LARGE, detail=detail, close=True)


def _parsed(data: bytes) -> object:
    """Return what JSON stands for. Raise `ValueError`, `RecursionError`."""
    return json.loads(data.decode(), object_pairs_hook=_once, parse_constant=_no_constant)


def _parsed_large(data: bytes) -> object:
    """Do the same with what is large for its strings alone. Raise `BodyFlaw` for what is so otherwise: made
    of millions of values, four megabytes would take all others' time."""
    text = data.decode()
    at = structure = 0
    while (quote := text.find('"', at)) >= 0 and structure <= LARGEST_STRUCTURE:
        _, end = _DECODER.raw_decode(text, quote)
        structure += quote - at + len('""')
        at = end
    if structure + len(text) - at > LARGEST_STRUCTURE:
        raise BodyFlaw(f"the body has more than {LARGEST_STRUCTURE} characters that are not within strings")
    return _parsed(data)


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) != len(pairs):
        # Readers differ in which one counts.
        raise BodyFlaw("an object names a member twice")
    return members


def _no_constant(name: str) -> float:
    raise ValueError(name)


def _invalid(head: RequestHead, message: str) -> Refusal:
    return Refusal(head=head, reason=Reason.INVALID_REQUEST, errors=({"field": "", "message": message},))
