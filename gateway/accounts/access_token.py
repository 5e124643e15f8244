"""Access tokens: signed JWTs as in RFC 9068. Those of users name the session and the refresh generation as
well.

What is issued to a client of its own (`client_credentials`) has none of the claims that are about people, so
that no reader takes one kind for the other (RFC 8725 section 3.12).
"""

from dataclasses import dataclass, field

from gateway.accounts.ids import new_id
from gateway.accounts.renewal import Renewal
from gateway.accounts.rules import AccountRules
from gateway.crypto import Keyring
from gateway.ports import OAuthClient, User

CLIENT_ID = "gateway"
"""`client_id` of the gateway's own public client, to which sessions belong that no other client has begun."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessToken:
    """A token, its id (`jti`) and the seconds that it lives."""

    text: str = field(repr=False)
    id: str
    expires_in: int


class AccessTokens:
    """Mints access tokens with whatever key is the active one. `issuer` is the gateway's public URL."""

    def __init__(self, keyring: Keyring, issuer: str) -> None:
        self._keyring = keyring
        self._issuer = issuer

    def mint(self, user: User, renewal: Renewal, scope: str, rules: AccountRules) -> AccessToken:
        """Return a token for one generation of a session. It never outlives the session."""
        claims: dict[str, object] = {
            "sub": user.id,
            "client_id": renewal.client_id or CLIENT_ID,
            "sid": renewal.session,
            "rg": renewal.generation,
            "ep": user.epoch,
            "roles": sorted(user.roles),
            "scope": scope,
            "name": user.username,
            "auth_time": int(renewal.began),
            "amr": list(renewal.amr),
        }
        if renewal.mfa_at is not None:
            claims["mfa_time"] = int(renewal.mfa_at)
        ends = min(renewal.at + rules.access_lifetime, renewal.session_ends)
        return self._signed(claims, issued=renewal.at, ends=ends, jkt=renewal.jkt)

    def mint_for_client(
        self, client: OAuthClient, scope: str, rules: AccountRules, *, at: float, jkt: str | None
    ) -> AccessToken:
        """Return a token for a client that acts for itself. `at` is a moment at which it had not been
        revoked, `jkt` the thumbprint of the key that the token is bound to."""
        claims: dict[str, object] = {
            "sub": client.id,
            "client_id": client.id,
            "ep": client.epoch,
            "roles": sorted(client.roles),
            "scope": scope,
            "name": client.name,
        }
        return self._signed(claims, issued=at, ends=at + rules.access_lifetime, jkt=jkt)

    def _signed(
        self, claims: dict[str, object], *, issued: float, ends: float, jkt: str | None
    ) -> AccessToken:
        # Whole numbers: verifiers differ on fractions of a second.
        expires = int(ends)
        id_ = new_id("")
        claims |= {"iss": self._issuer, "aud": self._issuer, "iat": int(issued), "exp": expires, "jti": id_}
        if jkt is not None:
            # RFC 9449 section 6.1.
            claims["cnf"] = {"jkt": jkt}
        text = self._keyring.active.sign(claims, typ="at+jwt")
        return AccessToken(text=text, id=id_, expires_in=max(expires - int(issued), 0))
