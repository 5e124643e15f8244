"""Reading a Bearer token out of the Authorization field (RFC 6750 section 2.1), and out of nothing else."""

import re

from gateway.identity.base import ABSENT, Absent, Rejected
from gateway.model import Fields

# The scheme ends where its token (RFC 9110 section 5.6.2) ends: `Bearerx` is another scheme, `Bearer,x` is a
# broken Bearer credential. So is one with white space before it, which the edge never leaves there.
_BEARER = re.compile(rb"[ \t]*bearer(?![!#$%&'*+\-.^_`|~0-9a-z])", re.IGNORECASE)
# RFC 6750 section 2.1: "Bearer" 1*SP b64token. The contract allows one space only.
_CREDENTIAL = re.compile(rb"bearer ([a-z0-9\-._~+/]+=*)", re.IGNORECASE)


def read_bearer(fields: Fields) -> str | Absent | Rejected:
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
        return credential[1].decode("ascii")
    if _BEARER.match(values[0]) is not None:
        return Rejected("not one Bearer token after one space")
    return ABSENT
