"""Who waits for which read of a store."""

import asyncio

import pytest
from unit.crypto.rows import StandingClock

from gateway.crypto.shared_read import SharedRead
from gateway.ports import StoreUnavailable, SystemClock


class Reads:
    """Reads that begin at once and end when they are told to."""

    def __init__(self) -> None:
        self.count = 0
        self.ends = asyncio.Event()
        self.fault: str | None = None

    async def __call__(self) -> None:
        self.count += 1
        await self.ends.wait()
        if self.fault is not None:
            raise StoreUnavailable(self.fault)

    async def begun(self, count: int) -> None:
        while self.count < count:
            await asyncio.sleep(0)


async def test_all_who_come_before_a_read_begins_share_it() -> None:
    reads = Reads()
    reads.ends.set()
    shared = SharedRead(reads, StandingClock())
    await asyncio.gather(*(shared.again() for _ in range(50)))
    assert reads.count == 1


async def test_whoever_comes_while_one_runs_waits_for_the_next() -> None:
    reads = Reads()
    shared = SharedRead(reads, StandingClock())
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(shared.again())
        await reads.begun(1)
        for _ in range(20):
            tasks.create_task(shared.again())
        await asyncio.sleep(0)
        reads.ends.set()
    assert reads.count == 2


async def test_all_who_wait_are_told_of_a_failure_and_the_next_one_reads_again() -> None:
    reads = Reads()
    reads.ends.set()
    reads.fault = "the table is gone"
    shared = SharedRead(reads, StandingClock())
    told = await asyncio.gather(*(shared.again() for _ in range(3)), return_exceptions=True)
    assert [(type(each), str(each)) for each in told] == [(StoreUnavailable, "the table is gone")] * 3
    assert reads.count == 1
    reads.fault = None
    await shared.again()
    assert reads.count == 2


async def test_whoever_leaves_in_the_middle_of_a_read_does_not_end_it_for_the_others() -> None:
    reads = Reads()
    shared = SharedRead(reads, StandingClock())
    async with asyncio.TaskGroup() as tasks:
        first = tasks.create_task(shared.again())
        second = tasks.create_task(shared.again())
        await reads.begun(1)
        first.cancel()
        await reads.begun(2)
        assert not second.done()
        reads.ends.set()
    assert first.cancelled()
    assert second.done()


async def test_there_are_ten_reads_a_second_at_most() -> None:
    reads = Reads()
    reads.ends.set()
    shared = SharedRead(reads, SystemClock())
    loop = asyncio.get_running_loop()
    begun = loop.time()
    for _ in range(3):
        await shared.again()
    assert reads.count == 3
    assert loop.time() - begun >= 0.19


@pytest.mark.parametrize(("took", "rest"), [(0.0, 0.1), (0.01, 0.09), (0.05, 0.2), (0.2, 0.8), (4.5, 1.0)])
async def test_a_read_that_takes_long_is_followed_by_a_rest(
    took: float, rest: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = StandingClock()
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(round(seconds, 6))

    async def read() -> None:
        clock.time += took

    monkeypatch.setattr(asyncio, "sleep", sleep)
    shared = SharedRead(read, clock)
    await shared.again()
    await shared.again()
    assert slept[1] == rest


async def test_what_was_left_in_the_middle_of_a_read_is_not_begun_again_at_once() -> None:
    reads = Reads()
    shared = SharedRead(reads, SystemClock())
    loop = asyncio.get_running_loop()
    begun = loop.time()
    for count in (1, 2):
        left = asyncio.ensure_future(shared.again())
        await reads.begun(count)
        left.cancel()
        await asyncio.wait([left])
    assert loop.time() - begun >= 0.09
