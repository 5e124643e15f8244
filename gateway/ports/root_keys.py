"""What the roots of all keys at rest are kept in, and what is sealed with keys that follow from them."""

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Protocol

from gateway.ports.users import BeforeCommit


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredRoots:
    """The roots, sealed with one master secret."""

    check_value: bytes
    """What tells which master secret it is."""
    sealed: bytes = field(repr=False)
    created_at: float
    """Seconds since the epoch; of two, the newer one is to take the place of the other."""


class RootKeyStore(Protocol):
    """The roots: once for each master secret that opens them, which are two while it is being changed."""

    async def all(self) -> Sequence[StoredRoots]:
        """Return them, the oldest first."""

    async def check_value_before_roots(self) -> bytes | None:
        """Return what tells which master secret a database was made with before there were roots; None: there
        was no such time."""

    async def add_first(self, roots: StoredRoots, *, check_value_before: bytes | None) -> bool:
        """Store the very first roots; False when another process was quicker, `check_value_before_roots` is
        not this value, or there were roots: keys are sealed under them."""

    async def change(
        self,
        seen: Sequence[StoredRoots],
        become: Sequence[StoredRoots],
        *,
        at: float,
        before_commit: BeforeCommit | None = None,
    ) -> bool:
        """Store all in place of all that were seen, and announce it (`ChangeKind.ROOT_KEYS`). A master secret
        that is not among them any more is shut out, and remembered as such. False, and nothing has changed,
        when what is stored is not what was seen. Raise what `before_commit` raises; then nothing has changed.
        """

    async def shut_out_at(self, check_value: bytes) -> float | None:
        """Return when a master secret was shut out; None: it never was."""

    def alone(self) -> AbstractAsyncContextManager[bool]:
        """Give True for the length of a block in which no other process gets True, None of which outlives its
        process. Raise `StoreUnavailable`."""


Renew = Callable[[bytes, str], bytes | None]
"""Returns a value sealed anew, for its context; None when it is as it is to be. Raises `SealBroken`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """What one look at every sealed value has shown."""

    values: int
    """How many there are."""
    renewed: int
    """How many were to be sealed anew, and are, unless somebody else changed or held them."""
    damaged: tuple[str, ...]
    """Contexts of those that nothing opens; no more than a hundred."""


class SealedValues(Protocol):
    """Everything in the database that is sealed with keys that follow from the roots."""

    async def renew(self, renew: Renew, *, seen: Callable[[int], None] = lambda _: None) -> Round:
        """Look at every value once and store those that `renew` returns, each in place of what was there.
        `seen` is called with how many were looked at in addition."""

    async def count(self) -> int:
        """Return how many there are, about."""
