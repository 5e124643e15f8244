"""What `accounts:` in the policy says about the gateway's own users. Durations are seconds."""

from dataclasses import dataclass, field, replace
from ipaddress import IPv4Network, IPv6Network
from typing import Final, Literal

from gateway.model import Algorithm, Limit

LONGEST_ACCESS_LIFE: Final = 86_400.0
"""No access token lives for longer, in seconds: signing keys are kept for as long after their time."""
LONGEST_REUSE_GRACE: Final = 60.0
_LONGEST_BLOCK: Final = 365 * 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockRules:
    """When an address is shut out, and for how long."""

    failures: int
    within: float
    first: float
    """How long the first block lasts."""
    factor: int
    """Each further one lasts so many times longer,"""
    longest: float | None
    """but never longer than this; None: than a year."""
    limit: Limit = field(init=False, repr=False, compare=False)
    """What failures are counted with: the one that spends the last of it is one too many."""
    spent: Limit = field(init=False, repr=False, compare=False)
    """The same, as one charge for all of them."""

    def __post_init__(self) -> None:
        limit = Limit(
            # The space keeps it apart from every id that a policy may give.
            id="login failures",
            place="accounts.login.block",
            algorithm=Algorithm.WINDOW,
            per=("client_ip",),
            quota=self.failures,
            burst=self.failures,
            window_us=round(self.within * 1_000_000),
        )
        object.__setattr__(self, "limit", limit)
        object.__setattr__(self, "spent", replace(limit, cost=self.failures))

    def lasts(self, times: int) -> float:
        """Return how long the block lasts that is the so-manieth in a row, from 1."""
        longest = self.longest or _LONGEST_BLOCK
        # Past a few steps every factor but 1 is beyond any longest.
        return min(self.first * float(self.factor) ** min(times - 1, 100), longest)


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountRules:
    """The rules in force; a policy without `accounts:` has none, and then `/auth/*` does not exist."""

    registration: Literal["open", "invite", "closed"]
    default_roles: frozenset[str]
    verifies_email: bool
    """Whether an address must be confirmed before the first login."""
    password_min_length: int
    rejects_common: bool
    """Whether passwords that many have are refused."""
    access_lifetime: float
    refresh_idle: float
    refresh_absolute: float
    reuse_grace: float
    login_networks: tuple[IPv4Network | IPv6Network, ...] | None = None
    """Where tokens may be obtained from; None: anywhere."""
    login_limits: tuple[Limit, ...] = ()
    block: BlockRules | None = None


WITHOUT_ACCOUNTS = AccountRules(
    registration="closed",
    default_roles=frozenset(),
    verifies_email=False,
    password_min_length=12,
    rejects_common=False,
    access_lifetime=600.0,
    refresh_idle=7 * 86400.0,
    refresh_absolute=30 * 86400.0,
    reuse_grace=10.0,
)
"""What holds for OAuth clients where a policy has no `accounts`: the defaults of it."""
