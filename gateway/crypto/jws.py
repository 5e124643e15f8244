"""Reading signed tokens (RFC 7515, compact form) so strictly that a token means the same to every reader.

Nothing is believed here: whoever reads a token checks its signature with a key of their own choice, and only
then looks at what it says.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from gateway.crypto.base64url import decode_base64url


class JwsMalformed(ValueError):
    """The text is no signed token. The message says why, and holds nothing out of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Jws:
    """A token taken apart."""

    header: Mapping[str, object]
    payload: Mapping[str, object] = field(repr=False)
    signed: bytes = field(repr=False)
    """What the signature is over: header and payload as they were sent."""
    signature: bytes = field(repr=False)


def read_jws(token: bytes) -> Jws:
    """Return the parts of a token whose payload is a JSON object. Raise `JwsMalformed`, and nothing else
    whatever the text is.

    How long the text may be is for the caller to say, before.
    """
    signed, _, signature = token.rpartition(b".")
    header, _, payload = signed.partition(b".")
    try:
        return Jws(
            header=read_json_object(decode_base64url(header)),
            payload=read_json_object(decode_base64url(payload)),
            signed=signed,
            signature=decode_base64url(signature),
        )
    except JwsMalformed:
        raise
    except ValueError:
        # The cause is left out: its text may quote the token.
        raise JwsMalformed("it cannot be decoded") from None


def read_json_object(data: bytes) -> dict[str, object]:
    """Return a JSON object in UTF-8 in which no name occurs twice. Raise `JwsMalformed`.

    RFC 7515 section 4 lets parsers take the last of equal names; readers that differ are an attack.
    """
    try:
        value = json.loads(
            data.decode("utf-8"), object_pairs_hook=_without_duplicates, parse_constant=_no_constant
        )
    except JwsMalformed:
        raise
    except (ValueError, RecursionError):
        raise JwsMalformed("it cannot be decoded") from None
    if not isinstance(value, dict):
        raise JwsMalformed("not a JSON object")
    return value


def _without_duplicates(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise JwsMalformed("a name occurs twice in a JSON object")
    return members


def _no_constant(name: str) -> object:
    raise JwsMalformed(f"{name} is not JSON")
