import asyncio
from collections.abc import Sequence

import pytest
from structlog.testing import capture_logs

from gateway.ports import Change, ChangeKind, PlaceUnknown, Revocations, StoreUnavailable
from gateway.stores.memory import FollowedRevocations

START = 1_800_000_000.0
KEEP = 605.0


class StandingClock:
    """Moves only when a test says so."""

    def __init__(self) -> None:
        self.time = START

    def now(self) -> float:
        return self.time

    def monotonic(self) -> float:
        return self.time - START + 1000.0


class Feed:
    """A change feed that can be down, or late."""

    def __init__(self, clock: StandingClock) -> None:
        self.clock = clock
        self.changes: list[Change] = []
        self.asked: list[float] = []
        self.down = False
        self.late = 0.0
        self.hangs = False

    def write(self, kind: ChangeKind, subject: str, epoch: int = 0, at: float | None = None) -> Change:
        change = Change(len(self.changes) + 1, kind, subject, epoch, self.clock.time if at is None else at)
        self.changes.append(change)
        return change

    async def _answer(self) -> None:
        if self.down:
            raise StoreUnavailable("the database is gone")
        if self.hangs:
            await asyncio.Event().wait()
        self.clock.time += self.late

    async def since(self, seq: int) -> Sequence[Change]:
        self.asked.append(seq)
        await self._answer()
        if seq > len(self.changes):
            raise PlaceUnknown
        return [change for change in self.changes if change.seq > seq]

    async def recent(self, after: float) -> tuple[int, Sequence[Change]]:
        await self._answer()
        return len(self.changes), [change for change in self.changes if change.at >= after]


class Story:
    """Revocations that follow a feed, by hand."""

    def __init__(self) -> None:
        self.clock = StandingClock()
        self.feed = Feed(self.clock)
        self.known = FollowedRevocations(self.feed, self.clock, KEEP)


def is_fresh(known: Revocations) -> bool:
    try:
        known.check_fresh()
    except StoreUnavailable:
        return False
    return True


async def test_nothing_is_fresh_before_the_start() -> None:
    story = Story()
    assert not is_fresh(story.known)
    await story.known.start()
    assert is_fresh(story.known)


async def test_a_start_learns_what_concerns_living_tokens() -> None:
    story = Story()
    story.feed.write(ChangeKind.SESSION_REVOKED, "ses_old", at=START - KEEP - 61)
    story.feed.write(ChangeKind.SESSION_REVOKED, "ses_1", at=START - KEEP + 1)
    story.feed.write(ChangeKind.USER_CHANGED, "usr_1", epoch=4, at=START - 1)
    await story.known.start()
    assert not story.known.session_revoked("ses_old")
    assert story.known.session_revoked("ses_1")
    assert story.known.user_epoch("usr_1") == 4
    await story.known.poll()
    assert story.feed.asked == [3]


async def test_a_start_allows_for_clocks_that_differ() -> None:
    story = Story()
    story.feed.write(ChangeKind.SESSION_REVOKED, "ses_1", at=START - KEEP - 59)
    await story.known.start()
    assert story.known.session_revoked("ses_1")


async def test_a_start_without_a_feed_fails() -> None:
    story = Story()
    story.feed.down = True
    with pytest.raises(StoreUnavailable):
        await story.known.start()


async def test_a_poll_learns_what_others_did() -> None:
    story = Story()
    await story.known.start()
    story.feed.write(ChangeKind.SESSION_REVOKED, "ses_1")
    story.feed.write(ChangeKind.USER_CHANGED, "usr_1", epoch=2)
    assert not story.known.session_revoked("ses_1")
    await story.known.poll()
    assert story.known.session_revoked("ses_1")
    assert not story.known.session_revoked("ses_2")
    assert (story.known.user_epoch("usr_1"), story.known.user_epoch("usr_2")) == (2, 0)
    await story.known.poll()
    assert story.feed.asked == [0, 2]


async def test_single_tokens_and_clients_are_learned_of_as_well() -> None:
    story = Story()
    story.feed.write(ChangeKind.TOKEN_REVOKED, "jti_1")
    await story.known.start()
    story.feed.write(ChangeKind.TOKEN_REVOKED, "jti_2")
    story.feed.write(ChangeKind.CLIENT_CHANGED, "cli_1", epoch=2)
    await story.known.poll()
    assert all(story.known.token_revoked(jti) for jti in ("jti_1", "jti_2"))
    assert not story.known.token_revoked("jti_3")
    assert story.known.user_epoch("cli_1") == 2
    assert not story.known.session_revoked("ses_1")
    story.clock.time += KEEP + 1
    await story.known.poll()
    assert not story.known.token_revoked("jti_1")
    assert story.known.user_epoch("cli_1") == 0


async def test_a_feed_that_was_set_back_is_read_anew_and_nothing_comes_alive_again() -> None:
    story = Story()
    for number in (1, 2, 3):
        story.feed.write(ChangeKind.SESSION_REVOKED, f"ses_{number}")
    await story.known.start()
    del story.feed.changes[1:]
    story.feed.write(ChangeKind.SESSION_REVOKED, "ses_4")
    with capture_logs() as logs:
        await story.known.poll()
    assert [log["event"] for log in logs] == ["change_feed.place_unknown"]
    assert all(story.known.session_revoked(f"ses_{number}") for number in (1, 2, 3, 4))
    story.feed.write(ChangeKind.SESSION_REVOKED, "ses_5")
    await story.known.poll()
    assert story.known.session_revoked("ses_5")


async def test_whoever_holds_keys_is_told_when_the_feed_cannot_say_what_changed() -> None:
    story = Story()
    told: list[tuple[ChangeKind, str]] = []
    for kind in ChangeKind:
        story.known.subscribe(kind, lambda change: told.append((change.kind, change.subject)))
    story.feed.write(ChangeKind.SESSION_REVOKED, "ses_1")
    await story.known.start()
    await story.known.poll()
    told.clear()
    story.feed.changes.clear()
    with capture_logs():
        await story.known.poll()
    assert told == [
        (ChangeKind.SIGNING_KEYS, ""),
        (ChangeKind.CRYPTO_KEYS, ""),
        (ChangeKind.CLIENT_KEY, ""),
        (ChangeKind.ROOT_KEYS, ""),
    ]
    await story.known.poll()
    assert len(told) == 4


async def test_a_change_of_ones_own_holds_at_once_and_skips_nobody_elses() -> None:
    story = Story()
    await story.known.start()
    story.feed.write(ChangeKind.SESSION_REVOKED, "ses_of_another_process")
    story.known.apply(story.feed.write(ChangeKind.SESSION_REVOKED, "ses_mine"))
    assert story.known.session_revoked("ses_mine")
    await story.known.poll()
    assert story.known.session_revoked("ses_of_another_process")


async def test_an_epoch_never_falls() -> None:
    story = Story()
    await story.known.start()
    for epoch in (3, 5, 4):
        story.known.apply(story.feed.write(ChangeKind.USER_CHANGED, "usr_1", epoch=epoch))
    assert story.known.user_epoch("usr_1") == 5


async def test_changes_are_forgotten_when_every_token_has_expired() -> None:
    story = Story()
    await story.known.start()
    story.known.apply(story.feed.write(ChangeKind.SESSION_REVOKED, "ses_1"))
    story.known.apply(story.feed.write(ChangeKind.USER_CHANGED, "usr_1", epoch=2))
    await story.known.poll()
    story.clock.time += 100
    story.known.apply(story.feed.write(ChangeKind.USER_CHANGED, "usr_1", epoch=3))
    story.clock.time += KEEP - 101
    await story.known.poll()
    assert story.known.session_revoked("ses_1")
    story.clock.time += 1
    await story.known.poll()
    assert not story.known.session_revoked("ses_1")
    assert story.known.user_epoch("usr_1") == 3
    story.clock.time += 2 * KEEP
    await story.known.poll()
    assert story.known.user_epoch("usr_1") == 0
    assert not story.known._forget


async def test_silence_of_more_than_five_seconds_is_not_fresh() -> None:
    story = Story()
    await story.known.start()
    story.clock.time += 5.0
    assert is_fresh(story.known)
    story.clock.time += 0.01
    with pytest.raises(StoreUnavailable, match="5 s"):
        story.known.check_fresh()
    await story.known.poll()
    assert is_fresh(story.known)


async def test_an_answer_is_as_old_as_its_question() -> None:
    story = Story()
    await story.known.start()
    story.feed.late = 4.0
    await story.known.poll()
    story.clock.time += 1.5
    assert not is_fresh(story.known)


async def test_a_failed_poll_keeps_what_is_known() -> None:
    story = Story()
    await story.known.start()
    story.known.apply(story.feed.write(ChangeKind.SESSION_REVOKED, "ses_1"))
    story.feed.down = True
    story.clock.time += 6
    with pytest.raises(StoreUnavailable):
        await story.known.poll()
    assert story.known.session_revoked("ses_1")
    assert not is_fresh(story.known)


async def test_a_feed_that_hangs_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.stores.memory.revocations.ANSWER_SECONDS", 0.01)
    story = Story()
    await story.known.start()
    story.feed.hangs = True
    with pytest.raises(StoreUnavailable, match="did not answer"):
        await story.known.poll()


async def test_subscribers_are_told_their_kind_only() -> None:
    story = Story()
    told: list[Change] = []
    story.known.subscribe(ChangeKind.SIGNING_KEYS, told.append)
    await story.known.start()
    expected = story.feed.write(ChangeKind.SIGNING_KEYS, "")
    for kind in (ChangeKind.KEY_REVOKED, ChangeKind.USER_CHANGED, ChangeKind.SESSION_REVOKED):
        story.feed.write(kind, "x", epoch=1)
    await story.known.poll()
    assert told == [expected]


async def test_only_changes_of_keys_and_accounts_make_read_keys_old() -> None:
    story = Story()
    await story.known.start()
    counts = []
    for kind in (
        ChangeKind.SESSION_REVOKED,
        ChangeKind.SIGNING_KEYS,
        ChangeKind.KEY_REVOKED,
        ChangeKind.USER_CHANGED,
    ):
        before = story.known.key_changes
        story.known.apply(story.feed.write(kind, "x", epoch=1))
        counts.append(story.known.key_changes - before)
    assert counts == [0, 0, 1, 1]


async def test_following_survives_an_outage_with_short_pauses_and_two_lines_in_the_log() -> None:
    story = Story()
    pauses: list[float] = []
    up_again = asyncio.Event()

    async def pause(seconds: float) -> None:
        pauses.append(seconds)
        story.clock.time += seconds
        story.feed.down = 2 <= len(pauses) <= 5
        if len(pauses) == 7:
            story.feed.write(ChangeKind.SESSION_REVOKED, "ses_1")
        if len(pauses) == 8:
            up_again.set()
        await asyncio.sleep(0)

    known = FollowedRevocations(story.feed, story.clock, KEEP, pause=pause)
    await known.start()
    with capture_logs() as logs:
        async with asyncio.TaskGroup() as tasks:
            following = tasks.create_task(known.follow())
            await up_again.wait()
            following.cancel()
    assert pauses[:8] == [0.3, 0.3, 0.6, 1.0, 1.0, 1.0, 0.3, 0.3]
    assert known.session_revoked("ses_1")
    assert [line["event"] for line in logs] == ["change_feed.unavailable", "change_feed.recovered"]


async def test_what_it_shows_names_nobody() -> None:
    story = Story()
    await story.known.start()
    story.known.apply(story.feed.write(ChangeKind.SESSION_REVOKED, "ses_1"))
    assert repr(story.known) == "FollowedRevocations(ended=1, changed=0, seq=0)"


async def test_its_silence_is_counted_from_the_last_question_that_was_answered() -> None:
    story = Story()
    await story.known.start()
    assert story.known.silence == 0
    story.clock.time += 3
    assert story.known.silence == 3
    story.feed.late = 1.0
    await story.known.poll()
    assert story.known.silence == 1
