"""An issuer of tokens that is not the gateway: its keys, its tokens, and what it publishes."""

import base64
import json
import time
import uuid
from collections.abc import Callable, Mapping
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from gateway.ports import Page, PageUnavailable

ISSUER = "https://login.example.com"
AUDIENCE = "orders-api"
SECRET = b"a secret that two parties share, of more than 32 bytes"
_CURVES = {"ES256": ec.SECP256R1(), "ES384": ec.SECP384R1(), "ES512": ec.SECP521R1()}


class IssuerKey:
    """A key pair, or a shared secret; written with a library that is not ours."""

    def __init__(self, algorithm: str = "ES256", kid: str | None = "k1", *, size: int = 2048) -> None:
        self.algorithm = algorithm
        self.kid = kid
        self.private: Any
        if algorithm in _CURVES:
            self.private = ec.generate_private_key(_CURVES[algorithm])
        elif algorithm == "EdDSA":
            self.private = ed25519.Ed25519PrivateKey.generate()
        elif algorithm == "HS256":
            self.private = SECRET
        else:
            self.private = rsa.generate_private_key(65537, size)

    def jwk(self, **changes: object) -> dict[str, object]:
        """Return the public half as a JSON Web Key; a change to None leaves the member out."""
        written = jwt.get_algorithm_by_name(self.algorithm).to_jwk(self.private.public_key())
        members = {name: value for name, value in json.loads(written).items() if name != "key_ops"}
        members |= {"kid": self.kid, "alg": self.algorithm, "use": "sig", **changes}
        return {name: value for name, value in members.items() if value is not None}

    def private_jwk(self) -> dict[str, object]:
        """Return the whole key, as nobody should publish it."""
        written: dict[str, object] = json.loads(
            jwt.get_algorithm_by_name(self.algorithm).to_jwk(self.private)
        )
        return {**written, "kid": self.kid}

    def sign(self, header: object, payload: object, *, algorithm: str | None = None) -> str:
        """Return a token of any header and payload (values, or bytes as they are) with a good signature."""
        parts = [part if isinstance(part, bytes) else json.dumps(part).encode() for part in (header, payload)]
        text = b".".join(segment(part) for part in parts)
        signature = jwt.get_algorithm_by_name(algorithm or self.algorithm).sign(text, self.private)
        return (text + b"." + segment(signature)).decode()


class Issuer:
    """Signs tokens with the first of its keys, and publishes all of them. Implements `ports.Pages`, in memory."""

    def __init__(
        self,
        *keys: IssuerKey,
        url: str = ISSUER,
        now: Callable[[], float] = time.time,
        metadata: str = "/.well-known/openid-configuration",
    ) -> None:
        self.url = url
        self.keys = list(keys) or [IssuerKey()]
        self.max_age: float | None = None
        self.fetched: list[str] = []
        """Every address that was asked for."""
        self.away = False
        self.bodies: dict[str, bytes] = {}
        """What is answered instead, by address."""
        self._metadata = metadata
        self._now = now

    def header(self, **changes: object) -> dict[str, object]:
        """Return the header of a good token; a change to None leaves the member out."""
        key = self.keys[0]
        return _changed({"alg": key.algorithm, "kid": key.kid, "typ": "at+jwt"}, changes)

    def claims(self, **changes: object) -> dict[str, object]:
        """Return the claims of a good token; a change to None leaves the claim out."""
        now = int(self._now())
        claims: dict[str, object] = {
            "iss": self.url,
            "aud": AUDIENCE,
            "sub": "alice",
            "client_id": "web",
            "iat": now,
            "exp": now + 600,
            "jti": str(uuid.uuid4()),
            "scope": "openid orders",
            "groups": ["finance", "helpdesk"],
        }
        return _changed(claims, changes)

    def token(self, *, header: Mapping[str, object] | None = None, **changes: object) -> str:
        """Return a token."""
        return self.keys[0].sign(self.header(**(header or {})), self.claims(**changes))

    def published(self, path: str) -> bytes | None:
        """Return what stands at a path, None when nothing does."""
        if path == self._metadata:
            return json.dumps({"issuer": self.url, "jwks_uri": f"{self.url.rstrip('/')}/keys"}).encode()
        if path == "/keys":
            return json.dumps({"keys": [key.jwk() for key in self.keys]}).encode()
        return None

    async def fetch(self, url: str) -> Page:
        self.fetched.append(url)
        if self.away:
            raise PageUnavailable(f"{url} does not answer in time")
        body = self.bodies.get(url) or self.published(url.removeprefix(self.url.rstrip("/")))
        if body is None:
            raise PageUnavailable(f"{url} answers 404")
        return Page(body=body, max_age=self.max_age)


def segment(data: bytes) -> bytes:
    """Return base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def _changed(members: dict[str, object], changes: Mapping[str, object]) -> dict[str, object]:
    return {name: value for name, value in {**members, **changes}.items() if value is not None}
