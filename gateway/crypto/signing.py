"""ES256 keys (RFC 7518 section 3.4): making, keeping, publishing, signing with and verifying against them."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import orjson
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import (
    ECDSA,
    SECP256R1,
    EllipticCurvePrivateKey,
    EllipticCurvePublicKey,
    generate_private_key,
)
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from gateway.crypto.base64url import encode_base64url
from gateway.crypto.jwk import ec_members
from gateway.crypto.sealing import SealBroken, Sealer
from gateway.crypto.thumbprint import jwk_thumbprint
from gateway.ports import StoredSigningKey

ALGORITHM = "ES256"
COORDINATE_BYTES = 32
SIGNATURE_BYTES = 2 * COORDINATE_BYTES
_ECDSA = ECDSA(SHA256())


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SigningKey:
    """One ES256 key pair; `kid` is the RFC 7638 thumbprint of its public half."""

    kid: str
    private: EllipticCurvePrivateKey = field(repr=False)
    public: EllipticCurvePublicKey = field(repr=False)
    created_at: float
    _headers: dict[str, bytes] = field(default_factory=dict, repr=False)

    @classmethod
    def generate(cls, *, created_at: float) -> "SigningKey":
        """Return a new key pair."""
        while True:
            key = cls._of(generate_private_key(SECP256R1()), created_at)
            # One in 64 has an id that a command line takes for an option.
            if not key.kid.startswith("-"):
                return key

    @classmethod
    def from_stored(cls, stored: StoredSigningKey, sealer: Sealer) -> "SigningKey":
        """Return a key as it was stored. Raise `SealBroken` when the row is not what the gateway wrote.

        The public half is computed from the sealed private one: a key that somebody merely wrote into
        the database would otherwise be trusted to verify.
        """
        context = _context(stored.kid)
        try:
            private = load_pem_private_key(sealer.open(stored.sealed_private, context=context), password=None)
        except ValueError:
            raise SealBroken(context) from None
        if not isinstance(private, EllipticCurvePrivateKey) or not isinstance(private.curve, SECP256R1):
            raise SealBroken(context)
        key = cls._of(private, stored.created_at)
        if key.kid != stored.kid:
            raise SealBroken(context)
        return key

    @classmethod
    def _of(cls, private: EllipticCurvePrivateKey, created_at: float) -> "SigningKey":
        public = private.public_key()
        return cls(
            kid=jwk_thumbprint(ec_members(public)), private=private, public=public, created_at=created_at
        )

    def to_stored(self, sealer: Sealer, *, signs_from: float) -> StoredSigningKey:
        """Return the key as a store keeps it, the private half sealed."""
        pem = self.private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        return StoredSigningKey(
            kid=self.kid,
            public_pem=self.public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
            sealed_private=sealer.seal(pem, context=_context(self.kid)),
            created_at=self.created_at,
            signs_from=signs_from,
        )

    def sign(self, claims: Mapping[str, object], *, typ: str) -> str:
        """Return a compact JWS over the claims, whose header names the type, the algorithm and this key.

        `typ` keeps kinds of tokens apart (RFC 8725 section 3.11): `at+jwt`, `gw-assertion+jwt`.
        Raise `TypeError` for claims that JSON cannot express.
        """
        header = self._headers.get(typ)
        if header is None:
            header = _segment({"alg": ALGORITHM, "kid": self.kid, "typ": typ})
            self._headers[typ] = header
        signed = header + b"." + _segment(claims)
        r, s = decode_dss_signature(self.private.sign(signed, _ECDSA))
        signature = r.to_bytes(COORDINATE_BYTES, "big") + s.to_bytes(COORDINATE_BYTES, "big")
        return f"{signed.decode('ascii')}.{encode_base64url(signature)}"

    def jwk(self) -> dict[str, str]:
        """Return the public half as a JSON Web Key (RFC 7517); no private member is in it."""
        return {**ec_members(self.public), "use": "sig", "alg": ALGORITHM, "kid": self.kid}


def is_signed_by(public: EllipticCurvePublicKey, signed: bytes, signature: bytes) -> bool:
    """Say whether a JWS signature (64 bytes, `r` and `s`) over these bytes was made with this key."""
    if len(signature) != SIGNATURE_BYTES:
        return False
    r = int.from_bytes(signature[:COORDINATE_BYTES], "big")
    s = int.from_bytes(signature[COORDINATE_BYTES:], "big")
    try:
        public.verify(encode_dss_signature(r, s), signed, _ECDSA)
    except InvalidSignature:
        return False
    return True


def _segment(value: Mapping[str, object]) -> bytes:
    return encode_base64url(orjson.dumps(dict(value))).encode("ascii")


def _context(kid: str) -> str:
    return f"signing-key:{kid}"
