"""Hashing and checking passwords: bcrypt over a keyed hash, in threads of its own, in equal time for all.

The keyed hash (HMAC-SHA256 with a pepper that is not in the database) brings every password to 44 bytes:
bcrypt looks at 72 bytes at most and version 5 of the library raises beyond that, which would tell existing
accounts from others. Without the pepper, stolen hashes cannot be tried at all. A stored hash names the
generation of its pepper: `v1$` and then bcrypt's own format.

The threads give way to everything else: bcrypt would otherwise take every core, and what requests wait for is
the loop's thread. They are not the last in the queue for a core either, or a busy machine let nobody log in.
"""

import asyncio
import contextlib
import hashlib
import hmac
import os
import re
import threading
from base64 import b64encode
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import BoundedSemaphore
from typing import NamedTuple, TypeVar
from unicodedata import normalize

import bcrypt

from gateway.crypto import DerivedKeys

DEFAULT_COST = 12
MAX_CHARACTERS = 1024
_MIN_COST = 4
_MAX_COST = 31
_SECONDS_AT_DEFAULT_COST = 0.25
_QUEUED_SECONDS = 2.0
_LONGEST_WAIT = 10.0
"""Seconds: on a machine that others keep busy the queue moves slowly."""
_NICER = 10
"""A tenth of what the loop's thread gets of a core that both want (sched(7))."""
_NICEST = 19
_FORM = re.compile(r"v([1-9][0-9]{0,2})\$(\$2b\$([0-9]{2})\$[./A-Za-z0-9]{53})")

Answer = TypeVar("Answer")


class HashingBusy(Exception):
    """So many passwords are being hashed that another one would wait for too long."""

    retry_after = _QUEUED_SECONDS
    """Seconds until what is queued now has been worked off."""


class Passwords:
    """Hashes and checks passwords. Every check costs the same, whether there is anything to check or not.

    `threads` work at the same time, one for each core by default: processes that share a machine share its
    cores. With `unhurried`, no request waits for the answer, and none is kept waiting: it may take as long
    as it takes, and the threads give way to nothing.
    """

    def __init__(
        self,
        peppers: DerivedKeys,
        *,
        cost: int = DEFAULT_COST,
        threads: int | None = None,
        unhurried: bool = False,
    ) -> None:
        if not _MIN_COST <= cost <= _MAX_COST:
            raise ValueError(f"bcrypt's cost is {_MIN_COST} to {_MAX_COST}, not {cost}")
        self._peppers = peppers
        self._cost = cost
        self._longest_wait = None if unhurried else _LONGEST_WAIT
        count = threads or os.cpu_count() or 1
        # Its own executor: in the default one, logins would keep name look-ups and file access waiting.
        self._threads = ThreadPoolExecutor(
            count, thread_name_prefix="passwords", initializer=None if unhurried else _give_way
        )
        seconds = _SECONDS_AT_DEFAULT_COST * 2.0 ** (cost - DEFAULT_COST)
        self._places = BoundedSemaphore(count * max(1, int(_QUEUED_SECONDS / seconds)))

    async def hash(self, password: str) -> str:
        """Return what to store for a password. Raise `HashingBusy`."""
        return await self._in_thread(lambda: self._hashed(password))

    async def verify(self, password: str, stored: str | None) -> bool:
        """Say whether a password is the stored one; None (no account, no password, disabled) never is.

        Takes the time of one hash at the configured cost in every case. Raise `HashingBusy`;
        `StoreUnavailable` when it cannot be found out what pepper the stored one has.
        """
        kept = None if stored is None else _Stored.parse(stored)
        if kept is not None and kept.generation not in self._peppers:
            await self._peppers.ready_for(kept.generation)
        return await self._in_thread(lambda: self._matches(password, kept))

    def needs_rehash(self, stored: str) -> bool:
        """Say whether a stored hash was made with another cost than today's, or an older pepper."""
        kept = _Stored.parse(stored)
        return kept is None or kept.cost != self._cost or kept.generation < self._peppers.current

    def check_room(self) -> None:
        """Raise `HashingBusy` when a password that came now would be refused: before anything else is done
        for it."""
        if not self._places.acquire(blocking=False):
            raise HashingBusy
        self._places.release()

    def close(self) -> None:
        """Give the threads back; what is queued is not done."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _in_thread(self, work: Callable[[], Answer]) -> Answer:
        if not self._places.acquire(blocking=False):
            raise HashingBusy
        try:
            future = self._threads.submit(work)
        except RuntimeError:
            self._places.release()
            raise
        # The place is given back when the work is over, not when somebody stops waiting for it.
        future.add_done_callback(lambda _: self._places.release())
        try:
            async with asyncio.timeout(self._longest_wait):
                return await asyncio.wrap_future(future)
        except TimeoutError:
            raise HashingBusy from None

    def _hashed(self, password: str) -> str:
        generation = self._peppers.current
        made = bcrypt.hashpw(self._keyed(password, generation), bcrypt.gensalt(self._cost))
        return f"v{generation}${made.decode('ascii')}"

    def _matches(self, password: str, stored: "_Stored | None") -> bool:
        if stored is None or stored.generation not in self._peppers:
            self._spend(password, self._cost)
            return False
        made = bcrypt.hashpw(self._keyed(password, stored.generation), stored.hash)
        # An older, cheaper hash must not be told by its speed: 2^c + (2^c + ... + 2^(n-1)) = 2^n rounds.
        for padding in range(stored.cost, self._cost):
            self._spend(password, padding)
        return hmac.compare_digest(made, stored.hash)

    def _spend(self, password: str, cost: int) -> None:
        bcrypt.hashpw(self._keyed(password, self._peppers.current), bcrypt.gensalt(cost))

    def _keyed(self, password: str, generation: int) -> bytes:
        """Return 44 bytes that stand for the password, however it was composed (NFKC, NIST SP 800-63B)."""
        text = normalize("NFKC", password).encode("utf-8", "surrogatepass")
        return b64encode(hmac.digest(self._peppers[generation], text, hashlib.sha256))


class _Stored(NamedTuple):
    """A stored hash, read."""

    generation: int
    """Of its pepper."""
    cost: int
    hash: bytes
    """In bcrypt's own format."""

    @classmethod
    def parse(cls, text: str) -> "_Stored | None":
        """Return what was stored; None when it is none of ours."""
        found = _FORM.fullmatch(text)
        if found is None or not _MIN_COST <= (cost := int(found[3])) <= _MAX_COST:
            return None
        return cls(int(found[1]), cost, found[2].encode("ascii"))


def _give_way() -> None:
    """Give this thread a lower priority than the rest of the process, where the system has such a thing."""
    thread = threading.get_native_id()
    with contextlib.suppress(OSError):
        own = os.getpriority(os.PRIO_PROCESS, thread)
        os.setpriority(os.PRIO_PROCESS, thread, min(own + _NICER, _NICEST))


def length_of(password: str) -> int:
    """Return the length that rules speak of: code points after NFKC."""
    return len(normalize("NFKC", password))
