"""The token endpoint (RFC 6749 sections 4.4 and 6): tokens for clients that act for themselves, and new ones
for sessions.

There is no `password` grant (RFC 9700 section 2.4): people log in at an endpoint of their own.
"""

import re

from gateway.accounts.clients import Client, PublicClient, client_principal
from gateway.accounts.issuing import Issuing, ScopesOf
from gateway.accounts.oauth_form import Form
from gateway.accounts.origin import Origin
from gateway.accounts.outcome import AccountRefusal, ClientToken, TokenPair
from gateway.accounts.recording import Recorder
from gateway.accounts.refreshing import Refreshing
from gateway.accounts.rules import WITHOUT_ACCOUNTS, AccountRules
from gateway.model import EventKind, Reason

GRANT_TYPES = ("client_credentials", "refresh_token")
_SCOPE = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+(?: [\x21\x23-\x5b\x5d-\x7e]+)*")
"""RFC 6749 appendix A.4."""


class Granting:
    """Grants tokens. `issuer` is the gateway's public URL, for which alone tokens can be had."""

    def __init__(self, *, refreshing: Refreshing, issuing: Issuing, recorder: Recorder, issuer: str) -> None:
        self._refreshing = refreshing
        self._issuing = issuing
        self._recorder = recorder
        self._issuer = issuer

    async def grant(
        self,
        client: Client,
        form: Form,
        *,
        rules: AccountRules | None,
        scopes_of: ScopesOf,
        at: float,
        jkt: str | None,
        origin: Origin,
    ) -> ClientToken | TokenPair | AccountRefusal:
        """Return what a client that has proved who it is gets for its request.

        `rules` is None where the policy has no accounts, `at` a moment before the client was looked up, `jkt`
        the thumbprint of the key that it has proved to hold. Raise `StoreUnavailable`.
        """
        grant_type = form.one("grant_type")
        if grant_type is None:
            return refuse_grant("invalid_request", "grant_type is missing.")
        if grant_type not in GRANT_TYPES or (grant_type == "refresh_token" and rules is None):
            return refuse_grant("unsupported_grant_type", "There is no such grant here.")
        if not all(map(self._is_ours, (*form.all("resource"), *form.all("audience")))):
            return refuse_grant("invalid_target", f"Tokens are for {self._issuer} only.")
        scope = form.one("scope")
        if scope is not None and _SCOPE.fullmatch(scope) is None:
            return refuse_grant("invalid_scope", "scope is not a list of scopes with one blank between them.")
        wanted = None if scope is None else frozenset(scope.split(" "))
        if grant_type == "client_credentials" or rules is None:
            return await self._for_itself(
                client, wanted, rules or WITHOUT_ACCOUNTS, scopes_of, at=at, jkt=jkt, origin=origin
            )
        token = form.one("refresh_token")
        if token is None:
            return refuse_grant("invalid_request", "refresh_token is missing.")
        return await self._refreshing.refresh(
            token,
            rules=rules,
            scopes_of=scopes_of,
            origin=origin,
            client_id=None if isinstance(client, PublicClient) else client.id,
            jkt=jkt,
            wanted=wanted,
        )

    async def _for_itself(
        self,
        client: Client,
        wanted: frozenset[str] | None,
        rules: AccountRules,
        scopes_of: ScopesOf,
        *,
        at: float,
        jkt: str | None,
        origin: Origin,
    ) -> ClientToken | AccountRefusal:
        if isinstance(client, PublicClient):
            return refuse_grant("unauthorized_client", "A client without a secret cannot act for itself.")
        token = self._issuing.client_token(client, rules, scopes_of, at=at, wanted=wanted, jkt=jkt)
        if wanted and not token.scope:
            return refuse_grant("invalid_scope", "None of these scopes may be had by this client.")
        await self._recorder.record(
            EventKind.TOKEN_ISSUED,
            origin,
            actor=client_principal(client),
            attributes={"client": client.id, "token": token.id, "scope": token.scope.split()},
        )
        return token

    def _is_ours(self, target: str) -> bool:
        # RFC 8707 section 2: what is behind the gateway is reached by one and the same token.
        return target.removesuffix("/") == self._issuer or target.startswith(f"{self._issuer}/")


def refuse_grant(code: str, detail: str, *, subject: str | None = None) -> AccountRefusal:
    """Return the refusal of a request to an OAuth endpoint, with its code of RFC 6749 section 5.2."""
    return AccountRefusal(
        reason=Reason.INVALID_REQUEST, diagnosis=detail, detail=detail, subject=subject, oauth_error=code
    )
