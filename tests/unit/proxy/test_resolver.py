"""Names, and where they lead."""

import asyncio
from collections.abc import Sequence

import pytest

from gateway.proxy import Fault, UpstreamFault
from gateway.proxy.resolver import FRESH, PAUSE, STALE, Resolver, ask_system


class NameServer:
    """Answers what a test says, when it says so; its clock moves by hand."""

    def __init__(self, *addresses: str) -> None:
        self.answer: Sequence[str] | Exception = addresses
        self.asked: list[str] = []
        self.answers = asyncio.Event()
        self.answers.set()
        self.time = 1000.0
        self.changes: list[tuple[str, frozenset[str]]] = []
        self.resolver = Resolver(
            look_up=self.look_up,
            now=lambda: self.time,
            on_change=lambda name, addresses: self.changes.append((name, addresses)),
        )

    async def look_up(self, name: str) -> Sequence[str]:
        self.asked.append(name)
        await self.answers.wait()
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    async def get(self, patience: float = 0.01) -> list[str]:
        return await self.resolver.addresses("service", patience)

    async def fault(self) -> UpstreamFault:
        with pytest.raises(UpstreamFault) as caught:
            await self.get()
        return caught.value


async def test_each_call_begins_with_the_next_address() -> None:
    server = NameServer("a", "b", "c")
    found = [await server.get() for _ in range(3)]
    assert sorted(first for first, *_ in found) == ["a", "b", "c"]
    assert all(sorted(each) == ["a", "b", "c"] for each in found)
    assert server.asked == ["service"]


async def test_an_address_that_is_told_twice_is_used_once() -> None:
    server = NameServer("a", "b", "a")
    assert sorted(await server.get()) == ["a", "b"]


async def test_addresses_are_looked_up_again_when_they_are_old() -> None:
    server = NameServer("a")
    await server.get()
    server.time += FRESH - 0.1
    await server.get()
    assert len(server.asked) == 1
    server.time += 0.2
    server.answer = ["b"]
    assert await server.get() == ["b"]
    assert len(server.asked) == 2


async def test_whoever_wants_the_same_name_shares_one_lookup() -> None:
    server = NameServer("a")
    server.answers.clear()
    waiting = [asyncio.ensure_future(server.get()) for _ in range(10)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    await asyncio.sleep(0)
    server.answers.set()
    assert [await each for each in waiting[1:]] == [["a"]] * 9
    assert server.asked == ["service"]


async def test_a_loss_of_addresses_is_told_and_a_gain_is_not() -> None:
    server = NameServer("a", "b")
    for answer in (["b", "a"], ["a", "b", "c"], ["b", "c"], ["c", "d"]):
        await server.get()
        server.time += FRESH
        server.answer = answer
    await server.get()
    assert server.changes == [("service", frozenset("bc")), ("service", frozenset("cd"))]


@pytest.mark.parametrize("problem", [OSError("no answer"), UnicodeError("label too long"), []])
async def test_a_failed_lookup_keeps_the_last_addresses_for_a_while(
    problem: Exception | Sequence[str],
) -> None:
    server = NameServer("a")
    await server.get()
    server.answer = problem
    server.time += STALE - 0.1
    assert await server.get() == ["a"]
    server.time += 0.2
    fault = await server.fault()
    assert fault.fault is Fault.CONNECT
    assert fault.diagnosis.startswith("service: ")
    assert not server.changes
    server.answer = ["b"]
    server.time += PAUSE
    assert await server.get() == ["b"]


async def test_a_failed_lookup_is_not_repeated_at_once() -> None:
    server = NameServer()
    server.answer = OSError("no answer")
    for _ in range(3):
        assert (await server.fault()).diagnosis == "service: no answer"
    assert len(server.asked) == 1
    server.time += PAUSE
    await server.fault()
    assert len(server.asked) == 2


async def test_a_name_server_that_says_nothing_holds_nobody_up_who_knows_an_address() -> None:
    server = NameServer("a")
    await server.get()
    server.time += FRESH
    server.answers.clear()
    assert await server.get(patience=0.001) == ["a"]
    server.answer = ["b"]
    server.answers.set()
    assert await server.get(patience=5) == ["b"]


async def test_a_refresh_asks_only_when_it_is_time_and_waits_for_nothing() -> None:
    server = NameServer("a", "b")
    server.resolver.refresh("service")
    await server.get()
    server.resolver.refresh("service")
    assert len(server.asked) == 1
    server.time += FRESH
    server.answer = ["b"]
    server.resolver.refresh("service")
    while not server.changes:
        await asyncio.sleep(0)
    assert server.changes == [("service", frozenset("b"))]


async def test_closing_ends_lookups_and_whoever_waits_for_one() -> None:
    before = asyncio.all_tasks()
    server = NameServer("a")
    server.answers.clear()
    waiting = asyncio.ensure_future(server.get())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    server.resolver.close()
    with pytest.raises(UpstreamFault):
        await waiting
    assert asyncio.all_tasks() == before


async def test_names_that_are_not_needed_are_forgotten() -> None:
    server = NameServer("a")
    await server.get()
    server.resolver.keep_only(frozenset({"service"}))
    await server.get()
    server.resolver.keep_only(frozenset({"other"}))
    await server.get()
    assert len(server.asked) == 2


async def test_the_system_knows_this_machine() -> None:
    assert set(await ask_system("localhost")) <= {"127.0.0.1", "::1"}
