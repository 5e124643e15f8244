"""What an authenticator is, and its three answers: a principal, absent, or rejected."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

from gateway.model import Principal, RequestHead


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthenticatorSpec:
    """One entry of `authenticators:` as the policy names it."""

    name: str
    kind: str
    header: str | None = None
    """Only `api_key`: the field that carries the key, lower-case."""


@dataclass(frozen=True, slots=True)
class Absent:
    """None of my credentials here: ask the next."""


@dataclass(frozen=True, slots=True)
class Rejected:
    """Mine, and bad: stop. A bad credential never falls through to a weaker authenticator."""

    diagnosis: str
    """For the audit record: which claim, never the credential."""
    malformed: bool = False
    """The credential fields themselves are ambiguous (repeated): 400 rather than 401."""
    subject: str | None = None
    """The person whose credential it is, where the credential has proved that."""


Answer = Principal | Absent | Rejected
ABSENT = Absent()


class Authenticator(ABC):
    """One way to prove who is asking."""

    kind: ClassVar[str]
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
