"""Places for checkpoints get every one, in order."""

import asyncio
from collections.abc import Sequence

import pytest
from unit.audit.test_follow import running, until
from unit.audit.test_lease import Clock, Positions

from gateway.audit import CheckpointFollower, follow_checkpoints, following
from gateway.ports import Checkpoint, OutletUnavailable


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "_EVERY", 0.005)
    monkeypatch.setattr(following, "_LONGEST_PAUSE", 0.02)


@pytest.fixture
def positions() -> Positions:
    return Positions()


@pytest.fixture
def clock() -> Clock:
    return Clock()


class Notes:
    """Checkpoints in memory."""

    def __init__(self, count: int) -> None:
        self.kept = [
            Checkpoint(number=number, at="2026-11-21T14:00:00.000000Z", note=f"note {number}\n")
            for number in range(1, count + 1)
        ]

    async def newest(self) -> Checkpoint | None:
        return self.kept[-1]

    async def add(self, checkpoint: Checkpoint) -> bool:
        raise NotImplementedError

    async def after(self, number: int, *, limit: int) -> Sequence[Checkpoint]:
        return [one for one in self.kept if one.number > number][:limit]


class Shelf:
    """An outlet for checkpoints."""

    name = "checkpoints file /far"

    def __init__(self) -> None:
        self.got: list[str] = []
        self.room: int | None = None
        self.closed = False

    async def publish(self, note: str) -> None:
        if self.room is not None and len(self.got) >= self.room:
            raise OutletUnavailable("the disk is full")
        self.got.append(note)

    async def close(self) -> None:
        self.closed = True


async def test_every_checkpoint_is_sent_once_from_the_first_on(positions: Positions, clock: Clock) -> None:
    notes, shelf = Notes(250), Shelf()
    follower = CheckpointFollower(shelf, notes, positions, clock, holder="one")
    async with running(follower):
        await until(lambda: len(shelf.got) == 250)
        await until(lambda: positions.positions.get(shelf.name) == {"checkpoints": 250})
    assert shelf.got == [one.note for one in notes.kept]
    assert follower.sent == 250
    await follower.finish()
    assert shelf.closed


async def test_what_was_published_before_a_failure_is_not_sent_again(
    positions: Positions, clock: Clock
) -> None:
    notes, shelf = Notes(10), Shelf()
    shelf.room = 4
    follower = CheckpointFollower(shelf, notes, positions, clock, holder="one")
    async with running(follower):
        await until(lambda: follower.failing == "the disk is full")
        assert positions.positions == {shelf.name: {"checkpoints": 4}}
        shelf.room = None
        await until(lambda: len(shelf.got) == 10)
    assert shelf.got == [one.note for one in notes.kept]


async def test_a_place_for_checkpoints_that_hangs_is_not_waited_for(
    positions: Positions, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follow_checkpoints, "SEND_SECONDS", 0.01)
    shelf = Shelf()

    async def hang(note: str) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(shelf, "publish", hang)
    follower = CheckpointFollower(shelf, Notes(1), positions, clock, holder="one")
    async with running(follower):
        await until(lambda: follower.failing)
    assert "no answer within" in str(follower.failing)
