"""What goes on for long ends when its permit does not hold any more, and not before."""

import asyncio
from dataclasses import dataclass, field, replace

import pytest
from support.heads import HEAD

from gateway.edge import vigil as vigils
from gateway.edge.vigil import Vigil
from gateway.model import ANONYMOUS, Grant, Permit, Principal, PrincipalKind, Reason, Route
from gateway.ports import StoreUnavailable
from gateway.proxy import Watch

ROUTE = Route(id="r", host=None, methods=frozenset({"GET"}), path="/", upstream="s", place="policies.yaml:1")
WALT = Principal(id="usr_1", kind=PrincipalKind.USER, name="walt", authn="gateway", authn_kind="gateway_jwt")


def permit(id: str, principal: Principal = WALT) -> Permit:
    return Permit(  # made here because nothing else is asked of it
        head=replace(HEAD, id=id),
        route=ROUTE,
        params={},
        principal=principal,
        grant=Grant(scopes=frozenset(), required=frozenset()),
        tallies=(),
    )


class Endless:
    """An exchange that goes on until it is recalled."""

    def __init__(self, id: str, principal: Principal = WALT, *, is_stream: bool = True) -> None:
        self.permit = permit(id, principal)
        self.is_stream = is_stream
        self.recalled: list[bool] = []

    def recall(self, *, going_away: bool = False) -> None:
        self.recalled.append(going_away)


@dataclass
class Oracle:
    """An enforcement point that says what it is told to say."""

    refused: set[str] = field(default_factory=set)
    recalled: set[str] = field(default_factory=set)
    down: set[str] = field(default_factory=set)
    """Authenticators whose store does not answer."""
    hanging: set[str] = field(default_factory=set)
    asked: list[str] = field(default_factory=list)

    def refuses_now(self, permit: Permit) -> Reason | None:
        return Reason.DENIED if permit.head.id in self.refused else None

    async def has_recalled(self, permit: Permit, *, is_stream: bool) -> Reason | None:
        self.asked.append(permit.head.id)
        if permit.principal.authn in self.hanging:
            await asyncio.Event().wait()
        if permit.principal.authn in self.down:
            raise StoreUnavailable("away")
        return Reason.CREDENTIALS_INVALID if permit.head.id in self.recalled else None


@pytest.fixture
def oracle() -> Oracle:
    return Oracle()


@pytest.fixture
def clock() -> list[float]:
    return [0.0]


@pytest.fixture
def vigil(oracle: Oracle, clock: list[float]) -> Vigil:
    watch: Watch = Vigil(oracle, monotonic=lambda: clock[0])
    assert isinstance(watch, Vigil)
    return watch


async def test_what_still_holds_goes_on(vigil: Vigil, oracle: Oracle) -> None:
    exchange = Endless("a")
    vigil.begin(exchange)
    for _ in range(3):
        await vigil.sweep()
    assert exchange.recalled == []
    assert vigil.verdicts == {}
    assert oracle.asked == ["a"] * 3


async def test_a_stream_that_the_policy_would_refuse_ends_once_and_says_why(
    vigil: Vigil, oracle: Oracle
) -> None:
    exchange, other = Endless("a"), Endless("b")
    vigil.begin(exchange)
    vigil.begin(other)
    oracle.refused.add("a")
    await vigil.sweep()
    await vigil.sweep()
    assert (exchange.recalled, other.recalled) == ([False], [])
    vigil.over(exchange)
    assert vigil.verdict(exchange.permit) is Reason.DENIED
    assert vigil.verdict(exchange.permit) is None
    assert vigil.verdict(other.permit) is None


async def test_an_answer_that_is_no_stream_ends_on_revocation_only(vigil: Vigil, oracle: Oracle) -> None:
    exchange = Endless("a", is_stream=False)
    vigil.begin(exchange)
    oracle.refused.add("a")
    await vigil.sweep()
    assert exchange.recalled == []
    oracle.recalled.add("a")
    await vigil.sweep()
    assert exchange.recalled == [False]
    assert vigil.verdict(exchange.permit) is Reason.CREDENTIALS_INVALID


async def test_what_is_over_is_not_looked_at(vigil: Vigil, oracle: Oracle) -> None:
    exchange = Endless("a")
    vigil.begin(exchange)
    vigil.over(exchange)
    vigil.over(exchange)
    oracle.refused.add("a")
    await vigil.sweep()
    assert (exchange.recalled, oracle.asked) == ([], [])


async def test_nobody_is_asked_about_an_anonymous_caller(vigil: Vigil, oracle: Oracle) -> None:
    exchange = Endless("a", ANONYMOUS)
    vigil.begin(exchange)
    await vigil.sweep()
    assert oracle.asked == []
    oracle.refused.add("a")
    await vigil.sweep()
    assert exchange.recalled == [False]


async def test_a_store_that_does_not_answer_ends_nothing_for_a_while_and_then_everything(
    vigil: Vigil, oracle: Oracle, clock: list[float]
) -> None:
    exchange, anonymous = Endless("a"), Endless("b", ANONYMOUS)
    vigil.begin(exchange)
    vigil.begin(anonymous)
    oracle.down.add("gateway")
    await vigil.sweep()
    clock[0] = 4.9
    await vigil.sweep()
    assert exchange.recalled == []
    # An answer in between is a fresh beginning.
    oracle.down.clear()
    await vigil.sweep()
    oracle.down.add("gateway")
    clock[0] = 5.1
    await vigil.sweep()
    assert exchange.recalled == []
    clock[0] = 10.2
    await vigil.sweep()
    assert exchange.recalled == [False]
    assert vigil.verdict(exchange.permit) is Reason.DEPENDENCY_UNAVAILABLE
    assert anonymous.recalled == []


async def test_one_store_that_hangs_holds_up_neither_what_is_known_nor_other_callers(
    vigil: Vigil, oracle: Oracle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vigils, "ANSWER_SECONDS", 0.02)
    by_key = [Endless(f"k{number}", replace(WALT, authn="keys")) for number in range(100)]
    by_token = [Endless(f"t{number}") for number in range(100)]
    for exchange in by_key + by_token:
        vigil.begin(exchange)
    oracle.hanging.add("keys")
    oracle.refused.add("k7")
    oracle.recalled.add("t99")
    async with asyncio.timeout(0.5):
        await vigil.sweep()
    ended = [exchange.permit.head.id for exchange in by_key + by_token if exchange.recalled]
    assert sorted(ended) == ["k7", "t99"]


async def test_everything_ends_when_the_gateway_goes_away(vigil: Vigil) -> None:
    exchanges = [Endless("a"), Endless("b", ANONYMOUS, is_stream=False)]
    for exchange in exchanges:
        vigil.begin(exchange)
    vigil.end_all(going_away=True)
    assert [exchange.recalled for exchange in exchanges] == [[True], [True]]
    assert vigil.verdict(exchanges[0].permit) is Reason.DRAINING
    vigil.end_all(going_away=True)
    assert exchanges[0].recalled == [True]


async def test_a_look_is_taken_every_so_often(
    vigil: Vigil, oracle: Oracle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vigils, "SWEEP_SECONDS", 0.001)
    vigil.begin(Endless("a"))
    running = asyncio.create_task(vigil.run())
    async with asyncio.timeout(2):
        while len(oracle.asked) < 3:
            await asyncio.sleep(0.001)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert oracle.asked[:3] == ["a"] * 3
