"""Having this process know at once of sessions that end with something else: a password, a confirmation."""

from collections.abc import Collection
from dataclasses import dataclass

from gateway.accounts.recording import Recorder
from gateway.ports import ChangeKind, SessionStore, User


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """What a store ends and announces, applied here before the answer.

    A session that was begun meanwhile ends here with the announcement, within the second.
    """

    sessions: SessionStore
    recorder: Recorder

    async def sessions_of(self, user: User, *, but: str | None = None) -> Collection[str]:
        """Return the ids of an account's live sessions, but one. Raise `StoreUnavailable`."""
        found = await self.sessions.list_of(user.id, now=self.recorder.clock.now())
        return [session.id for session in found if session.id != but]

    def apply(self, ended: Collection[str], user: User | None = None) -> None:
        """Have this process refuse what belongs to these sessions, and to older epochs of an account."""
        for session in ended:
            self.recorder.apply(ChangeKind.SESSION_REVOKED, session)
        if user is not None:
            self.recorder.apply(ChangeKind.USER_CHANGED, user.id, epoch=user.epoch)
