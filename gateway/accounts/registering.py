"""Making an account for somebody who asks for one.

Where addresses are confirmed, the answer, and the time that it takes, are the same whether the name and the
address are free or taken: a password is hashed, something is recorded, and an errand is left; who gets which
mail is found out off the path.
"""

from gateway.accounts.bodies import RegisterBody
from gateway.accounts.errand import Errand, ErrandKind
from gateway.accounts.invites import is_for, usable_invite
from gateway.accounts.mailing import Mailing
from gateway.accounts.origin import Origin
from gateway.accounts.outcome import DONE, Account, AccountRefusal, Done, invalid
from gateway.accounts.recording import Recorder
from gateway.accounts.registrar import Registrar
from gateway.accounts.rules import AccountRules
from gateway.model import EventKind, Reason
from gateway.ports import Invite, InviteStore, User


class Registering:
    """Registration, as far as the rules allow it."""

    def __init__(
        self, *, registrar: Registrar, invites: InviteStore, mailing: Mailing, recorder: Recorder
    ) -> None:
        self._registrar = registrar
        self._invites = invites
        self._mailing = mailing
        self._recorder = recorder

    async def register(
        self, body: RegisterBody, *, rules: AccountRules, origin: Origin
    ) -> Account | Done | AccountRefusal:
        """Make an account for somebody who asks for one; `Done` where a mail says how it went. Raise
        `StoreUnavailable`.

        Closed registration is 403: the endpoint exists, and says what it does. Only a policy without
        `accounts` answers 404, and then nobody gets here.
        """
        invite = await self._invite_for(body, rules)
        if isinstance(invite, AccountRefusal):
            return invite
        made = await self._registrar.add(
            username=body.username,
            email=body.email,
            password=body.password,
            roles=rules.default_roles if invite is None or not invite.roles else invite.roles,
            min_length=rules.password_min_length,
            rejects_common=rules.rejects_common,
            # Nobody has shown that the address is theirs.
            verified=False,
            kind=EventKind.REGISTERED,
            actor=None,
            origin=origin,
            invite=invite,
            says_taken=not rules.verifies_email,
        )
        if not rules.verifies_email:
            return made if isinstance(made, AccountRefusal) else Account.of(made)
        return await self._left_to_a_mail(body, made, origin)

    async def _invite_for(self, body: RegisterBody, rules: AccountRules) -> Invite | AccountRefusal | None:
        """Return the invitation to use; None: none is needed."""
        if rules.registration == "closed":
            return AccountRefusal(reason=Reason.DENIED, detail="Registration is closed.")
        if body.invite is None:
            if rules.registration == "open":
                return None
            return invalid("invite", "is required: registration is by invitation")
        invite = await usable_invite(self._invites, body.invite, self._recorder.clock)
        if invite is None:
            return invalid("invite", "was used, has ended, or never was")
        if not is_for(invite, body.email):
            return invalid("email", "must be the address that was invited")
        return invite

    async def _left_to_a_mail(
        self, body: RegisterBody, made: User | AccountRefusal, origin: Origin
    ) -> Done | AccountRefusal:
        if isinstance(made, User):
            errand = Errand(kind=ErrandKind.CONFIRM, email=body.email, username=body.username)
        elif made.reason is Reason.CONFLICT:
            await self._recorder.record(EventKind.REGISTERED, origin, reason=Reason.CONFLICT)
            errand = Errand(kind=ErrandKind.TAKEN, email=body.email, username=body.username)
        else:
            return made
        await self._mailing.ask(errand)
        return DONE
