"""Accounts with all their real parts, on a real database."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from databases import open_database
from unit.accounts.house import House, KeptEvents, StandingClock

from gateway.accounts import AccessTokens, Accounts, Passwords, Registrar, Sessions
from gateway.crypto import Keyring, MasterSecret, Sealer
from gateway.ports import Change
from gateway.stores.sql import SqlSessionStore, SqlSigningKeyStore, SqlUserStore


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
        passwords = Passwords(secret.derive("password-pepper"), cost=4)
        keyring = await Keyring.open(SqlSigningKeyStore(database), sealer, clock)
        registrar = Registrar(users=users, passwords=passwords, events=events, clock=clock)
        sessions = Sessions(store, sealer, clock)
        applied: list[Change] = []
        accounts = Accounts(
            users=users,
            sessions=sessions,
            passwords=passwords,
            registrar=registrar,
            tokens=AccessTokens(keyring, "https://gateway.example", clock),
            events=events,
            clock=clock,
            applied=applied.append,
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
            database=database,
        )
        passwords.close()
