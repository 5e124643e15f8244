"""Reading an access token of this gateway (RFC 9068, `at+jwt`), as strictly as only its issuer can.

The gateway is the only one who writes these tokens, so that whatever it would not write itself is refused:
another member in the header, a claim of another type, padding and unused bits in its segments. The order is
header, signature, claims: no claim is looked at before the signature has been checked.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey

from gateway.crypto import decode_base64url, is_signed_by

MAX_TOKEN_CHARACTERS = 8192
LEEWAY_SECONDS = 5
TYPE = "at+jwt"
ALGORITHM = "ES256"
_HEADER = frozenset({"alg", "kid", "typ"})
_MAX_NUMBER = 2**53
"""Integers up to here are the same in every reader of JSON (RFC 8259 section 6)."""


class TokenRefused(Exception):
    """The token is not good. The text says what is wrong with it, and holds nothing out of it."""

    subject: str | None = None
    """Whose token it is, where this gateway has signed it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessClaims:
    """What an access token says, each claim present and of its type."""

    subject: str
    name: str
    session: str
    generation: int
    """`rg`: of the refresh token that was issued beside it."""
    epoch: int
    """`ep`: of the account when the token was issued."""
    roles: frozenset[str]
    expires: int
    """Seconds since the epoch."""
    all: Mapping[str, object]


def read_access_token(
    token: str,
    *,
    keys: Mapping[str, EllipticCurvePublicKey],
    issuer: str,
    audience: str,
    now: float,
) -> AccessClaims:
    """Return the claims of a token that this gateway signed and that is valid now, with 5 s of leeway.

    Raise `TokenRefused`, and nothing else whatever the text is. Whether the token was revoked is not asked.
    """
    if len(token) > MAX_TOKEN_CHARACTERS:
        raise TokenRefused("the token is too long")
    try:
        claims = _verified(token.encode("ascii"), keys)
        try:
            _check(claims, issuer=issuer, audience=audience, now=now)
            return _typed(claims)
        except TokenRefused as refused:
            subject = claims.get("sub")
            refused.subject = subject if isinstance(subject, str) else None
            raise
    except (ValueError, RecursionError):
        # Whatever goes wrong in decoding (base64, UTF-8, numbers too long, nesting too deep) ends here. The
        # cause is left out: its text may quote the token.
        raise TokenRefused("the token cannot be decoded") from None


def _verified(token: bytes, keys: Mapping[str, EllipticCurvePublicKey]) -> dict[str, object]:
    signed, _, signature = token.rpartition(b".")
    header, _, payload = signed.partition(b".")
    key = keys.get(_key_id(_json_object(decode_base64url(header))))
    if key is None:
        raise TokenRefused("kid names no key of this gateway")
    if not is_signed_by(key, signed, decode_base64url(signature)):
        raise TokenRefused("the signature is wrong")
    return _json_object(decode_base64url(payload))


def _key_id(header: Mapping[str, object]) -> str:
    # RFC 8725 section 3.1: the algorithm is the key's, never the token's choice. `jwk`, `jku`, `x5u`, `crit`
    # and all the others are refused by not being among the three.
    if header.get("alg") != ALGORITHM:
        raise TokenRefused("alg is not ES256")
    if header.get("typ") != TYPE:
        raise TokenRefused("typ is not at+jwt")
    if header.keys() != _HEADER:
        raise TokenRefused("the header has other members than alg, kid and typ")
    kid = header["kid"]
    if not isinstance(kid, str):
        raise TokenRefused("kid is not a string")
    return kid


def _check(claims: Mapping[str, object], *, issuer: str, audience: str, now: float) -> None:
    if claims.get("iss") != issuer:
        raise TokenRefused("iss is not this gateway")
    if claims.get("aud") != audience:
        raise TokenRefused("aud is not this gateway")
    # RFC 7519 section 4.1.4: "on or after which the JWT MUST NOT be accepted".
    if now >= _number(claims, "exp") + LEEWAY_SECONDS:
        raise TokenRefused("expired")
    if _number(claims, "iat") > now + LEEWAY_SECONDS:
        raise TokenRefused("iat is in the future")
    if "nbf" in claims and _number(claims, "nbf") > now + LEEWAY_SECONDS:
        raise TokenRefused("not valid yet")


def _typed(claims: Mapping[str, object]) -> AccessClaims:
    subject = _text(claims, "sub")
    # RFC 9700 section 4.15: a client must not be able to pass for a user by its id.
    if not subject.startswith("usr_"):
        raise TokenRefused("sub is not a user")
    for name in ("client_id", "jti"):
        _text(claims, name)
    if "scope" in claims and not isinstance(claims["scope"], str):
        raise TokenRefused("scope is not a string")
    roles = claims.get("roles")
    if not isinstance(roles, list) or not all(isinstance(role, str) for role in roles):
        raise TokenRefused("roles is missing or not a list of strings")
    return AccessClaims(
        subject=subject,
        name=_text(claims, "name"),
        session=_text(claims, "sid"),
        generation=_number(claims, "rg"),
        epoch=_number(claims, "ep"),
        roles=frozenset(roles),
        expires=_number(claims, "exp"),
        all=MappingProxyType(claims),
    )


def _text(claims: Mapping[str, object], name: str) -> str:
    value = claims.get(name)
    if not isinstance(value, str) or not value:
        raise TokenRefused(f"{name} is missing or not a string")
    value.encode()  # Half a surrogate pair is a ValueError here rather than in the audit trail.
    return value


def _number(claims: Mapping[str, object], name: str) -> int:
    value = claims.get(name)
    # `true` is an integer to Python, and 1e9 and "1" are numbers to lenient readers.
    if type(value) is not int or not 0 <= value <= _MAX_NUMBER:
        raise TokenRefused(f"{name} is missing or not a whole number")
    return value


def _json_object(data: bytes) -> dict[str, object]:
    value = json.loads(
        data.decode("utf-8"), object_pairs_hook=_without_duplicates, parse_constant=_no_constant
    )
    if not isinstance(value, dict):
        raise TokenRefused("not a JSON object")
    return value


def _without_duplicates(pairs: list[tuple[str, object]]) -> dict[str, object]:
    # RFC 7515 section 4 lets parsers take the last of equal names; readers that differ are an attack.
    members = dict(pairs)
    if len(members) != len(pairs):
        raise TokenRefused("a name occurs twice in a JSON object")
    return members


def _no_constant(name: str) -> object:
    raise TokenRefused(f"{name} is not JSON")
