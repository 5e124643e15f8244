"""The OAuth endpoints: tokens, their end, and what they are worth (RFC 6749, RFC 7009, RFC 7662).

They take forms only, and speak RFC 6749 in whatever they refuse. What they need is never in the query: it
would be in every log on the way.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from gateway.accounts import (
    INACTIVE,
    INTROSPECTION_SCOPE,
    AccountRefusal,
    Client,
    Clients,
    ClientToken,
    Granting,
    Introspecting,
    PublicClient,
    Revoking,
    TokenPair,
    client_principal,
    outside_networks,
    read_client_proof,
    refuse_grant,
)
from gateway.crypto import Proofs
from gateway.edge.accounts import key_proved, origin_of, refused
from gateway.edge.own import Call, Endpoint, Known
from gateway.identity import GatewayJwt, Rejected
from gateway.model import Principal, Reason, Refusal
from gateway.pipeline import lacks_scope
from gateway.web import NO_CACHE, NO_STORE, Answer, json_answer

OAUTH_PREFIX = "/gateway/v1/oauth/"


@dataclass(frozen=True, slots=True, kw_only=True)
class OAuth:
    """What answers at the OAuth endpoints."""

    clients: Clients
    granting: Granting
    revoking: Revoking
    introspecting: Introspecting
    tokens: GatewayJwt
    """Reads the gateway's own access tokens."""
    proofs: Proofs

    def endpoints(self) -> list[Endpoint]:
        """Return the endpoints of `/gateway/v1/oauth/`."""
        return [
            _endpoint(
                "token", self._token, "Exchange a client's credentials, or a refresh token, for tokens."
            ),
            _endpoint("revoke", self._revoke, "End a token."),
            _endpoint("introspect", self._introspect, "Say what a token is worth."),
        ]

    async def _token(self, call: Call) -> Answer | Known | Refusal:
        rules = call.snapshot.accounts
        outside = None if rules is None else outside_networks(rules, origin_of(call))
        if outside is not None:
            return _refused(call, outside, None)
        client = await self._client(call)
        if isinstance(client, Refusal):
            return client
        jkt = await key_proved(call, self.proofs)
        if isinstance(jkt, AccountRefusal):
            return _refused(call, jkt, client)
        granted = await self.granting.grant(
            client,
            call.form,
            rules=rules,
            scopes_of=call.snapshot.roles.scopes_of,
            at=call.head.received,
            jkt=jkt,
            origin=origin_of(call),
        )
        if isinstance(granted, AccountRefusal):
            return _refused(call, granted, client)
        return _known(json_answer(200, _tokens(granted), NO_CACHE), client)

    async def _revoke(self, call: Call) -> Answer | Known | Refusal:
        client = await self._client(call)
        if isinstance(client, Refusal):
            return client
        token = call.form.one("token")
        if token is None:
            return _refused(call, refuse_grant("invalid_request", "token is missing."), client)
        # What kind of token it is, its form says; token_type_hint is a help for those who must look for it.
        holder = self.tokens.examine(token)
        done = await self.revoking.revoke(
            client, token, holder if isinstance(holder, Principal) else None, origin=origin_of(call)
        )
        if isinstance(done, AccountRefusal):
            return _refused(call, done, client)
        return _known(Answer(status=200, lines=(NO_STORE, NO_CACHE)), client)

    async def _introspect(self, call: Call) -> Answer | Known | Refusal:
        asker = await self._asker(call)
        if isinstance(asker, Refusal):
            return asker
        roles = call.snapshot.roles
        lacking = lacks_scope(call.head, asker, INTROSPECTION_SCOPE, roles)
        if lacking is not None:
            # Whoever asks may be a client with a secret: nobody is told to come with a token instead.
            return replace(lacking, challenges=())
        token = call.form.one("token")
        if token is None:
            return _refused(call, refuse_grant("invalid_request", "token is missing."), asker)
        worth = await self.introspecting.refresh_token(
            token, asker, rules=call.snapshot.accounts, scopes_of=roles.scopes_of
        )
        if worth is INACTIVE and isinstance(holder := self.tokens.examine(token), Principal):
            worth = self.introspecting.access_token(holder, roles.scopes_of)
        return Known(json_answer(200, worth, NO_CACHE), asker)

    async def _client(self, call: Call) -> Client | Refusal:
        """Return the client that has proved to be the one who asks."""
        if call.head.query:
            flaw = "Parameters belong into the body, never into the query."
            return _refused(call, refuse_grant("invalid_request", flaw), None)
        proof = read_client_proof(call.head.fields.all(b"authorization"), call.form)
        if isinstance(proof, AccountRefusal):
            return _refused(call, proof, None)
        client = await self.clients.prove(proof, rules=call.snapshot.accounts, origin=origin_of(call))
        return _refused(call, client, None) if isinstance(client, AccountRefusal) else client

    async def _asker(self, call: Call) -> Principal | Refusal:
        """Return who asks what a token is worth: a client, or the holder of an access token."""
        holder = await self.tokens.identify(call.head)
        if isinstance(holder, Rejected) and not holder.malformed:
            return Refusal(
                head=call.head,
                reason=Reason.CREDENTIALS_INVALID,
                subject=holder.subject,
                diagnosis=holder.diagnosis,
                challenges=(holder.challenge or self.tokens.challenge(rejected=True),),
            )
        if isinstance(holder, Principal) and not call.head.query:
            if call.form.one("client_secret") is None:
                return holder
            flaw = "A token and a client's secret: send one of them."
            return _refused(call, refuse_grant("invalid_request", flaw), None)
        client = await self._client(call)
        if isinstance(client, PublicClient):
            flaw = "A client without a secret may not ask."
            return _refused(call, refuse_grant("unauthorized_client", flaw), None)
        return client if isinstance(client, Refusal) else client_principal(client)


def _endpoint(
    name: str, answer: Callable[[Call], Awaitable[Answer | Known | Refusal]], summary: str
) -> Endpoint:
    return Endpoint(
        method="POST",
        path=OAUTH_PREFIX + name,
        name=f"gateway:oauth.{name}",
        answer=answer,
        takes_form=True,
        summary=summary,
    )


def _tokens(granted: ClientToken | TokenPair) -> dict[str, object]:
    """Return the body of RFC 6749 section 5.1."""
    body: dict[str, object] = {
        "access_token": granted.access_token,
        "token_type": granted.token_type,
        "expires_in": granted.expires_in,
    }
    if isinstance(granted, TokenPair):
        body |= {
            "refresh_token": granted.refresh_token,
            "refresh_expires_in": granted.refresh_expires_in,
        }
    # RFC 6749 section 3.3: a scope is never empty.
    return body | ({"scope": granted.scope} if granted.scope else {})


def _known(answer: Answer, client: Client) -> Answer | Known:
    return answer if isinstance(client, PublicClient) else Known(answer, client_principal(client))


def _refused(call: Call, refusal: AccountRefusal, by: Client | Principal | None) -> Refusal:
    principal = by if isinstance(by, Principal) else None
    if by is not None and not isinstance(by, PublicClient | Principal):
        principal = client_principal(by)
    code = refusal.oauth_error
    if not code and refusal.reason is Reason.CREDENTIALS_INVALID:
        code = "invalid_grant"
    return replace(refused(call, refusal), principal=principal, challenges=(), oauth_error=code)
