"""Works that run for ever beside the gateway."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Coroutine


@contextlib.asynccontextmanager
async def running(**works: Coroutine[None, None, None]) -> AsyncIterator["asyncio.Future[None]"]:
    """Run works for ever beside the block; the future that is given is done when one of them ends."""
    failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def ended(task: "asyncio.Task[None]") -> None:
        if failed.done() or task.cancelled():
            return
        error = task.exception() or RuntimeError(f"{task.get_name()} ended")
        failed.set_exception(error)
        failed.exception()

    tasks = [asyncio.create_task(work, name=name) for name, work in works.items()]
    for task in tasks:
        task.add_done_callback(ended)
    try:
        yield failed
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        failed.cancel()
