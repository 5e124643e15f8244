"""What is asked of Redis again and again, outside requests: failures are expected, and told once."""

import asyncio
import contextlib
from typing import Final

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from gateway.stores.redis.address import RedisAddress

FAULTS: Final = (RedisError, OSError, ValueError, TypeError, LookupError, AttributeError)
"""What a client of redis-py raises when Redis cannot be used for whatever reason, timeouts included; and what
it stumbles over when the answer is none that Redis would give."""

_log: structlog.typing.FilteringBoundLogger = structlog.get_logger("gateway.redis")


def end_if_cancelled() -> None:
    """Raise the cancellation of this task that redis-py has lost.

    It sends with `asyncio.wait_for`, which up to Python 3.11 returns what came in the same moment instead of
    being cancelled. To be called after each command of a task that runs for ever: it would never end.
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


async def close(client: Redis) -> None:
    """Close the connections of a client, whatever state they are in."""
    with contextlib.suppress(*FAULTS):
        await client.aclose()


class Outage:
    """Logs the first failure of many, and their end. `what` is said to be failing."""

    def __init__(self, what: str, address: RedisAddress) -> None:
        self._what = what
        self._address = str(address)
        self._lasts = False

    def began(self, fault: Exception) -> None:
        """Take a failure."""
        if not self._lasts:
            self._lasts = True
            _log.warning("redis.failing", what=self._what, address=self._address, detail=_said(fault))

    def ended(self) -> None:
        """Take a success."""
        if self._lasts:
            self._lasts = False
            _log.info("redis.recovered", what=self._what, address=self._address)


def _said(fault: Exception) -> str:
    # The text of a refusal may quote keys; its first word says enough.
    return f"{type(fault).__name__}: {str(fault).split('. ')[0]}"
