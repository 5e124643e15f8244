"""Reading an access token of this gateway (RFC 9068, `at+jwt`), as strictly as only its issuer can.

The gateway is the only one who writes these tokens, so that whatever it would not write itself is refused:
another member in the header, a claim of another type, padding and unused bits in its segments. The order is
header, signature, claims: no claim is looked at before the signature has been checked.

There are two kinds, of users and of clients that act for themselves, and no token passes for both: `sub` says
which it is, and each has claims that the other must not have (RFC 8725 section 3.12).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey

from gateway.crypto import JwsMalformed, decode_base64url, is_signed_by, read_json_object

MAX_TOKEN_CHARACTERS = 16_384
"""Of anybody's token. Heads of requests are hardly longer; the scopes of a large policy are about as long."""
LEEWAY_SECONDS = 5
TYPE = "at+jwt"
ALGORITHM = "ES256"
_HEADER = frozenset({"alg", "kid", "typ"})
_OF_USERS = frozenset({"sid", "rg", "auth_time", "amr", "mfa_time"})
"""Claims that say something about a person and a session."""
_MAX_NUMBER = 2**53
"""Integers up to here are the same in every reader of JSON (RFC 8259 section 6)."""


class TokenRefused(Exception):
    """The token is not good. The text says what is wrong with it, and holds nothing out of it."""

    subject: str | None = None
    """The person whose token it is, where this gateway has signed it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessClaims:
    """What an access token says, each claim present and of its type. Times are seconds since the epoch."""

    subject: str
    name: str
    client_id: str
    id: str
    """`jti`."""
    session: str | None
    """`sid`; None: the token of a client that acts for itself."""
    generation: int
    """`rg`: of the refresh token that was issued beside it; 0 without a session."""
    epoch: int
    """`ep`: of the account, or the client, when the token was issued."""
    roles: frozenset[str]
    scope: frozenset[str]
    expires: int
    mfa_at: int | None
    """`mfa_time`: when a second factor was last proved; None: never."""
    kid: str
    """Of the key that signed it."""
    all: Mapping[str, object]


def read_access_token(
    token: str,
    *,
    keys: Mapping[str, EllipticCurvePublicKey],
    issuer: str,
    audience: str,
    now: float,
    longest: float,
) -> AccessClaims:
    """Return the claims of a token that this gateway signed and that is valid now, with 5 s of leeway.

    `longest` is the longest life, in seconds, of a token that may be good: for how long revocations are
    remembered. Raise `TokenRefused`, and nothing else whatever the text is. Whether the token was revoked is
    not asked.
    """
    if len(token) > MAX_TOKEN_CHARACTERS:
        raise TokenRefused("the token is too long")
    try:
        kid, claims = _verified(token.encode("ascii"), keys)
        try:
            _check(claims, issuer=issuer, audience=audience, now=now, longest=longest)
            return _typed(claims, kid)
        except TokenRefused as refused:
            subject = claims.get("sub")
            is_person = isinstance(subject, str) and subject.startswith("usr_")
            refused.subject = str(subject) if is_person else None
            raise
    except JwsMalformed as flaw:
        raise TokenRefused(f"no token of this gateway: {flaw}") from None
    except ValueError:
        # The cause is left out: its text may quote the token.
        raise TokenRefused("the token cannot be decoded") from None


def _verified(token: bytes, keys: Mapping[str, EllipticCurvePublicKey]) -> tuple[str, dict[str, object]]:
    signed, _, signature = token.rpartition(b".")
    header, _, payload = signed.partition(b".")
    kid = _key_id(read_json_object(decode_base64url(header)))
    key = keys.get(kid)
    if key is None:
        raise TokenRefused("kid names no key of this gateway")
    if not is_signed_by(key, signed, decode_base64url(signature)):
        raise TokenRefused("the signature is wrong")
    return kid, read_json_object(decode_base64url(payload))


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


def _check(claims: Mapping[str, object], *, issuer: str, audience: str, now: float, longest: float) -> None:
    if claims.get("iss") != issuer:
        raise TokenRefused("iss is not this gateway")
    if claims.get("aud") != audience:
        raise TokenRefused("aud is not this gateway")
    issued, expires = _number(claims, "iat"), _number(claims, "exp")
    # RFC 7519 section 4.1.4: "on or after which the JWT MUST NOT be accepted".
    if now >= expires + LEEWAY_SECONDS:
        raise TokenRefused("expired")
    if issued > now + LEEWAY_SECONDS:
        raise TokenRefused("iat is in the future")
    if expires - issued > longest:
        raise TokenRefused("it lives for longer than revocations are remembered")
    if "nbf" in claims and _number(claims, "nbf") > now + LEEWAY_SECONDS:
        raise TokenRefused("not valid yet")


def _typed(claims: Mapping[str, object], kid: str) -> AccessClaims:
    subject, client_id = _text(claims, "sub"), _text(claims, "client_id")
    # RFC 9700 section 4.15: a client must not be able to pass for a user by its id.
    if subject.startswith("usr_"):
        session, generation, mfa_at = _of_a_user(claims)
    elif subject.startswith("cli_"):
        if client_id != subject:
            raise TokenRefused("sub is a client, and client_id another one")
        if not _OF_USERS.isdisjoint(claims):
            raise TokenRefused("sub is a client, and there are claims about a user")
        session, generation, mfa_at = None, 0, None
    else:
        raise TokenRefused("sub is neither a user nor a client")
    return AccessClaims(
        subject=subject,
        name=_text(claims, "name"),
        client_id=client_id,
        id=_text(claims, "jti"),
        session=session,
        generation=generation,
        epoch=_number(claims, "ep"),
        roles=frozenset(_texts(claims, "roles")),
        scope=_scope(claims),
        expires=_number(claims, "exp"),
        mfa_at=mfa_at,
        kid=kid,
        all=MappingProxyType(claims),
    )


def _of_a_user(claims: Mapping[str, object]) -> tuple[str, int, int | None]:
    _number(claims, "auth_time")
    if not _texts(claims, "amr"):
        raise TokenRefused("amr is empty")
    mfa_at = _number(claims, "mfa_time") if "mfa_time" in claims else None
    return _text(claims, "sid"), _number(claims, "rg"), mfa_at


def _scope(claims: Mapping[str, object]) -> frozenset[str]:
    value = claims.get("scope")
    if not isinstance(value, str):
        raise TokenRefused("scope is missing or not a string")
    # RFC 6749 section 3.3: one space between them, and none around them.
    names = value.split(" ") if value else []
    if "" in names:
        raise TokenRefused("scope has more spaces than scopes need")
    return frozenset(names)


def _texts(claims: Mapping[str, object], name: str) -> list[str]:
    value = claims.get(name)
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise TokenRefused(f"{name} is missing or not a list of strings")
    return value


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
