"""How an OAuth client says who it is (RFC 6749 section 2.3): Basic, in the form, or by its id alone.

Exactly one of them counts in a request. Pure: whether the proof is good is the business of `clients.py`.
"""

import re
from base64 import b64decode
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from gateway.accounts.oauth_form import Form, FormFlaw, form_decoded
from gateway.accounts.outcome import AccountRefusal
from gateway.model import Reason

# RFC 7617 section 2: one space as for Bearer, and the standard base64 with its padding.
_BASIC = re.compile(rb"basic (.*)", re.IGNORECASE | re.DOTALL)


class ProofMethod(StrEnum):
    """By its name in the registry of RFC 7591 section 2."""

    BASIC = "client_secret_basic"
    POST = "client_secret_post"
    NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientProof:
    """What a client has sent about itself, not yet believed."""

    id: str = field(repr=False)
    """Not shown: now and then it is a secret in the wrong field."""
    secret: str | None = field(repr=False)
    """None: none was sent."""
    method: ProofMethod


def read_client_proof(authorization: Sequence[bytes], form: Form) -> ClientProof | AccountRefusal:
    """Return what a request to an OAuth endpoint says about its client, given its Authorization fields."""
    basic = read_basic(authorization)
    if isinstance(basic, AccountRefusal):
        return basic
    id_, secret = form.one("client_id"), form.one("client_secret")
    if basic is not None:
        if secret is not None:
            return _invalid("The client authenticates in two ways; send one of them.")
        if id_ is not None and id_ != basic.id:
            return _invalid("client_id is not the client that the Authorization field names.")
        return basic
    if authorization:
        return invalid_client("the Authorization field is not Basic")
    if id_ is None:
        return invalid_client("no client_id and no Authorization field")
    method = ProofMethod.NONE if secret is None else ProofMethod.POST
    return ClientProof(id=id_, secret=secret, method=method)


def read_basic(authorization: Sequence[bytes]) -> ClientProof | AccountRefusal | None:
    """Return the client that an `Authorization: Basic` names; None when there is no such field.

    Id and secret are form-encoded before they are joined (RFC 6749 section 2.3.1).
    """
    if len(authorization) > 1:
        return _invalid("The Authorization field occurs more than once.")
    match = _BASIC.fullmatch(authorization[0]) if authorization else None
    if match is None:
        return None
    try:
        id_, colon, secret = b64decode(match[1], validate=True).partition(b":")
        if not colon:
            return invalid_client("Basic without a colon")
        proof = ClientProof(
            id=form_decoded(id_), secret=form_decoded(secret) or None, method=ProofMethod.BASIC
        )
    except FormFlaw as flaw:
        return invalid_client(f"Basic: {flaw}")
    except ValueError:
        return invalid_client("Basic is not base64")
    return proof


def invalid_client(diagnosis: str, *, subject: str | None = None) -> AccountRefusal:
    """Return the refusal of a client, the same whatever is wrong (RFC 6749 section 5.2)."""
    return AccountRefusal(
        reason=Reason.CREDENTIALS_INVALID,
        diagnosis=f"client: {diagnosis}",
        detail="The client is unknown, or has not authenticated.",
        subject=subject,
        oauth_error="invalid_client",
    )


def _invalid(detail: str) -> AccountRefusal:
    return AccountRefusal(
        reason=Reason.INVALID_REQUEST, diagnosis=detail, detail=detail, oauth_error="invalid_request"
    )
