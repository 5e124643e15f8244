"""An account that may have a second factor, with everything around it, and the phone of its owner."""

from base64 import b32decode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from databases import open_database
from unit.accounts.house import RULES, KeptEvents, StandingClock, guard_on

from gateway.accounts import (
    AccountRefusal,
    Enrolment,
    ErrandKind,
    Mailing,
    Origin,
    OwnFactor,
    OwnPassword,
    Passwords,
    RecoveryCodes,
    SecondFactor,
)
from gateway.accounts.recording import Recorder, principal_of
from gateway.accounts.totp import code_at, step_at
from gateway.crypto import MasterSecret, Roots, Sealer
from gateway.model import Principal, Reason
from gateway.ports import Session, User
from gateway.stores.memory import MemoryCounters
from gateway.stores.sql import Database, SqlFactorStore, SqlMailQueue, SqlSessionStore, SqlUserStore

PASSWORD = "correct horse battery"
ORIGIN = Origin(request_id="r-1", source_ip="192.0.2.7", user_agent="test")


@dataclass
class Phone:
    """An authenticator app."""

    clock: StandingClock
    key: bytes = b""

    def reads(self, secret: str) -> None:
        """Take a key as it is typed."""
        self.key = b32decode(secret)

    def code(self, steps: int = 0) -> str:
        """What it shows now, or so many intervals later."""
        return code_at(self.key, step_at(self.clock.time) + steps)

    def next_code(self) -> str:
        """Wait for another code."""
        self.clock.time += 30
        return self.code()


@dataclass
class Factored:
    """One account, logged in with its password."""

    user: User
    principal: Principal
    users: SqlUserStore
    factors: SqlFactorStore
    sessions: SqlSessionStore
    counters: MemoryCounters
    events: KeptEvents
    clock: StandingClock
    phone: Phone
    second: SecondFactor
    own: OwnFactor
    database: Database
    passwords: Passwords
    secret: MasterSecret
    mailing: Mailing

    async def enrol(self) -> tuple[str, ...]:
        """Go through the enrolment, and return the recovery codes."""
        begun = await self.own.enrol(self.principal, password=PASSWORD, rules=RULES, origin=ORIGIN)
        assert isinstance(begun, Enrolment), begun
        self.phone.reads(begun.secret)
        done = await self.own.confirm(self.principal, otp=self.phone.code(), rules=RULES, origin=ORIGIN)
        assert isinstance(done, RecoveryCodes), done
        self.clock.time += 60
        return done.codes

    async def session(self) -> Session:
        """The session as it is stored."""
        found = await self.sessions.find("ses_1")
        assert found is not None
        return found

    async def told(self) -> list[ErrandKind]:
        """What the owner is to be told, the oldest first; each is told once."""
        now = self.clock.now()
        found: list[ErrandKind] = []
        for kept in await self.mailing.queue.claim(now=now, until=now + 60, limit=10):
            errand = await self.mailing.errand_in(kept)
            assert errand is not None
            assert (errand.email, errand.username) == ("anna@example.com", "anna")
            found.append(errand.kind)
        return found

    def another(self, session: str) -> Principal:
        """The same person in another session."""
        return replace(self.principal, session=session)


@asynccontextmanager
async def open_factored(folder: Path) -> AsyncIterator[Factored]:
    """Make one account, with a session and without a second factor."""
    clock, events = StandingClock(), KeptEvents()
    secret = MasterSecret(b"a master secret of 32 bytes or so")
    sealer = Sealer(secret)
    async with open_database("sqlite", folder) as database:
        users, sessions, factors = SqlUserStore(database), SqlSessionStore(database), SqlFactorStore(database)
        passwords = Passwords(Roots.of(secret).keys_for("password-pepper"), cost=4)
        user = User(
            id="usr_1",
            username="anna",
            email="anna@example.com",
            password_hash=await passwords.hash(PASSWORD),
            roles=frozenset({"customer"}),
            epoch=0,
            created_at=clock.now(),
            verified_at=clock.now(),
        )
        await users.add(user)
        now = clock.now()
        session = Session(
            id="ses_1",
            user_id="usr_1",
            key=b"k",
            counter=0,
            rotated_at=now,
            confirmed=False,
            created_at=now,
            last_used_at=now,
            expires_at=now + 86400,
        )
        assert await sessions.add(session, user=user)
        counters = MemoryCounters(clock)
        second = SecondFactor(factors, counters=counters, sealer=sealer, clock=clock)
        mailing = Mailing(SqlMailQueue(database), sealer, clock)
        recorder = Recorder(events=events, clock=clock, applied=lambda _: None)
        guard = guard_on(database, counters, recorder)
        own = OwnFactor(
            factors=factors,
            second_factor=second,
            users=users,
            sessions=sessions,
            own_password=OwnPassword(users=users, passwords=passwords, second_factor=second, guard=guard),
            guard=guard,
            mailing=mailing,
            sealer=sealer,
            recorder=recorder,
            clock=clock,
            issuer="gateway.example",
        )
        yield Factored(
            user=user,
            principal=principal_of(user, session="ses_1"),
            users=users,
            factors=factors,
            sessions=sessions,
            counters=counters,
            events=events,
            clock=clock,
            phone=Phone(clock),
            second=second,
            own=own,
            database=database,
            passwords=passwords,
            secret=secret,
            mailing=mailing,
        )
        passwords.close()


def reason(answer: object) -> Reason:
    """Why something was refused."""
    assert isinstance(answer, AccountRefusal), answer
    return answer.reason
