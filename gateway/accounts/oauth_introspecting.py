"""The introspection endpoint (RFC 7662): what a token is worth, said to those who may know."""

from collections.abc import Mapping

from gateway.accounts.issuing import ScopesOf
from gateway.accounts.refresh_token import parse_refresh_token
from gateway.accounts.rules import AccountRules
from gateway.accounts.sessions import Sessions
from gateway.model import Principal
from gateway.ports import Clock, UserStore

INTROSPECTION_SCOPE = "gateway:introspect"
"""What whoever asks must hold."""
INACTIVE: Mapping[str, object] = {"active": False}
"""Whatever is wrong, and whatever is none of the caller's business (section 2.2)."""
_TOLD = ("iss", "aud", "sub", "client_id", "iat", "exp", "jti", "roles", "auth_time", "amr", "cnf")


class Introspecting:
    """Tells what tokens are worth."""

    def __init__(self, *, users: UserStore, sessions: Sessions, clock: Clock, issuer: str) -> None:
        self._users = users
        self._sessions = sessions
        self._clock = clock
        self._issuer = issuer

    def access_token(self, holder: Principal, scopes_of: ScopesOf) -> Mapping[str, object]:
        """Return what an access token is worth that is good at the moment, by the policy in force."""
        claims = holder.claims or {}
        if holder.expires_at is None or self._clock.now() >= holder.expires_at:
            return INACTIVE
        scopes = scopes_of(holder.roles)
        if holder.scope_limit is not None:
            scopes &= holder.scope_limit
        told: dict[str, object] = {"active": True, "token_type": "DPoP" if "cnf" in claims else "Bearer"}
        told |= {name: claims[name] for name in _TOLD if name in claims}
        if scopes:
            told["scope"] = " ".join(sorted(scopes))
        if holder.subject is not None:
            told["username"] = holder.name
        return told

    async def refresh_token(
        self, token: str, asker: Principal, *, rules: AccountRules | None, scopes_of: ScopesOf
    ) -> Mapping[str, object]:
        """Return what a refresh token is worth, to the client that it was issued to. Raise
        `StoreUnavailable`."""
        parsed = parse_refresh_token(token)
        session = None if parsed is None else await self._sessions.look_up(token)
        if parsed is None or session is None or rules is None or session.client_id is None:
            return INACTIVE
        if session.client_id != asker.id or session.revoked_at is not None:
            return INACTIVE
        ends = min(session.expires_at, session.last_used_at + rules.refresh_idle)
        user = await self._users.find(session.user_id)
        if parsed.generation != session.counter or self._clock.now() >= ends:
            return INACTIVE
        if user is None or (rules.verifies_email and user.verified_at is None):
            return INACTIVE
        scopes = scopes_of(user.roles)
        if session.scope is not None:
            scopes &= frozenset(session.scope.split())
        told: dict[str, object] = {
            "active": True,
            "iss": self._issuer,
            "sub": session.user_id,
            "client_id": session.client_id,
            "username": user.username,
            "iat": int(session.created_at),
            "exp": int(ends),
        }
        if scopes:
            told["scope"] = " ".join(sorted(scopes))
        if session.jkt is not None:
            told["cnf"] = {"jkt": session.jkt}
        return told
