"""Access tokens: signed JWTs as in RFC 9068, which name the session and the refresh generation as well."""

from dataclasses import dataclass, field

from gateway.accounts.ids import new_id
from gateway.accounts.rules import AccountRules
from gateway.accounts.sessions import Renewal
from gateway.crypto import Keyring
from gateway.ports import Clock, User

CLIENT_ID = "gateway"
"""`client_id` of tokens that come from the gateway's own login (required by RFC 9068 section 2.2)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessToken:
    """A token and the seconds that it lives."""

    text: str = field(repr=False)
    expires_in: int


class AccessTokens:
    """Mints access tokens with whatever key is the active one. `issuer` is the gateway's public URL."""

    def __init__(self, keyring: Keyring, issuer: str, clock: Clock) -> None:
        self._keyring = keyring
        self._issuer = issuer
        self._clock = clock

    def mint(self, user: User, renewal: Renewal, scope: str, rules: AccountRules) -> AccessToken:
        """Return a token for one generation of a session. It never outlives the session."""
        # Whole numbers: verifiers differ on fractions of a second.
        now = int(self._clock.now())
        expires = int(min(now + rules.access_lifetime, renewal.session_ends))
        claims = {
            "iss": self._issuer,
            "aud": self._issuer,
            "sub": user.id,
            "client_id": CLIENT_ID,
            "iat": now,
            "exp": expires,
            "jti": new_id(""),
            "sid": renewal.session,
            "rg": renewal.generation,
            "ep": user.epoch,
            "roles": sorted(user.roles),
            "scope": scope,
            "name": user.username,
        }
        return AccessToken(text=self._keyring.active.sign(claims, typ="at+jwt"), expires_in=expires - now)
