"""A deadline that is moved by every read and write comes once, in time, and holds nobody."""

import asyncio
import gc
import weakref

from gateway.proxy import Deadline


async def test_it_comes_once_and_not_before_the_last_time_it_was_moved_to() -> None:
    loop = asyncio.get_running_loop()
    deadline, came = Deadline(loop), asyncio.Event()
    deadline.within(0.01, came.set)
    timer = deadline._timer
    begun = loop.time()
    deadline.within(0.03, came.set)
    assert deadline._timer is timer
    await came.wait()
    assert loop.time() - begun >= 0.028
    assert deadline._timer is None


async def test_an_earlier_one_does_not_wait_for_the_later() -> None:
    deadline, came = Deadline(asyncio.get_running_loop()), asyncio.Event()
    deadline.within(60, came.set)
    deadline.within(0.005, came.set)
    async with asyncio.timeout(5):
        await came.wait()


async def test_one_that_was_lifted_or_stopped_does_not_come() -> None:
    came: list[str] = []
    lifted, stopped = (Deadline(asyncio.get_running_loop()) for _ in range(2))
    lifted.within(0.005, lambda: came.append("lifted"))
    stopped.within(0.005, lambda: came.append("stopped"))
    lifted.lift()
    stopped.stop()
    assert stopped._timer is None
    while lifted._timer is not None:
        await asyncio.sleep(0.002)
    assert came == []


class Holder:
    def __init__(self) -> None:
        self.deadline = Deadline(asyncio.get_running_loop())

    def time_is_up(self) -> None:
        """Do nothing."""


async def test_whoever_has_stopped_it_is_freed_without_the_garbage_collector() -> None:
    holder = Holder()
    holder.deadline.within(60, holder.time_is_up)
    seen = weakref.ref(holder)
    holder.deadline.stop()
    gc.disable()
    try:
        del holder
        await asyncio.sleep(0)
        assert seen() is None
    finally:
        gc.enable()
