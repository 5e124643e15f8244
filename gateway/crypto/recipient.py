"""Encrypting for somebody whose public key is known: ECDH-ES (RFC 7518 section 4.6) with A256GCM."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ec import (
    ECDH,
    EllipticCurvePublicKey,
    generate_private_key,
)
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gateway.crypto.base64url import encode_base64url
from gateway.crypto.crypto_key import KEY_BYTES
from gateway.crypto.jwe import ENCRYPTION, encode_header, is_content_type, seal_compact
from gateway.crypto.jwk import PRIVATE_MEMBERS, JwkRefused, ec_members, ec_public_key, octets_member

_ALGORITHM: Final = "ECDH-ES"
_ECDH: Final = ECDH()
_OPERATIONS: Final = frozenset({"deriveKey", "deriveBits"})
_MOST_KID: Final = 256
_USE: Final = "use an EC key (P-256, P-384, P-521) or an X25519 key"
_PublicKey = EllipticCurvePublicKey | X25519PublicKey


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RecipientKey:
    """A public key, with which anybody encrypts for the one who has its private half."""

    kid: str | None
    """The name that its owner gives it."""
    members: Mapping[str, str]
    """The key as a JWK: what makes it what it is, and the `kid` when it has one; nothing else that was in the
    document that it came from."""
    _public: _PublicKey = field(repr=False)

    def seal_jwe(self, plaintext: bytes, *, content_type: str | None = None) -> bytes:
        """Return a compact JWE (`ECDH-ES`, `A256GCM`) made with a fresh key pair, so that not even the
        gateway can open it. The content type is as in `CryptoKey.seal_jwe`.
        """
        ephemeral, shared = _agree(self._public)
        header: dict[str, object] = {"alg": _ALGORITHM, "enc": ENCRYPTION, "epk": ephemeral}
        if self.kid is not None:
            header["kid"] = self.kid
        if content_type is not None and is_content_type(content_type):
            header["cty"] = content_type
        derived = concat_kdf(shared, algorithm=ENCRYPTION, size=KEY_BYTES)
        return seal_compact(AESGCM(derived), encode_header(header), plaintext)


def read_recipient(members: Mapping[str, object]) -> RecipientKey:
    """Return the key of a JSON Web Key on P-256, P-384, P-521 or X25519. Raise `JwkRefused`."""
    if members.get("kty") == "oct":
        raise JwkRefused("it is symmetric, and has no public half; " + _USE)
    if not PRIVATE_MEMBERS.isdisjoint(members):
        raise JwkRefused("it holds private members: give the public key alone")
    _refuse_other_uses(members)
    kid = members.get("kid")
    if kid is not None and not (isinstance(kid, str) and 0 < len(kid) <= _MOST_KID and kid.isprintable()):
        raise JwkRefused(f"its kid is not printable text of at most {_MOST_KID} characters")
    kind, curve = members.get("kty"), members.get("crv")
    public: _PublicKey
    if kind == "EC":
        public, _ = ec_public_key(members)
    elif kind == "OKP" and curve == "X25519":
        public = _x25519(members)
    else:
        raise JwkRefused(_USE)
    written = _written(public)
    return RecipientKey(kid=kid, members=written if kid is None else {**written, "kid": kid}, _public=public)


def read_symmetric_jwk(members: Mapping[str, object]) -> bytes:
    """Return the 32 bytes of a symmetric JSON Web Key (RFC 7518 section 6.4). Raise `JwkRefused`."""
    if members.get("kty") != "oct":
        raise JwkRefused("its kty is not oct: an encryption key is a symmetric key")
    if members.get("use", "enc") != "enc":
        raise JwkRefused("its use is not enc")
    if members.get("alg", ENCRYPTION) not in ("dir", ENCRYPTION):
        raise JwkRefused(f"its alg is neither dir nor {ENCRYPTION}")
    operations = members.get("key_ops", ["encrypt", "decrypt"])
    if not isinstance(operations, list) or not {"encrypt", "decrypt"}.issubset(map(str, operations)):
        raise JwkRefused("it is not for encrypting and decrypting")
    material = octets_member(members, "k")
    if len(material) != KEY_BYTES:
        raise JwkRefused(f"it has {len(material)} bytes, and {ENCRYPTION} needs {KEY_BYTES}")
    return material


def concat_kdf(
    shared: bytes, *, algorithm: str, size: int, party_u: bytes = b"", party_v: bytes = b""
) -> bytes:
    """Return the key of so many bytes, 32 at most, that follows from a shared secret (RFC 7518 section
    4.6.2)."""
    about = b"".join(len(part).to_bytes(4, "big") + part for part in (algorithm.encode(), party_u, party_v))
    counter = (1).to_bytes(4, "big")
    return hashlib.sha256(counter + shared + about + (8 * size).to_bytes(4, "big")).digest()[:size]


def _agree(public: _PublicKey) -> tuple[Mapping[str, str], bytes]:
    """Return the public half of a fresh key pair as a JWK, and the secret shared with the key's owner. Raise
    `ValueError` for an X25519 key with which everybody shares the same secret."""
    if isinstance(public, X25519PublicKey):
        mine = X25519PrivateKey.generate()
        return _written(mine.public_key()), mine.exchange(public)
    pair = generate_private_key(public.curve)
    return _written(pair.public_key()), pair.exchange(_ECDH, public)


def _written(public: _PublicKey) -> dict[str, str]:
    if isinstance(public, X25519PublicKey):
        return {"kty": "OKP", "crv": "X25519", "x": encode_base64url(public.public_bytes_raw())}
    return ec_members(public)


def _x25519(members: Mapping[str, object]) -> X25519PublicKey:
    try:
        public = X25519PublicKey.from_public_bytes(octets_member(members, "x"))
        _agree(public)
    except JwkRefused:
        raise
    except ValueError:
        # RFC 7748 section 6.1: with a point of small order, the shared secret is zero.
        raise JwkRefused("it is no X25519 key that secrets can be shared with") from None
    return public


def _refuse_other_uses(members: Mapping[str, object]) -> None:
    if members.get("use", "enc") != "enc":
        raise JwkRefused("it is not for encryption: its use is not enc")
    if members.get("alg", _ALGORITHM) != _ALGORITHM:
        raise JwkRefused(f"its alg is not {_ALGORITHM}")
    operations = members.get("key_ops", [])
    if not isinstance(operations, list) or not _OPERATIONS.issuperset(map(str, operations)):
        raise JwkRefused("it is for other operations than deriving keys (key_ops)")
