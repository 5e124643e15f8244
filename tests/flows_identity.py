"""What the flows about identity share: a configuration with accounts, mails that came, codes of an app."""

import base64
import email
import email.policy
import hashlib
import hmac
import json
import re
import struct
import time
from collections.abc import Mapping
from email.message import EmailMessage
from typing import Any

from support.gateway import Gateway, Reply, eventually

POLICIES = """\
version: 1
scopes:
  things:read: See things
  things:write: Make things
roles:
  reader: {scopes: [things:read]}
  writer: {inherits: [reader], scopes: [things:write]}
  inspector: {scopes: ["gateway:introspect"]}
authenticators:
  gateway: {kind: gateway_jwt}
  keys: {kind: api_key, header: x-api-key}
accounts:
  registration: open
  default_roles: [reader]
  email_verification: required
  password: {min_length: 12, reject_common: true}
  tokens: {access: 10min, refresh_idle: 7d, refresh_absolute: 30d, reuse_grace: 10s}
  login:
    limits: [{limit: 100000/min, per: client_ip}, {limit: 100000/min, per: username}]
    block: {failures: 100000, within: 5min, for: 15min}
defaults:
  authn: [gateway, keys]
  limits: [{limit: 100000/min, per: principal}, {limit: 1000000/min, per: client_ip}]
routes:
  - {id: open, match: {methods: [GET], path: /healthz}, upstream: service, authn: public, because: For tests}
  - {id: echo, match: {methods: [GET], path: /echo/**}, upstream: service, require: authenticated}
  - id: orders
    match: {methods: [GET, POST], path: /orders}
    upstream: service
    require: {GET: [things:read], POST: [things:write]}
  - {id: guarded, match: {methods: [GET], path: /users/guarded}, upstream: service, require: [things:read], mfa: {max_age: 10min}}
"""
UPSTREAMS = """\
version: 1
upstreams:
  service: {targets: [{url: "http://${env:TEST_SERVICE}"}]}
"""
PASSWORD = "correct horse battery staple"
AUTH = "/gateway/v1/auth/"
OAUTH = "/gateway/v1/oauth/"
AT_ONCE = 1.0
"""Seconds within which what is taken away is gone everywhere."""


def slug(reply: Reply) -> str:
    """Return which problem it is."""
    assert reply.headers["Content-Type"] == "application/problem+json", reply.body
    assert reply.headers["Cache-Control"] == "no-store"
    problem = reply.json
    assert problem["status"] == reply.status
    assert problem["instance"].startswith("urn:uuid:")
    found: str = problem["type"].removeprefix("urn:gateway:problem:")
    return found


def post(gateway: Gateway, path: str, body: Mapping[str, Any], *, token: str | None = None) -> Reply:
    """Send JSON to an endpoint of accounts."""
    return gateway.request("POST", AUTH + path, body=body, token=token)


def tries(gateway: Gateway, name: str, password: str, **more: str) -> Reply:
    """Return the answer to a login."""
    return post(gateway, "login", {"username": name, "password": password, **more})


def me(gateway: Gateway, token: str) -> Reply:
    """Return one's own account."""
    return gateway.request("GET", AUTH + "me", token=token)


def is_dead(gateway: Gateway, token: str, *, path: str = "/orders") -> bool:
    """Say whether a token opens nothing any more; it must say so as for any bad credential."""
    reply = gateway.request("GET", path, token=token)
    if reply.status == 401:
        assert slug(reply) == "credentials-invalid"
        assert 'error="invalid_token"' in reply.headers["WWW-Authenticate"]
        return True
    assert reply.status == 200, reply.body
    return False


def dies(gateway: Gateway, token: str) -> None:
    """Wait for a token's end, which comes within a second."""
    eventually(lambda: is_dead(gateway, token), within=AT_ONCE + 0.5, what="the token is dead")


def mails(gateway: Gateway, to: str) -> list[EmailMessage]:
    """Return the mails that were sent to an address, oldest first."""
    found: list[tuple[float, EmailMessage]] = []
    for file in (gateway.data_dir / "outbox").glob("[!.]*.eml"):
        message = email.message_from_bytes(file.read_bytes(), policy=email.policy.default)
        assert isinstance(message, EmailMessage)
        if to in str(message["To"]):
            found.append((file.stat().st_mtime_ns, message))
    return [message for _, message in sorted(found, key=lambda pair: pair[0])]


def text_of(mail: EmailMessage) -> str:
    """Return the plain text of a mail."""
    body = mail.get_body(("plain",))
    assert body is not None
    content: str = body.get_content()
    return content


def next_mail(gateway: Gateway, to: str, *, after: int = 0) -> EmailMessage:
    """Wait for the mail that comes to an address after so many."""
    eventually(lambda: len(mails(gateway, to)) > after, what=f"a mail to {to}")
    return mails(gateway, to)[after]


def token_in(mail: EmailMessage) -> str:
    """Return the token of the link in a mail."""
    found = re.search(r"https?://\S+[?#&]token=([A-Za-z0-9._~-]+)", text_of(mail))
    assert found is not None, text_of(mail)
    return found[1]


def register(gateway: Gateway, name: str, password: str = PASSWORD, **more: str) -> Reply:
    """Ask for an account."""
    address = more.pop("email", f"{name}@example.com")
    return post(gateway, "register", {"username": name, "email": address, "password": password, **more})


def code(secret: str, *, steps: int = 0) -> str:
    """Return the code that an authenticator app shows, some steps of 30 s from the present (RFC 6238)."""
    key = base64.b32decode(secret + "=" * (-len(secret) % 8))
    counter = struct.pack(">Q", int(time.time()) // 30 + steps)
    digest = hmac.new(key, counter, hashlib.sha1).digest()
    at = digest[-1] & 15
    return f"{(struct.unpack('>I', digest[at : at + 4])[0] & 0x7FFFFFFF) % 1_000_000:06d}"


def claims_of(token: str) -> dict[str, Any]:
    """Return what a token says, unverified."""
    part = token.split(".")[1]
    claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return claims


def events(gateway: Gateway, kind: str) -> list[dict[str, Any]]:
    """Return the recorded events of one kind, newest first."""
    return [one for one in gateway.audit("--kind", "event", "--limit", "100000") if one["action"] == kind]
