"""The page of the gateway's own endpoints, for `generate.py`."""

from typing import Any

from gateway.edge import (
    CRYPTO_SCOPE,
    Crypto,
    Endpoint,
    OAuth,
    check_endpoints,
    login_endpoints,
    metadata_endpoints,
    mfa_endpoints,
    registration_endpoints,
    session_endpoints,
)

ENDPOINTS = """\
# Endpoints

What the gateway answers by itself on the clients' listener, for every host. `GET /gateway/v1` has this list
too. Everything below `/gateway/v1/auth/` is 404 where the policy has no `accounts`. Default limits, `deny`
rules for everything, and blocks hold here as well.

*Asks for*: `user`: an access token of this gateway, as Bearer or DPoP, that a login has given; `client`: an
OAuth client, by Basic, in the form, or `client_id=gateway`; `proxy`: an address of `GATEWAY_TRUSTED_PROXIES`;
a scope: whoever holds it, by an access token of this gateway or an API key. Members of a body that may be
left out have a `?`, and unknown ones are refused; a body is JSON, or a form where it says so. `batch` is a
list of at most 1000 bodies without it, of which all are answered, in order, or none. What is answered:
[clients.md](../clients.md), [forward-auth.md](../forward-auth.md).

| request | asks for | body | |
|---|---|---|---|"""

FORMS = {
    "token": "`grant_type`, `refresh_token?`, `scope?`, `resource?`, `audience?`",
    "revoke": "`token`, `token_type_hint?`",
    "introspect": "`token`, `token_type_hint?`",
}


def endpoints_page() -> str:
    """Return the table of the gateway's own endpoints."""
    # Nobody is going to answer there.
    none: Any = None
    oauth = OAuth(
        clients=none, granting=none, revoking=none, introspecting=none, tokens=none, proofs=none
    ).endpoints()
    crypto = Crypto(keys=none, events=none, charge=none).endpoints()
    accounts = [
        *registration_endpoints(none, none, none),
        *login_endpoints(none, none, none, none),
        *session_endpoints(none, none, none, none),
        *mfa_endpoints(none),
    ]
    rows = [
        *(_endpoint(each, "") for each in metadata_endpoints(none, (), issuer="https://api.example.com")),
        *(_endpoint(each, "user" if each.needs_principal else "") for each in accounts),
        *(_endpoint(each, "client") for each in oauth),
        *(_endpoint(each, f"`{each.scope}`") for each in crypto),
        *(_endpoint(each, "proxy") for each in check_endpoints()),
    ]
    return "\n".join([ENDPOINTS, *rows, ""])


def _endpoint(endpoint: Endpoint, asks: str) -> str:
    name = endpoint.name.partition(".")[2]
    if endpoint.takes_form:
        body = f"form: {FORMS[name]}"
    elif endpoint.body is not None:
        members = endpoint.body.model_fields.items()
        body = ", ".join(f"`{member}{'' if field.is_required() else '?'}`" for member, field in members)
        body += "; or `batch`" if endpoint.scope == CRYPTO_SCOPE else ""
    else:
        body = ""
    return f"| `{endpoint.method} {endpoint.path}` | {asks} | {body} | {endpoint.summary} |"
