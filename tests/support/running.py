"""Works that run for ever, for the length of a test."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine


@contextlib.asynccontextmanager
async def at_work(*works: Coroutine[None, None, None]) -> AsyncIterator[None]:
    """Run works beside the block; they end by cancellation, and by nothing else."""
    tasks = [asyncio.create_task(work) for work in works]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        async with asyncio.timeout(5):
            ends = await asyncio.gather(*tasks, return_exceptions=True)
    assert all(isinstance(end, asyncio.CancelledError) for end in ends), ends


async def soon(check: Callable[[], object], *, within: float = 5.0) -> None:
    """Return once a check holds, asking until the time is up."""
    async with asyncio.timeout(within):
        while not check():
            await asyncio.sleep(0.01)
