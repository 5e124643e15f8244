"""The endpoints about one's own sessions: refresh, look, end one, log out."""

import dataclasses
from datetime import UTC, datetime

from gateway.accounts import (
    AccountRefusal,
    AccountRules,
    Clients,
    LogoutBody,
    OwnSession,
    OwnSessions,
    RefreshBody,
    Refreshing,
)
from gateway.crypto import Proofs
from gateway.edge.accounts import (
    Outcome,
    account_answer,
    account_endpoint,
    body_endpoint,
    client_asking,
    done_answer,
    key_proved,
    origin_of,
    tokens_answer,
)
from gateway.edge.own import Call, Endpoint
from gateway.web import json_answer


def session_endpoints(
    refreshing: Refreshing, sessions: OwnSessions, clients: Clients, proofs: Proofs
) -> list[Endpoint]:
    """Return the endpoints of sessions.

    A session that belongs to a client with a secret is refreshed with `Authorization: Basic`, one that is
    bound to a key with a `DPoP` field.
    """

    async def refresh(call: Call, rules: AccountRules, body: RefreshBody) -> Outcome:
        client_id = await client_asking(call, clients, rules)
        if isinstance(client_id, AccountRefusal):
            return client_id
        jkt = await key_proved(call, proofs)
        if isinstance(jkt, AccountRefusal):
            return jkt
        pair = await refreshing.refresh(
            body.refresh_token,
            rules=rules,
            scopes_of=call.snapshot.roles.scopes_of,
            origin=origin_of(call),
            client_id=client_id,
            jkt=jkt,
        )
        return pair if isinstance(pair, AccountRefusal) else tokens_answer(pair)

    async def logout(call: Call, _rules: AccountRules, body: LogoutBody) -> Outcome:
        done = await sessions.logout(call.principal, body, origin=origin_of(call))
        return done_answer(done)

    async def me(call: Call, _rules: AccountRules) -> Outcome:
        return account_answer(await sessions.me(call.principal), status=200)

    async def listed(call: Call, rules: AccountRules) -> Outcome:
        found = await sessions.list(call.principal, rules=rules)
        if isinstance(found, AccountRefusal):
            return found
        return json_answer(200, {"items": [_shown(session) for session in found], "next": None})

    async def end(call: Call, _rules: AccountRules) -> Outcome:
        done = await sessions.end(call.principal, call.head.segments[-1], origin=origin_of(call))
        return done_answer(done)

    return [
        body_endpoint("refresh", RefreshBody, refresh, "Exchange a refresh token for new tokens."),
        body_endpoint(
            "logout", LogoutBody, logout, "End the session, or all sessions.", needs_principal=True
        ),
        account_endpoint("GET", "me", me, "One's own account.", needs_principal=True),
        account_endpoint("GET", "sessions", listed, "One's own sessions.", needs_principal=True),
        account_endpoint(
            "DELETE",
            "sessions/{id}",
            end,
            "End one of one's own sessions.",
            name="sessions.end",
            needs_principal=True,
        ),
    ]


def _shown(session: OwnSession) -> dict[str, object]:
    times = ("created_at", "last_used_at", "expires_at")
    return dataclasses.asdict(session) | {name: _time(getattr(session, name)) for name in times}


def _time(at: float) -> str:
    """Return a time as RFC 3339, in UTC and whole seconds."""
    return datetime.fromtimestamp(int(at), UTC).isoformat().replace("+00:00", "Z")
