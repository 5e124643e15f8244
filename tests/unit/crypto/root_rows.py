"""A table of roots, as the store has it."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from gateway.crypto import MasterSecret, Roots
from gateway.ports import BeforeCommit, StoredRoots, StoreUnavailable

OLD = MasterSecret(b"the master secret of the beginning")
NEW = MasterSecret(b"the master secret that comes after it")


class RootRows:
    """Rows in memory; or a database that is away."""

    def __init__(self, *, before: bytes | None = None) -> None:
        self.rows: list[StoredRoots] = []
        self.before = before
        self.are_lost = False
        self.gone: dict[bytes, float] = {}
        self.away = False
        self.reads = 0

    async def all(self) -> Sequence[StoredRoots]:
        self.reads += 1
        if self.away:
            raise StoreUnavailable("the database is away")
        return list(self.rows)

    async def check_value_before_roots(self) -> bytes | None:
        return self.before

    async def add_first(self, roots: StoredRoots, *, check_value_before: bytes | None) -> bool:
        if self.rows or self.are_lost or self.before != check_value_before:
            return False
        self.rows.append(roots)
        return True

    async def change(
        self,
        seen: Sequence[StoredRoots],
        become: Sequence[StoredRoots],
        *,
        at: float,
        before_commit: BeforeCommit | None = None,
    ) -> bool:
        if set(seen) != set(self.rows):
            return False
        if before_commit is not None:
            await before_commit()
        left = {row.check_value for row in become}
        self.gone |= {row.check_value: at for row in seen if row.check_value not in left}
        self.rows = list(become)
        return True

    async def shut_out_at(self, check_value: bytes) -> float | None:
        return self.gone.get(check_value)

    @asynccontextmanager
    async def alone(self) -> AsyncIterator[bool]:
        yield True

    def hold(self, roots: Roots, *secrets: MasterSecret, at: float = 1e12) -> None:
        """Hold roots, for some master secrets, since a time that is now or later."""
        self.rows = [
            StoredRoots(check_value=one.check_value(), sealed=roots.sealed(one), created_at=at + number)
            for number, one in enumerate(secrets)
        ]
