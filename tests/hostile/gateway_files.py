"""The configuration of the gateway that is attacked."""

_POLICIES = """\
version: 1
scopes:
  things:read: See things
  things:nobody: Held by nobody
roles:
  reader: {scopes: [things:read]}
authenticators:
  gateway: {kind: gateway_jwt}
  keys: {kind: api_key, header: x-api-key}
accounts:
  registration: closed
  tokens: {access: 60min, refresh_idle: 7d, refresh_absolute: 30d, reuse_grace: 10s}
defaults:
  authn: [gateway, keys]
deny:
  - {id: marked, when: {header.x-deny: {present: true}}}
routes:
  - id: open
    match: {methods: [GET, POST, PUT, PATCH, DELETE, OPTIONS], path: /open/**}
    upstream: recorder
    authn: public
    because: Attacked without credentials
  - id: small
    match: {methods: [POST], path: /small}
    upstream: recorder
    authn: public
    because: Attacked with large bodies
    body: {max_request: 1KiB}
  - {id: inside, match: {host: inside.example, methods: [GET], path: /inside/**}, upstream: recorder, require: [things:nobody]}
  - {id: outside, match: {methods: [GET], path: /inside/**}, upstream: recorder, authn: public, because: Attacked by Host}
  - {id: guarded, match: {methods: [GET, POST], path: /guarded/**}, upstream: signed, require: authenticated}
  - {id: named, match: {methods: [GET, POST], path: /named/**}, upstream: recorder, require: authenticated}
  - {id: admin, match: {methods: [GET, POST, DELETE], path: /admin/**}, upstream: recorder, require: [things:nobody]}
  - {id: admin-itself, match: {methods: [GET, POST, DELETE], path: /admin}, upstream: recorder, require: [things:nobody]}
  - id: blue
    match: {methods: [GET], path: /blue/**}
    upstream: recorder
    require: authenticated
    when: {header.x-tenant: {is: blue}}
  - id: keyed
    match: {methods: [GET], path: /keyed/**}
    upstream: recorder
    require: authenticated
    when: {query.key: {is: right}}
  - id: paged
    match: {methods: [GET, POST], path: /paged/**}
    upstream: recorder
    authn: public
    because: Attacked from pages
    cors: {origins: ["https://app.example.com"], methods: [GET], headers: [x-a], credentials: true, max_age: 60s}
  - id: paged-guarded
    match: {methods: [GET], path: /paged-guarded/**}
    upstream: recorder
    require: authenticated
    cors: {origins: ["https://app.example.com"]}
  - {id: moved, match: {methods: [GET], path: /moved/**}, authn: public, because: Moved, respond: {status: 308, headers: {location: /open/x}}}
  - {id: closed, match: {methods: [GET, POST], path: /closed/**}, authn: public, because: Closed, respond: {status: 503, body: closed}}
  - {id: closed-guarded, match: {methods: [GET], path: /closed-guarded/**}, require: authenticated, respond: {status: 200, body: guarded}}
  - {id: odd, match: {methods: [GET], path: /odd/**}, upstream: odd, authn: public, because: Attacked by odd paths}
  - {id: slashed, match: {methods: [GET], path: /slashed/**}, upstream: slashed, authn: public, because: Attacked by odd paths}
  - {id: stripped, match: {methods: [GET], path: /stripped/**}, upstream: stripped, authn: public, because: Attacked by rewrites}
  - {id: stripped-bare, match: {methods: [GET], path: /bare/**}, upstream: bare, authn: public, because: Attacked by rewrites}
  - id: socket
    match: {methods: [GET], path: /socket/**}
    upstream: socket
    authn: public
    because: Attacked through upgrades
    websocket: {origins: ["https://app.example.com"]}
  - {id: socket-guarded, match: {methods: [GET], path: /socket-guarded/**}, upstream: socket, require: authenticated, websocket: true}
  - {id: lies, match: {methods: [GET, POST], path: /lie/**}, upstream: liar, authn: public, because: Its upstream lies}
"""

_UPSTREAMS = """\
version: 1
defaults:
  timeouts: {connect: 1s, response: 5s, idle: 5s}
  pool: {max_connections: 1000, max_waiting: 500, keepalive: 30s}
upstreams:
  recorder: {targets: [{url: "http://${env:TEST_RECORDER}"}], forward: {identity: headers}}
  signed: {targets: [{url: "http://${env:TEST_RECORDER}"}]}
  odd: {targets: [{url: "http://${env:TEST_RECORDER}"}], paths: {allow: [encoded_slash, double_slash, semicolon, backslash]}}
  slashed: {targets: [{url: "http://${env:TEST_RECORDER}"}], paths: {allow: [encoded_slash]}}
  stripped: {targets: [{url: "http://${env:TEST_RECORDER}"}], rewrite: {strip_prefix: /stripped, add_prefix: /inner}}
  bare: {targets: [{url: "http://${env:TEST_RECORDER}"}], rewrite: {strip_prefix: /bare}}
  socket: {targets: [{url: "http://${env:TEST_RECORDER}"}], timeouts: {response: 1s, idle: 2s}}
  liar: {targets: [{url: "http://${env:TEST_RECORDER}"}], timeouts: {response: 1s, idle: 1s}}
"""

_APART_ROUTE = (
    "  - {id: apart-%d, match: {methods: [GET, HEAD], path: /apart/%d/**}, upstream: apart-%d, authn: public,"
    " because: Its upstream lies}\n"
)
_APART_UPSTREAM = (
    '  apart-%d: {targets: [{url: "http://${env:TEST_RECORDER}"}], timeouts: {response: 1s, idle: 1s}}\n'
)


def policies(apart: int) -> str:
    """Return the policies, with as many routes of their own as there are lies that need one."""
    return _POLICIES + "".join(_APART_ROUTE % (number, number, number) for number in range(apart))


def upstreams(apart: int) -> str:
    """Return the upstreams: each of those routes has one, and with it connections that no other uses."""
    return _UPSTREAMS + "".join(_APART_UPSTREAM % number for number in range(apart))
