"""Asks targets how they are, before anybody has to find out."""

import asyncio
import contextlib
import random
from collections.abc import Iterable
from typing import Final

from gateway.config import HealthRules, Timeouts
from gateway.proxy.connection import Connection
from gateway.proxy.dial import Dial
from gateway.proxy.faults import UpstreamFault
from gateway.proxy.instance import Instance

_FIRST_WITHIN: Final = 1.0
"""Seconds within which the first check of a target happens."""
_SPREAD: Final = 0.1
"""Share of the interval by which pauses differ, so that processes and targets do not keep step."""
_READ_AT_MOST: Final = 65_536
"""Bytes of an answer's body that are read, out of courtesy: a reset would look like a problem over there."""


async def ask(instance: Instance, rules: HealthRules, dial: Dial) -> str | None:
    """Return what is wrong with a target, None when it answers 2xx or 3xx in time.

    Each check has a connection of its own, so that it also says whether the target takes new ones.
    """
    connection: Connection | None = None
    try:
        async with asyncio.timeout(rules.timeout):
            connection, _ = await dial.open(instance.target, rules.timeout)
            status = await _status(connection, instance.target.authority, rules)
        if not 200 <= status < 400:  # noqa: PLR2004 - RFC 9110 section 15
            return f"status {status}"
        await _read_rest(connection, rules.timeout)
        return None
    except TimeoutError:
        return f"no answer within {rules.timeout:g} s"
    except UpstreamFault as fault:
        return str(fault)
    finally:
        if connection is not None:
            connection.abort()


async def _status(connection: Connection, authority: str, rules: HealthRules) -> int:
    head = (
        f"GET {rules.path} HTTP/1.1\r\nHost: {authority}\r\n"
        "User-Agent: gateway-health\r\nAccept: */*\r\nConnection: close\r\n\r\n"
    )
    connection.send_head(
        head.encode("ascii"),
        bodiless=False,
        body=False,
        chunked=False,
        timeouts=Timeouts(connect=rules.timeout, response=rules.timeout, idle=rules.timeout),
    )
    return (await connection.head()).status


async def _read_rest(connection: Connection, within: float) -> None:
    """Read the body of an answer that was good, whatever becomes of it."""
    read = 0
    with contextlib.suppress(UpstreamFault, TimeoutError):
        async with asyncio.timeout(within):
            while read < _READ_AT_MOST and (data := await connection.body()):
                read += len(data)


class Checks:
    """The checks of one upstream's targets. They run while `run` does."""

    def __init__(self, chance: random.Random | None = None) -> None:
        self._chance = chance or random.Random()  # noqa: S311 - keeps nobody out
        self._wanted: dict[Instance, tuple[HealthRules, Dial]] = {}
        self._changed = asyncio.Event()

    def __repr__(self) -> str:
        return f"Checks({list(self._wanted)})"

    def follow(self, instances: Iterable[Instance], rules: HealthRules | None, dial: Dial) -> None:
        """Check these from now on, and no others; none at all without rules."""
        self._wanted = {} if rules is None else dict.fromkeys(instances, (rules, dial))
        self._changed.set()

    async def run(self) -> None:
        """Check for ever."""
        running: dict[Instance, tuple[tuple[HealthRules, Dial], asyncio.Task[None]]] = {}
        async with asyncio.TaskGroup() as tasks:
            while True:
                for instance, (how, task) in tuple(running.items()):
                    if self._wanted.get(instance) != how:
                        task.cancel()
                        del running[instance]
                for instance, how in self._wanted.items():
                    if instance not in running:
                        check = self._check(instance, *how)
                        running[instance] = how, tasks.create_task(check, name=f"health {instance.name}")
                self._changed.clear()
                await self._changed.wait()

    async def _check(self, instance: Instance, rules: HealthRules, dial: Dial) -> None:
        await asyncio.sleep(self._first_pause(rules))
        while True:
            instance.checked(rules, await ask(instance, rules, dial))
            await asyncio.sleep(self._pause(rules))

    def _first_pause(self, rules: HealthRules) -> float:
        return self._chance.uniform(0, min(rules.interval, _FIRST_WITHIN))

    def _pause(self, rules: HealthRules) -> float:
        return rules.interval * self._chance.uniform(1 - _SPREAD, 1 + _SPREAD)
