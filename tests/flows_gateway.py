"""The configuration that the flows run with."""

POLICIES = """\
version: 1
networks:
  nowhere: [198.51.100.0/24]
scopes:
  things:read: See things
  things:write: Make things
roles:
  reader: {scopes: [things:read]}
  writer: {inherits: [reader], scopes: [things:write]}
  flood: {scopes: [things:read], limits: [{limit: 1000000/min, per: principal}]}
authenticators:
  gateway: {kind: gateway_jwt}
  keys: {kind: api_key, header: x-api-key}
accounts:
  registration: open
  default_roles: [reader]
  tokens: {access: 10min, refresh_idle: 7d, refresh_absolute: 30d, reuse_grace: 10s}
defaults:
  authn: [gateway, keys]
  limits: [{limit: 100000/min, per: principal}, {limit: 1000000/min, per: client_ip}]
deny:
  - {id: no-keys, routes: [keyless], when: {authn.kind: {is: api_key}}}
  - {id: bad-agent, when: {header.user-agent: {prefix: evil}, header.x-present: {present: true}}}
routes:
  - {id: health, match: {methods: [GET], path: /healthz}, upstream: service, authn: public, because: A probe}
  - {id: open, match: {methods: [GET, POST, PUT], path: /open/**}, upstream: echo, authn: public, because: For tests}
  - id: orders
    match: {methods: [GET, POST], path: /orders}
    upstream: service
    require: {GET: [things:read], POST: [things:write]}
  - {id: order, match: {methods: [GET], path: "/orders/{id}"}, upstream: service, require: [things:read]}
  - {id: echo, match: {methods: [GET, POST, PUT, PATCH, DELETE], path: /echo/**}, upstream: service, require: authenticated}
  - {id: keyless, match: {methods: [GET], path: /keyless}, upstream: service, require: authenticated}
  - id: elsewhere
    match: {methods: [GET], path: /elsewhere}
    upstream: service
    require: authenticated
    when: {client.ip: {in_network: nowhere}}
  - id: rare
    match: {methods: [GET], path: /healthz/rare}
    upstream: service
    require: authenticated
    limits: [{limit: 2/min, per: principal}]
  - {id: stream, match: {methods: [GET], path: /stream}, upstream: service, authn: public, because: For tests}
  - {id: events, match: {methods: [GET], path: /events}, upstream: service, authn: public, because: For tests}
  - {id: download, match: {methods: [GET, HEAD], path: /download}, upstream: service, authn: public, because: For tests}
  - id: upload
    match: {methods: [POST, PUT], path: /upload}
    upstream: service
    authn: public
    because: For tests
    body: {max_request: unlimited}
  - id: small
    match: {methods: [POST], path: /echo/small}
    upstream: service
    authn: public
    because: For tests
    body: {max_request: 1KiB}
  - {id: dead, match: {methods: [GET], path: /dead}, upstream: dead, authn: public, because: For tests}
"""

UPSTREAMS = """\
version: 1
defaults:
  timeouts: {connect: 1s, response: 5s, idle: 20s}
upstreams:
  service: {targets: [{url: "http://${env:TEST_SERVICE}"}]}
  echo: {targets: [{url: "http://${env:TEST_SERVICE}"}], forward: {identity: headers}}
  dead: {targets: [{url: "http://127.0.0.1:1"}]}
"""
