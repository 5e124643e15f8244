"""What the flows about encryption share: a configuration with a route of each kind, keys, and what opens what comes."""

import base64
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from joserfc import jwe
from joserfc.jwk import ECKey, OctKey, OKPKey
from support.gateway import Gateway, Reply
from support.scripted import Scripted

POLICIES = """\
version: 1
scopes:
  things:read: See things
roles:
  reader: {scopes: [things:read]}
  keeper: {inherits: [reader], scopes: ["gateway:crypto"]}
authenticators:
  gateway: {kind: gateway_jwt}
  keys: {kind: api_key, header: x-api-key}
accounts:
  registration: closed
  login: {limits: [{limit: 100000/min, per: client_ip}, {limit: 100000/min, per: username}]}
defaults:
  authn: [gateway, keys]
  limits: [{limit: 1000000/min, per: principal}, {limit: 1000000/min, per: client_ip}]
routes:
  - {id: plain, match: {methods: [GET, POST], path: /plain/**}, upstream: service, require: authenticated}
  - id: sealed
    match: {methods: [GET, POST], path: /sealed/**}
    upstream: service
    require: authenticated
    encrypt_response: {key: reports, max_response: 64KiB}
  - id: open-sealed
    match: {methods: [GET], path: /open-sealed/**}
    upstream: service
    authn: public
    because: For tests
    encrypt_response: {key: reports}
  - id: fields
    match: {methods: [GET], path: /fields/**}
    upstream: service
    require: authenticated
    encrypt_response: {key: reports, max_response: 64KiB}
    encrypt_fields: [/card/number, /items/*/pan]
  - id: mine
    match: {methods: [GET], path: /mine/**}
    upstream: service
    require: authenticated
    encrypt_response: {recipient: client}
  - id: taken
    match: {methods: [GET, POST, PUT, DELETE], path: /taken/**}
    upstream: service
    require: authenticated
    decrypt_request: {key: inbox}
    body: {max_request: 64KiB}
  - id: through
    match: {methods: [POST], path: /through/**}
    upstream: service
    require: authenticated
    decrypt_request: {key: inbox}
    encrypt_response: {key: reports}
  - id: wide
    match: {methods: [GET, POST], path: /wide/**}
    upstream: wide
    require: authenticated
    decrypt_request: {key: inbox}
  - id: again
    match: {methods: [GET], path: /again/**}
    upstream: wide
    require: authenticated
    encrypt_response: {key: reports}
  - id: keyless
    match: {methods: [GET, POST], path: /keyless/**}
    upstream: service
    require: authenticated
    encrypt_response: {key: missing}
  - id: lost
    match: {methods: [POST], path: /lost/**}
    upstream: service
    require: authenticated
    decrypt_request: {key: missing}
"""
UPSTREAMS = """\
version: 1
defaults:
  timeouts: {connect: 1s, response: 5s, idle: 5s}
upstreams:
  service: {targets: [{url: "http://${env:TEST_SERVICE}"}]}
  wide:
    targets: [{url: "http://${env:TEST_SERVICE}"}]
    retries: {max: 1, retry_on: [connect_failure, 503], budget: 100%}
    body: {max_request: unlimited}
"""
PASSWORD = "correct horse battery staple"
CRYPTO = "/gateway/v1/crypto/"
AT_ONCE = 1.0
"""Seconds within which a change holds everywhere."""
JSON = "Content-Type: application/json"
READER = jwe.JWERegistry(algorithms=["dir", "ECDH-ES", "A256GCM"])
READER.max_ciphertext_length = 16 * 1024 * 1024


def environ(upstream: Scripted, **more: str) -> dict[str, str]:
    """Return the settings of a gateway before an upstream."""
    return {"TEST_SERVICE": upstream.address, "GATEWAY_LOG_LEVEL": "debug", **more}


def make_key(gateway: Gateway, name: str, material: bytes | None = None) -> bytes:
    """Create a key and return its 32 bytes."""
    material = material or secrets.token_bytes(32)
    done = gateway.run("crypto-keys", "create", name, "--jwk-file", "-", stdin=symmetric_jwk(material))
    assert done.returncode == 0, done.stderr
    return material


def symmetric_jwk(material: bytes) -> str:
    """Return key material as a JWK."""
    return json.dumps({"kty": "oct", "k": base64.urlsafe_b64encode(material).rstrip(b"=").decode()})


def crypto_keys(gateway: Gateway, *words: str) -> Any:
    """Run a command on encryption keys and return what it prints."""
    done = gateway.run("crypto-keys", *words, "--format", "json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def opened(sealed: bytes | str, key: bytes | ECKey | OKPKey) -> bytes:
    """Return the plaintext of a compact JWE, read by a library of others."""
    jwk = OctKey.import_key(key) if isinstance(key, bytes) else key
    plaintext = jwe.decrypt_compact(sealed, jwk, registry=READER).plaintext
    assert plaintext is not None
    return plaintext


def sealed_by_others(plaintext: bytes, key: bytes, **header: Any) -> str:
    """Return a compact JWE as a library of others writes it."""
    protected = {"alg": "dir", "enc": "A256GCM", "kid": "inbox:v1", **header}
    return jwe.encrypt_compact(protected, plaintext, OctKey.import_key(key), algorithms=["dir", "A256GCM"])


def header_of(sealed: bytes | str) -> dict[str, Any]:
    """Return the header of a compact JWE."""
    text = sealed.decode("ascii") if isinstance(sealed, bytes) else sealed
    part = text.split(".")[0]
    header: dict[str, Any] = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return header


def version_of(sealed: bytes | str) -> int:
    """Return the version of the key that sealed a text of either form."""
    text = sealed.decode("ascii") if isinstance(sealed, bytes) else sealed
    if text.startswith("gw:v"):
        return int(text.split(":")[1][1:])
    return int(header_of(text)["kid"].rpartition(":v")[2])


def crypto(gateway: Gateway, verb: str, key: str, body: Mapping[str, object], token: str | None) -> Reply:
    """Call an endpoint of encryption."""
    return gateway.request("POST", f"{CRYPTO}{verb}/{key}", body=body, token=token)


def encrypt(gateway: Gateway, key: str, plaintext: bytes, token: str, **more: str) -> str:
    """Return a ciphertext that the gateway has made."""
    body = {"plaintext": base64.b64encode(plaintext).decode(), **more}
    reply = crypto(gateway, "encrypt", key, body, token)
    assert reply.status == 200, reply.body
    found: str = reply.json["ciphertext"]
    return found


def decrypt(gateway: Gateway, key: str, ciphertext: str, token: str, **more: str) -> bytes:
    """Return what the gateway finds in a ciphertext."""
    reply = crypto(gateway, "decrypt", key, {"ciphertext": ciphertext, **more}, token)
    assert reply.status == 200, reply.body
    return base64.b64decode(reply.json["plaintext"], validate=True)


@dataclass(frozen=True, slots=True)
class Client:
    """An OAuth client of a gateway."""

    gateway: Gateway
    id: str
    secret: str
    name: str

    @property
    def basic(self) -> dict[str, str]:
        """The fields by which it authenticates."""
        pair = base64.b64encode(f"{self.id}:{self.secret}".encode()).decode()
        return {"Authorization": f"Basic {pair}", "Content-Type": "application/x-www-form-urlencoded"}

    def token(self) -> str:
        """Return a token of its own."""
        reply = self.gateway.request(
            "POST", "/gateway/v1/oauth/token", body=b"grant_type=client_credentials", headers=self.basic
        )
        assert reply.status == 200, reply.body
        found: str = reply.json["access_token"]
        return found

    def user_token(self, name: str) -> str:
        """Return the token of somebody who has logged in by this client."""
        reply = self.gateway.request(
            "POST",
            "/gateway/v1/auth/login",
            body={"username": name, "password": PASSWORD},
            headers={"Authorization": self.basic["Authorization"]},
        )
        assert reply.status == 200, reply.body
        found: str = reply.json["access_token"]
        return found


def make_client(gateway: Gateway, name: str, jwk: str | None = None, *, role: str = "reader") -> Client:
    """Return a new client with this public key, or none."""
    given = [] if jwk is None else ["--jwk-file", "-"]
    done = gateway.run("clients", "create", name, "--role", role, *given, "--format", "json", stdin=jwk)
    assert done.returncode == 0, done.stderr
    made: dict[str, Any] = json.loads(done.stdout)
    return Client(gateway, made["id"], made["secret"], name)
