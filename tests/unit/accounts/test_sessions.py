"""Sessions, and the rotation of their refresh tokens."""

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from unit.accounts.house import RULES, House, StandingClock

from gateway.accounts import Origin, Sessions
from gateway.accounts.refresh_token import mint_refresh_token, parse_refresh_token
from gateway.accounts.renewal import Dead, Renewal, Reused
from gateway.crypto import MasterSecret, Sealer
from gateway.ports import Session, StoreUnavailable, User

SEALER = Sealer(MasterSecret(b"a master secret of 32 bytes or so"))
ADA = User(
    id="usr_1", username="ada", email=None, password_hash=None, roles=frozenset(), epoch=0,
    created_at=0.0, verified_at=None,
)  # fmt: skip


KEY_A, KEY_B = "A" * 43, "B" * 43


@dataclass
class SessionTable:
    """Sessions in a dictionary, every method without a point at which another could come between."""

    rows: dict[str, Session] = field(default_factory=dict)
    away: bool = False

    async def add(self, session: Session, *, user: User) -> bool:
        self.rows[session.id] = session
        return True

    async def find(self, id: str) -> Session | None:
        await asyncio.sleep(0)
        return self.rows.get(id)

    async def advance(self, id: str, *, seen: int, at: float, jkt: str | None = None) -> bool:
        await asyncio.sleep(0)
        row = self.rows[id]
        if row.counter != seen or row.revoked_at is not None:
            return False
        self.rows[id] = replace(
            row, counter=seen + 1, rotated_at=at, last_used_at=at, confirmed=False, jkt=jkt or row.jkt
        )
        return True

    async def bind(self, id: str, *, seen: int, jkt: str, at: float) -> bool:
        await asyncio.sleep(0)
        row = self.rows[id]
        if row.counter != seen or row.revoked_at is not None or row.jkt is not None:
            return False
        self.rows[id] = replace(row, jkt=jkt, rotated_at=at, last_used_at=at)
        return True

    async def touch(self, id: str, *, at: float) -> None:
        self.rows[id] = replace(self.rows[id], last_used_at=at)

    async def confirm(self, id: str, *, counter: int) -> None:
        if self.away:
            raise StoreUnavailable("away")
        if self.rows[id].counter == counter:
            self.rows[id] = replace(self.rows[id], confirmed=True)

    async def revoke(self, id: str, *, at: float) -> bool:
        if self.rows[id].revoked_at is not None:
            return False
        self.rows[id] = replace(self.rows[id], revoked_at=at)
        return True

    async def revoke_all(self, user_id: str, *, at: float) -> list[str]:
        return [id_ for id_ in self.rows if await self.revoke(id_, at=at)]

    async def list_of(self, user_id: str, *, now: float) -> list[Session]:
        return [row for row in self.rows.values() if row.user_id == user_id]

    async def note_factor(self, id: str, *, amr: tuple[str, ...], mfa_at: float) -> bool:
        raise NotImplementedError


class Client:
    """One session in a table, with the texts of all its generations."""

    def __init__(self) -> None:
        self.clock = StandingClock()
        self.table = SessionTable()
        self.sessions = Sessions(self.table, SEALER, self.clock)
        self.first: Renewal | None = None

    async def begin(self, *, client_id: str | None = None, jkt: str | None = None) -> None:
        self.first = await self.sessions.begin(ADA, RULES, Origin(), client_id=client_id, jkt=jkt)

    @property
    def row(self) -> Session:
        (row,) = self.table.rows.values()
        return row

    def text(self, generation: int) -> str:
        """Return a token as it was given when the session was bound to a key from its beginning, or never."""
        key = SEALER.open(self.row.key, context=f"session:{self.row.id}")
        assert self.first is not None
        return mint_refresh_token(self.row.id, generation, key, bound=self.first.jkt is not None)

    async def present(
        self, generation: int, *, client_id: str | None = None, jkt: str | None = None
    ) -> Renewal | Dead | Reused:
        return await self.sessions.renew(self.text(generation), RULES, client_id=client_id, jkt=jkt)


async def begun(*, client_id: str | None = None, jkt: str | None = None) -> Client:
    client = Client()
    await client.begin(client_id=client_id, jkt=jkt)
    return client


def generation_of(outcome: object) -> int:
    assert isinstance(outcome, Renewal)
    token = parse_refresh_token(outcome.refresh_token)
    assert token is not None
    assert token.generation == outcome.generation
    return outcome.generation


async def test_the_newest_token_rotates() -> None:
    client = await begun()
    assert client.first is not None
    renewed = await client.sessions.renew(client.first.refresh_token, RULES)
    assert generation_of(renewed) == 1
    assert generation_of(await client.present(1)) == 2


async def test_within_the_grace_the_one_before_gets_the_same_successor_even_when_that_was_seen() -> None:
    client = await begun()
    first = await client.present(0)
    client.sessions.seen(client.row.id, 1)
    client.clock.time += RULES.reuse_grace
    again = await client.present(0)
    assert isinstance(first, Renewal)
    assert isinstance(again, Renewal)
    assert again.refresh_token == first.refresh_token
    assert (first.replayed, again.replayed) == (False, True)
    assert client.row.counter == 1


async def test_after_the_grace_the_one_before_works_until_the_newer_pair_is_seen() -> None:
    client = await begun()
    await client.present(0)
    client.clock.time += 5 * 86400
    assert generation_of(await client.present(0)) == 1
    client.sessions.seen(client.row.id, 1)
    assert isinstance(await client.present(0), Reused)
    assert isinstance(await client.present(1), Dead)


async def test_an_access_token_of_the_older_pair_confirms_nothing() -> None:
    client = await begun()
    await client.present(0)
    client.clock.time += 3600
    client.sessions.seen(client.row.id, 0)
    await client.sessions.flush()
    assert generation_of(await client.present(0)) == 1


async def test_a_confirmation_reaches_other_processes_with_the_flush() -> None:
    client = await begun()
    await client.present(0)
    client.clock.time += 3600
    client.sessions.seen(client.row.id, 1)
    other = Sessions(client.table, SEALER, client.clock)
    assert isinstance(await other.renew(client.text(0), RULES), Renewal)
    client.clock.time += 3600
    await client.sessions.flush()
    assert isinstance(await other.renew(client.text(0), RULES), Reused)


async def test_a_confirmation_is_kept_while_the_store_is_away() -> None:
    client = await begun()
    await client.present(0)
    client.sessions.seen(client.row.id, 1)
    client.table.away = True
    with pytest.raises(StoreUnavailable):
        await client.sessions.flush()
    client.table.away = False
    await client.sessions.flush()
    assert client.row.confirmed


async def test_two_generations_ago_ends_the_session_even_within_the_grace() -> None:
    client = await begun()
    await client.present(0)
    await client.present(1)
    reused = await client.present(0)
    assert reused == Reused(session=client.row.id, user_id="usr_1", presented=0, newest=2)
    assert client.row.revoked_at == client.clock.time
    for generation in range(3):
        assert isinstance(await client.present(generation), Dead)


async def test_a_token_that_was_never_issued_ends_the_session() -> None:
    client = await begun()
    assert isinstance(await client.present(5), Reused)


async def test_a_token_of_another_key_changes_nothing() -> None:
    client = await begun()
    forged = mint_refresh_token(client.row.id, 0, b"x" * 32)
    refused = await client.sessions.renew(forged, RULES)
    assert isinstance(refused, Dead)
    assert refused.user_id is None
    assert generation_of(await client.present(0)) == 1


async def test_a_session_key_of_another_session_opens_nothing() -> None:
    client = await begun()
    key = client.row.key
    await client.begin()
    first, second = client.table.rows.values()
    client.table.rows[second.id] = replace(second, key=key)
    opened = SEALER.open(first.key, context=f"session:{first.id}")
    forged = mint_refresh_token(second.id, 0, opened)
    assert isinstance(await client.sessions.renew(forged, RULES), Dead)


async def test_another_master_secret_opens_nothing() -> None:
    client = await begun()
    other = Sessions(client.table, Sealer(MasterSecret(b"another master secret of 32 bytes")), client.clock)
    assert isinstance(await other.renew(client.text(0), RULES), Dead)


async def test_an_idle_session_ends() -> None:
    client = await begun()
    client.clock.time += RULES.refresh_idle
    ended = await client.present(0)
    assert isinstance(ended, Dead)
    assert ended.user_id == client.row.user_id
    assert client.row.counter == 0


async def test_use_keeps_a_session_until_its_absolute_end() -> None:
    client = await begun()
    generation = 0
    for _ in range(4):
        client.clock.time += RULES.refresh_idle - 1
        renewed = await client.present(generation)
        generation = generation_of(renewed)
        assert isinstance(renewed, Renewal)
        assert renewed.refresh_ends == min(client.clock.time + RULES.refresh_idle, renewed.session_ends)
    client.clock.time += RULES.refresh_idle - 1
    assert isinstance(await client.present(generation), Dead)


async def test_a_repeated_refresh_counts_as_use() -> None:
    client = await begun()
    await client.present(0)
    client.clock.time += RULES.refresh_idle - 1
    assert isinstance(await client.present(0), Renewal)
    client.clock.time += RULES.refresh_idle - 1
    assert isinstance(await client.present(1), Renewal)


async def test_twenty_at_once_with_one_token_get_one_successor() -> None:
    client = await begun()
    outcomes = await asyncio.gather(*(client.present(0) for _ in range(20)))
    assert {generation_of(outcome) for outcome in outcomes} == {1}
    assert {outcome.refresh_token for outcome in outcomes if isinstance(outcome, Renewal)} == {client.text(1)}
    assert client.row.revoked_at is None


async def test_twenty_at_once_in_a_real_database_get_one_successor(house: House) -> None:
    await house.users.add(ADA)
    first = await house.sessions.begin(ADA, RULES, Origin())
    assert first is not None
    other = Sessions(house.session_store, house.sealer, house.clock)
    outcomes = await asyncio.gather(
        *((house.sessions if n % 2 else other).renew(first.refresh_token, RULES) for n in range(20))
    )
    assert {generation_of(outcome) for outcome in outcomes} == {1}
    assert sum(isinstance(outcome, Renewal) and not outcome.replayed for outcome in outcomes) == 1
    row = await house.session_store.find(first.session)
    assert row is not None
    assert (row.counter, row.revoked_at) == (1, None)


async def test_sessions_of_a_client_with_a_secret_keep_their_token() -> None:
    client = await begun(client_id="cli_1")
    outcomes = await asyncio.gather(*(client.present(0, client_id="cli_1") for _ in range(5)))
    client.sessions.seen(client.row.id, 0)
    client.clock.time += RULES.refresh_idle - 1
    outcomes.append(await client.present(0, client_id="cli_1"))
    client.clock.time += RULES.refresh_idle - 1
    outcomes.append(await client.present(0, client_id="cli_1"))
    assert {generation_of(outcome) for outcome in outcomes} == {0}
    assert {outcome.refresh_token for outcome in outcomes if isinstance(outcome, Renewal)} == {client.text(0)}
    assert client.row.counter == 0


@pytest.mark.parametrize("asking", [None, "cli_2"])
async def test_nobody_but_its_client_uses_a_session_or_ends_it(asking: str | None) -> None:
    client = await begun(client_id="cli_1")
    for generation in (0, 3):
        assert isinstance(await client.present(generation, client_id=asking), Dead)
    assert generation_of(await client.present(0, client_id="cli_1")) == 0
    own = await begun()
    await own.present(0)
    await own.present(1)
    assert isinstance(await own.present(0, client_id="cli_1"), Dead)
    assert own.row.revoked_at is None


async def test_a_session_that_is_bound_to_a_key_needs_its_proof_and_rotates() -> None:
    client = await begun(jkt="A" * 43)
    for proved in (None, "B" * 43):
        assert isinstance(await client.present(0, jkt=proved), Dead)
    renewed = await client.present(0, jkt="A" * 43)
    assert generation_of(renewed) == 1
    assert isinstance(renewed, Renewal)
    assert renewed.jkt == "A" * 43
    client.clock.time += RULES.reuse_grace + 1
    client.sessions.seen(client.row.id, 1)
    # Without the key it is no sign of a thief: whoever has the text alone can do nothing with it.
    assert isinstance(await client.present(0), Dead)
    assert isinstance(await client.present(0, jkt="A" * 43), Reused)


def token_of(renewed: object) -> str:
    assert isinstance(renewed, Renewal)
    return renewed.refresh_token


@pytest.mark.parametrize("back", [0, 1])
async def test_the_first_key_that_is_proved_beside_a_token_binds_its_session(back: int) -> None:
    client = await begun()
    if back:
        await client.present(0)
    bound = await client.present(0, jkt=KEY_A)
    assert generation_of(bound) == 1
    assert client.row.jkt == KEY_A
    for proved in (None, KEY_B):
        assert isinstance(await client.sessions.renew(token_of(bound), RULES, jkt=proved), Dead)
    client.clock.time += RULES.reuse_grace + 1
    # With the text alone nobody can use up, or end, what is bound.
    assert isinstance(await client.sessions.renew(token_of(bound), RULES), Dead)
    assert client.row.revoked_at is None
    assert generation_of(await client.sessions.renew(token_of(bound), RULES, jkt=KEY_A)) == 2


@pytest.mark.parametrize("back", [0, 1])
async def test_many_at_once_that_prove_one_key_are_one(back: int) -> None:
    client = await begun()
    if back:
        await client.present(0)
    answers = await asyncio.gather(*(client.present(0, jkt=KEY_A) for _ in range(5)))
    assert len({token_of(answer) for answer in answers}) == 1
    assert client.row.revoked_at is None


@pytest.mark.parametrize("proved", [None, KEY_B])
@pytest.mark.parametrize("back", [0, 1])
async def test_a_copy_from_before_a_key_was_bound_ends_the_session_after_a_moment(
    back: int, proved: str | None
) -> None:
    client = await begun()
    if back:
        await client.present(0)
    await client.present(0, jkt=KEY_A)
    for generation in range(back + 1):
        assert isinstance(await client.present(generation, jkt=proved), Dead)
        assert client.row.revoked_at is None
    client.clock.time += RULES.reuse_grace + 1
    assert isinstance(await client.present(back, jkt=proved), Reused)
    assert client.row.revoked_at is not None


async def test_a_client_with_a_secret_binds_what_it_gets_and_not_the_session() -> None:
    client = await begun(client_id="cli_1")
    bound = await client.present(0, client_id="cli_1", jkt=KEY_A)
    assert isinstance(bound, Renewal)
    assert (bound.jkt, client.row.jkt) == (KEY_A, None)
    free = await client.present(0, client_id="cli_1")
    assert isinstance(free, Renewal)
    assert free.jkt is None


async def test_a_renewal_says_what_is_known_of_the_session() -> None:
    client = await begun(client_id="cli_1")
    client.table.rows[client.row.id] = replace(
        client.row, amr=("otp", "pwd"), mfa_at=5.0, scope="orders:read", created_at=4.0
    )
    client.clock.time += 60
    renewed = await client.present(0, client_id="cli_1")
    assert isinstance(renewed, Renewal)
    assert (renewed.amr, renewed.mfa_at, renewed.scope) == (("otp", "pwd"), 5.0, "orders:read")
    assert (renewed.client_id, renewed.began, renewed.at) == ("cli_1", 4.0, client.clock.time)


async def test_a_token_tells_its_session_whatever_it_is_worth() -> None:
    client = await begun()
    await client.present(0)
    await client.present(1)
    await client.table.revoke(client.row.id, at=1.0)
    assert await client.sessions.look_up(client.text(0)) == client.row
    for text in ("", "gwr_", mint_refresh_token(client.row.id, 0, b"x" * 32)):
        assert await client.sessions.look_up(text) is None


async def test_twenty_at_once_with_a_stolen_token_are_one_detection() -> None:
    client = await begun()
    await client.present(0)
    await client.present(1)
    outcomes = await asyncio.gather(*(client.present(0) for _ in range(20)))
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["Dead"] * 19 + ["Reused"]


async def test_dying_after_the_rotation_leaves_the_client_with_a_token_that_works() -> None:
    client = await begun()
    real = client.table.advance

    async def advance_and_die(id: str, *, seen: int, at: float, jkt: str | None = None) -> bool:
        await real(id, seen=seen, at=at, jkt=jkt)
        raise SystemExit

    client.table.advance = advance_and_die  # type: ignore[method-assign] # the death of the process
    with pytest.raises(SystemExit):
        await client.present(0)
    client.table.advance = real  # type: ignore[method-assign]
    restarted = Sessions(client.table, SEALER, client.clock)
    client.clock.time += 6 * 86400
    assert generation_of(await restarted.renew(client.text(0), RULES)) == 1


async def test_logging_out_while_refreshing_wins() -> None:
    client = await begun()
    real = client.table.find

    async def find_then_end(id: str) -> Session | None:
        found = await real(id)
        await client.table.revoke(id, at=client.clock.time)
        return found

    client.table.find = find_then_end  # type: ignore[method-assign] # another request comes between
    assert isinstance(await client.present(0), Dead)
    assert client.row.counter == 0


async def test_what_was_seen_does_not_grow_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.accounts.sessions._REMEMBERED", 3)
    client = await begun()
    for number in range(10):
        client.sessions.seen(f"ses_{number}", 0)
    assert len(client.sessions._in_use) <= 3


Step = tuple[str, int]
STEPS = st.lists(
    st.one_of(
        # How far behind the newest the presented token is; -1 has never been issued.
        st.tuples(st.just("present"), st.sampled_from([0, 0, 0, 1, 1, 2, 3, -1])),
        st.tuples(st.just("present at once"), st.integers(0, 1)),
        st.tuples(st.just("wait"), st.sampled_from([1, 9, 10, 11, 3600])),
        st.tuples(st.just("seen"), st.integers(0, 2)),
        st.tuples(st.just("flush"), st.just(0)),
        st.tuples(st.just("restart"), st.just(0)),
    ),
    max_size=25,
)


@settings(max_examples=150)
@given(STEPS)
def test_rotation_keeps_its_law_whatever_comes(steps: list[Step]) -> None:
    _run(_obey(steps))


async def _obey(steps: list[Step]) -> None:
    client = await begun()
    newest, rotated_at, ended = 0, client.clock.time, False
    seen_in_memory = seen_in_store = -1
    for what, number in steps:
        match what:
            case "wait":
                client.clock.time += number
            case "seen":
                client.sessions.seen(client.row.id, max(newest - number, 0))
                seen_in_memory = max(seen_in_memory, newest - number)
            case "flush":
                await client.sessions.flush()
                seen_in_store = max(seen_in_store, seen_in_memory)
            case "restart":
                client.sessions = Sessions(client.table, SEALER, client.clock)
                seen_in_memory = seen_in_store
            case _:
                presented = newest - number
                if presented < 0:
                    continue
                times = 4 if what == "present at once" else 1
                outcomes = await asyncio.gather(*(client.present(presented) for _ in range(times)))
                in_time = client.clock.time - rotated_at <= RULES.reuse_grace
                if ended:
                    assert {type(outcome) for outcome in outcomes} == {Dead}
                elif number == 0:
                    newest, rotated_at = newest + 1, client.clock.time
                    assert {generation_of(outcome) for outcome in outcomes} == {newest}
                elif number == 1 and (in_time or max(seen_in_memory, seen_in_store) < newest):
                    assert {generation_of(outcome) for outcome in outcomes} == {newest}
                else:
                    assert sum(isinstance(outcome, Reused) for outcome in outcomes) == 1
                    assert not any(isinstance(outcome, Renewal) for outcome in outcomes)
                    ended = True
        # There is one newest token, and its text follows from the counter alone.
        assert client.row.counter == newest
        assert (client.row.revoked_at is not None) is ended


@settings(max_examples=100)
@given(st.lists(st.tuples(st.sampled_from(["lost", "arrives", "arrives and is used"]), st.integers(1, 5000))))
def test_a_client_that_loses_answers_is_never_locked_out(rounds: list[tuple[str, int]]) -> None:
    _run(_lose(rounds))


async def _lose(rounds: list[tuple[str, int]]) -> None:
    client = await begun()
    held = 0
    for fate, seconds in rounds:
        client.clock.time += seconds
        renewed = generation_of(await client.present(held))
        if fate != "lost":
            held = renewed
        if fate == "arrives and is used":
            client.sessions.seen(client.row.id, renewed)


@settings(max_examples=100)
@given(st.integers(0, 4), st.integers(0, 4), st.integers(1, 100_000), st.booleans())
def test_a_stolen_token_that_was_used_up_always_ends_the_session(
    before: int, after: int, seconds: int, flushed: bool
) -> None:
    _run(_steal(before, after, seconds, flushed=flushed))


async def _steal(before: int, after: int, seconds: int, *, flushed: bool) -> None:
    client = await begun()
    for generation in range(before + after + 1):
        client.clock.time += 60
        await client.present(generation)
        client.sessions.seen(client.row.id, generation + 1)
    if flushed:
        await client.sessions.flush()
        client.sessions = Sessions(client.table, SEALER, client.clock)
    client.clock.time += RULES.reuse_grace + seconds
    assert isinstance(await client.present(before), Reused)
    # Neither the thief nor the owner has anything left.
    for generation in range(before + after + 3):
        assert isinstance(await client.present(generation), Dead)


def _run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(work)
