"""Tokens for whoever has proved who they are: one place for login, refresh and the token endpoint.

What was asked for and is not to be had is left out, and the answer says what it is good for (RFC 6749 section
3.3). Scopes that were asked for, and none of them granted, are up to the caller to refuse: `scope` is empty.
"""

from collections.abc import Callable

from gateway.accounts.access_token import AccessTokens
from gateway.accounts.outcome import ClientToken, TokenPair
from gateway.accounts.renewal import Renewal
from gateway.accounts.rules import AccountRules
from gateway.ports import OAuthClient, User

ScopesOf = Callable[[frozenset[str]], frozenset[str]]
"""From roles to the scopes that they give, by the policy in force."""


class Issuing:
    """Makes tokens."""

    def __init__(self, tokens: AccessTokens) -> None:
        self._tokens = tokens

    def pair(
        self,
        user: User,
        renewal: Renewal,
        rules: AccountRules,
        scopes_of: ScopesOf,
        *,
        wanted: frozenset[str] | None = None,
    ) -> TokenPair:
        """Return the tokens of one generation of a session. `wanted` narrows the access token, and not the
        session (RFC 6749 section 6); None: all that there is."""
        held = scopes_of(user.roles)
        if renewal.scope is not None:
            held &= frozenset(renewal.scope.split())
        scope = _granted(held, wanted)
        access = self._tokens.mint(user, renewal, scope, rules)
        return TokenPair(
            access_token=access.text,
            token_type=_type(renewal.jkt),
            expires_in=access.expires_in,
            refresh_token=renewal.refresh_token,
            refresh_expires_in=max(round(renewal.refresh_ends - renewal.at), 0),
            scope=scope,
        )

    def client_token(
        self,
        client: OAuthClient,
        rules: AccountRules,
        scopes_of: ScopesOf,
        *,
        at: float,
        wanted: frozenset[str] | None = None,
        jkt: str | None = None,
    ) -> ClientToken:
        """Return a token for a client that acts for itself.

        `at` is a moment at which the client was known not to have been revoked: take it before the store is
        asked. `wanted` narrows the token; None: all that the roles give. `jkt` is the thumbprint of the key
        that the client has proved to hold, to which the token is bound then.
        """
        scope = _granted(scopes_of(client.roles), wanted)
        access = self._tokens.mint_for_client(client, scope, rules, at=at, jkt=jkt)
        return ClientToken(
            access_token=access.text,
            id=access.id,
            token_type=_type(jkt),
            expires_in=access.expires_in,
            scope=scope,
        )


def _granted(held: frozenset[str], wanted: frozenset[str] | None) -> str:
    return " ".join(sorted(held if wanted is None else held & wanted))


def _type(jkt: str | None) -> str:
    # RFC 9449 section 5: `DPoP` tells the client that a proof must go with the token.
    return "Bearer" if jkt is None else "DPoP"
