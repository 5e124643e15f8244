"""What the account endpoints have in common. A policy without `accounts` has none of them: 404."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict, replace
from typing import Final, Literal, TypeVar

from gateway.accounts import (
    Account,
    AccountRefusal,
    AccountRules,
    Body,
    Clients,
    Done,
    Origin,
    PublicClient,
    TokenPair,
    read_basic,
)
from gateway.crypto import ProofRefused, Proofs
from gateway.edge.own import Call, Endpoint
from gateway.identity import dpop_challenge
from gateway.model import Reason, Refusal
from gateway.web import NO_CACHE, Answer, json_answer

_PREFIX = "/gateway/v1/auth/"
# RFC 9110 section 11.6.1 wants a challenge on every 401.
_BASIC = 'Basic realm="gateway"'
_CHALLENGES: Mapping[Reason, str] = {
    Reason.CREDENTIALS_INVALID: 'Bearer realm="gateway"',
    Reason.MFA_REQUIRED: 'Bearer realm="gateway", error="insufficient_user_authentication"',
}
NO_CONTENT: Final = Answer(status=204)
Outcome = Answer | AccountRefusal
B = TypeVar("B", bound=Body)


def account_endpoint(
    method: Literal["GET", "POST", "DELETE"],
    path: str,
    answer: Callable[[Call, AccountRules], Awaitable[Outcome]],
    summary: str,
    *,
    name: str | None = None,
    needs_principal: bool = False,
) -> Endpoint:
    """Return the endpoint at a path below `/gateway/v1/auth/`. Left out, its name is made of the path."""

    async def with_rules(call: Call) -> Answer | Refusal:
        rules = call.snapshot.accounts
        if rules is None:
            return Refusal(head=call.head, reason=Reason.NOT_FOUND, diagnosis="the policy has no accounts")
        outcome = await answer(call, rules)
        return refused(call, outcome) if isinstance(outcome, AccountRefusal) else outcome

    return Endpoint(
        method=method,
        path=_PREFIX + path,
        name=f"gateway:auth.{name or path.replace('/', '.')}",
        answer=with_rules,
        needs_principal=needs_principal,
        summary=summary,
    )


def body_endpoint(
    path: str,
    body: type[B],
    answer: Callable[[Call, AccountRules, B], Awaitable[Outcome]],
    summary: str,
    *,
    method: Literal["POST", "DELETE"] = "POST",
    name: str | None = None,
    needs_principal: bool = False,
) -> Endpoint:
    """Return the endpoint at a path below `/gateway/v1/auth/` that takes such a body, which is in order when
    the answer is asked for."""

    async def with_body(call: Call, rules: AccountRules) -> Outcome:
        read = body.read(call.body, rules)
        return read if isinstance(read, AccountRefusal) else await answer(call, rules, read)

    endpoint = account_endpoint(method, path, with_body, summary, name=name, needs_principal=needs_principal)
    return replace(endpoint, body=body)


def origin_of(call: Call) -> Origin:
    """Return where a call comes from."""
    return Origin(request_id=call.head.id, source_ip=call.head.client or None, user_agent=call.user_agent)


async def client_asking(call: Call, clients: Clients, rules: AccountRules) -> str | AccountRefusal | None:
    """Return the client with a secret that a call proves to come from by `Authorization: Basic`, None when it
    names none. Raise `StoreUnavailable`."""
    proof = read_basic(call.head.fields.all(b"authorization"))
    if proof is None or isinstance(proof, AccountRefusal):
        return proof
    client = await clients.prove(proof, rules=rules, origin=origin_of(call))
    if isinstance(client, AccountRefusal):
        return client
    return None if isinstance(client, PublicClient) else client.id


async def key_proved(call: Call, proofs: Proofs) -> str | AccountRefusal | None:
    """Return the thumbprint of the key that a call proves by its `DPoP` field to come from, None when it has
    none. Raise `StoreUnavailable`."""
    try:
        return await proofs.prove(call.head)
    except ProofRefused as flaw:
        detail = f"The DPoP proof: {flaw}."
        return AccountRefusal(
            reason=Reason.INVALID_REQUEST,
            diagnosis=detail,
            detail=detail,
            # RFC 9449 section 5.
            oauth_error="invalid_dpop_proof",
        )


def account_answer(account: Account | AccountRefusal, *, status: int) -> Outcome:
    """Return an account as its owner may see it."""
    if isinstance(account, AccountRefusal):
        return account
    return json_answer(status, asdict(account))


def done_answer(done: Done | AccountRefusal, answer: Answer = NO_CONTENT) -> Outcome:
    """Return what is answered when there is nothing to show for it."""
    return done if isinstance(done, AccountRefusal) else answer


def tokens_answer(pair: TokenPair) -> Answer:
    """Return a pair of tokens."""
    body = {
        "access_token": pair.access_token,
        "token_type": pair.token_type,
        "expires_in": pair.expires_in,
        "refresh_token": pair.refresh_token,
        "refresh_expires_in": pair.refresh_expires_in,
        "scope": pair.scope,
    }
    return json_answer(200, body, NO_CACHE)


def refused(call: Call, refusal: AccountRefusal) -> Refusal:
    """Return what the accounts refuse as the refusal of the request."""
    # A client that is wrong about itself is asked for what it has sent (RFC 6749 section 5.2).
    if refusal.oauth_error == "invalid_client":
        challenge: str | None = _BASIC
    elif refusal.reason is Reason.CREDENTIALS_INVALID and refusal.oauth_error == "invalid_dpop_proof":
        challenge = dpop_challenge("invalid_dpop_proof")
    else:
        challenge = _CHALLENGES.get(refusal.reason)
    return Refusal(
        head=call.head,
        principal=call.principal,
        subject=refusal.subject,
        reason=refusal.reason,
        diagnosis=refusal.diagnosis,
        detail=refusal.detail,
        errors=refusal.errors,
        retry_after=refusal.retry_after,
        rule=refusal.rule,
        tallies=refusal.tallies,
        challenges=() if challenge is None else (challenge,),
    )
