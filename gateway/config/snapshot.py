"""One whole, consistent configuration: frozen, named by its content. A request uses one throughout."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from gateway.accounts import AccountRules
from gateway.audit import Recording
from gateway.identity import AuthenticatorSpec
from gateway.limits import LimitPlan
from gateway.model import Line, Route
from gateway.policy import Attribute, Condition, DenyRule, Grants, Roles
from gateway.routing import RouteTrie


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One instance of an upstream."""

    scheme: str
    """`http`, `https` or `unix`."""
    host: str
    """Name or address, IPv6 without brackets; the path of a unix socket."""
    port: int
    """0 for a unix socket."""
    weight: int = 1

    @property
    def authority(self) -> str:
        """`host:port` as it goes into a Host field; `localhost` for a unix socket, which has no name."""
        if self.scheme == "unix":
            return "localhost"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    @property
    def name(self) -> str:
        """The target as the configuration writes it: `https://host:port`, `unix:/path`."""
        return f"unix:{self.host}" if self.scheme == "unix" else f"{self.scheme}://{self.authority}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """Seconds."""

    connect: float
    response: float
    """Until the head of the response."""
    idle: float
    """Between two bytes, either way."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Retries:
    """When a request may be tried a second time: never once a byte of an answer reached the client."""

    max: int
    on: frozenset[str] = frozenset({"connect_failure"})
    """`connect_failure`: nothing had been sent; `502` and `503`: an answer to GET, HEAD or OPTIONS."""
    budget: float
    """Retries may add at most this share of load (0.2 = 20 %)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolRules:
    """Connections to one target."""

    max_connections: int
    max_waiting: int
    keepalive: float
    """Seconds an idle connection is kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ForwardRules:
    """How a request is changed on its way, and the response on its way back."""

    host: str
    """`preserve` or `upstream`."""
    identity: str
    """`none`, `headers` or `signed_jwt`."""
    pass_credentials: bool
    remove_request_headers: tuple[str, ...]
    """Lower-case names; a trailing `*` matches any rest."""
    remove_response_headers: tuple[str, ...]
    set_request_headers: tuple[tuple[str, str], ...] = field(repr=False)
    set_response_headers: tuple[tuple[str, str], ...] = field(repr=False)
    binds_request: bool = False
    """Whether the assertion is about this one request (`rid`, `htm`, `htu`), not only about the caller."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsRules:
    """How connections to `https` targets are secured."""

    ca: Path | None = None
    """Authorities that may vouch for the upstream; None: the system's."""
    client_cert: Path | None = None
    client_key: Path | None = None
    server_name: str | None = None
    """The name that the upstream's certificate must have; None: the target's host."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthRules:
    """How targets are asked how they are. Durations in seconds."""

    path: str
    interval: float = 5.0
    timeout: float = 1.0
    healthy_after: int = 2
    unhealthy_after: int = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class OutlierRules:
    """When a target that fails is left out for a while."""

    consecutive_errors: int = 5
    eject_for: float = 30.0
    """Seconds."""
    max_ejected: float = 0.5
    """Share of the targets."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenAfter:
    """When the circuit of an upstream opens."""

    errors: float
    """Share of the requests."""
    within: float
    """Seconds that are looked at."""
    at_least: int
    """Requests in that time below which nothing is concluded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CircuitRules:
    """When an upstream is left alone."""

    max_concurrent: int | None = None
    """Exchanges at the same time; None: any number."""
    open_after: OpenAfter | None = None
    probe_every: float = 1.0
    """Seconds between two requests that an open circuit lets through."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rewrite:
    """How the path is changed on its way to the upstream; both are empty or begin with `/` and do not end
    with one."""

    strip_prefix: str = ""
    add_prefix: str = ""


BalanceKind = Literal["round_robin", "least_requests", "random_two", "hash"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Upstream:
    """A service behind the gateway."""

    id: str
    targets: tuple[Target, ...]
    timeouts: Timeouts
    retries: Retries
    pool: PoolRules
    forward: ForwardRules
    max_request: int | None
    """Bytes of a request body; None: unlimited."""
    balance: BalanceKind = "round_robin"
    hash_by: Attribute | None = None
    """What `hash` chooses the target by."""
    tls: TlsRules = field(default_factory=TlsRules)
    health: HealthRules | None = None
    outlier: OutlierRules | None = None
    circuit: CircuitRules | None = None
    rewrite: Rewrite | None = None
    paths: frozenset[str] = frozenset()
    """Spellings that are ordinary characters of one segment here: `encoded_slash`, `double_slash`,
    `semicolon`, `backslash`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Respond:
    """An answer of the gateway itself, instead of an upstream's."""

    status: int
    lines: tuple[Line, ...] = ()
    body: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class WebsocketRules:
    """Whose handshakes are let through."""

    origins: frozenset[str] | None
    """Web origins in lower case; None: any."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CorsRules:
    """Which web pages may call (Fetch standard, CORS protocol)."""

    origins: frozenset[str]
    """In lower case."""
    methods: tuple[str, ...]
    headers: tuple[str, ...]
    credentials: bool = False
    max_age: int | None = None
    """Seconds that a browser may remember the answer to a preflight."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponseEncryption:
    """How the responses of a route are encrypted."""

    key: str | None
    """Name of the encryption key; None: for the key that the client has registered."""
    largest: int
    """Bytes of a response that can be; a longer one is an error."""
    fields: tuple[tuple[str, ...], ...] = ()
    """Where the values are in a JSON document that alone are encrypted, as the steps of a JSON pointer, `*`
    for every entry; empty: all of the body."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """Attributes that decisions record, because conditions look at them or somebody named them."""

    request: tuple[Attribute, ...] = ()
    caller: tuple[Attribute, ...] = ()
    """Those that are known only of an identified caller."""

    def __bool__(self) -> bool:
        return bool(self.request or self.caller)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What one route demands, everything resolved."""

    route: Route
    destination: Upstream | Respond
    authn: tuple[str, ...]
    """Names of authenticators, in order; empty on a public route."""
    also: tuple[str, ...]
    """Names of those that must find a credential besides."""
    because: str | None
    """Why the route is public; None when it is not."""
    require: Mapping[str, frozenset[str]]
    """Scopes by method (`GET` also for `HEAD`); an empty set asks for any principal."""
    when: Condition | None
    deny_early: tuple[DenyRule, ...]
    """Step 6: rules for this route that need no identity."""
    deny_identity: tuple[DenyRule, ...]
    """Step 8: rules that look at the caller; empty on a public route."""
    limits: LimitPlan
    max_request: int | None
    """Bytes of a request body; None: unlimited."""
    websocket: WebsocketRules | None = None
    """None: a WebSocket handshake is refused."""
    cors: CorsRules | None = None
    mfa_max_age: float | None = None
    """Step 7: how many seconds ago a second factor may have been proved; None: none is asked for."""
    outlives_credential: bool = False
    """Whether streams go on when the caller's credential ends."""
    encrypt_response: ResponseEncryption | None = None
    decrypt_request: str | None = None
    """Name of the key that bodies of requests are encrypted with; None: they are not."""
    recorded: Recorded = field(default_factory=Recorded)

    @property
    def is_public(self) -> bool:
        """Whether nobody has to prove anything."""
        return self.because is not None

    @property
    def encrypts(self) -> bool:
        """Whether anything of an exchange is encrypted or decrypted."""
        return self.encrypt_response is not None or self.decrypt_request is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """One whole configuration."""

    revision: str
    """Hash of the content of both files."""
    routes: RouteTrie[Plan]
    plans: Mapping[str, Plan]
    """By route id, in file order."""
    deny_everywhere: tuple[DenyRule, ...]
    """Step 3: rules without `routes` that need no identity."""
    own_limits: LimitPlan
    """The default limits, for `/gateway/...` and for requests that match no route."""
    crypto_limits: LimitPlan = field(default_factory=LimitPlan)
    """Besides those, for what is encrypted and decrypted at the gateway's own endpoints: each value counts.
    """
    own_cors: CorsRules | None = None
    """The default rules, for pages that call the gateway's own endpoints."""
    roles: Roles
    grants: Grants
    """Roles of callers from outside."""
    authenticators: Mapping[str, AuthenticatorSpec]
    default_authn: tuple[str, ...]
    accounts: AccountRules | None
    upstreams: Mapping[str, Upstream]
    recording: Recording
    recorded: Recorded = field(default_factory=Recorded)
    """Of requests without a route, and of those for the gateway's own endpoints."""
    records_attributes: bool = field(init=False)
    """Whether attributes of any request are recorded."""
    encrypts: bool = field(init=False)
    """Whether any route encrypts or decrypts."""

    def __post_init__(self) -> None:
        plans = (plan.recorded for plan in self.plans.values())
        object.__setattr__(self, "records_attributes", bool(self.recorded) or any(map(bool, plans)))
        object.__setattr__(self, "encrypts", any(plan.encrypts for plan in self.plans.values()))
