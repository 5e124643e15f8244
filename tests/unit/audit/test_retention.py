"""Ending what is old enough: signed first, done then, and told."""

import asyncio
from collections.abc import Callable, Sequence

import pytest
from support.proofs import SIGNER, SIGNERS, Hands, KeptCheckpoints, dropped, run_of

from gateway.audit import Disposal, Notary, retention
from gateway.audit.checkpoint import Statement
from gateway.crypto import open_note
from gateway.model import ANONYMOUS, Event, EventKind
from gateway.ports import Dropped, RetentionRefused, StoreUnavailable

A = "aaaaaaaa-0000-4000-8000-000000000001"
DAY = 86400.0


class Told:
    def __init__(self) -> None:
        self.events: list[Event] = []

    async def event(self, event: Event) -> None:
        self.events.append(event)


class Days:
    """Records of a few days, of one writer."""

    def __init__(self, kept: KeptCheckpoints, today: int) -> None:
        self.days = list(range(today - 5, today + 1))
        self.fault: Exception | None = None
        self.calls = 0
        self._kept = kept
        self._run = run_of(A, 10)

    async def expired(self, before: int) -> Sequence[Dropped]:
        old = [day for day in self.days if day < before]
        return [dropped(self._run, len(old))] if old else []

    async def drop(self, before: int, *, signed: Sequence[Dropped]) -> int:
        self.calls += 1
        if self.fault is not None:
            raise self.fault
        old = [day for day in self.days if day < before]
        # Nothing is removed that no checkpoint speaks of.
        assert not old or _said(self._kept)
        self.days = [day for day in self.days if day >= before]
        return len(old)


def _said(kept: KeptCheckpoints) -> tuple[Dropped, ...]:
    return Statement.parse(open_note(kept.rows[-1].note, [SIGNER.key])).dropped if kept.rows else ()


@pytest.fixture
def clock() -> Hands:
    return Hands()


@pytest.fixture
def kept() -> KeptCheckpoints:
    return KeptCheckpoints()


@pytest.fixture
def days(kept: KeptCheckpoints, clock: Hands) -> Days:
    return Days(kept, int(clock.now() // DAY))


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
def disposal(days: Days, kept: KeptCheckpoints, told: Told, clock: Hands) -> Disposal:
    return Disposal(days, Notary(kept, SIGNERS, clock), told, clock)


async def test_days_that_ended_long_enough_ago_are_removed_signed_for_and_told_of(
    disposal: Disposal, days: Days, kept: KeptCheckpoints, told: Told
) -> None:
    today = days.days[-1]
    assert await disposal.dispose(keep=2 * DAY, operator=ANONYMOUS) == 3
    assert days.days == [today - 2, today - 1, today]
    assert [one.upto for one in _said(kept)] == [3]
    (event,) = told.events
    assert (event.kind, event.actor) == (EventKind.AUDIT_GAP, ANONYMOUS)
    assert event.attributes == {"removed_before": "2026-09-19", "days": 3}


async def test_nothing_old_enough_is_nothing_signed_and_nothing_told(
    disposal: Disposal, kept: KeptCheckpoints, told: Told
) -> None:
    assert await disposal.dispose(keep=30 * DAY) == 0
    assert kept.rows == []
    assert told.events == []


async def test_a_role_that_may_not_remove_is_a_refusal(disposal: Disposal, days: Days, told: Told) -> None:
    days.fault = RetentionRefused("ask the owner")
    with pytest.raises(RetentionRefused):
        await disposal.dispose(keep=DAY)
    assert told.events == []


@pytest.mark.parametrize("fault", [None, RetentionRefused("ask the owner"), StoreUnavailable("away")])
async def test_it_is_done_again_and_again_whatever_happens(
    disposal: Disposal,
    days: Days,
    fault: Exception | None,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name in ("_FIRST", "_EVERY", "_REFUSED"):
        monkeypatch.setattr(retention, name, 0.001)
    days.fault = fault
    async with asyncio.TaskGroup() as group:
        task = group.create_task(disposal.run(keep=DAY))
        await _until(lambda: days.calls >= 3)
        task.cancel()
    assert (str(fault) in "".join(capsys.readouterr())) == (fault is not None)


async def test_a_clock_that_is_set_ahead_does_not_end_what_is_young(
    kept: KeptCheckpoints, days: Days, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Set(Hands):
        """A clock that can be set, beside one that cannot."""

        ahead = 0.0

        def now(self) -> float:
            return self.time + self.ahead

    for name in ("_FIRST", "_EVERY"):
        monkeypatch.setattr(retention, name, 0.001)
    clock = Set()
    disposal = Disposal(days, Notary(kept, SIGNERS, clock), told, clock)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(disposal.run(keep=30 * DAY))
        await _until(lambda: days.calls >= 2)
        clock.ahead = 365 * DAY
        calls = days.calls
        await _until(lambda: days.calls >= calls + 3)
        assert len(days.days) == 6
        # It may be right all the same, so the days go, twice as fast as they pass.
        clock.time += 13 * DAY
        await _until(lambda: len(days.days) < 6)
        assert len(days.days) == 5
        task.cancel()


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.001)
