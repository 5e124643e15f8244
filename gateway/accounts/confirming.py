"""Confirming that an address is one's own, with the link in a mail."""

from gateway.accounts.bodies import EmailBody, VerifyBody
from gateway.accounts.ending import Ending
from gateway.accounts.errand import Errand, ErrandKind
from gateway.accounts.links import Links, by_link, worthless_link
from gateway.accounts.mailing import Mailing
from gateway.accounts.origin import Origin
from gateway.accounts.outcome import DONE, AccountRefusal, Done
from gateway.accounts.recording import Recorder
from gateway.model import EventKind
from gateway.ports import LinkPurpose, UserStore


class Confirming:
    """Confirmation of addresses."""

    def __init__(
        self, *, users: UserStore, links: Links, mailing: Mailing, ending: Ending, recorder: Recorder
    ) -> None:
        self._users = users
        self._links = links
        self._mailing = mailing
        self._ending = ending
        self._recorder = recorder

    async def verify(self, body: VerifyBody, *, origin: Origin) -> Done | AccountRefusal:
        """Confirm the address that a link was sent to. Sessions that were begun before end: whoever made the
        account need not be who reads its mails. Raise `StoreUnavailable`."""
        link = await self._links.find(body.token, LinkPurpose.VERIFY_EMAIL)
        user = None if link is None else await self._users.find(link.user_id)
        if link is None or user is None or user.password_version != link.password_version:
            return worthless_link()
        live = await self._ending.sessions_of(user)
        actor = by_link(user)
        verified = await self._users.verify_email(
            user.id,
            email=link.email,
            at=self._recorder.clock.now(),
            before_commit=lambda: self._recorder.record(EventKind.EMAIL_VERIFIED, origin, actor=actor),
        )
        if verified is None:
            return worthless_link()
        self._ending.apply(live)
        await self._links.use(body.token, LinkPurpose.VERIFY_EMAIL)
        return DONE

    async def resend(self, body: EmailBody) -> Done:
        """Have another link sent to whoever has an account that waits for it; the answer does not tell
        whether anybody has. Raise `StoreUnavailable`."""
        await self._mailing.ask(Errand(kind=ErrandKind.RESEND, email=body.email))
        return DONE
