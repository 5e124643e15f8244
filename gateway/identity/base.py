"""What an authenticator is, and its three answers: a principal, absent, or rejected."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import ClassVar, Literal

from gateway.model import Principal, RequestHead

SubjectPart = Literal["san_uri", "san_dns", "san_email", "subject", "fingerprint"]
"""Which part of a certificate names its holder."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExternalIssuer:
    """Whose tokens a `jwt` authenticator takes, and which of them."""

    issuer: str
    """What `iss` must be, to the letter."""
    audience: frozenset[str]
    """One of these must be in `aud`."""
    algorithms: tuple[str, ...]
    types: frozenset[str]
    """Values of `typ`, lower-case and without `application/`; a token without `typ` is a `jwt`."""
    jwks: str | None = None
    """Address of the keys; None: the issuer's metadata says it, unless there is a secret."""
    secret: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthenticatorSpec:
    """One entry of `authenticators:` as the policy names it."""

    name: str
    kind: str
    header: str | None = None
    """Only `api_key`: the field that carries the key, lower-case."""
    external: ExternalIssuer | None = None
    """Only `jwt`."""
    subject: SubjectPart | None = None
    """Only `mtls`: the part of the certificate that names the principal."""


@dataclass(frozen=True, slots=True)
class Absent:
    """None of my credentials here: ask the next."""


@dataclass(frozen=True, slots=True)
class Foreign(Absent):
    """A token is here, and another issuer's: it must be that of another authenticator, or it is refused."""


@dataclass(frozen=True, slots=True)
class Rejected:
    """Mine, and bad: stop. A bad credential never falls through to a weaker authenticator."""

    diagnosis: str
    """For the audit record: which claim, never the credential."""
    malformed: bool = False
    """The credential fields themselves are ambiguous (repeated): 400 rather than 401."""
    subject: str | None = None
    """The person whose credential it is, where the credential has proved that."""
    challenge: str | None = None
    """What to answer in `WWW-Authenticate`, where the authenticator's own challenge does not say enough."""


Answer = Principal | Absent | Rejected
ABSENT = Absent()
FOREIGN = Foreign()


class Authenticator(ABC):
    """One way to prove who is asking."""

    kind: ClassVar[str]
    takes_tokens: ClassVar[bool] = False
    """Whether it takes tokens out of the Authorization field, each of which has one issuer."""
    resource_metadata: str = ""
    """URL of what a challenge for tokens points at (RFC 9728 section 5.1); empty: at nothing."""
    name: str
    fields: frozenset[bytes]
    """Lower-case names of the header fields it reads; they are not forwarded unless the upstream says so."""

    @abstractmethod
    async def identify(self, head: RequestHead) -> Answer:
        """Say who sent this. Raise `StoreUnavailable` when that cannot be found out."""

    @abstractmethod
    async def reconsider(self, principal: Principal) -> Principal | Rejected:
        """Say who a caller is by now that was identified here before, or that the credential was revoked
        since: for what goes on for long. Whether it has expired is not asked. Raise `StoreUnavailable`."""

    @abstractmethod
    def challenge(self, *, rejected: bool) -> str | None:
        """Return the `WWW-Authenticate` challenge for a 401, or None when the scheme has none."""
