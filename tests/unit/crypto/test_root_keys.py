"""The roots as one process sees them."""

import asyncio

import pytest
from structlog.testing import capture_logs
from unit.crypto.root_rows import NEW, OLD, RootRows
from unit.crypto.rows import START

from gateway.crypto import MasterSecret, RootKeys, Roots, SealBroken, Sealer, SecretUnusable
from gateway.crypto.root_keys import RETRY_SECONDS, SETTLE_SECONDS
from gateway.ports import Change, ChangeKind, StoredRoots, StoreUnavailable, SystemClock

CHANGED = Change(1, ChangeKind.ROOT_KEYS, "", 0, START)


async def opened(rows: RootRows, secret: MasterSecret = OLD) -> RootKeys:
    return await RootKeys.open(rows, secret, SystemClock())


async def test_the_first_start_makes_a_root_and_the_next_one_finds_it() -> None:
    rows = RootRows()
    first, again = await opened(rows), await opened(rows)
    assert first.roots.generations == again.roots.generations
    assert len(rows.rows) == 1
    assert first.roots.derive("seal") != OLD.derive("seal")


async def test_a_database_from_before_keeps_the_keys_that_it_has() -> None:
    rows = RootRows(before=OLD.check_value())
    keys = await opened(rows)
    sealed = Sealer(OLD).seal(b"value", context="row:1")
    assert Sealer(keys.roots).open(sealed, context="row:1") == b"value"
    assert (await opened(rows)).roots.generations == Roots.of(OLD).generations


async def test_a_database_from_before_is_refused_to_another_secret() -> None:
    rows = RootRows(before=OLD.check_value())
    with pytest.raises(SecretUnusable, match="not the one this database was made with"):
        await opened(rows, NEW)
    assert rows.rows == []


async def test_roots_that_were_lost_are_not_made_anew() -> None:
    rows = RootRows()
    rows.are_lost = True
    with pytest.raises(SecretUnusable, match=r"root_keys of the database is empty.*restore it from a backup"):
        await opened(rows)
    assert rows.rows == []


async def test_another_master_secret_is_refused() -> None:
    rows = RootRows()
    await opened(rows)
    with pytest.raises(SecretUnusable, match="not the one this database was made with; set GATEWAY_SECRET"):
        await opened(rows, NEW)


async def test_one_that_was_shut_out_is_told_so_and_since_when() -> None:
    rows = RootRows()
    rows.hold(Roots.new(), NEW)
    rows.gone[OLD.check_value()] = START
    with pytest.raises(SecretUnusable, match=r"was changed, and shut out on 2027-01-15T08:00:00\.000000Z"):
        await opened(rows)


async def test_one_that_was_read_before_it_was_changed_is_read_again() -> None:
    rows = RootRows()
    roots = Roots.new().with_next()
    rows.hold(roots, NEW)
    rows.gone[OLD.check_value()] = START
    keys = await RootKeys.open(rows, OLD, SystemClock(), again=lambda: NEW)
    assert keys.secret is NEW
    assert keys.roots.generations == roots.generations
    with pytest.raises(SecretUnusable, match="was changed, and shut out on"):
        await RootKeys.open(rows, OLD, SystemClock(), again=lambda: OLD)


async def test_one_that_was_made_at_the_same_moment_with_another_secret_wins() -> None:
    class Late(RootRows):
        """Another process stores its roots first."""

        async def add_first(self, roots: StoredRoots, *, check_value_before: bytes | None) -> bool:
            self.hold(Roots.new(), NEW)
            return await super().add_first(roots, check_value_before=check_value_before)

    with pytest.raises(SecretUnusable, match="not the one"):
        await opened(Late())


async def test_a_generation_that_is_met_is_looked_up_before_anybody_says_no() -> None:
    rows = RootRows()
    keys = await opened(rows)
    sealer, more = Sealer(keys.roots), keys.roots.with_next()
    rows.hold(more, OLD, NEW)
    sealed = Sealer(more).seal(b"value", context="row:1")
    with pytest.raises(SealBroken):
        sealer.open(sealed, context="row:1")
    await sealer.ready_for(sealed)
    assert sealer.open(sealed, context="row:1") == b"value"
    assert sealer.seal(b"", context="")[0] == 1


async def test_what_is_known_costs_no_look() -> None:
    rows = RootRows()
    keys = await opened(rows)
    sealer, reads = Sealer(keys.roots), rows.reads
    await sealer.ready_for(sealer.seal(b"value", context="row:1"), None, b"", b"\x00")
    assert rows.reads == reads


async def test_a_damaged_value_stays_one() -> None:
    rows = RootRows()
    keys = await opened(rows)
    sealer = Sealer(keys.roots)
    await sealer.ready_for(b"\xee" * 60)
    with pytest.raises(SealBroken):
        sealer.open(b"\xee" * 60, context="row:1")
    assert keys.fault is None


async def test_all_who_wait_share_a_look() -> None:
    rows = RootRows()
    keys = await opened(rows)
    reads = rows.reads
    await asyncio.gather(*(keys.refresh() for _ in range(50)))
    assert rows.reads - reads <= 2


async def test_looks_are_a_tenth_of_a_second_apart() -> None:
    rows, clock = RootRows(), SystemClock()
    keys = await opened(rows)
    begun = clock.monotonic()
    for _ in range(3):
        await keys.refresh()
    assert clock.monotonic() - begun >= 0.2


async def test_whoever_gives_up_leaves_the_look_to_the_others() -> None:
    class Slow(RootRows):
        """Answers when it is told to."""

        answers: asyncio.Event | None = None

        async def all(self) -> list[StoredRoots]:
            if self.answers is not None:
                await self.answers.wait()
            return list(await super().all())

    rows = Slow()
    keys = await opened(rows)
    rows.answers = asyncio.Event()
    first, second = asyncio.create_task(keys.refresh()), asyncio.create_task(keys.refresh())
    await asyncio.sleep(0)
    first.cancel()
    rows.hold(keys.roots.with_next(), OLD, NEW)
    rows.answers.set()
    await second
    assert keys.roots.newest == 2


async def test_a_database_that_is_away_is_not_a_broken_value() -> None:
    rows = RootRows()
    keys = await opened(rows)
    rows.away = True
    with pytest.raises(StoreUnavailable, match="away"):
        await Sealer(keys.roots).ready_for(b"\x02" + bytes(60))
    assert keys.fault is None
    rows.away = False
    await keys.refresh()


async def test_a_process_that_slept_until_its_secret_was_shut_out_says_what_to_do() -> None:
    rows = RootRows()
    keys = await opened(rows)
    rows.hold(keys.roots.with_next(), NEW)
    with pytest.raises(StoreUnavailable, match="start it again with the new one"):
        await Sealer(keys.roots).ready_for(b"\x02" + bytes(60))
    assert keys.fault is not None


async def test_a_process_whose_secret_was_shut_out_and_that_knows_all_lacks_nothing() -> None:
    rows = RootRows()
    keys = await opened(rows)
    rows.hold(keys.roots.with_next(), OLD, NEW)
    await keys.refresh()
    rows.hold(keys.roots, NEW)
    await keys.refresh()
    assert (keys.fault, keys.roots.newest) == (None, 2)


async def test_a_database_that_was_set_back_is_a_fault() -> None:
    rows = RootRows()
    keys = await opened(rows)
    before = list(rows.rows)
    rows.hold(keys.roots.with_next(), OLD, NEW)
    await keys.refresh()
    rows.rows = before
    with pytest.raises(StoreUnavailable, match="was set back"):
        await keys.refresh()
    assert keys.fault is not None
    # Even when the file was set back with it: what is made under the second generation nobody else knows.
    rows.hold(Roots({1: keys.roots.generations[1]}), OLD)
    with pytest.raises(StoreUnavailable, match="was set back"):
        await keys.refresh()


async def test_a_secret_that_has_moved_is_read_again_where_it_came_from() -> None:
    rows = RootRows()
    keys = await RootKeys.open(rows, OLD, SystemClock(), again=lambda: NEW)
    rows.hold(keys.roots.with_next(), NEW)
    await keys.refresh()
    assert (keys.roots.newest, keys.fault) == (2, None)
    assert keys.secret is NEW


async def test_roots_that_somebody_changed_are_a_fault_and_the_present_ones_stay() -> None:
    rows = RootRows()
    keys = await opened(rows)
    known = keys.roots.generations
    rows.hold(Roots.new().with_next(), OLD)
    with pytest.raises(StoreUnavailable, match="another installation"):
        await keys.refresh()
    assert keys.fault is not None
    rows.hold(keys.roots, OLD)
    await keys.refresh()
    told: str | None = keys.fault
    assert told is None
    assert keys.roots.generations == known


class Pauses:
    """Pauses that take no time, and end the work after some."""

    def __init__(self, most: int) -> None:
        self.taken: list[float] = []
        self.most = most

    async def __call__(self, seconds: float) -> None:
        self.taken.append(seconds)
        await asyncio.sleep(0)
        if len(self.taken) >= self.most:
            raise asyncio.CancelledError


async def test_a_change_is_opened_at_once_and_sealed_with_a_moment_later() -> None:
    rows = RootRows()
    keys = await opened(rows)
    rows.hold(keys.roots.with_next(), OLD, NEW)
    settled = asyncio.Event()
    before: list[tuple[int, int]] = []

    async def pause(seconds: float) -> None:
        assert seconds == SETTLE_SECONDS
        before.append((keys.roots.current, keys.roots.newest))
        settled.set()

    follows = asyncio.create_task(keys.follow(pause=pause))
    keys.notice(CHANGED)
    async with asyncio.timeout(5):
        await settled.wait()
        while keys.roots.current != 2:
            await asyncio.sleep(0)
    assert before == [(1, 2)]
    follows.cancel()
    await asyncio.gather(follows, return_exceptions=True)


async def test_what_others_have_heard_of_long_ago_is_sealed_with_at_once() -> None:
    rows = RootRows()
    keys = await opened(rows)
    rows.hold(keys.roots.with_next(), OLD, NEW, at=1000.0)
    await keys.roots.ready_for(2)
    assert keys.roots.current == 2


async def test_what_was_learnt_from_a_value_is_sealed_with_too() -> None:
    rows = RootRows()
    keys = await opened(rows)
    rows.hold(keys.roots.with_next(), OLD, NEW)
    pauses = Pauses(1)
    follows = asyncio.create_task(keys.follow(pause=pauses))
    await keys.roots.ready_for(2)
    await asyncio.gather(follows, return_exceptions=True)
    assert pauses.taken == [SETTLE_SECONDS]


async def test_while_it_cannot_be_read_it_is_tried_every_second_and_told_once() -> None:
    rows = RootRows()
    keys = await opened(rows)
    rows.away = True
    pauses = Pauses(3)
    keys.notice(CHANGED)
    with capture_logs() as logs:
        await asyncio.gather(keys.follow(pause=pauses), return_exceptions=True)
    assert pauses.taken == [RETRY_SECONDS] * 3
    assert [line["event"] for line in logs] == ["root_keys.not_read"]


async def test_it_shows_nothing() -> None:
    assert "master" not in repr(await opened(RootRows()))
