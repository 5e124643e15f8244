"""The snapshot in force."""

from gateway.config.snapshot import Snapshot


class Current:
    """Holds the snapshot in force and replaces it whole. A request takes it once, at its beginning."""

    __slots__ = ("_snapshot",)

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot

    @property
    def snapshot(self) -> Snapshot:
        """The snapshot in force."""
        return self._snapshot

    def replace(self, snapshot: Snapshot) -> Snapshot:
        """Put another one in force. Return the one before."""
        before, self._snapshot = self._snapshot, snapshot
        return before

    def __repr__(self) -> str:
        return f"Current({self._snapshot.revision})"
