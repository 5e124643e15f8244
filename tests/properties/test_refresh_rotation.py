"""Laws of refresh tokens in real databases: an owner, a thief, two processes, and any order of what they
do."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path

import pytest
from databases import DATABASES, open_database
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from unit.accounts.house import RULES, StandingClock

from gateway.accounts import Origin, Renewal, Sessions
from gateway.accounts.refresh_token import mint_refresh_token, parse_refresh_token
from gateway.accounts.renewal import Dead, Reused
from gateway.crypto import MasterSecret, Sealer
from gateway.ports import Session, User
from gateway.stores.sql import Database, SqlSessionStore, SqlUserStore

SEALER = Sealer(MasterSecret(b"a master secret of 32 bytes or so"))
_fresh = count()

# The database is made once, and every example has a session of its own.
shared_database = settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])

Outcome = Renewal | Dead | Reused
Step = tuple[str, int, int]
OWNER, THIEF = 0, 1
PARTIES = st.sampled_from([OWNER, THIEF])
PROCESSES = st.sampled_from([0, 1])
STEPS = st.lists(
    st.one_of(
        # How far behind the newest the token is that is presented, and to which process.
        st.tuples(st.just("present"), st.sampled_from([0, 0, 0, 1, 1, 2]), PROCESSES),
        # Two at once, each to a process of its own.
        st.tuples(st.just("at once"), st.sampled_from([0, 0, 1, 2]), st.sampled_from([0, 0, 1, 2])),
        st.tuples(st.just("seen"), st.sampled_from([0, 0, 1]), PROCESSES),
        st.tuples(st.just("flush"), st.just(0), PROCESSES),
        st.tuples(st.just("restart"), st.just(0), PROCESSES),
        st.tuples(st.just("wait"), st.sampled_from([1, 10, 11, 3600]), st.just(0)),
    ),
    max_size=12,
)


@pytest.fixture(params=DATABASES)
async def database(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Database]:
    async with open_database(request.param, tmp_path) as opened:
        yield opened


@dataclass(frozen=True)
class Law:
    """The state that the contract speaks of, and what it says of each token that is presented."""

    newest: int = 0
    rotated_at: float = 0.0
    ended: bool = False
    seen: tuple[int, int] = (-1, -1)
    """The newest generation of which each process knows an access token to be in use, the database apart."""
    confirmed: int = -1
    """The same, of the database."""

    def present(self, generation: int, process: int, now: float) -> tuple["Law", str]:
        """Return what holds afterwards, and the answer: the generation that is given, or why there is
        none."""
        if self.ended:
            return self, "dead"
        if generation == self.newest:
            return replace(self, newest=generation + 1, rotated_at=now), f"given {generation + 1}"
        in_grace = now - self.rotated_at <= RULES.reuse_grace
        delivered = max(self.seen[process], self.confirmed) >= self.newest
        if generation == self.newest - 1 and (in_grace or not delivered):
            return self, f"given {self.newest}"
        return replace(self, ended=True), "reused"


@dataclass
class World:
    """One session, two processes that serve it, and the law."""

    store: SqlSessionStore
    clock: StandingClock = field(default_factory=StandingClock)
    processes: list[Sessions] = field(default_factory=list)
    law: Law = field(default_factory=Law)
    session: str = ""
    key: bytes = b""

    async def begin(self, users: SqlUserStore) -> None:
        number = next(_fresh)
        user = User(
            id=f"usr_{number}", username=f"user{number}", email=None, password_hash=None,
            roles=frozenset(), epoch=0, created_at=0.0, verified_at=None,
        )  # fmt: skip
        await users.add(user)
        self.processes = [self.process(), self.process()]
        begun = await self.processes[0].begin(user, RULES, Origin())
        assert begun is not None
        self.session = begun.session
        self.key = SEALER.open((await self.row()).key, context=f"session:{begun.session}")

    def process(self) -> Sessions:
        return Sessions(self.store, SEALER, self.clock)

    async def row(self) -> Session:
        row = await self.store.find(self.session)
        assert row is not None
        return row

    async def present(self, generation: int, process: int) -> str:
        text = mint_refresh_token(self.session, generation, self.key)
        outcome = await self.processes[process].renew(text, RULES)
        match outcome:
            case Renewal():
                token = parse_refresh_token(outcome.refresh_token)
                assert token is not None
                # The text follows from the generation alone: everybody who gets it gets the same.
                assert outcome.refresh_token == mint_refresh_token(self.session, token.generation, self.key)
                return f"given {token.generation}"
            case Reused():
                return "reused"
            case Dead():
                return "dead"

    async def check(self) -> None:
        row = await self.row()
        assert (row.counter, row.revoked_at is not None) == (self.law.newest, self.law.ended)


@shared_database
@given(STEPS)
@example([("present", 0, 0), ("seen", 0, 1), ("wait", 11, 0), ("present", 1, 0), ("present", 1, 1)])
@example([("present", 0, 0), ("present", 0, 0), ("at once", 0, 1), ("at once", 1, 2)])
async def test_every_token_gets_what_the_law_says_whatever_came_before(
    database: Database, steps: list[Step]
) -> None:
    world = World(SqlSessionStore(database))
    await world.begin(SqlUserStore(database))
    world.law = replace(world.law, rotated_at=world.clock.time)
    for what, one, other in steps:
        law, now = world.law, world.clock.time
        match what:
            case "wait":
                world.clock.time += one
            case "seen":
                generation = max(law.newest - one, 0)
                world.processes[other].seen(world.session, generation)
                seen = [*law.seen]
                seen[other] = max(seen[other], generation)
                world.law = replace(law, seen=(seen[0], seen[1]))
            case "flush":
                await world.processes[other].flush()
                world.law = replace(law, confirmed=max(law.confirmed, law.seen[other]))
            case "restart":
                world.processes[other] = world.process()
                seen = [*law.seen]
                seen[other] = -1
                world.law = replace(law, seen=(seen[0], seen[1]))
            case "present":
                presented = max(law.newest - one, 0)
                world.law, expected = law.present(presented, other, now)
                assert await world.present(presented, other) == expected
            case _:
                pair = [max(law.newest - back, 0) for back in (one, other)]
                answers = await asyncio.gather(*(world.present(pair[each], each) for each in (0, 1)))
                world.law = _in_some_order(law, pair, answers, now)
        await world.check()


def _in_some_order(law: Law, pair: list[int], answers: list[str], now: float) -> Law:
    """Return what holds after two at once, whose answers must be those of one after the other."""
    for first in (0, 1):
        between, one = law.present(pair[first], first, now)
        after, other = between.present(pair[1 - first], 1 - first, now)
        if [answers[first], answers[1 - first]] == [one, other]:
            return after
    raise AssertionError(f"{pair} at once after {law} gave {answers}")


@shared_database
@given(
    st.integers(0, 2),
    st.lists(st.tuples(PARTIES, PROCESSES), min_size=2, max_size=8),
    st.booleans(),
)
async def test_of_two_who_use_a_stolen_token_in_turns_the_second_is_found_out(
    database: Database, before: int, turns: list[tuple[int, int]], written: bool
) -> None:
    world = World(SqlSessionStore(database))
    await world.begin(SqlUserStore(database))
    for generation in range(before):
        await world.present(generation, 0)
    held = [before, before]
    first = turns[0][0]
    for party, process in turns:
        answer = await world.present(held[party], process if written else 0)
        if party != first:
            assert answer == "reused"
            # Whoever of the two is the owner has to log in again, and the other one cannot.
            for generation in range(max(held) + 2):
                assert await world.present(generation, 0) == "dead"
            return
        held[party] += 1
        assert answer == f"given {held[party]}"
        world.processes[process if written else 0].seen(world.session, held[party])
        if written:
            await world.processes[process].flush()
        world.clock.time += RULES.reuse_grace + 1


@shared_database
@given(
    st.lists(
        st.tuples(st.sampled_from(["lost", "arrives", "is used"]), PROCESSES, st.integers(0, 5000)),
        max_size=8,
    )
)
async def test_an_owner_who_loses_answers_always_has_a_token_that_works(
    database: Database, rounds: list[tuple[str, int, int]]
) -> None:
    world = World(SqlSessionStore(database))
    await world.begin(SqlUserStore(database))
    held = 0
    for fate, process, seconds in rounds:
        world.clock.time += seconds
        answer = await world.present(held, process)
        assert answer.startswith("given ")
        if fate != "lost":
            held = int(answer.removeprefix("given "))
        if fate == "is used":
            world.processes[process].seen(world.session, held)
            await world.processes[process].flush()


@pytest.mark.parametrize("back", [0, 1])
async def test_twenty_at_once_get_one_successor_and_end_nothing(database: Database, back: int) -> None:
    world = World(SqlSessionStore(database))
    await world.begin(SqlUserStore(database))
    for generation in range(back + 1):
        await world.present(generation, 0)
    newest = back + 1
    answers = await asyncio.gather(*(world.present(newest - back, n % 2) for n in range(20)))
    assert set(answers) == {f"given {newest + 1 - back}"}
    row = await world.row()
    assert (row.counter, row.revoked_at) == (newest + 1 - back, None)
