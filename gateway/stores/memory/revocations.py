"""Revocations held in memory and kept up to date by following the change feed."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

import structlog

from gateway.ports import Change, ChangeFeed, ChangeKind, Clock, PlaceUnknown, StoreUnavailable

POLL_SECONDS = 0.3
MAX_PAUSE_SECONDS = 1.0
ANSWER_SECONDS = 2.0
"""A feed that takes longer than this to answer counts as unavailable."""
MAX_SILENCE_SECONDS = 5.0
"""After this long without an answer, nothing is known to be unrevoked any more."""

CLOCK_SKEW_SECONDS = 60.0
"""How far the clocks of processes that write changes may be apart."""

_ENDS = frozenset({ChangeKind.SESSION_REVOKED, ChangeKind.TOKEN_REVOKED})
"""What ends for good. Ids of sessions have a prefix, and those of tokens have none."""
_RAISES_EPOCH = frozenset({ChangeKind.USER_CHANGED, ChangeKind.CLIENT_CHANGED})
_OF_KEYS = (
    ChangeKind.SIGNING_KEYS,
    ChangeKind.CRYPTO_KEYS,
    ChangeKind.CLIENT_KEY,
    ChangeKind.ROOT_KEYS,
)
"""What matters however long ago it was: keys do not expire as tokens do."""

T = TypeVar("T")

_log: structlog.typing.FilteringBoundLogger = structlog.get_logger("gateway.revocations")


class FollowedRevocations:
    """What the change feed said, as far as it can still matter.

    `keep_for` is in seconds and must be at least the longest life of an access token, its leeway, and the
    distance between the clocks of processes: an entry is forgotten only when every token that it concerns has
    expired.
    """

    def __init__(
        self,
        feed: ChangeFeed,
        clock: Clock,
        keep_for: float,
        *,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._feed = feed
        self._now = clock.now
        self._monotonic = clock.monotonic
        self._keep_for = keep_for
        self._pause = pause
        self._seq = 0
        self._heard_until = float("-inf")
        self._ended: dict[str, float] = {}
        self._epochs: dict[str, tuple[int, float]] = {}
        self._forget: deque[tuple[float, ChangeKind, str]] = deque()
        self._key_changes = 0
        self._callbacks: dict[ChangeKind, list[Callable[[Change], None]]] = {kind: [] for kind in ChangeKind}

    def __repr__(self) -> str:
        return f"FollowedRevocations(ended={len(self._ended)}, changed={len(self._epochs)}, seq={self._seq})"

    @property
    def key_changes(self) -> int:
        """A number that grows whenever an API key or an account changed."""
        return self._key_changes

    @property
    def silence(self) -> float:
        """Seconds since the feed was last asked a question that it answered."""
        return self._monotonic() - self._heard_until + MAX_SILENCE_SECONDS

    def session_revoked(self, session_id: str) -> bool:
        """Say whether a session has been ended."""
        return session_id in self._ended

    def token_revoked(self, jti: str) -> bool:
        """Say whether a single access token has been revoked."""
        return jti in self._ended

    def user_epoch(self, user_id: str) -> int:
        """Return the smallest epoch that a token of this user, or client, may carry; 0 when nothing is
        known."""
        known = self._epochs.get(user_id)
        return 0 if known is None else known[0]

    def check_fresh(self) -> None:
        """Raise `StoreUnavailable` when the feed has not answered for more than five seconds."""
        if self._monotonic() > self._heard_until:
            raise StoreUnavailable(f"the change feed has not answered for {MAX_SILENCE_SECONDS:.0f} s")

    def subscribe(self, kind: ChangeKind, callback: Callable[[Change], None]) -> None:
        """Have a function called for every change of a kind. It must be quick, must not raise, and is called
        more than once for a change that was applied locally first. Subscriptions last as long as this object.

        A change of keys without a subject says that any of them may be another.
        """
        self._callbacks[kind].append(callback)

    async def start(self) -> None:
        """Learn what concerns tokens that may still be alive. Raise `StoreUnavailable`."""
        asked = self._monotonic()
        after = self._now() - self._keep_for - CLOCK_SKEW_SECONDS
        newest, changes = await _in_time(self._feed.recent(after))
        self._hear(changes, asked)
        self._seq = newest

    def apply(self, change: Change) -> None:
        """Take note of a change at once: for whoever makes one, before answering.

        The place in the feed does not move: changes of other processes may lie before this one.
        """
        forget_at = self._monotonic() + self._keep_for
        if change.kind in _ENDS:
            self._ended[change.subject] = forget_at
            self._forget.append((forget_at, change.kind, change.subject))
        elif change.kind in _RAISES_EPOCH:
            # Changes may come twice and late; an epoch never falls.
            epoch = max(change.epoch, self.user_epoch(change.subject))
            self._epochs[change.subject] = (epoch, forget_at)
            self._forget.append((forget_at, change.kind, change.subject))
        if change.kind in {ChangeKind.KEY_REVOKED, ChangeKind.USER_CHANGED}:
            self._key_changes += 1
        for callback in self._callbacks[change.kind]:
            callback(change)

    async def poll(self) -> None:
        """Ask the feed once and apply what is new. Raise `StoreUnavailable`."""
        asked = self._monotonic()
        try:
            changes = await _in_time(self._feed.since(self._seq))
        except PlaceUnknown:
            # What was known stays known: nothing comes alive again because a database was set back.
            _log.warning("change_feed.place_unknown", detail="the feed was set back, or pruned; read anew")
            await self.start()
            for kind in _OF_KEYS:
                self.apply(Change(self._seq, kind, "", 0, self._now()))
        else:
            self._hear(changes, asked)
        self._forget_expired()

    async def follow(self) -> None:
        """Poll for ever. While the feed does not answer, the pauses grow to a second."""
        wait = POLL_SECONDS
        failing = False
        while True:
            await self._pause(wait)
            try:
                await self.poll()
            except StoreUnavailable as fault:
                wait = min(2 * wait, MAX_PAUSE_SECONDS)
                if not failing:
                    _log.warning("change_feed.unavailable", detail=str(fault))
                failing = True
            else:
                wait = POLL_SECONDS
                if failing:
                    _log.info("change_feed.recovered")
                failing = False

    def _hear(self, changes: Sequence[Change], asked: float) -> None:
        for change in changes:
            self.apply(change)
            self._seq = max(self._seq, change.seq)
        # Counted from the question: the answer may have been a while on its way.
        self._heard_until = asked + MAX_SILENCE_SECONDS

    def _forget_expired(self) -> None:
        now = self._monotonic()
        while self._forget and self._forget[0][0] <= now:
            forget_at, kind, subject = self._forget.popleft()
            if kind in _ENDS:
                # A later announcement of the same thing has a later entry of its own.
                if self._ended.get(subject) == forget_at:
                    del self._ended[subject]
            elif (known := self._epochs.get(subject)) is not None and known[1] == forget_at:
                del self._epochs[subject]


async def _in_time(answer: Awaitable[T]) -> T:
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            return await answer
    except TimeoutError:
        raise StoreUnavailable(f"the change feed did not answer within {ANSWER_SECONDS:.0f} s") from None
