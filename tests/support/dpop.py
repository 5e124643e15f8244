"""Keys of clients, and the DPoP proofs that they make (RFC 9449): written with a library that is not ours."""

import base64
import hashlib
import json
import time
import uuid
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

_CURVES = {"ES256": ec.SECP256R1(), "ES384": ec.SECP384R1()}


class ProofKey:
    """One client's key for one algorithm."""

    def __init__(self, algorithm: str = "ES256") -> None:
        self.algorithm = algorithm
        self.private: Any
        if algorithm in _CURVES:
            self.private = ec.generate_private_key(_CURVES[algorithm])
        elif algorithm in {"EdDSA", "Ed25519"}:
            self.private = ed25519.Ed25519PrivateKey.generate()
        else:
            self.private = rsa.generate_private_key(65537, 2048)
        # The library knows EdDSA by its older name only.
        self._signer: Any = jwt.get_algorithm_by_name("EdDSA" if algorithm == "Ed25519" else algorithm)
        written = self._signer.to_jwk(self.private.public_key())
        self.jwk: dict[str, object] = {
            name: value
            for name, value in json.loads(written).items()
            if name in {"kty", "crv", "x", "y", "n", "e"}
        }

    @property
    def thumbprint(self) -> str:
        """`jkt`: RFC 7638, as the standard writes it."""
        members = json.dumps(dict(sorted(self.jwk.items())), separators=(",", ":"))
        return _segment(hashlib.sha256(members.encode()).digest())

    def proof(
        self,
        method: str,
        url: str,
        *,
        token: str | None = None,
        at: float | None = None,
        header: dict[str, object] | None = None,
        **claims: object,
    ) -> str:
        """Return a proof for one request; a claim that is None is left out."""
        said: dict[str, object] = {
            "jti": str(uuid.uuid4()),
            "htm": method,
            "htu": url,
            "iat": int(time.time() if at is None else at),
            "ath": None if token is None else ath(token),
            **claims,
        }
        named: dict[str, object] = {
            "typ": "dpop+jwt",
            "alg": self.algorithm,
            "jwk": self.jwk,
            **(header or {}),
        }
        kept = {name: value for name, value in said.items() if value is not None}
        text = f"{_segment(json.dumps(named).encode())}.{_segment(json.dumps(kept).encode())}"
        return f"{text}.{_segment(self._signer.sign(text.encode(), self.private))}"


def ath(token: str) -> str:
    """The digest of an access token."""
    return _segment(hashlib.sha256(token.encode()).digest())


def _segment(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
