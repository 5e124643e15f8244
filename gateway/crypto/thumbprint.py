"""What names a public key by itself, whoever holds it."""

import hashlib
from collections.abc import Mapping

import orjson

from gateway.crypto.base64url import encode_base64url


def jwk_thumbprint(required: Mapping[str, str]) -> str:
    """Return the thumbprint of a JSON Web Key (RFC 7638, SHA-256, base64url), given the members without which
    it would not be that key, and no others (section 3.2)."""
    # Section 3: sorted by name, without white space.
    return encode_base64url(hashlib.sha256(orjson.dumps(required, option=orjson.OPT_SORT_KEYS)).digest())
