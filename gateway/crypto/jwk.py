"""Public keys of others, as JSON Web Keys (RFC 7517) write them, each bound to one algorithm."""

import hmac
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import (
    ECDSA,
    SECP256R1,
    SECP384R1,
    SECP521R1,
    EllipticCurve,
    EllipticCurvePublicKey,
    EllipticCurvePublicNumbers,
)
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, PSS, PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicNumbers
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256, SHA384, SHA512, HashAlgorithm

from gateway.crypto.base64url import decode_base64url, encode_base64url
from gateway.crypto.thumbprint import jwk_thumbprint

HMAC_ALGORITHM: Final = "HS256"
LEAST_SECRET: Final = 32
"""Bytes of a shared secret (RFC 7518 section 3.2)."""
_RSA_BITS: Final = range(2048, 8193)
"""RFC 7518 section 3.3 asks for 2048 at least; longer than 8192 only costs time."""
PRIVATE_MEMBERS: Final = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})

_CURVES: Final[Mapping[str, tuple[str, EllipticCurve, HashAlgorithm, int]]] = MappingProxyType(
    {
        "P-256": ("ES256", SECP256R1(), SHA256(), 32),
        "P-384": ("ES384", SECP384R1(), SHA384(), 48),
        "P-521": ("ES512", SECP521R1(), SHA512(), 66),
    }
)
_WRITTEN: Final = MappingProxyType(
    {curve.name: (name, size) for name, (_, curve, _, size) in _CURVES.items()}
)
"""How a curve is called in a key, and how many bytes a coordinate has, by the library's name."""
_RSA: Final[Mapping[str, tuple[PKCS1v15 | PSS, HashAlgorithm]]] = MappingProxyType(
    {
        "RS256": (PKCS1v15(), SHA256()),
        "RS384": (PKCS1v15(), SHA384()),
        "RS512": (PKCS1v15(), SHA512()),
        # RFC 7518 section 3.5: the salt is as long as the hash.
        "PS256": (PSS(MGF1(SHA256()), PSS.DIGEST_LENGTH), SHA256()),
        "PS384": (PSS(MGF1(SHA384()), PSS.DIGEST_LENGTH), SHA384()),
        "PS512": (PSS(MGF1(SHA512()), PSS.DIGEST_LENGTH), SHA512()),
    }
)
_EDDSA: Final = "EdDSA"
ALGORITHMS: Final = (*_RSA, *(each[0] for each in _CURVES.values()), _EDDSA)
"""Every algorithm that a public key can verify here (RFC 7518 section 3.1, RFC 8037 section 3.1)."""


class JwkRefused(ValueError):
    """The key cannot be used. The message says why, and holds nothing of the key."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class VerifyingKey:
    """One key that verifies signatures by one algorithm (RFC 8725 section 3.1)."""

    kid: str | None
    """The name that its owner gives it."""
    algorithm: str
    thumbprint: str = ""
    """RFC 7638, SHA-256, base64url; empty for a secret."""
    _is_valid: Callable[[bytes, bytes], bool] = field(repr=False)

    def verifies(self, signed: bytes, signature: bytes) -> bool:
        """Say whether a signature over these bytes was made with this key. Never raises."""
        return self._is_valid(signed, signature)


def read_jwk(members: Mapping[str, object], *, algorithms: Sequence[str]) -> VerifyingKey:
    """Return a public key that is to verify one of these algorithms, given by preference.

    Which one is said by its `alg`, else by its kind; an RSA key without `alg` verifies the first of the
    algorithms that an RSA key can. Raise `JwkRefused`.
    """
    if not PRIVATE_MEMBERS.isdisjoint(members):
        raise JwkRefused("it holds private members: whoever has read it can sign with it")
    if members.get("use", "sig") != "sig":
        raise JwkRefused("it is not for signatures")
    operations = members.get("key_ops", ["verify"])
    if not isinstance(operations, list) or "verify" not in operations:
        raise JwkRefused("it is not for verifying")
    kid = members.get("kid")
    if kid is not None and not isinstance(kid, str):
        raise JwkRefused("its kid is not text")
    kind = members.get("kty")
    make = _KINDS.get(kind) if isinstance(kind, str) else None
    if make is None:
        raise JwkRefused("its kty is not known")
    possible, is_valid, required = make(members)
    algorithm = _algorithm(members.get("alg"), possible, algorithms)
    return VerifyingKey(
        kid=kid,
        algorithm=algorithm,
        thumbprint=jwk_thumbprint(required),
        _is_valid=is_valid(algorithm),
    )


def secret_key(secret: bytes) -> VerifyingKey:
    """Return the key of a shared secret, for HS256. Raise `JwkRefused` unless it has 32 bytes at least."""
    if len(secret) < LEAST_SECRET:
        raise JwkRefused(f"a secret has at least {LEAST_SECRET} bytes, this one {len(secret)}")

    def is_valid(signed: bytes, signature: bytes) -> bool:
        return hmac.compare_digest(hmac.digest(secret, signed, "sha256"), signature)

    return VerifyingKey(kid=None, algorithm=HMAC_ALGORITHM, _is_valid=is_valid)


def _algorithm(said: object, possible: Sequence[str], wanted: Sequence[str]) -> str:
    if said is not None:
        # RFC 9864 gives EdDSA with this curve a name of its own.
        said = _EDDSA if said == "Ed25519" else said
        if said not in possible:
            raise JwkRefused("its alg does not fit its kty")
        possible = [str(said)]
    for algorithm in wanted:
        if algorithm in possible:
            return algorithm
    raise JwkRefused("what it could verify is not wanted")


_IsValid = Callable[[bytes, bytes], bool]
_Made = tuple[Sequence[str], Callable[[str], _IsValid], Mapping[str, str]]
"""Algorithms that the key can verify, how it does so by each, and the members that make it what it is."""


def ec_public_key(members: Mapping[str, object]) -> tuple[EllipticCurvePublicKey, int]:
    """Return an elliptic curve's key (RFC 7518 section 6.2.1), and how many bytes a coordinate has. Raise
    `JwkRefused`."""
    found = _CURVES.get(text_member(members, "crv"))
    if found is None:
        raise JwkRefused("its curve is not known")
    _, curve, _, size = found
    x, y = octets_member(members, "x"), octets_member(members, "y")
    if len(x) != size or len(y) != size:
        raise JwkRefused("its coordinates are not as long as its curve asks for")
    numbers = EllipticCurvePublicNumbers(int.from_bytes(x, "big"), int.from_bytes(y, "big"), curve)
    try:
        return numbers.public_key(), size
    except ValueError:
        raise JwkRefused("its point is not on its curve") from None


def ec_members(public: EllipticCurvePublicKey) -> dict[str, str]:
    """Return what makes an elliptic curve's key what it is, as members of a JSON Web Key (RFC 7518 section
    6.2.1)."""
    name, size = _WRITTEN[public.curve.name]
    numbers = public.public_numbers()
    return {
        "crv": name,
        "kty": "EC",
        "x": encode_base64url(numbers.x.to_bytes(size, "big")),
        "y": encode_base64url(numbers.y.to_bytes(size, "big")),
    }


def _ec(members: Mapping[str, object]) -> _Made:
    key, size = ec_public_key(members)
    algorithm, _, digest, _ = _CURVES[text_member(members, "crv")]
    ecdsa = ECDSA(digest)

    def is_valid(signed: bytes, signature: bytes) -> bool:
        # RFC 7518 section 3.4: both numbers in full length, one after the other.
        if len(signature) != 2 * size:
            return False
        r, s = int.from_bytes(signature[:size], "big"), int.from_bytes(signature[size:], "big")
        try:
            key.verify(encode_dss_signature(r, s), signed, ecdsa)
        except InvalidSignature:
            return False
        return True

    required = {name: text_member(members, name) for name in ("kty", "crv", "x", "y")}
    return [algorithm], lambda _: is_valid, required


def _rsa(members: Mapping[str, object]) -> _Made:
    n, e = octets_member(members, "n"), octets_member(members, "e")
    modulus, exponent = int.from_bytes(n, "big"), int.from_bytes(e, "big")
    if modulus.bit_length() not in _RSA_BITS:
        raise JwkRefused("an RSA key has from 2048 to 8192 bits")
    if exponent >= 1 << 32:
        raise JwkRefused("its exponent is too large")
    try:
        key = RSAPublicNumbers(exponent, modulus).public_key()
    except ValueError:
        raise JwkRefused("it is no RSA key") from None

    def with_algorithm(algorithm: str) -> _IsValid:
        padding, digest = _RSA[algorithm]

        def is_valid(signed: bytes, signature: bytes) -> bool:
            try:
                key.verify(signature, signed, padding, digest)
            except InvalidSignature:
                return False
            return True

        return is_valid

    return list(_RSA), with_algorithm, {"kty": "RSA", "n": encode_base64url(n), "e": encode_base64url(e)}


def _okp(members: Mapping[str, object]) -> _Made:
    if members.get("crv") != "Ed25519":
        raise JwkRefused("its curve is not known")
    x = octets_member(members, "x")
    try:
        key = Ed25519PublicKey.from_public_bytes(x)
    except ValueError:
        raise JwkRefused("it is no Ed25519 key") from None

    def is_valid(signed: bytes, signature: bytes) -> bool:
        try:
            key.verify(signature, signed)
        except InvalidSignature:
            return False
        return True

    required = {"kty": "OKP", "crv": "Ed25519", "x": encode_base64url(x)}
    return [_EDDSA], lambda _: is_valid, required


_KINDS: Final[Mapping[str, Callable[[Mapping[str, object]], _Made]]] = MappingProxyType(
    {"EC": _ec, "RSA": _rsa, "OKP": _okp}
)


def text_member(members: Mapping[str, object], name: str) -> str:
    """Return a member that is text. Raise `JwkRefused`."""
    value = members.get(name)
    if not isinstance(value, str):
        raise JwkRefused(f"its {name} is missing or not text")
    return value


def octets_member(members: Mapping[str, object], name: str) -> bytes:
    """Return what a member stands for that is base64url. Raise `JwkRefused`."""
    try:
        return decode_base64url(text_member(members, name).encode("ascii"))
    except JwkRefused:
        raise
    except ValueError:
        raise JwkRefused(f"its {name} is not base64url") from None
