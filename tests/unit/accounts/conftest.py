"""Accounts with all their real parts, on a real database."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from databases import open_database
from unit.accounts.house import House, KeptEvents, StandingClock
from unit.accounts.post import Post, open_post

from gateway.accounts import (
    AccessTokens,
    Accounts,
    Clients,
    Confirming,
    Devices,
    Ending,
    Granting,
    Guard,
    Introspecting,
    Issuing,
    Links,
    Login,
    Mailing,
    OwnFactor,
    OwnPassword,
    OwnSessions,
    Passwords,
    Recorder,
    Recovering,
    Refreshing,
    Registering,
    Registrar,
    Revoking,
    SecondFactor,
    Sessions,
)
from gateway.crypto import Keyring, MasterSecret, Roots, Sealer
from gateway.ports import Change
from gateway.stores.memory import FollowedBlocks, MemoryCounters
from gateway.stores.sql import (
    SqlBlockStore,
    SqlClientStore,
    SqlFactorStore,
    SqlInviteStore,
    SqlLinkStore,
    SqlMailQueue,
    SqlRevokedTokens,
    SqlSessionStore,
    SqlSigningKeyStore,
    SqlUserStore,
)

ISSUER = "https://gateway.example"
TRUSTED = "10.0.0.1"
"""The proxy in front of the gateway."""


@pytest.fixture
def clock() -> StandingClock:
    return StandingClock()


@pytest.fixture
def secret() -> MasterSecret:
    return MasterSecret(b"a master secret of 32 bytes or so")


@pytest.fixture
async def house(tmp_path: Path, clock: StandingClock, secret: MasterSecret) -> AsyncIterator[House]:
    async with open_database("sqlite", tmp_path) as database:
        users, store, events, sealer = (
            SqlUserStore(database),
            SqlSessionStore(database),
            KeptEvents(),
            Sealer(secret),
        )
        passwords = Passwords(Roots.of(secret).keys_for("password-pepper"), cost=4)
        keyring = await Keyring.open(SqlSigningKeyStore(database), sealer, clock, KeptEvents())
        registrar = Registrar(users=users, passwords=passwords, events=events, clock=clock)
        sessions = Sessions(store, sealer, clock)
        applied: list[Change] = []
        recorder = Recorder(events=events, clock=clock, applied=applied.append)
        issuing = Issuing(AccessTokens(keyring, ISSUER))
        counters = MemoryCounters(clock)
        factors = SqlFactorStore(database)
        second_factor = SecondFactor(factors, counters=counters, sealer=sealer, clock=clock)
        blocks = SqlBlockStore(database)
        blocked = FollowedBlocks(blocks, clock, spares=lambda client: client == TRUSTED)
        guard = Guard(
            counters=counters,
            blocks=blocks,
            blocked=blocked,
            spares=blocked.spares,
            taken=blocked.take,
            recorder=recorder,
            key=secret.derive("login-names"),
        )
        own_password = OwnPassword(users=users, passwords=passwords, second_factor=second_factor, guard=guard)
        mailing = Mailing(SqlMailQueue(database), sealer, clock)
        links = Links(store=SqlLinkStore(database), base=ISSUER, clock=clock)
        ending = Ending(sessions=store, recorder=recorder)
        refreshing = Refreshing(users=users, sessions=sessions, issuing=issuing, recorder=recorder)
        accounts = Accounts(
            registering=Registering(
                registrar=registrar, invites=SqlInviteStore(database), mailing=mailing, recorder=recorder
            ),
            confirming=Confirming(
                users=users, links=links, mailing=mailing, ending=ending, recorder=recorder
            ),
            recovering=Recovering(
                users=users,
                own_password=own_password,
                passwords=passwords,
                links=links,
                mailing=mailing,
                ending=ending,
                recorder=recorder,
            ),
            login=Login(
                users=users,
                sessions=sessions,
                passwords=passwords,
                second_factor=second_factor,
                guard=guard,
                devices=Devices(Roots.of(secret).keys_for("devices"), clock),
                issuing=issuing,
                recorder=recorder,
            ),
            refreshing=refreshing,
            sessions=OwnSessions(users=users, sessions=sessions, recorder=recorder),
            factor=OwnFactor(
                factors=factors,
                second_factor=second_factor,
                users=users,
                sessions=store,
                own_password=own_password,
                guard=guard,
                mailing=mailing,
                sealer=sealer,
                recorder=recorder,
                clock=clock,
                issuer="gateway.example",
            ),
            clients=Clients(SqlClientStore(database), guard=guard, recorder=recorder, clock=clock),
            granting=Granting(refreshing=refreshing, issuing=issuing, recorder=recorder, issuer=ISSUER),
            revoking=Revoking(
                sessions=sessions, tokens=SqlRevokedTokens(database), recorder=recorder, clock=clock
            ),
            introspecting=Introspecting(users=users, sessions=sessions, clock=clock, issuer=ISSUER),
        )
        yield House(
            accounts=accounts,
            registrar=registrar,
            sessions=sessions,
            users=users,
            session_store=store,
            passwords=passwords,
            keyring=keyring,
            sealer=sealer,
            events=events,
            clock=clock,
            applied=applied,
            factors=factors,
            second_factor=second_factor,
            blocks=blocks,
            blocked=blocked,
            guard=guard,
            counters=counters,
            database=database,
        )
        passwords.close()


@pytest.fixture
async def post(tmp_path: Path, clock: StandingClock, secret: MasterSecret) -> AsyncIterator[Post]:
    async with open_post(tmp_path, clock, secret) as opened:
        yield opened
