"""Threads for what takes milliseconds to encrypt or decrypt: threads of its own, because among those that
everybody uses a few large messages would keep the audit trail and name look-ups waiting."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Final, ParamSpec, TypeVar

_AT_ONCE: Final = 4
"""Of what they do, only the cipher runs beside anything else in this process."""
_THREADS: Final = ThreadPoolExecutor(_AT_ONCE, "crypto")

P = ParamSpec("P")
T = TypeVar("T")


async def in_thread(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Return what work comes to, done in one of these threads; raise what it raises. Work that nobody waits
    for any more is not begun."""
    return await asyncio.get_running_loop().run_in_executor(_THREADS, partial(work, *args, **kwargs))
