"""Outlets get everything, in order, whatever fails, and none holds up the others."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

import pytest
from unit.audit.test_lease import Clock, Positions

from gateway.audit import Follower, encode, follow, following
from gateway.audit.following import Following
from gateway.model import Event
from gateway.ports import (
    AuditQuery,
    AuditUnavailable,
    OutletUnavailable,
    Position,
    Record,
    RecordRefused,
    StoredRecord,
    StoreUnavailable,
)


class Trail:
    """A trail in memory."""

    def __init__(self) -> None:
        self.records: list[StoredRecord] = []
        self.down = False
        self.limits: list[int] = []

    def write(self, writer: str, *seqs: int, **fields: object) -> None:
        body = encode({"kind": "event", "action": "auth.login", **fields})
        self.records += (StoredRecord(writer=writer, seq=seq, body=body) for seq in seqs)

    async def find(self, query: AuditQuery) -> Sequence[StoredRecord]:
        raise NotImplementedError

    async def end(self) -> Position:
        raise NotImplementedError

    async def after(self, position: Position, *, limit: int) -> Sequence[StoredRecord]:
        if self.down:
            raise StoreUnavailable("the database is down")
        self.limits.append(limit)
        return [one for one in self.records if one.seq > position.get(one.writer, 0)][:limit]


class Receiver:
    """An outlet that can be away, refuse, hang and fail."""

    name = "webhook https://siem/in"

    def __init__(self) -> None:
        self.got: list[str] = []
        self.calls = 0
        self.away: str | None = None
        self.refuses: Callable[[Record], bool] = lambda record: False
        self.fails: Callable[[Record], bool] = lambda record: False
        self.most: int | None = None
        self.closed = False

    async def send(self, records: Sequence[Record]) -> None:
        self.calls += 1
        if self.away is not None:
            raise OutletUnavailable(self.away)
        if self.most is not None and len(records) > self.most:
            await asyncio.Event().wait()
        if any(self.fails(record) for record in records):
            raise KeyError("a defect")
        if any(self.refuses(record) for record in records):
            raise RecordRefused("the receiver answered 400")
        self.got += [f"{record['writer']}/{record['seq']}" for record in records]

    async def close(self) -> None:
        self.closed = True


class Kept:
    """Events in a list."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.away = False

    async def event(self, event: Event) -> None:
        if self.away:
            raise AuditUnavailable("the audit trail cannot record")
        self.events.append(event)


class World:
    """What a follower works with."""

    def __init__(self) -> None:
        self.trail = Trail()
        self.receiver = Receiver()
        self.positions = Positions()
        self.events = Kept()
        self.clock = Clock()

    def follower(self, holder: str = "one") -> Follower:
        return Follower(self.receiver, self.trail, self.positions, self.events, self.clock, holder=holder)


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setattr(following, "_EVERY", 0.005)
    monkeypatch.setattr(following, "_STANDBY", 0.005)
    monkeypatch.setattr(following, "_LONGEST_PAUSE", 0.02)
    return World()


@asynccontextmanager
async def running(*followers: Following) -> AsyncIterator[None]:
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(one.run()) for one in followers]
        yield
        for task in tasks:
            task.cancel()


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.001)


async def test_everything_comes_in_order_and_once(world: World) -> None:
    follower = world.follower()
    world.trail.write("a", *range(1, 2501))
    async with running(follower):
        await until(lambda: len(world.receiver.got) == 2500)
        world.trail.write("b", 1, 2)
        world.trail.write("a", 2501)
        await until(lambda: len(world.receiver.got) == 2503)
    assert [one for one in world.receiver.got if one[0] == "a"] == [f"a/{seq}" for seq in range(1, 2502)]
    assert world.positions.positions == {world.receiver.name: {"a": 2501, "b": 2}}
    assert (follower.sent, follower.refused, follower.failing) == (2503, 0, None)
    assert world.events.events == []


async def test_a_process_that_starts_goes_on_where_the_last_one_was(world: World) -> None:
    world.trail.write("a", 1, 2)
    first = world.follower("one")
    async with running(first):
        await until(lambda: len(world.receiver.got) == 2)
    await first.finish()
    world.trail.write("a", 3)
    async with running(world.follower("two")):
        await until(lambda: len(world.receiver.got) == 3)
    assert world.receiver.got == ["a/1", "a/2", "a/3"]


async def test_one_process_serves_an_outlet_and_another_takes_over_when_it_ends(world: World) -> None:
    one, two = world.follower("one"), world.follower("two")
    world.trail.write("a", *range(1, 11))
    async with running(two):
        async with running(one):
            await until(lambda: len(world.receiver.got) == 10)
            serving, waiting = (one, two) if one.lag is not None else (two, one)
            assert (serving.sent, waiting.sent, waiting.lag) == (10, 0, None)
        await one.finish()
        world.trail.write("a", 11)
        await until(lambda: len(world.receiver.got) == 11)
    assert world.receiver.got == [f"a/{seq}" for seq in range(1, 12)]


async def test_an_outlet_that_is_away_loses_nothing(world: World) -> None:
    follower = world.follower()
    world.receiver.away = "Connection refused"
    world.trail.write("a", 1, 2)
    async with running(follower):
        await until(lambda: follower.failing)
        assert follower.failing == "Connection refused"
        world.clock.time += 10
        assert (follower.lag or 0) >= 10
        world.trail.write("a", 3)
        world.receiver.away = None
        await until(lambda: len(world.receiver.got) == 3)
        await until(lambda: follower.failing is None)
        await until(lambda: follower.lag == 0)
    assert world.receiver.got == ["a/1", "a/2", "a/3"]


async def test_a_database_that_is_away_is_waited_for(world: World) -> None:
    follower = world.follower()
    world.trail.down = True
    world.trail.write("a", 1)
    async with running(follower):
        await until(lambda: follower.failing == "the database is down")
        world.trail.down = False
        await until(lambda: world.receiver.got == ["a/1"])


async def test_a_record_that_is_refused_holds_up_none_and_the_trail_says_so(world: World) -> None:
    follower = world.follower()
    world.trail.write("a", *range(1, 100))
    world.receiver.refuses = lambda record: record["seq"] in {1, 40, 99}
    async with running(follower):
        await until(lambda: follower.refused == 3)
        await until(lambda: world.positions.positions.get(follower.name) == {"a": 99})
    wanted = [f"a/{seq}" for seq in range(1, 100) if seq not in {1, 40, 99}]
    assert world.receiver.got == wanted
    (event,) = world.events.events
    assert event.kind == "audit.gap"
    assert event.attributes == {
        "outlet": "webhook https://siem/in",
        "count": 3,
        "records": ["a/1", "a/40", "a/99"],
        "detail": "the receiver answered 400",
    }


async def test_a_record_that_cannot_be_sent_because_of_a_defect_ends_nothing(world: World) -> None:
    follower = world.follower()
    world.trail.write("a", *range(1, 20))
    world.receiver.fails = lambda record: record["seq"] == 7
    async with running(follower):
        await until(lambda: follower.refused == 1)
    assert len(set(world.receiver.got)) == 18
    (event,) = world.events.events
    assert str(event.attributes["detail"]).startswith("it could not be sent: KeyError in test_follow.py:")


async def test_an_outlet_that_refuses_everything_is_asked_again_and_nothing_is_passed_over(
    world: World,
) -> None:
    follower = world.follower()
    world.trail.write("a", *range(1, 1001))
    world.receiver.refuses = lambda record: True
    async with running(follower):
        await until(lambda: follower.failing)
        assert follower.failing == "it takes nothing: the receiver answered 400"
        calls = world.receiver.calls
        assert calls < 40
        world.receiver.refuses = lambda record: False
        await until(lambda: len(world.receiver.got) == 1000)
    assert (follower.refused, world.events.events) == (0, [])


async def test_a_single_record_is_not_passed_over_until_another_was_taken(world: World) -> None:
    follower = world.follower()
    world.trail.write("a", 1)
    world.receiver.refuses = lambda record: record["seq"] == 1
    async with running(follower):
        await until(lambda: follower.failing)
        assert follower.refused == 0
        world.trail.write("a", 2)
        await until(lambda: world.receiver.got == ["a/2"])
        await until(lambda: follower.refused == 1)


async def test_after_an_hour_of_refusals_one_portion_is_passed_over(world: World) -> None:
    follower = world.follower()
    world.trail.write("a", *range(1, 1502))
    world.receiver.refuses = lambda record: True
    async with running(follower):
        await until(lambda: follower.failing)
        world.clock.time += 3601
        await until(lambda: follower.refused == 1000)
        calls = world.receiver.calls
        await until(lambda: world.receiver.calls > calls + 20)
        assert follower.refused == 1000
    (event,) = world.events.events
    assert event.attributes["count"] == 1000
    assert len(event.attributes["records"]) == 100  # type: ignore[arg-type] # a list


async def test_a_gap_that_cannot_be_written_down_keeps_the_position(world: World) -> None:
    follower = world.follower()
    world.trail.write("a", 1, 2)
    world.receiver.refuses = lambda record: record["seq"] == 1
    world.events.away = True
    async with running(follower):
        await until(lambda: follower.failing == "the audit trail cannot record")
        assert follower.refused == 0
        assert world.positions.positions == {}
        world.events.away = False
        await until(lambda: follower.refused == 1)
    assert len(world.events.events) == 1


async def test_an_outlet_that_refuses_to_be_told_of_its_refusals_is_not_told_for_ever(world: World) -> None:
    follower = world.follower()
    world.trail.write("a", 1, action="audit.gap")
    world.trail.write("a", 2)
    world.receiver.refuses = lambda record: record["action"] == "audit.gap"
    async with running(follower):
        await until(lambda: follower.refused == 1)
    assert world.events.events == []


async def test_a_slow_outlet_gets_as_much_as_it_can_take(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follow, "SEND_SECONDS", 0.02)
    follower = world.follower()
    world.receiver.most = 10
    world.trail.write("a", *range(1, 101))
    async with running(follower):
        await until(lambda: len(world.receiver.got) >= 20)
        world.receiver.most = None
        await until(lambda: len(world.receiver.got) >= 100)
        world.trail.write("a", *range(101, 3000))
        await until(lambda: "a/2999" in world.receiver.got)
    assert sorted(set(world.receiver.got), key=lambda one: int(one[2:])) == [
        f"a/{seq}" for seq in range(1, 3000)
    ]
    assert min(world.trail.limits) < 10
    assert world.trail.limits[-1] == 1000


async def test_a_process_that_slept_too_long_sends_no_more(world: World) -> None:
    one, two = world.follower("one"), world.follower("two")
    world.trail.write("a", *range(1, 100))
    world.receiver.refuses = lambda record: record["seq"] == 50
    send = world.receiver.send

    async def slow(records: Sequence[Record]) -> None:
        # Another process takes over while this one is in the middle of a portion.
        world.clock.time += 31
        assert await world.positions.hold(one.name, holder="two", now=world.clock.time, until=1e9)
        await send(records)

    world.receiver.send = slow  # type: ignore[method-assign] # what is tested comes between two calls
    async with running(one):
        await until(lambda: world.receiver.calls)
        await until(lambda: one.lag is None)
        world.receiver.send = send  # type: ignore[method-assign]
        assert (one.failing, world.receiver.calls) == (None, 1)
        async with running(two):
            await until(lambda: two.refused == 1)
    assert (one.sent, two.sent) == (0, 98)


async def test_the_end_sends_what_is_there_and_lets_go(world: World) -> None:
    follower = world.follower()
    async with running(follower):
        await until(lambda: follower.lag is not None)
    world.trail.write("a", 1)
    await follower.finish()
    assert world.receiver.got == ["a/1"]
    assert world.receiver.closed
    assert await world.positions.hold(follower.name, holder="two", now=world.clock.time, until=1e9)


async def test_the_end_waits_for_no_outlet_that_is_away(world: World) -> None:
    follower = world.follower()
    world.receiver.away = "gone"
    world.trail.write("a", 1)
    async with running(follower):
        await until(lambda: follower.failing)
    calls = world.receiver.calls
    await follower.finish()
    assert world.receiver.calls == calls
    assert world.receiver.closed


async def test_a_process_that_did_not_serve_the_outlet_sends_nothing_at_its_end(world: World) -> None:
    one, two = world.follower("one"), world.follower("two")
    async with running(one):
        await until(lambda: one.lag is not None)
        async with running(two):
            await asyncio.sleep(0.01)
        world.trail.write("a", 1)
        await two.finish()
    assert two.sent == 0
