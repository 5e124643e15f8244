"""The roots as one process sees them: opened with its master secret, and never older than what it meets.

A process that runs while the master secret is changed learns of the next generation by the change feed, as
long as its own master secret is not shut out. It can open what is made under it at once, and makes nothing
under it for a moment, until all others can open it too. Whoever was away from the feed, and meets something
of a generation that it does not know, looks before it says no.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

import structlog

from gateway.crypto.roots import Roots, newest_in
from gateway.crypto.secret import MasterSecret, SecretUnusable
from gateway.crypto.shared_read import SharedRead
from gateway.model import timestamp
from gateway.ports import Change, Clock, RootKeyStore, StoredRoots, StoreUnavailable

RETRY_SECONDS: Final = 1.0
SETTLE_SECONDS: Final = 1.5
"""Between knowing a generation and making something under it: by then everybody has heard of it."""

_WRONG: Final = (
    "the master secret is not the one this database was made with; "
    "set GATEWAY_SECRET (or GATEWAY_SECRET_FILE), or restore the file `secret` of the data directory"
)
_LOST: Final = (
    "the table root_keys of the database is empty, and what is sealed in the others opens with it alone: "
    "restore it from a backup"
)
_SET_BACK: Final = (
    "the database was set back to one from before the master secret was changed: "
    "start this process again with the secret of that time"
)
_SHUT_OUT: Final = (
    "the master secret was changed while this process could not hear of it: "
    "start it again with the new one (GATEWAY_SECRET, GATEWAY_SECRET_FILE, or `secret` in the data directory)"
)

_log: structlog.typing.FilteringBoundLogger = structlog.get_logger("gateway.keys")


class RootKeys:
    """The roots of one process. Made by `await RootKeys.open(...)`."""

    def __init__(
        self,
        store: RootKeyStore,
        secret: MasterSecret,
        roots: Roots,
        clock: Clock,
        *,
        again: Callable[[], MasterSecret | None],
    ) -> None:
        self.store = store
        self.secret = secret
        """What opens them. Nothing else follows from it."""
        self.roots = roots
        self.fault: str | None = None
        """Why there are roots that this process cannot know; None: as far as it knows there are none."""
        self._again = again
        self._now = clock.now
        self._stale = asyncio.Event()
        self._shared = SharedRead(self._load, clock)
        roots.refresh_with(self.refresh)

    def __repr__(self) -> str:
        return f"RootKeys({self.roots!r})"

    @classmethod
    async def open(
        cls,
        store: RootKeyStore,
        secret: MasterSecret,
        clock: Clock,
        *,
        again: Callable[[], MasterSecret | None] = lambda: None,
    ) -> "RootKeys":
        """Return the roots that a master secret opens, after making the first ones in a new database.

        `again` reads the master secret once more from where it came from, None when it cannot have changed
        there; it is called in a thread, and asked before anything is refused: whoever waits for a database
        may have the secret of an hour ago. Raise `StoreUnavailable`; `SecretUnusable` when this is not the
        master secret, or not any more.
        """
        stored = await store.all()
        if not stored:
            await _begin(store, secret, clock)
            stored = await store.all()
            if not stored:
                raise SecretUnusable(_LOST)
        secret, sealed = await _found(secret, stored, again)
        if sealed is None:
            raise SecretUnusable(await _why_not(store, secret))
        return cls(store, secret, Roots.opened(sealed, secret), clock, again=again)

    def notice(self, change: Change) -> None:  # noqa: ARG002 - whatever was changed is read again
        """Note that the master secret is being changed: what to subscribe with to the change feed."""
        self._stale.set()

    async def follow(self, *, pause: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        """Read the roots again after every noticed change, and begin to use the newest a moment later, for
        ever. While that fails, it is tried again every second."""
        told, used = None, self.roots.current
        while True:
            await self._stale.wait()
            self._stale.clear()
            try:
                await self.refresh()
            except StoreUnavailable as fault:
                if str(fault) != told:
                    _log.error("root_keys.not_read", detail=str(fault))
                told = str(fault)
                self._stale.set()
                await pause(RETRY_SECONDS)
                continue
            told = None
            if self.roots.current < self.roots.newest:
                await pause(SETTLE_SECONDS)
                self.roots.turn()
            if used != self.roots.current:
                used = self.roots.current
                _log.info("root_keys.changed", generation=used)

    async def refresh(self) -> None:
        """Return when the roots were read by a load that began after this call. Raise `StoreUnavailable`,
        also when there are such that this process cannot open."""
        await self._shared.again()

    async def _load(self) -> None:
        stored = await self.store.all()
        try:
            self.fault = await self._take(stored)
        except ValueError as error:
            self.fault = str(error)
        if self.roots.current < self.roots.newest:
            self._stale.set()
        if self.fault is not None:
            raise StoreUnavailable(self.fault)

    async def _take(self, stored: Sequence[StoredRoots]) -> str | None:
        """Learn what there is to know; return why that is not all. Raise `ValueError` for what is damaged."""
        newest = max((newest_in(row.sealed) for row in stored), default=0)
        if newest < self.roots.newest:
            return _SET_BACK
        secret, sealed = await _found(self.secret, stored, self._again)
        if sealed is None:
            # Without anything new, this process can do all that it ever could.
            return _SHUT_OUT if newest > self.roots.newest else None
        self.roots.learn(Roots.opened(sealed, secret))
        self.secret = secret
        if self._now() - max(row.created_at for row in stored) > SETTLE_SECONDS:
            # Everybody else has heard of it while this process was away.
            self.roots.turn()
        return None


async def _begin(store: RootKeyStore, secret: MasterSecret, clock: Clock) -> None:
    """Store the first roots: random ones, or the master secret of a database that was made with it alone. Of
    processes that do it at once, one does."""
    check_value, before = secret.check_value(), await store.check_value_before_roots()
    if before is not None and before != check_value:
        raise SecretUnusable(_WRONG)
    roots = Roots.new() if before is None else Roots.of(secret)
    first = StoredRoots(check_value=check_value, sealed=roots.sealed(secret), created_at=clock.now())
    await store.add_first(first, check_value_before=before)


async def _found(
    secret: MasterSecret, stored: Sequence[StoredRoots], again: Callable[[], MasterSecret | None]
) -> tuple[MasterSecret, bytes | None]:
    """Return the roots that a master secret opens, or the one that took its place where it came from; with
    None, nobody's."""
    sealed = _sealed_with(secret, stored)
    if sealed is None:
        moved = await asyncio.to_thread(again)
        if moved is not None:
            return moved, _sealed_with(moved, stored)
    return secret, sealed


def _sealed_with(secret: MasterSecret, stored: Sequence[StoredRoots]) -> bytes | None:
    check_value = secret.check_value()
    return next((row.sealed for row in stored if row.check_value == check_value), None)


async def _why_not(store: RootKeyStore, secret: MasterSecret) -> str:
    at = await store.shut_out_at(secret.check_value())
    if at is None:
        return _WRONG
    return (
        f"this master secret was changed, and shut out on {timestamp(at)}: set GATEWAY_SECRET (or "
        "GATEWAY_SECRET_FILE) to the one that took its place, or restore the file `secret` of the data "
        "directory"
    )
