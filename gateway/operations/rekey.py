"""Changing the master secret, in steps: a kill between any two of them leaves a gateway that starts and
serves, and the same command goes on.

1. The next master secret is put beside the file of the present one, as `secret.new`, where that has a file. A
   kill leaves no more than that; the command takes it up.
2. One transaction adds a generation of roots, has all of them open with both master secrets, records that as
   `secret.changed`, and tells every process. A kill before its commit leaves what step 1 does; after it, all
   works with the present secret as before, and with the next one too.
3. Some seconds pass, in which running processes learn of the generation: they can open what is made under it
   before anything is.
4. Every sealed value is sealed anew, each by itself. A kill leaves some of either generation, which all
   processes open; what is done is not done again.
5. `secret.new` becomes `secret`, in one rename. A gateway that starts finds one or the other: both are good.
6. One transaction takes away what the secret before opens, and records it. From its commit on, a process that
   starts with that one is refused. A kill after it loses nothing but the last words of the command.

Which of these are done follows from what is stored: two master secrets open the roots from step 2 to step 6,
and the newer one is the next.
"""

import asyncio
import hmac
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gateway.accounts import AccountRefusal
from gateway.crypto import (
    MasterSecret,
    RootKeys,
    Sealer,
    SecretUnusable,
    drop_successor,
    find_successor,
    put_beside,
    put_in_place,
)
from gateway.model import Event, EventKind, Principal, Reason, timestamp
from gateway.ports import AuditUnavailable, Clock, Events, SealedValues, StoredRoots, StoreUnavailable

ADOPTED_SECONDS: Final = 3.0
"""After which every process that hears of changes makes what is new under the next generation."""
HEARD_SECONDS: Final = 6.0
"""After which no process answers that has not heard: five seconds without news, and they trust nobody."""
_APART: Final = 0.001
"""Seconds between two secrets, whose order is that in which they were made, whatever the clocks say."""
_ROUNDS: Final = 20
_BETWEEN_ROUNDS: Final = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Rekeyed:
    """What a change of the master secret has come to."""

    generation: int
    """That of the roots which everything is made under."""
    values: int
    """Sealed values in the database."""
    renewed: int
    """How many of them were sealed anew."""
    damaged: Sequence[str]
    """What could not be opened before either, and was left as it is; no more than a hundred."""
    is_finished: bool
    """Whether the secret before is shut out."""
    is_resumed: bool
    """Whether the change had begun before."""


class Rekeying:
    """Changes the master secret of an installation.

    `file` is where the present one is kept, None when a setting has it. `seen` is called with how many values
    were looked at in addition.
    """

    def __init__(
        self,
        root_keys: RootKeys,
        values: SealedValues,
        sealer: Sealer,
        events: Events,
        clock: Clock,
        *,
        file: Path | None,
        operator: Principal,
        seen: Callable[[int], None] = lambda _: None,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._root_keys = root_keys
        self._store = root_keys.store
        self._values = values
        self._sealer = sealer
        self._events = events
        self._clock = clock
        self._file = file
        self._operator = operator
        self._seen = seen
        self._pause = pause

    async def change(self, new: MasterSecret | None, *, keep_old: bool) -> Rekeyed | AccountRefusal:
        """Change the master secret, to this one or to a random one, or go on with a change that has begun.
        With `keep_old`, the secret before opens the roots too, until this is asked for without.

        Raise `StoreUnavailable`; `SecretUnusable` when a file does not do; what has been done by then stays.
        """
        async with self._store.alone() as is_alone:
            if not is_alone:
                return _running()
            present, other = await self._look()
            if other is None:
                return await self._begin(present, new, keep_old=keep_old)
            if other.created_at < present.created_at:
                if new is not None and not _opens(new, present):
                    return _conflict(
                        "A change of the master secret has begun, and is to be finished before the next: "
                        "run gateway rekey without --new-secret-file."
                    )
                return await self._finish(self._root_keys.secret, keep_old=keep_old, is_resumed=True)
            target = new or (
                None if self._file is None else await asyncio.to_thread(find_successor, self._file)
            )
            if target is None or not _opens(target, other):
                return _conflict(
                    f"The master secret is being changed since {timestamp(other.created_at)}, to "
                    f"{'one that is not at hand' if target is None else 'another one than this'}: go on with "
                    "--new-secret-file and the file that was named then, or undo it with --cancel."
                )
            if self._file is not None:
                await asyncio.to_thread(put_beside, self._file, target)
            return await self._finish(target, keep_old=keep_old, is_resumed=True)

    async def cancel(self) -> int | AccountRefusal:
        """Undo a change of the master secret that has begun: the present one alone opens the roots. Return
        their generation, which stays. Raise `StoreUnavailable`, `SecretUnusable`."""
        async with self._store.alone() as is_alone:
            if not is_alone:
                return _running()
            present, other = await self._look()
            if other is None:
                return _conflict("No change of the master secret has begun.")
            if other.created_at < present.created_at:
                return _conflict(
                    "The new master secret is in use here already: finish the change with gateway rekey."
                )
            if not await self._store.change(
                [present, other],
                [present],
                at=self._clock.now(),
                before_commit=lambda: self._record(self._root_keys.roots.newest, "cancelled"),
            ):
                return _running()
            if self._file is not None:
                await asyncio.to_thread(drop_successor, self._file)
            return self._root_keys.roots.newest

    async def _look(self) -> tuple[StoredRoots, StoredRoots | None]:
        """Return what the present master secret opens, and the other, if there is one."""
        # Another command may have changed everything since this one began.
        await self._root_keys.refresh()
        stored = await self._store.all()
        present = [row for row in stored if _opens(self._root_keys.secret, row)]
        others = [row for row in stored if row not in present]
        if not present:
            raise StoreUnavailable("the master secret was changed by another command: run this one again")
        if len(others) > 1:
            raise StoreUnavailable("the table root_keys holds what the gateway never wrote")
        return present[0], others[0] if others else None

    async def _begin(
        self, present: StoredRoots, new: MasterSecret | None, *, keep_old: bool
    ) -> Rekeyed | AccountRefusal:
        secret = self._root_keys.secret
        try:
            roots = self._root_keys.roots.with_next()
        except SecretUnusable as error:
            return _conflict(f"There is no other generation: {error}.")
        target = await self._next(new, present)
        if isinstance(target, AccountRefusal):
            return target
        now = self._clock.now()
        both = [
            StoredRoots(
                check_value=present.check_value,
                sealed=roots.sealed(secret),
                created_at=present.created_at,
            ),
            StoredRoots(
                check_value=target.check_value(),
                sealed=roots.sealed(target),
                created_at=max(now, present.created_at + _APART),
            ),
        ]
        if not await self._store.change(
            [present], both, at=now, before_commit=lambda: self._record(roots.newest, "begun")
        ):
            return _running()
        self._root_keys.roots.learn(roots)
        return await self._finish(target, keep_old=keep_old, is_resumed=False)

    async def _next(self, new: MasterSecret | None, present: StoredRoots) -> MasterSecret | AccountRefusal:
        """Return the master secret that is to follow, safe on the disk where the present one is on it."""
        if new is not None:
            if _opens(new, present):
                return _invalid("The new master secret is the present one: make another.")
            at = await self._store.shut_out_at(new.check_value())
            if at is not None:
                return _invalid(f"The new master secret was shut out on {timestamp(at)}: make another.")
        if self._file is None:
            return new or _invalid(
                "The master secret is in GATEWAY_SECRET or GATEWAY_SECRET_FILE: name the file that has the "
                "new one with --new-secret-file; `openssl rand -base64 32 > FILE` makes one."
            )
        if new is None:
            # What a change that was killed at its first step has left.
            new = await asyncio.to_thread(find_successor, self._file)
            if new is not None and (
                _opens(new, present) or await self._store.shut_out_at(new.check_value()) is not None
            ):
                new = None
        return await asyncio.to_thread(put_beside, self._file, new)

    async def _finish(
        self, target: MasterSecret, *, keep_old: bool, is_resumed: bool
    ) -> Rekeyed | AccountRefusal:
        """Do what is to be done once two master secrets open the roots, of which this is the newer."""
        began, roots = self._clock.monotonic(), self._root_keys.roots
        await self._pause(ADOPTED_SECONDS)
        roots.turn()
        renewed, seen = 0, self._seen
        for _ in range(_ROUNDS):
            looked = await self._values.renew(
                lambda sealed, context: self._sealer.renewed(sealed, context=context), seen=seen
            )
            # Whoever watches counts values, and not looks at them.
            renewed, seen = renewed + looked.renewed, _unseen
            if not looked.renewed:
                break
            await self._pause(_BETWEEN_ROUNDS)
        else:
            return _conflict("Other transactions hold some of the sealed values: run the command again.")
        stored = await self._store.all()
        newest = [row for row in stored if _opens(target, row)]
        if not newest:
            # A database that was set back since, or a server whose locks went with a connection.
            return _conflict(
                "The database does not know the new master secret any more: it was set back, or another "
                "command has given the change up. The present one is in use."
            )
        if self._file is not None and target is not self._root_keys.secret:
            await asyncio.to_thread(put_in_place, self._file)
        if not keep_old:
            await self._pause(began + HEARD_SECONDS - self._clock.monotonic())
            try:
                is_finished = await self._store.change(
                    stored,
                    newest,
                    at=self._clock.now(),
                    before_commit=lambda: self._record(roots.newest, "finished"),
                )
            except AuditUnavailable as unavailable:
                return _conflict(
                    "Everything is sealed anew, but the old master secret opens it too, because that it is "
                    f"shut out could not be recorded: {unavailable}. Run the command again."
                )
            if not is_finished:
                return _running()
        return Rekeyed(
            generation=roots.newest,
            values=looked.values,
            renewed=renewed,
            damaged=looked.damaged,
            is_finished=not keep_old,
            is_resumed=is_resumed,
        )

    async def _record(self, generation: int, step: str) -> None:
        await self._events.event(
            Event(
                kind=EventKind.SECRET_CHANGED,
                actor=self._operator,
                attributes={"generation": generation, "step": step},
            )
        )


def _unseen(_: int) -> None:
    return


def _opens(secret: MasterSecret, row: StoredRoots) -> bool:
    return hmac.compare_digest(secret.check_value(), row.check_value)


def _running() -> AccountRefusal:
    return _conflict("Another command is changing the master secret at this moment: wait for its end.")


def _invalid(detail: str) -> AccountRefusal:
    return AccountRefusal(reason=Reason.INVALID_REQUEST, detail=detail)


def _conflict(detail: str) -> AccountRefusal:
    return AccountRefusal(reason=Reason.CONFLICT, detail=detail)
