"""Two sound files to break, and one way to load them."""

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from gateway.config import Loaded, load_configuration

POLICIES = """\
version: 1
networks:
  office: [203.0.113.0/24, "2001:db8:10::/48"]
  blocked: [198.51.100.0/24]
schedules:
  hours: {days: mon-fri, from: "08:00", to: "18:00", timezone: Europe/Berlin}
scopes:
  orders:read: List and view orders
  orders:write: Create and change orders
  reports:read: Download reports
roles:
  customer:
    scopes: [orders:read]
    limits: [{limit: 120/min, per: principal}]
  support: {inherits: [customer], scopes: ["orders:*"]}
  admin: {scopes: ["*", "gateway:*"]}
authenticators:
  gateway: {kind: gateway_jwt}
  keys: {kind: api_key, header: X-API-Key}
accounts:
  registration: open
  default_roles: [customer]
defaults:
  authn: [gateway, keys]
  limits: [{limit: 300/min, per: principal}, {limit: 50/s, per: client_ip}]
deny:
  - {id: blocked, when: {client.ip: {in_network: blocked}}}
  - {id: no-keys, routes: [change], when: {authn.kind: {is: api_key}}}
  - {id: no-seven, routes: [change], when: {path.order_id: {is: "7"}}}
  - {id: no-robots, when: {principal.id: {prefix: robot}}}
routes:
  - {id: health, match: {methods: [GET], path: /healthz}, upstream: orders, authn: public, because: Probe}
  - id: orders
    match: {host: API.example.com., methods: [GET, POST], path: /orders}
    upstream: orders
    require: {GET: [orders:read], POST: [orders:write]}
  - id: change
    match: {methods: [PUT], path: "/orders/{order_id}"}
    upstream: orders
    authn: [gateway]
    require: [orders:write]
    when: {client.ip: {in_network: office}, time: {during: hours}}
    limits: [{rate: 10/s, burst: 3, per: [principal, route], id: slow}, {limit: 5/15min, per: all}]
    body: {max_request: unlimited}
  - {id: reports, match: {methods: [GET], path: /reports/**}, upstream: reports, require: authenticated}
  - {id: report, match: {methods: [PUT], path: /reports/**}, upstream: reports, require: [reports:read]}
"""

UPSTREAMS = """\
version: 1
defaults:
  timeouts: {idle: 2min}
  forward: {remove_response_headers: [server]}
upstreams:
  orders:
    targets:
      - {url: http://orders-1.internal:8080, weight: 2}
      - {url: "http://[2001:db8::1]"}
    timeouts: {response: 500ms}
    pool: {max_connections: 7}
    retries: {max: 0, budget: 5%}
    body: {max_request: 2KiB}
    forward:
      host: upstream
      identity: headers
      credentials: pass
      set_request_headers: {Authorization: "Bearer ${env:TOKEN}", x-region: "${env:REGION:-eu-1}"}
  reports: {targets: [{url: "${env:REPORTS}"}]}
"""

ENVIRON = {"TOKEN": "s3cret-token", "REPORTS": "http://reports.internal:9090"}


Load = Callable[..., Loaded]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    def loaded(
        policies: str | bytes = POLICIES,
        upstreams: str | bytes = UPSTREAMS,
        *,
        environ: Mapping[str, str] = ENVIRON,
        read_secrets: bool = True,
    ) -> Loaded:
        for name, content in (("policies.yaml", policies), ("upstreams.yaml", upstreams)):
            (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
        return load_configuration(
            tmp_path / "policies.yaml",
            tmp_path / "upstreams.yaml",
            environ=environ,
            read_secrets=read_secrets,
            now=lambda: 1_790_000_000.0,
        )

    return loaded


@pytest.fixture
def policies() -> str:
    return POLICIES


@pytest.fixture
def upstreams() -> str:
    return UPSTREAMS


@pytest.fixture
def environ() -> Mapping[str, str]:
    return ENVIRON
