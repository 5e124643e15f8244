"""The account endpoints: register, log in, refresh, log out, look at oneself.

A policy without `accounts` has none of them: 404.
"""

import dataclasses
from collections.abc import Awaitable, Callable
from typing import Literal

from gateway.accounts import (
    Account,
    AccountRefusal,
    AccountRules,
    Accounts,
    LoginBody,
    LogoutBody,
    Origin,
    RefreshBody,
    RegisterBody,
    TokenPair,
)
from gateway.edge.own import Call, Endpoint
from gateway.model import Line, Reason, Refusal
from gateway.web import Answer, json_answer

_PREFIX = "/gateway/v1/auth/"
# RFC 6749 section 5.1: responses with tokens carry both.
_NO_CACHE: Line = (b"Pragma", b"no-cache")
_WITH_RULES = Callable[[Call, AccountRules], Awaitable[Answer | Refusal]]


def account_endpoints(accounts: Accounts) -> list[Endpoint]:
    """Return the endpoints of `/gateway/v1/auth/`."""

    async def register(call: Call, rules: AccountRules) -> Answer | Refusal:
        body = RegisterBody.read(call.body)
        if isinstance(body, AccountRefusal):
            return _refused(call, body)
        made = await accounts.register(body, rules=rules, origin=_origin(call))
        return _shown(call, made, status=201)

    async def login(call: Call, rules: AccountRules) -> Answer | Refusal:
        body = LoginBody.read(call.body)
        if isinstance(body, AccountRefusal):
            return _refused(call, body)
        return _tokens(
            call,
            await accounts.login(
                body, rules=rules, scopes_of=call.snapshot.roles.scopes_of, origin=_origin(call)
            ),
        )

    async def refresh(call: Call, rules: AccountRules) -> Answer | Refusal:
        body = RefreshBody.read(call.body)
        if isinstance(body, AccountRefusal):
            return _refused(call, body)
        return _tokens(
            call,
            await accounts.refresh(
                body, rules=rules, scopes_of=call.snapshot.roles.scopes_of, origin=_origin(call)
            ),
        )

    async def logout(call: Call, _rules: AccountRules) -> Answer | Refusal:
        body = LogoutBody.read(call.body)
        if isinstance(body, AccountRefusal):
            return _refused(call, body)
        done = await accounts.logout(call.principal, body, origin=_origin(call))
        return _refused(call, done) if isinstance(done, AccountRefusal) else Answer(status=204)

    async def me(call: Call, _rules: AccountRules) -> Answer | Refusal:
        return _shown(call, await accounts.me(call.principal), status=200)

    return [
        _endpoint("POST", "register", register, "Make an account."),
        _endpoint("POST", "login", login, "Exchange a name and a password for tokens."),
        _endpoint("POST", "refresh", refresh, "Exchange a refresh token for new tokens."),
        _endpoint("POST", "logout", logout, "End the session, or all sessions.", needs_principal=True),
        _endpoint("GET", "me", me, "One's own account.", needs_principal=True),
    ]


def _endpoint(
    method: Literal["GET", "POST"],
    name: str,
    answer: _WITH_RULES,
    summary: str,
    *,
    needs_principal: bool = False,
) -> Endpoint:
    async def with_rules(call: Call) -> Answer | Refusal:
        rules = call.snapshot.accounts
        if rules is None:
            return Refusal(head=call.head, reason=Reason.NOT_FOUND, diagnosis="the policy has no accounts")
        return await answer(call, rules)

    return Endpoint(
        method=method,
        path=_PREFIX + name,
        name=f"gateway:auth.{name}",
        answer=with_rules,
        needs_principal=needs_principal,
        takes_body=method == "POST",
        summary=summary,
    )


def _origin(call: Call) -> Origin:
    return Origin(request_id=call.head.id, source_ip=call.head.client or None, user_agent=call.user_agent)


def _shown(call: Call, account: Account | AccountRefusal, *, status: int) -> Answer | Refusal:
    if isinstance(account, AccountRefusal):
        return _refused(call, account)
    return json_answer(status, dataclasses.asdict(account))


def _tokens(call: Call, pair: TokenPair | AccountRefusal) -> Answer | Refusal:
    if isinstance(pair, AccountRefusal):
        return _refused(call, pair)
    body = {
        "access_token": pair.access_token,
        "token_type": "Bearer",
        "expires_in": pair.expires_in,
        "refresh_token": pair.refresh_token,
        "refresh_expires_in": pair.refresh_expires_in,
        "scope": pair.scope,
    }
    return json_answer(200, body, _NO_CACHE)


def _refused(call: Call, refusal: AccountRefusal) -> Refusal:
    # RFC 9110 section 11.6.1 wants a challenge on every 401.
    challenges = ('Bearer realm="gateway"',) if refusal.reason is Reason.CREDENTIALS_INVALID else ()
    return Refusal(
        head=call.head,
        principal=call.principal,
        subject=refusal.subject,
        reason=refusal.reason,
        diagnosis=refusal.diagnosis,
        detail=refusal.detail,
        errors=refusal.errors,
        retry_after=refusal.retry_after,
        challenges=challenges,
    )
