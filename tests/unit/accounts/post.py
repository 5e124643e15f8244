"""Registration, confirmation and recovery with all their real parts, and mails that are kept."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from databases import open_database
from unit.accounts.house import RULES, KeptEvents, StandingClock, guard_on

from gateway.accounts import (
    Account,
    AccountRefusal,
    AccountRules,
    Confirming,
    Correspondence,
    Done,
    Ending,
    Letters,
    Links,
    Mailing,
    MailRound,
    Origin,
    OwnPassword,
    Passwords,
    Recorder,
    Recovering,
    RegisterBody,
    Registering,
    Registrar,
    SecondFactor,
)
from gateway.crypto import MasterSecret, Roots, Sealer
from gateway.ports import Change, Mail, MailRefused, Session, User
from gateway.stores.memory import MemoryCounters
from gateway.stores.sql import (
    Database,
    SqlFactorStore,
    SqlInviteStore,
    SqlLinkStore,
    SqlMailQueue,
    SqlSessionStore,
    SqlUserStore,
)

BASE = "https://gateway.example/api"
PASSWORD = "correct horse battery"
ORIGIN = Origin(request_id="r-1", source_ip="203.0.113.7", user_agent="agent")
CONFIRMED = replace(RULES, verifies_email=True)
"""Rules under which addresses are confirmed."""


@dataclass
class KeptMails:
    """Mails in a list; or a server that is away, or wants none of them."""

    sent: list[Mail] = field(default_factory=list)
    refusal: MailRefused | None = None

    async def send(self, mail: Mail) -> None:
        if self.refusal is not None:
            raise self.refusal
        self.sent.append(mail)


@dataclass
class Post:
    """Everything that has to do with mails."""

    registering: Registering
    confirming: Confirming
    recovering: Recovering
    registrar: Registrar
    users: SqlUserStore
    sessions: SqlSessionStore
    invites: SqlInviteStore
    links: Links
    mailing: Mailing
    queue: SqlMailQueue
    round: MailRound
    correspondence: Correspondence
    postman: KeptMails
    passwords: Passwords
    sealer: Sealer
    events: KeptEvents
    clock: StandingClock
    applied: list[Change]
    database: Database

    async def register(
        self,
        username: str = "Ada",
        email: str = "ada@example.com",
        *,
        rules: AccountRules = CONFIRMED,
        invite: str | None = None,
        password: str = PASSWORD,
    ) -> Account | Done | AccountRefusal:
        body = RegisterBody(username=username, email=email, password=password, invite=invite)
        return await self.registering.register(body, rules=rules, origin=ORIGIN)

    async def delivered(self) -> list[Mail]:
        """Do all errands that wait, and return the mails that came of them."""
        before = len(self.postman.sent)
        while await self.round.step():
            pass
        return self.postman.sent[before:]

    async def token(self) -> str:
        """Do all errands that wait, and return the token in the one mail that came of them."""
        (mail,) = await self.delivered()
        return token_in(mail)

    async def user(self, name: str = "ada") -> User:
        found = await self.users.find_by_login(name)
        assert found is not None
        return found

    async def begin_session(self, id_: str, user: User) -> None:
        now = self.clock.now()
        session = Session(
            id=id_,
            user_id=user.id,
            key=b"key",
            counter=0,
            rotated_at=now,
            confirmed=False,
            created_at=now,
            last_used_at=now,
            expires_at=now + 1000.0,
        )
        assert await self.sessions.add(session, user=user)

    async def is_alive(self, id_: str) -> bool:
        session = await self.sessions.find(id_)
        return session is not None and session.revoked_at is None


def token_in(mail: Mail) -> str:
    """Return the token of the one link in a mail."""
    found = re.findall(
        r"^https://gateway\.example/api/gateway/v1/auth/[a-z/]+#token=([\w-]{43})$", mail.text, re.MULTILINE
    )
    assert len(found) == 1
    token: str = found[0]
    return token


@asynccontextmanager
async def open_post(folder: Path, clock: StandingClock, secret: MasterSecret) -> AsyncIterator[Post]:
    """Lend everything, on a database of its own."""
    async with open_database("sqlite", folder) as database:
        events, sealer, applied = KeptEvents(), Sealer(secret), list[Change]()
        passwords = Passwords(Roots.of(secret).keys_for("password-pepper"), cost=4)
        recorder = Recorder(events=events, clock=clock, applied=applied.append)
        users, sessions, queue = SqlUserStore(database), SqlSessionStore(database), SqlMailQueue(database)
        invites, postman = SqlInviteStore(database), KeptMails()
        links = Links(store=SqlLinkStore(database), base=BASE, clock=clock)
        mailing = Mailing(queue, sealer, clock)
        ending = Ending(sessions=sessions, recorder=recorder)
        registrar = Registrar(users=users, passwords=passwords, events=events, clock=clock)
        correspondence = Correspondence(
            users=users, links=links, letters=Letters(BASE), counters=MemoryCounters(clock)
        )
        second_factor = SecondFactor(
            SqlFactorStore(database), counters=MemoryCounters(clock), sealer=sealer, clock=clock
        )
        yield Post(
            registering=Registering(registrar=registrar, invites=invites, mailing=mailing, recorder=recorder),
            confirming=Confirming(
                users=users, links=links, mailing=mailing, ending=ending, recorder=recorder
            ),
            recovering=Recovering(
                users=users,
                passwords=passwords,
                own_password=OwnPassword(
                    users=users,
                    passwords=passwords,
                    second_factor=second_factor,
                    guard=guard_on(database, MemoryCounters(clock), recorder),
                ),
                links=links,
                mailing=mailing,
                ending=ending,
                recorder=recorder,
            ),
            registrar=registrar,
            users=users,
            sessions=sessions,
            invites=invites,
            links=links,
            mailing=mailing,
            queue=queue,
            round=MailRound(mailing, correspondence, postman, clock),
            correspondence=correspondence,
            postman=postman,
            passwords=passwords,
            sealer=sealer,
            events=events,
            clock=clock,
            applied=applied,
            database=database,
        )
        passwords.close()
