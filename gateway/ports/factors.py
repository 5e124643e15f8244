"""What second factors are kept in."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from gateway.ports.users import BeforeCommit


@dataclass(frozen=True, slots=True, kw_only=True)
class Totp:
    """The key of a user's codes (RFC 6238). Times are seconds since the epoch."""

    user_id: str
    sealed: bytes = field(repr=False)
    """The key, sealed with the master secret."""
    created_at: float
    confirmed_at: float | None
    """When its owner showed a code of it; None: not yet, and it protects nothing."""
    last_step: int
    """Number of the newest interval whose code was taken; no code of it or before is taken again."""


class FactorStore(Protocol):
    """Keys and recovery codes, of each user at most one set."""

    async def find(self, user_id: str) -> Totp | None:
        """Return a user's key."""

    async def begin(self, totp: Totp) -> bool:
        """Store a key that is not confirmed, in place of another; False when there is a confirmed one."""

    async def confirm(
        self,
        totp: Totp,
        *,
        step: int,
        code_hashes: Sequence[bytes],
        at: float,
        before_commit: BeforeCommit | None = None,
    ) -> bool:
        """Make a key count, with these recovery codes and with the code of this step taken; False when it
        does not wait for that any more, or another has taken its place. Raise what `before_commit` raises;
        then nothing has changed."""

    async def use_step(self, user_id: str, step: int) -> bool:
        """Take the code of an interval: False when that one or a later one was taken before."""

    async def use_code(self, user_id: str, code_hash: bytes, *, at: float) -> bool:
        """Take a recovery code: False when there is none such, or it was taken before."""

    async def codes_left(self, user_id: str) -> int:
        """Return how many recovery codes are left."""

    async def replace_codes(
        self, user_id: str, code_hashes: Sequence[bytes], *, before_commit: BeforeCommit | None = None
    ) -> bool:
        """Replace the recovery codes; False when the user has no confirmed key. Raise what `before_commit`
        raises; then nothing has changed."""

    async def remove(self, user_id: str, *, before_commit: BeforeCommit | None = None) -> bool:
        """Remove key and codes; False when there are none. Raise what `before_commit` raises; then nothing
        has changed."""
