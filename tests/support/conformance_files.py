"""The configuration of the gateway that the conformance tests talk through: one place, grown key by key.

The first segment of a path names the upstream: `/plain/x` goes to `plain`.
"""

import re
from collections.abc import Mapping

ENVIRON = {
    # Loopback has many addresses: what comes from this one comes from a trusted proxy.
    "GATEWAY_TRUSTED_PROXIES": "127.0.0.2/32",
    "GATEWAY_KEEPALIVE_TIMEOUT": "1s",
    "GATEWAY_HEADER_TIMEOUT": "1s",
    "GATEWAY_MAX_CONNECTIONS_PER_ADDRESS": "100",
}
TRUSTED = "127.0.0.2"
PAGE = b"https://app.test"
"""The web page that may call, and open WebSockets."""

_NO_IDENTITY = "forward: {identity: none}"

UPSTREAMS: Mapping[str, str] = {
    "plain": _NO_IDENTITY,
    "bare": "forward: {identity: none, remove_request_headers: [], remove_response_headers: []}",
    "hasty": f"timeouts: {{connect: 200ms, response: 200ms, idle: 200ms}}, {_NO_IDENTITY}",
    "patient": f"timeouts: {{idle: 500ms}}, {_NO_IDENTITY}",
    "few": f"pool: {{max_connections: 1, max_waiting: 1}}, {_NO_IDENTITY}",
    "brief": f"pool: {{keepalive: 200ms}}, {_NO_IDENTITY}",
    "small": f"body: {{max_request: 1KiB}}, {_NO_IDENTITY}",
    "second": f"retries: {{max: 1, budget: 100%}}, {_NO_IDENTITY}",
    "asking": f"retries: {{max: 1, budget: 100%, retry_on: [502, 503]}}, {_NO_IDENTITY}",
    "renamed": "forward: {identity: none, host: upstream}",
    "dressed": (
        "forward: {identity: none, remove_request_headers: [x-out, x-internal-*], "
        "remove_response_headers: [x-secret-*], set_request_headers: {x-set: ours}, "
        "set_response_headers: {x-dress: ours}}"
    ),
    "passing": "forward: {identity: none, credentials: pass}",
    "named": "forward: {identity: headers}",
    "signed": "forward: {identity: signed_jwt}",
    "bound": "forward: {identity: signed_jwt, bind: request}",
    "stripped": f"rewrite: {{strip_prefix: /stripped}}, {_NO_IDENTITY}",
    "prefixed": f"rewrite: {{add_prefix: /api/v1}}, {_NO_IDENTITY}",
    "moved": f"rewrite: {{strip_prefix: /moved/in, add_prefix: /out}}, {_NO_IDENTITY}",
    "slashes": f"paths: {{allow: [encoded_slash]}}, {_NO_IDENTITY}",
    "odd": f"paths: {{allow: [encoded_slash, double_slash, semicolon, backslash]}}, {_NO_IDENTITY}",
    "ws": _NO_IDENTITY,
    "sockets": f"timeouts: {{idle: 500ms}}, {_NO_IDENTITY}",
    "cors": _NO_IDENTITY,
    "unix": _NO_IDENTITY,
    "ipv6": f"{_NO_IDENTITY}",
    "turns": _NO_IDENTITY,
    "calm": f"balance: least_requests, {_NO_IDENTITY}",
    "hashed": f"balance: {{hash: header.x-key}}, {_NO_IDENTITY}",
    "ejecting": f"outlier: {{consecutive_errors: 2, eject_for: 60s, max_ejected: 50%}}, {_NO_IDENTITY}",
    "breaking": (
        f"circuit: {{open_after: {{errors: 50%, within: 60s, at_least: 2}}, probe_every: 300ms}}, {_NO_IDENTITY}"
    ),
    "narrow": f"circuit: {{max_concurrent: 1}}, {_NO_IDENTITY}",
    "tls": f"tls: {{ca: file:CA, server_name: tls.test}}, {_NO_IDENTITY}",
    "mtls": (
        f"tls: {{ca: file:CA, client_cert: file:CLIENT, client_key: file:CLIENT_KEY, server_name: tls.test}}, "
        f"{_NO_IDENTITY}"
    ),
    "nameless": f"tls: {{ca: file:CA}}, {_NO_IDENTITY}",
    "misnamed": f"tls: {{ca: file:CA, server_name: other.test}}, {_NO_IDENTITY}",
    "untrusted": _NO_IDENTITY,
}
"""Upstreams that tests answer for, and what is written beside their targets."""

OF_TWO = ("turns", "calm", "hashed", "ejecting")
"""Those with a second target, which tests know by the name with `_2`."""

NOBODY: Mapping[str, str] = {
    "gone": "retries: {max: 0}",
    "stuck": "timeouts: {connect: 200ms}, retries: {max: 0}",
    "unknown": "retries: {max: 0}",
    "itself": "pool: {max_connections: 4, max_waiting: 0}",
}
"""Upstreams without a test behind them."""

_SECURED = {"named", "signed", "bound", "passing"}
_ANY = "[GET, POST, PUT, PATCH, DELETE, OPTIONS, QUERY, M-SEARCH, PROPFIND]"
_PUBLIC = "authn: public, because: For tests"
_BESIDES = {
    "ws": "websocket: {origins: [https://app.test]}",
    "sockets": "websocket: true",
    "cors": (
        "cors: {origins: [https://app.test], methods: [GET, PUT], headers: [x-token, content-type], "
        "credentials: true, max_age: 10min}"
    ),
}

_ROUTES = f"""
  - {{id: root, match: {{methods: [GET], path: /}}, upstream: plain, {_PUBLIC}}}
  - {{id: few-methods, match: {{methods: [GET, PUT], path: /plain/few-methods}}, upstream: plain, {_PUBLIC}}}
  - {{id: limitless, match: {{methods: [GET, POST], path: /plain/limitless}}, upstream: plain, {_PUBLIC}, body: {{max_request: unlimited}}}}
  - {{id: counted, match: {{methods: [GET], path: /plain/counted}}, upstream: plain, {_PUBLIC}, limits: [{{limit: 1000/min, per: client_ip}}]}}
  - {{id: spent, match: {{methods: [GET], path: /plain/spent}}, upstream: plain, {_PUBLIC}, limits: [{{limit: 1/h, per: header.x-key}}]}}
  - {{id: members, match: {{methods: [GET, POST], path: /plain/members}}, upstream: plain, require: authenticated, websocket: true}}
  - {{id: kept, match: {{methods: [GET], path: /plain/kept}}, upstream: plain, require: authenticated, streams: {{on_expiry: keep}}}}
  - {{id: scoped, match: {{methods: [GET, POST], path: /plain/scoped}}, upstream: plain, require: ["things:write"]}}
  - {{id: cors-anonymous, match: {{methods: [GET, POST], path: /cors-plain}}, upstream: cors, require: authenticated, cors: {{origins: [https://app.test]}}}}
  - {{id: match-exact-host, match: {{host: api.match.test, methods: [GET], path: "/match/{{any}}"}}, upstream: bare, {_PUBLIC}}}
  - {{id: match-any-host-literal, match: {{methods: [GET, POST], path: /match/literal}}, upstream: plain, {_PUBLIC}}}
  - {{id: match-wild-host, match: {{host: "*.match.test", methods: [GET], path: /match/**}}, upstream: renamed, {_PUBLIC}}}
  - {{id: match-param, match: {{methods: [GET], path: "/match/{{one}}"}}, upstream: small, {_PUBLIC}}}
  - {{id: match-rest, match: {{methods: [GET], path: /match/**}}, upstream: few, {_PUBLIC}}}
  - {{id: match-slash, match: {{methods: [GET], path: /match/literal/}}, upstream: brief, {_PUBLIC}}}
  - {{id: well-known, match: {{methods: [GET], path: /.well-known/oauth-protected-resource}}, upstream: plain, {_PUBLIC}}}
  - {{id: host-only, match: {{host: only.test, methods: [GET], path: /host-only}}, upstream: plain, {_PUBLIC}}}
  - {{id: stripped-root, match: {{methods: [GET], path: /stripped}}, upstream: stripped, {_PUBLIC}}}
  - {{id: stripped-other, match: {{methods: [GET], path: "/strippedx/{{one}}"}}, upstream: stripped, {_PUBLIC}}}
  - {{id: sealed, match: {{methods: {_ANY}, path: /plain/sealed}}, upstream: plain, {_PUBLIC}, encrypt_response: {{key: conformance, max_response: 16MiB}}}}
  - {{id: sealed-short, match: {{methods: [GET], path: /plain/sealed-short}}, upstream: plain, {_PUBLIC}, encrypt_response: {{key: conformance, max_response: 1KiB}}}}
  - {{id: sealed-hasty, match: {{methods: [GET], path: /hasty/sealed}}, upstream: hasty, {_PUBLIC}, encrypt_response: {{key: conformance, max_response: 16MiB}}}}
  - {{id: sealed-patient, match: {{methods: [GET], path: /patient/sealed}}, upstream: patient, {_PUBLIC}, encrypt_response: {{key: conformance}}}}
  - {{id: sealed-asking, match: {{methods: [GET], path: /asking/sealed}}, upstream: asking, {_PUBLIC}, encrypt_response: {{key: conformance}}}}
  - {{id: sealed-fields, match: {{methods: [GET], path: /plain/sealed-fields}}, upstream: plain, {_PUBLIC}, encrypt_response: {{key: conformance}}, encrypt_fields: [/card/number, /items/*/pan]}}
  - {{id: sealed-members, match: {{methods: [GET, POST], path: /plain/sealed-members}}, upstream: plain, require: authenticated, decrypt_request: {{key: conformance}}, encrypt_response: {{key: conformance}}}}
  - {{id: opened, match: {{methods: {_ANY}, path: /plain/opened}}, upstream: plain, {_PUBLIC}, decrypt_request: {{key: conformance}}}}
  - {{id: opened-hasty, match: {{methods: [POST], path: /hasty/opened}}, upstream: hasty, {_PUBLIC}, decrypt_request: {{key: conformance}}}}
  - {{id: opened-patient, match: {{methods: [POST], path: /patient/opened}}, upstream: patient, {_PUBLIC}, decrypt_request: {{key: conformance}}}}
  - {{id: opened-small, match: {{methods: [POST], path: /small/opened}}, upstream: small, {_PUBLIC}, decrypt_request: {{key: conformance}}}}
  - {{id: opened-sealed, match: {{methods: [POST], path: /plain/opened-sealed}}, upstream: plain, {_PUBLIC}, decrypt_request: {{key: conformance}}, encrypt_response: {{key: conformance}}}}
  - {{id: redirect, match: {{methods: [GET, POST], path: /old/**}}, {_PUBLIC}, respond: {{status: 308, headers: {{location: /plain/new}}}}}}
  - {{id: closed, match: {{methods: [GET, POST], path: /closed}}, {_PUBLIC}, respond: {{status: 503, headers: {{retry-after: "60", content-type: text/plain}}, body: "Back soon"}}}}
  - {{id: nothing, match: {{methods: [GET], path: /nothing}}, {_PUBLIC}, respond: {{status: 204}}}}
  - {{id: member-page, match: {{methods: [GET], path: /member-page}}, require: authenticated, respond: {{status: 200, body: "hello"}}}}
"""

POLICIES = (
    """\
version: 1
scopes:
  things:read: See things
  things:write: Change things
roles:
  reader: {scopes: ["things:read"]}
authenticators:
  gateway: {kind: gateway_jwt}
  keys: {kind: api_key, header: x-api-key}
accounts:
  registration: open
  default_roles: [reader]
defaults:
  authn: [gateway, keys]
deny:
  - {id: evil, routes: [members], when: {header.x-evil: {present: true}}}
routes:
"""
    + "".join(
        f"  - {{id: {name}, match: {{methods: {_ANY}, path: /{name}/**}}, upstream: {name}, "
        + ("require: authenticated" if name in _SECURED else _PUBLIC)
        + (f", {_BESIDES[name]}" if name in _BESIDES else "")
        + "}\n"
        for name in (*UPSTREAMS, *NOBODY)
    )
    + _ROUTES.lstrip("\n")
)


def upstreams(targets: Mapping[str, str], files: Mapping[str, str]) -> str:
    """Return the upstreams file for these targets; several of one upstream are separated by spaces.

    `files` are the paths that stand for `CA`, `CLIENT` and `CLIENT_KEY`.
    """
    text = "version: 1\nupstreams:\n" + "".join(
        f"  {name}: {{targets: [{_targets(targets[name])}], {rest}}}\n"
        for name, rest in {**UPSTREAMS, **NOBODY}.items()
    )
    return re.sub(r"file:([A-Z_]+)", lambda found: f"file:{files[found[1]]}", text)


def _targets(urls: str) -> str:
    return ", ".join(f'{{url: "{url}"}}' for url in urls.split())
