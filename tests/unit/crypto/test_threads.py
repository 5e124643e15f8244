"""Where large messages are encrypted."""

import asyncio
import threading

import pytest

from gateway.crypto import in_thread
from gateway.crypto.threads import _AT_ONCE


async def test_work_is_done_in_another_thread_and_returns_or_raises() -> None:
    assert (await in_thread(threading.current_thread)).name.startswith("crypto")
    assert await in_thread(int, "ff", base=16) == 255
    with pytest.raises(ValueError, match="invalid literal"):
        await in_thread(int, "x")


async def test_large_messages_keep_nothing_else_waiting_and_what_was_given_up_is_not_begun() -> None:
    held = threading.Event()
    begun: list[int] = []

    def work(number: int) -> None:
        begun.append(number)
        held.wait(10)

    working = [asyncio.ensure_future(in_thread(work, number)) for number in range(_AT_ONCE)]
    given_up = asyncio.ensure_future(in_thread(work, _AT_ONCE))
    try:
        async with asyncio.timeout(5):
            while len(begun) < _AT_ONCE:
                await asyncio.sleep(0.001)
            assert await asyncio.to_thread(int, "1") == 1
        given_up.cancel()
        await asyncio.wait([given_up])
    finally:
        held.set()
    await asyncio.gather(*working)
    await in_thread(int)
    assert sorted(begun) == list(range(_AT_ONCE))
