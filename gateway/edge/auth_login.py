"""The endpoint where a name and a password become tokens."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from gateway.accounts import (
    DEVICE_SECONDS,
    AccountRefusal,
    AccountRules,
    Clients,
    Login,
    LoginBody,
)
from gateway.crypto import Proofs
from gateway.edge.accounts import (
    Outcome,
    body_endpoint,
    client_asking,
    key_proved,
    origin_of,
    tokens_answer,
)
from gateway.edge.own import Call, Endpoint
from gateway.model import DEVICE_COOKIE, HOST_PREFIX, Fields, Line


@dataclass(frozen=True, slots=True)
class DeviceCookie:
    """The cookie by which a device is recognised on which somebody has logged in before. `secure`: clients
    reach the gateway over TLS."""

    secure: bool

    @property
    def name(self) -> str:
        """What it is called. With the prefix, browsers take it from nobody else (RFC 6265bis)."""
        return f"{HOST_PREFIX}{DEVICE_COOKIE}" if self.secure else DEVICE_COOKIE

    def read(self, fields: Fields) -> str | None:
        """Return what a client sends as the cookie's value, None when it sends none."""
        name = self.name.encode()
        return next((value.decode("latin-1") for key, value in _cookies(fields) if key == name), None)

    def line(self, value: str) -> Line:
        """Return the header line that has a browser keep it."""
        attributes = f"Max-Age={DEVICE_SECONDS}; Path=/; HttpOnly; SameSite=Strict"
        if self.secure:
            attributes += "; Secure"
        return b"Set-Cookie", f"{self.name}={value}; {attributes}".encode()


def login_endpoints(login: Login, clients: Clients, proofs: Proofs, cookie: DeviceCookie) -> list[Endpoint]:
    """Return the endpoint of the login.

    Clients with a secret may say by `Authorization: Basic` that the session is theirs, and any client by a
    `DPoP` field that its tokens are to be bound to a key.
    """

    async def log_in(call: Call, rules: AccountRules, body: LoginBody) -> Outcome:
        client_id = await client_asking(call, clients, rules)
        if isinstance(client_id, AccountRefusal):
            return client_id
        jkt = await key_proved(call, proofs)
        if isinstance(jkt, AccountRefusal):
            return jkt
        begun = await login.login(
            body,
            rules=rules,
            scopes_of=call.snapshot.roles.scopes_of,
            origin=origin_of(call),
            device=cookie.read(call.head.fields),
            client_id=client_id,
            jkt=jkt,
        )
        if isinstance(begun, AccountRefusal):
            return begun
        answer = tokens_answer(begun.pair)
        return replace(answer, lines=(*answer.lines, cookie.line(begun.device)))

    return [body_endpoint("login", LoginBody, log_in, "Exchange a name and a password for tokens.")]


def _cookies(fields: Fields) -> Iterator[tuple[bytes, bytes]]:
    """Give the names and values of all cookies (RFC 6265 section 4.2.1)."""
    for line in fields.all(b"cookie"):
        for pair in line.split(b";"):
            name, _, value = pair.strip(b" \t").partition(b"=")
            yield name, value
