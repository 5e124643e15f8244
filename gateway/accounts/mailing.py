"""Mails off the path of requests: an errand is kept in the database, and whoever has time does it.

An errand is done at least once. Several processes share the queue: each takes one errand at a time for a
minute, longer than sending may take; what a process that died had taken is done by another after that.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from pathlib import Path
from traceback import extract_tb
from typing import Final

import structlog

from gateway.accounts.correspondence import Correspondence
from gateway.accounts.errand import Errand, ErrandKind
from gateway.accounts.ids import new_id
from gateway.crypto import SealBroken, Sealer
from gateway.model import canonical_name
from gateway.ports import (
    Clock,
    MailQueue,
    MailRefused,
    Postman,
    QueuedMail,
    StoreUnavailable,
    User,
)

CLAIM_SECONDS: Final = 60.0
LOOK_SECONDS: Final = 5.0
"""How often it is looked for what other processes left."""
GIVE_UP_SECONDS: Final = 24 * 3600.0
_FIRST_PAUSE: Final = 5.0
_LONGEST_PAUSE: Final = 15 * 60.0

_log: structlog.typing.FilteringBoundLogger = structlog.get_logger("gateway.accounts")


class Mailing:
    """Takes errands."""

    def __init__(self, queue: MailQueue, sealer: Sealer, clock: Clock) -> None:
        self.queue = queue
        self.asked = asyncio.Event()
        """Set when there is an errand to look at."""
        self._sealer = sealer
        self._clock = clock

    async def ask(self, errand: Errand) -> None:
        """Return when the errand is kept; it is done soon. Raise `StoreUnavailable`."""
        id_ = new_id("mail_")
        sealed = self._sealer.seal(errand.encoded(), context=_context(id_))
        await self.queue.add(QueuedMail(id=id_, sealed=sealed, created_at=self._clock.now(), attempts=0))
        self.asked.set()

    async def tell(self, user: User, kind: ErrandKind) -> None:
        """Have the owner of an account told of what was done to it; that stays done when this cannot be asked
        for."""
        if user.email is not None:
            with contextlib.suppress(StoreUnavailable):
                await self.ask(Errand(kind=kind, email=user.email, username=user.username))

    async def forget(self, email: str) -> None:
        """Drop what waits to be written to an address. Raise `StoreUnavailable`."""
        for kept in await self.queue.waiting():
            errand = await self.errand_in(kept)
            if errand is not None and canonical_name(errand.email) == canonical_name(email):
                await self.queue.sent(kept.id)

    async def errand_in(self, kept: QueuedMail) -> Errand | None:
        """Return a kept errand; None when it cannot be read: another secret, another version. Raise
        `StoreUnavailable`."""
        await self._sealer.ready_for(kept.sealed)
        try:
            return Errand.decoded(self._sealer.open(kept.sealed, context=_context(kept.id)))
        except (SealBroken, ValueError):
            return None


class MailRound:
    """Does errands."""

    def __init__(
        self, mailing: Mailing, correspondence: Correspondence, postman: Postman, clock: Clock
    ) -> None:
        self.failing: str | None = None
        """Why mails cannot be sent at the moment; None: as far as is known they can."""
        self._mailing = mailing
        self._correspondence = correspondence
        self._postman = postman
        self._clock = clock

    async def run(self, *, pause: Callable[[float], Awaitable[None]] | None = None) -> None:
        """Do what is asked, for ever; without errands, look again when one comes or after some seconds."""
        while True:
            self._mailing.asked.clear()
            try:
                while await self.step():
                    pass
            except StoreUnavailable as fault:
                _log.warning("mail.queue_away", detail=str(fault))
            await (pause or self._until_asked)(LOOK_SECONDS)

    async def step(self) -> bool:
        """Do the errand that waits for the longest; False when none does. Raise `StoreUnavailable`."""
        now = self._clock.now()
        claimed = await self._mailing.queue.claim(now=now, until=now + CLAIM_SECONDS, limit=1)
        for kept in claimed:
            await self._do(kept)
        return bool(claimed)

    async def _do(self, kept: QueuedMail) -> None:
        queue, errand = self._mailing.queue, await self._mailing.errand_in(kept)
        if errand is None:
            _log.error("mail.unreadable", mail=kept.id, remedy="it was sealed with another master secret")
            await queue.sent(kept.id)
            return
        refused = await self._refused(errand, first=kept.attempts == 1)
        if refused is None or self._gives_up(kept, errand, refused):
            await queue.sent(kept.id)
        else:
            await queue.later(kept.id, at=self._clock.now() + _pause_after(kept.attempts))

    async def _refused(self, errand: Errand, *, first: bool) -> MailRefused | None:
        """Have the letter written and sent, where there is one; return why it was not."""
        try:
            mail = await self._correspondence.write(errand, first=first)
            if mail is not None:
                await self._postman.send(mail)
                self.failing = None
        except MailRefused as refused:
            return refused
        except StoreUnavailable:
            raise
        except Exception as error:  # noqa: BLE001 - one mail must not end the gateway
            # Its text is not told: it may show the address.
            place = extract_tb(error.__traceback__)[-1]
            return MailRefused(f"{type(error).__name__} in {Path(place.filename).name}:{place.lineno}")
        return None

    def _gives_up(self, kept: QueuedMail, errand: Errand, refused: MailRefused) -> bool:
        """Say, and log, whether a mail that could not be sent is not tried again."""
        told = {
            "mail": kept.id,
            "errand": errand.kind.value,
            "attempts": kept.attempts,
            "detail": str(refused),
        }
        if refused.final:
            _log.warning("mail.refused", **told)
            return True
        self.failing = str(refused)
        if self._clock.now() - kept.created_at > GIVE_UP_SECONDS:
            _log.error("mail.given_up", **told)
            return True
        _log.warning("mail.not_sent", **told)
        return False

    async def _until_asked(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._mailing.asked.wait()
        except TimeoutError:
            return


def _pause_after(attempts: int) -> float:
    return min(_FIRST_PAUSE * 4.0 ** min(attempts - 1, 10), _LONGEST_PAUSE)


def _context(id_: str) -> str:
    return f"mail:{id_}"
