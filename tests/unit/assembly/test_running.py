"""Works beside the gateway: one that ends is told, and none outlives the block."""

import asyncio

import pytest

from gateway.assembly.running import running


async def _for_ever(ended: list[str]) -> None:
    try:
        await asyncio.Event().wait()
    finally:
        ended.append("ended")


async def _fails() -> None:
    raise OSError("the disk is gone")


async def _ends() -> None:
    return


async def test_works_run_as_long_as_the_block_and_no_longer() -> None:
    ended: list[str] = []
    async with running(one=_for_ever(ended), two=_for_ever(ended)) as failed:
        await asyncio.sleep(0)
        assert not failed.done()
        assert ended == []
    assert ended == ["ended", "ended"]
    assert failed.cancelled()


async def test_a_work_that_fails_says_why() -> None:
    async with running(one=_for_ever([]), two=_fails()) as failed:
        with pytest.raises(OSError, match="the disk is gone"):
            await failed


async def test_a_work_that_just_ends_is_a_failure_with_its_name() -> None:
    async with running(shipping=_ends()) as failed:
        with pytest.raises(RuntimeError, match="shipping ended"):
            await failed


async def test_works_end_when_the_block_raises() -> None:
    ended: list[str] = []

    async def block() -> None:
        async with running(one=_for_ever(ended)):
            await asyncio.sleep(0)
            raise LookupError

    with pytest.raises(LookupError):
        await block()
    assert ended == ["ended"]
