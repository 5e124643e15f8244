"""Reading a token out of the Authorization field, and out of nothing else.

Its scheme is `Bearer` (RFC 6750 section 2.1), or `DPoP` (RFC 9449 section 7.1), which comes with a proof in a
field of its own.
"""

import re
from typing import NamedTuple

from gateway.identity.base import ABSENT, Absent, Rejected
from gateway.model import Fields


class Presented(NamedTuple):
    """A token, and how it was sent."""

    token: str
    with_proof: bool
    """Whether by the scheme `DPoP`."""


# The scheme ends where its token (RFC 9110 section 5.6.2) ends: `Bearerx` is another scheme, `Bearer,x` is a
# broken Bearer credential. So is one with white space before it, which the edge never leaves there.
_SCHEME = re.compile(rb"[ \t]*(bearer|dpop)(?![!#$%&'*+\-.^_`|~0-9a-z])", re.IGNORECASE)
# RFC 6750 section 2.1: "Bearer" 1*SP b64token, and likewise RFC 9449. The contract allows one space only.
_CREDENTIAL = re.compile(rb"(?:bearer|(dpop)) ([a-z0-9\-._~+/]+=*)", re.IGNORECASE)


def read_token(fields: Fields) -> Presented | Absent | Rejected:
    """Return the token; absent when there is no Authorization field or its scheme is another one.

    A repeated field is malformed whatever the schemes are: two readers may choose differently.
    """
    values = fields.all(b"authorization")
    if not values:
        return ABSENT
    if len(values) > 1:
        return Rejected("Authorization occurs more than once", malformed=True)
    credential = _CREDENTIAL.fullmatch(values[0])
    if credential is not None:
        return Presented(credential[2].decode("ascii"), credential[1] is not None)
    scheme = _SCHEME.match(values[0])
    if scheme is not None:
        return Rejected(
            f"not one {'DPoP' if scheme[1].lower() == b'dpop' else 'Bearer'} token after one space"
        )
    return ABSENT
