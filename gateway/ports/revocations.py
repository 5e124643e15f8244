"""Asking what has been revoked, on every request, without leaving the process."""

from typing import Protocol


class RevokedTokens(Protocol):
    """Single access tokens that were revoked, of which nothing is kept but that."""

    async def revoke(self, jti: str, *, at: float) -> None:
        """End an access token and announce it. Raise `StoreUnavailable`."""


class Revocations(Protocol):
    """What this process knows of revocations, at most a moment behind the change feed."""

    @property
    def key_changes(self) -> int:
        """A number that grows whenever an API key or an account changed: what was read before is old."""

    def session_revoked(self, session_id: str) -> bool:
        """Say whether a session has been ended."""

    def token_revoked(self, jti: str) -> bool:
        """Say whether a single access token has been revoked."""

    def user_epoch(self, user_id: str) -> int:
        """Return the smallest epoch that a token of this user, or client, may carry; 0 when nothing is
        known."""

    def check_fresh(self) -> None:
        """Raise `StoreUnavailable` when the feed has been silent so long that "not revoked" means nothing."""
