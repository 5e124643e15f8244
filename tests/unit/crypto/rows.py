"""A clock that stands still, and a table of signing keys."""

from collections.abc import Sequence

from gateway.ports import StoredSigningKey, StoreUnavailable

START = 1_800_000_000.0


class StandingClock:
    """Moves only when a test says so."""

    def __init__(self) -> None:
        self.time = START

    def now(self) -> float:
        return self.time

    def monotonic(self) -> float:
        return self.time - START + 1000.0


class KeyRows:
    """A table of signing keys, which can be down."""

    def __init__(self) -> None:
        self.rows: list[StoredSigningKey] = []
        self.down = False

    async def all(self) -> Sequence[StoredSigningKey]:
        if self.down:
            raise StoreUnavailable("the table is gone")
        return list(self.rows)

    async def add_first(self, key: StoredSigningKey) -> bool:
        if self.rows:
            return False
        self.rows.append(key)
        return True
