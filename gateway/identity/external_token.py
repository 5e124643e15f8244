"""Reading a token of another issuer: what its header must be, and what it must say (RFC 7519, 8725, 9068).

What identifies somebody is the issuer and `sub`, and nothing else: addresses and names change hands.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, TypeGuard

from gateway.crypto import Jws
from gateway.identity.access_token import TokenRefused
from gateway.identity.base import ExternalIssuer
from gateway.identity.dpop import Binding, BindingUnknown, read_binding

LEEWAY_SECONDS: Final = 30
"""By how much the issuer's clock may differ."""
_MAX_NUMBER: Final = 2**53
"""Integers up to here are the same in every reader of JSON (RFC 8259 section 6)."""
_MAX_SUBJECT: Final = 255
"""OpenID Connect Core 1.0 section 2."""
_MAX_NAME: Final = 256
_UNTYPED: Final = "jwt"

_OF_ID_TOKENS: Final = ("at_hash", "c_hash", "s_hash")
"""Claims that only an ID token has (OpenID Connect Core 1.0 section 3.3.2.11)."""
_OF_ACCESS_TOKENS: Final = ("client_id", "scope", "scp", "cid")
_NAMES: Final = ("preferred_username", "email")
_CLIENTS: Final = ("client_id", "azp", "cid", "appid")
"""What issuers call the client that a token was issued to; the first is the standard's."""
# RFC 8176 section 2.
_KNOWLEDGE: Final = frozenset({"pwd", "pin", "kba"})
_SECOND: Final = frozenset(
    {"otp", "hwk", "swk", "sms", "tel", "sc", "pop", "fpt", "face", "iris", "retina", "vbm"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExternalClaims:
    """What a good token of another issuer says."""

    id: str
    """`ISSUER|SUB`."""
    name: str
    client_id: str | None
    mfa_at: float | None
    """When a second factor was proved; None: never, as far as the token says."""
    expires: float
    """Seconds since the epoch."""
    binding: Binding | None
    all: Mapping[str, object]


def read_header(header: Mapping[str, object], rules: ExternalIssuer) -> tuple[str | None, str]:
    """Return the name of the key and the algorithm that a token claims for itself. Raise `TokenRefused`.

    `jwk`, `jku`, `x5c` and `x5u` are not looked at: keys come from the issuer, never from the token.
    """
    algorithm = header.get("alg")
    if algorithm not in rules.algorithms:
        raise TokenRefused("alg is not one that this issuer is to use")
    if "crit" in header:
        # RFC 7515 section 4.1.11: an extension that is not understood makes the whole invalid.
        raise TokenRefused("the token demands extensions that are not known here")
    # RFC 7515 section 4.1.9: without a slash, `application/` is meant.
    typ = header.get("typ", _UNTYPED)
    if not isinstance(typ, str) or typ.lower().removeprefix("application/") not in rules.types:
        raise TokenRefused("typ is not one that is accepted of this issuer")
    kid = header.get("kid")
    if kid is not None and not isinstance(kid, str):
        raise TokenRefused("kid is not a string")
    return kid, str(algorithm)


def read_claims(jws: Jws, rules: ExternalIssuer, *, now: float) -> ExternalClaims:
    """Return what a token says whose signature was found to be good, with 30 s of leeway.

    Raise `TokenRefused`.
    """
    claims = jws.payload
    if claims.get("iss") != rules.issuer:
        raise TokenRefused("iss is another issuer")
    id = f"{rules.issuer}|{_subject(claims)}"
    try:
        _check(claims, rules, now=now)
        return ExternalClaims(
            id=id,
            name=_first_text(claims, _NAMES) or id.removeprefix(f"{rules.issuer}|"),
            client_id=_first_text(claims, _CLIENTS),
            mfa_at=_second_factor(claims, now),
            expires=_number(claims, "exp"),
            binding=read_binding(claims),
            all=MappingProxyType(dict(claims)),
        )
    except BindingUnknown as unknown:
        refused = TokenRefused(str(unknown))
        refused.subject = id
        raise refused from None
    except TokenRefused as refused:
        refused.subject = id
        raise


def _subject(claims: Mapping[str, object]) -> str:
    subject = claims.get("sub")
    if not isinstance(subject, str) or not subject or len(subject) > _MAX_SUBJECT:
        raise TokenRefused("sub is missing, not a string, or too long")
    if any(
        character < " " or character == "\x7f" or "\ud800" <= character <= "\udfff" for character in subject
    ):
        raise TokenRefused("sub holds characters that no name has")
    return subject


def _check(claims: Mapping[str, object], rules: ExternalIssuer, *, now: float) -> None:
    audience = claims.get("aud")
    named = [audience] if isinstance(audience, str) else audience
    if not isinstance(named, list) or not all(isinstance(each, str) for each in named):
        raise TokenRefused("aud is missing, or neither text nor a list of texts")
    if rules.audience.isdisjoint(named):
        raise TokenRefused("aud is somebody else")
    # RFC 7519 section 4.1.4: "on or after which the JWT MUST NOT be accepted".
    if now >= _number(claims, "exp") + LEEWAY_SECONDS:
        raise TokenRefused("expired")
    for name in ("iat", "nbf"):
        if name in claims and _number(claims, name) > now + LEEWAY_SECONDS:
            raise TokenRefused(f"{name} is in the future")
    if "scope" in claims and not isinstance(claims["scope"], str):
        raise TokenRefused("scope is not a string")
    if _is_id_token(claims):
        raise TokenRefused("this is an ID token: it tells a client who logged in, and opens nothing")


def _is_id_token(claims: Mapping[str, object]) -> bool:
    if any(name in claims for name in _OF_ID_TOKENS):
        return True
    # Two issuers' own ways to say so.
    if claims.get("typ") == "ID" or claims.get("token_use") == "id":
        return True
    return "nonce" in claims and not any(name in claims for name in _OF_ACCESS_TOKENS)


def _second_factor(claims: Mapping[str, object], now: float) -> float | None:
    methods, at = claims.get("amr"), claims.get("auth_time")
    if not isinstance(methods, list) or not _is_number(at) or at > now + LEEWAY_SECONDS:
        return None
    used = {each for each in methods if isinstance(each, str)}
    is_proved = "mfa" in used or not (used.isdisjoint(_KNOWLEDGE) or used.isdisjoint(_SECOND))
    return float(at) if is_proved else None


def _first_text(claims: Mapping[str, object], names: tuple[str, ...]) -> str | None:
    for name in names:
        value = claims.get(name)
        if isinstance(value, str) and 0 < len(value) <= _MAX_NAME:
            return value
    return None


def _number(claims: Mapping[str, object], name: str) -> float:
    value = claims.get(name)
    if not _is_number(value):
        raise TokenRefused(f"{name} is missing or not a number")
    return value


def _is_number(value: object) -> TypeGuard[float]:
    # RFC 7519 section 2: a NumericDate may have a fraction. `true` is an integer to Python.
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= _MAX_NUMBER
