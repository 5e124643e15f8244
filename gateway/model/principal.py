"""Who is asking, and which authenticator vouched."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final


class PrincipalKind(StrEnum):
    """What kind of being a principal is; also `actor.kind` in the audit record."""

    USER = "user"
    CLIENT = "client"
    API_KEY = "api_key"
    EXTERNAL = "external"
    ANONYMOUS = "anonymous"
    OPERATOR = "operator"
    """Somebody at the command line of the gateway's own machine."""


# Looking up a member of an enum costs as much as ten of these (Python 3.11).
_NOBODY: Final = PrincipalKind.ANONYMOUS


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """An identified caller. `id` is stable: `usr_...`, `cli_...`, `key_...`, or `ISSUER|SUB`."""

    id: str
    kind: PrincipalKind
    name: str
    authn: str
    """Name of the authenticator that vouched, as written in `policies.yaml`."""
    authn_kind: str
    """Kind of that authenticator: `gateway_jwt`, `api_key`, `jwt`, `mtls`."""
    roles: frozenset[str] = frozenset()
    scope_limit: frozenset[str] | None = None
    """Scopes the credential is confined to, within those of the roles; None: all of them."""
    claims: Mapping[str, object] | None = field(default=None, repr=False)
    """Claims of a token; None for principals that have none (keys), as against an empty set."""
    session: str | None = None
    client_id: str | None = None
    """The OAuth client that the credential was issued to; None: the credential names none."""
    mfa_at: float | None = None
    """When a second factor was last proved, in seconds since the epoch; None: never, as far as is known."""
    signed_by: str | None = None
    """Id of the key that signed the credential, for credentials that end with their key."""
    secret_hash: bytes | None = field(default=None, repr=False)
    """SHA-256 of the secret that was shown, of a principal that may have several, which end by themselves."""
    expires_at: float | None = None
    """When the credential ends, in seconds since the epoch; None: never."""
    subject: str | None = None
    """The person whose personal data a record about this caller holds: the user, the owner of a key, somebody
    from outside. None: nobody's."""

    @property
    def is_anonymous(self) -> bool:
        """Whether nobody was identified: the caller of a public route."""
        return self.kind is _NOBODY


ANONYMOUS = Principal(id="", kind=PrincipalKind.ANONYMOUS, name="", authn="", authn_kind="")
