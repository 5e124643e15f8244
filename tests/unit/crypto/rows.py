"""A clock that stands still, events that are kept, and tables of keys."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from gateway.crypto import Sealer, new_version
from gateway.model import Event
from gateway.ports import (
    AuditUnavailable,
    BeforeCommit,
    StoredCryptoKey,
    StoredKeyVersion,
    StoredSigningKey,
    StoreUnavailable,
)

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


class CryptoKeyRows:
    """A table of encryption keys, which can be down, and counts how often it is read."""

    def __init__(self, sealer: Sealer) -> None:
        self.sealer = sealer
        self.rows: dict[str, StoredCryptoKey] = {}
        self.down = False
        self.reads = 0
        self.slow: asyncio.Event | None = None
        """What an answer waits for, after the table was read."""

    def put(self, name: str, versions: int = 1, *, least: int = 1) -> StoredCryptoKey:
        """Have a key of so many versions; those that are there already stay."""
        present = self.rows[name].versions if name in self.rows else ()
        added = tuple(
            new_version(self.sealer, name=name, version=number, created_at=START)
            for number in range(len(present) + 1, versions + 1)
        )
        key = StoredCryptoKey(
            name=name, created_at=START, min_decryption_version=least, versions=(*present, *added)
        )
        self.rows[name] = key
        return key

    def damage(self, name: str, version: int) -> None:
        """Have a version that does not open."""
        versions = [
            replace(each, sealed=b"?") if each.version == version else each
            for each in self.rows[name].versions
        ]
        self.rows[name] = replace(self.rows[name], versions=tuple(versions))

    async def all(self) -> Sequence[StoredCryptoKey]:
        self.reads += 1
        if self.down:
            raise StoreUnavailable("the table is gone")
        read = list(self.rows.values())
        if self.slow is not None:
            await self.slow.wait()
        return read

    async def find(self, name: str) -> StoredCryptoKey | None:
        return self.rows.get(name)

    async def add(self, key: StoredCryptoKey, *, before_commit: BeforeCommit | None = None) -> None:
        raise NotImplementedError

    async def rotate(
        self, name: str, version: StoredKeyVersion, *, before_commit: BeforeCommit | None = None
    ) -> bool:
        raise NotImplementedError

    async def retire(
        self, name: str, *, min_decryption_version: int, at: float, before_commit: BeforeCommit | None = None
    ) -> bool:
        raise NotImplementedError

    async def count(self, messages: Mapping[tuple[str, int], int]) -> None:
        raise NotImplementedError
