"""A worker tells how it stands: at once when that changes, and at least every second."""

import asyncio
import contextlib
import socket
import time
from collections.abc import AsyncIterator

import orjson
import pytest

from gateway.workers import Inbox, Reporter, Standing, tell_refusal
from gateway.workers.reporter import METRICS, REFUSED


class Told:
    """A reporter, and what has come at the other end."""

    def __init__(self) -> None:
        self.theirs, ours = socket.socketpair()
        self.theirs.settimeout(0.0)
        ours.settimeout(0.0)
        self.ours = ours
        self.inbox = Inbox(self.theirs)
        self.status = 200
        self.reporter = Reporter(
            ours,
            lambda: Standing(status=self.status, body={"status": "x"}, open=1, in_flight=2),
            lambda: {"counted": self.status},
        )

    async def next(self) -> list[bytes]:
        async with asyncio.timeout(3):
            while not (lines := self.inbox.read()):
                await asyncio.sleep(0.005)
        return lines


@pytest.fixture
async def told() -> AsyncIterator[Told]:
    made = Told()
    running = asyncio.create_task(made.reporter.run())
    yield made
    running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running
    made.theirs.close()
    made.ours.close()


async def test_standing_and_metrics_are_told_every_second(told: Told) -> None:
    first = await told.next()
    begun = time.monotonic()
    assert orjson.loads(first[0]) == {"status": 200, "body": {"status": "x"}, "open": 1, "in_flight": 2}
    assert first[1].startswith(METRICS)
    assert orjson.loads(first[1]) == {"metrics": {"counted": 200}}
    assert await told.next() == first
    assert 0.7 < time.monotonic() - begun < 1.8


async def test_a_change_is_told_before_the_second_is_over(told: Told) -> None:
    await told.next()
    begun = time.monotonic()
    told.status = 503
    assert orjson.loads((await told.next())[0])["status"] == 503
    assert time.monotonic() - begun < 0.7
    told.status = 200
    begun = time.monotonic()
    told.reporter.soon()
    assert orjson.loads((await told.next())[0])["status"] == 200
    assert time.monotonic() - begun < 0.15


async def test_the_last_word_says_what_was_counted(told: Told) -> None:
    await told.next()
    told.status = 7
    await told.reporter.last()
    assert orjson.loads((await told.next())[-1]) == {"metrics": {"counted": 7}}


async def test_a_supervisor_that_is_gone_is_no_error(told: Told) -> None:
    told.theirs.close()
    told.reporter.soon()
    await asyncio.sleep(0.05)
    await told.reporter.last()


def test_a_refusal_is_one_line_whatever_it_says() -> None:
    theirs, ours = socket.socketpair()
    with theirs, ours:
        tell_refusal(ours, 'cannot "open"\nthe database')
        (line,) = theirs.recv(1000).splitlines()
        assert line.startswith(REFUSED)
        assert orjson.loads(line) == {"refused": 'cannot "open"\nthe database'}
