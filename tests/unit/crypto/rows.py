"""A clock that stands still, events that are kept, and a table of signing keys."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from gateway.model import Event
from gateway.ports import AuditUnavailable, BeforeCommit, StoredSigningKey, StoreUnavailable

START = 1_800_000_000.0


class StandingClock:
    """Moves only when a test says so."""

    def __init__(self) -> None:
        self.time = START

    def now(self) -> float:
        return self.time

    def monotonic(self) -> float:
        return self.time - START + 1000.0


@dataclass
class KeptEvents:
    """Events in a list; or an audit trail that is away."""

    kept: list[Event] = field(default_factory=list)
    away: bool = False

    async def event(self, event: Event) -> None:
        if self.away:
            raise AuditUnavailable("the audit trail cannot record")
        self.kept.append(event)


class KeyRows:
    """A table of signing keys, which can be down."""

    def __init__(self) -> None:
        self.rows: list[StoredSigningKey] = []
        self.down = False

    async def all(self) -> Sequence[StoredSigningKey]:
        if self.down:
            raise StoreUnavailable("the table is gone")
        return list(self.rows)

    async def add_first(self, key: StoredSigningKey, *, before_commit: BeforeCommit | None = None) -> bool:
        if self.rows:
            return False
        if before_commit is not None:
            await before_commit()
        self.rows.append(key)
        return True

    async def rotate(
        self,
        key: StoredSigningKey,
        *,
        after: str,
        old_until: float,
        before_commit: BeforeCommit | None = None,
    ) -> bool:
        if self.rows[0].kid != after:
            return False
        if before_commit is not None:
            await before_commit()
        self.rows = [key, *(replace(row, verifies_until=old_until) for row in self.rows)]
        return True

    async def revoke(
        self, kid: str, *, successor: StoredSigningKey | None, old_until: float, at: float
    ) -> bool:
        left = [row for row in self.rows if row.kid != kid]
        if len(left) == len(self.rows):
            return False
        if successor is not None:
            left = [successor, *(replace(row, verifies_until=old_until) for row in left)]
        self.rows = left
        return True
