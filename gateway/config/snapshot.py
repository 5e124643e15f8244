"""One whole, consistent configuration: frozen, named by its content. A request uses one throughout."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from gateway.accounts import AccountRules
from gateway.identity import AuthenticatorSpec
from gateway.limits import LimitPlan
from gateway.model import Route
from gateway.policy import Condition, DenyRule, Roles
from gateway.routing import RouteTrie


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One instance of an upstream."""

    scheme: str
    host: str
    """Name or address, IPv6 without brackets."""
    port: int
    weight: int = 1

    @property
    def authority(self) -> str:
        """`host:port` as it goes into a Host field."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


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
    """When a request may be sent a second time: never once a byte of it reached an upstream."""

    max: int
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What one route demands, everything resolved."""

    route: Route
    upstream: Upstream
    authn: tuple[str, ...]
    """Names of authenticators, in order; empty on a public route."""
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

    @property
    def is_public(self) -> bool:
        """Whether nobody has to prove anything."""
        return self.because is not None


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
    roles: Roles
    authenticators: Mapping[str, AuthenticatorSpec]
    default_authn: tuple[str, ...]
    accounts: AccountRules | None
    upstreams: Mapping[str, Upstream]
