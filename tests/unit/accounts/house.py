"""What the tests of accounts share: time that stands still, events that are kept, the parts of the whole."""

from dataclasses import dataclass, field

from gateway.accounts import (
    AccountRules,
    Accounts,
    Guard,
    Passwords,
    Recorder,
    Registrar,
    SecondFactor,
    Sessions,
)
from gateway.crypto import DerivedKeys, Keyring, Roots, Sealer
from gateway.model import Event, EventKind
from gateway.ports import AuditUnavailable, Change
from gateway.stores.memory import FollowedBlocks, MemoryCounters
from gateway.stores.sql import Database, SqlBlockStore, SqlFactorStore, SqlSessionStore, SqlUserStore

RULES = AccountRules(
    registration="open",
    default_roles=frozenset({"customer"}),
    verifies_email=False,
    password_min_length=12,
    rejects_common=False,
    access_lifetime=600.0,
    refresh_idle=7 * 86400.0,
    refresh_absolute=30 * 86400.0,
    reuse_grace=10.0,
)


def keys_of(root: bytes) -> DerivedKeys:
    """Return keys of one generation."""
    return Roots({1: root}).keys_for("these tests")


def guard_on(database: Database, counters: MemoryCounters, recorder: Recorder) -> Guard:
    """Return what counts failures, and blocks addresses in this database."""
    blocks = SqlBlockStore(database)
    blocked = FollowedBlocks(blocks, recorder.clock, spares=lambda _: False)
    return Guard(
        counters=counters,
        blocks=blocks,
        blocked=blocked,
        spares=blocked.spares,
        taken=blocked.take,
        recorder=recorder,
        key=b"the key of typed names",
    )


class StandingClock:
    """Time that moves when it is told to."""

    def __init__(self, now: float = 1_800_000_000.0) -> None:
        self.time = now

    def now(self) -> float:
        return self.time

    def monotonic(self) -> float:
        return self.time


@dataclass
class KeptEvents:
    """Events in a list; or an audit trail that is away."""

    kept: list[Event] = field(default_factory=list)
    away: bool = False

    async def event(self, event: Event) -> None:
        if self.away:
            raise AuditUnavailable("the audit trail cannot record")
        self.kept.append(event)

    @property
    def kinds(self) -> list[EventKind]:
        return [event.kind for event in self.kept]


@dataclass
class House:
    """Accounts with all their real parts."""

    accounts: Accounts
    registrar: Registrar
    sessions: Sessions
    users: SqlUserStore
    session_store: SqlSessionStore
    passwords: Passwords
    keyring: Keyring
    sealer: Sealer
    events: KeptEvents
    clock: StandingClock
    applied: list[Change]
    factors: SqlFactorStore
    second_factor: SecondFactor
    blocks: SqlBlockStore
    blocked: FollowedBlocks
    guard: Guard
    counters: MemoryCounters
    database: Database
