"""Which target is chosen."""

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.downstream import ALICE, head_of, permit_for
from support.upstream import upstream_of

from gateway.config import BalanceKind
from gateway.model import ANONYMOUS, Permit, Principal
from gateway.policy import Attribute, Facts, find_attribute
from gateway.policy.attributes import Shape
from gateway.policy.finding import Names
from gateway.proxy.balance import (
    Balance,
    LeastRequests,
    RandomTwo,
    Rendezvous,
    RoundRobin,
    balance_of,
    key_by,
)

PERMIT = permit_for(head_of())


@dataclass(eq=False)
class One:
    name: str
    weight: int = 1
    is_out: bool = False
    load: int = 0


def some(*weights: int) -> list[One]:
    return [One(chr(ord("a") + index), weight) for index, weight in enumerate(weights)]


def path_key(permit: Permit) -> bytes | None:
    return permit.head.target.encode() if permit.head.target != "/" else None


def permit_of(key: object) -> Permit:
    return permit_for(head_of(target=f"/{key}"))


def all_ways(candidates: Sequence[One]) -> list[Balance[One]]:
    return [
        RoundRobin(candidates),
        LeastRequests(candidates),
        RandomTwo(candidates, random.Random(1)),
        Rendezvous(candidates, path_key),
    ]


def names(balance: Balance[One], turns: int) -> str:
    return "".join(one.name for _ in range(turns) if (one := balance.turn(PERMIT)) is not None)


def test_heavier_targets_have_more_turns_spread_evenly() -> None:
    assert names(RoundRobin(some(5, 1, 1)), 14) == "aabacaa" * 2


def test_equal_targets_take_turns() -> None:
    assert names(RoundRobin(some(1, 1, 1)), 6) == "abcabc"


@given(
    st.lists(st.integers(1, 20), min_size=1, max_size=6).map(lambda weights: some(*weights)),
    st.sets(st.integers(0, 5)),
    st.sets(st.integers(0, 5)),
    st.lists(st.integers(0, 9), min_size=6, max_size=6),
)
@settings(max_examples=50)
def test_who_is_out_or_passed_over_is_never_chosen_and_somebody_is_if_anybody_can_be(
    candidates: list[One], out: set[int], over: set[int], loads: list[int]
) -> None:
    for index, one in enumerate(candidates):
        one.is_out, one.load = index in out, loads[index]
    passed_over = [one for index, one in enumerate(candidates) if index in over]
    usable = {one.name for one in candidates if not one.is_out and one not in passed_over}
    for balance in all_ways(candidates):
        for key in range(5):
            chosen = balance.turn(permit_of(key), passed_over)
            assert (chosen is None) == (not usable)
            assert chosen is None or chosen.name in usable


@given(st.lists(st.integers(1, 20), min_size=1, max_size=6))
@settings(max_examples=30)
def test_turns_are_shared_exactly_by_weight(weights: list[int]) -> None:
    for balance in (RoundRobin(some(*weights)), LeastRequests(some(*weights))):
        shares = Counter(names(balance, 3 * sum(weights)))
        assert shares == {one.name: 3 * one.weight for one in some(*weights)}


@given(st.lists(st.integers(1, 20), min_size=2, max_size=6), st.integers(0, 5))
@settings(max_examples=30)
def test_turns_among_those_that_are_left_are_shared_by_weight(weights: list[int], gone: int) -> None:
    candidates = some(*weights)
    candidates[gone % len(candidates)].is_out = True
    left = [one for one in candidates if not one.is_out]
    total = sum(one.weight for one in left)
    assert Counter(names(RoundRobin(candidates), 2 * total)) == {one.name: 2 * one.weight for one in left}


@pytest.mark.parametrize("weights", [(1, 1, 1), (4, 2, 1), (10, 1)])
def test_choices_by_chance_and_by_key_are_shared_about_by_weight(weights: tuple[int, ...]) -> None:
    candidates = some(*weights)
    drawn = Counter(names(RandomTwo(candidates, random.Random(7)), 4000))
    hashed = Counter(
        one.name
        for key in range(4000)
        if (one := Rendezvous(candidates, path_key).turn(permit_of(key))) is not None
    )
    for one in candidates:
        expected = 4000 * one.weight / sum(weights)
        assert abs(drawn[one.name] - expected) < 0.2 * expected
        assert abs(hashed[one.name] - expected) < 0.2 * expected


@given(st.lists(st.tuples(st.integers(1, 5), st.integers(0, 20)), min_size=1, max_size=6))
@settings(max_examples=50)
def test_the_target_that_carries_least_for_its_weight_is_chosen(each: list[tuple[int, int]]) -> None:
    candidates = [One(str(index), weight, load=load) for index, (weight, load) in enumerate(each)]
    chosen = LeastRequests(candidates).turn(PERMIT)
    assert chosen is not None
    assert chosen.load / chosen.weight == min(one.load / one.weight for one in candidates)


def test_requests_that_stay_even_out_by_weight() -> None:
    candidates = some(3, 1)
    balance = LeastRequests(candidates)
    for _ in range(40):
        chosen = balance.turn(PERMIT)
        assert chosen is not None
        chosen.load += 1
    assert [one.load for one in candidates] == [30, 10]


def test_of_two_the_one_that_carries_less_for_its_weight_is_chosen() -> None:
    light, heavy = One("light", 1, load=3), One("heavy", 10, load=20)
    assert {RandomTwo([light, heavy]).turn(PERMIT) for _ in range(50)} == {heavy}
    heavy.load = 40
    assert {RandomTwo([light, heavy]).turn(PERMIT) for _ in range(50)} == {light}


def test_two_are_drawn_so_that_the_worst_of_many_is_avoided() -> None:
    candidates = some(1, 1, 1, 1)
    candidates[2].load = 5
    assert "c" not in names(RandomTwo(candidates, random.Random(3)), 200)


KEYS = [permit_of(key) for key in range(200)]


def places(candidates: Sequence[One], passed_over: Sequence[One] = ()) -> list[str]:
    balance = Rendezvous(candidates, path_key)
    return [cast("One", balance.turn(permit, passed_over)).name for permit in KEYS]


@given(st.lists(st.integers(1, 5), min_size=2, max_size=6), st.integers(0, 5), st.booleans())
@settings(max_examples=25)
def test_when_a_target_goes_only_its_own_keys_move(weights: list[int], gone: int, tried: bool) -> None:
    candidates = some(*weights)
    before = places(candidates)
    lost = candidates[gone % len(candidates)]
    lost.is_out = not tried
    after = places(candidates, [lost] if tried else [])
    for was, now in zip(before, after, strict=True):
        assert was in {now, lost.name}
    # Whether it is out or no longer named makes no difference, nor does the order of the file.
    left = [one for one in candidates if one is not lost]
    assert places(left[::-1]) == after


@given(st.lists(st.integers(1, 5), min_size=1, max_size=5), st.integers(1, 5))
@settings(max_examples=25)
def test_when_a_target_comes_keys_move_only_to_it(weights: list[int], weight: int) -> None:
    candidates = some(*weights)
    new = One("new", weight)
    before, after = places(candidates), places([*candidates, new])
    for was, now in zip(before, after, strict=True):
        assert now in {was, "new"}


def test_more_weight_takes_keys_for_that_target_only() -> None:
    before, after = places(some(1, 1, 1)), places(some(1, 3, 1))
    for was, now in zip(before, after, strict=True):
        assert now in {was, "b"}
    assert after.count("b") > before.count("b")


def test_every_process_places_a_key_alike() -> None:
    # Written down, because the hash of a text differs from one process to the next.
    assert places(some(1, 1, 1))[:12] == list("bbababaabcba")


def test_a_request_without_the_key_is_dealt_by_turns() -> None:
    balance = Rendezvous(some(1, 1), path_key)
    assert names_without_key(balance) == "abab"


def names_without_key(balance: Balance[One]) -> str:
    permit = permit_for(head_of(target="/"))
    return "".join(one.name for _ in range(4) if (one := balance.turn(permit)) is not None)


def attribute(name: str) -> Attribute:
    return find_attribute(name, Names(params=None, networks={}, schedules={}, roles=frozenset()))


def permit_by(principal: Principal) -> Permit:
    return permit_for(head_of((b"X-Tenant", b"blue")), principal=principal)


def test_attributes_are_read_from_the_permit() -> None:
    permit = permit_by(ALICE)
    assert key_by(attribute("header.x-tenant"))(permit) == b"blue"
    assert key_by(attribute("client.ip"))(permit) == b"192.0.2.7"
    assert key_by(attribute("principal.id"))(permit) == b"usr_alice"
    assert key_by(attribute("principal.roles"))(permit) == b"['customer', 'support']"


def test_what_is_missing_is_no_key() -> None:
    permit = permit_by(ANONYMOUS)
    for name in ("header.x-other", "principal.id", "claims.sub", "query.q"):
        assert key_by(attribute(name))(permit) is None


@pytest.mark.parametrize(
    "value", ["text", "\ud800", 7, 10**30, 1.5, True, ["a", {"b": None}], {"a": 1}, frozenset({"x"})]
)
def test_a_claim_of_any_kind_is_a_key(value: object) -> None:
    def read(_: Facts) -> object:
        return value

    key = key_by(Attribute(name="claims.any", shape=Shape.CLAIM, read=read))(PERMIT)
    assert key
    assert key == key_by(Attribute(name="claims.any", shape=Shape.CLAIM, read=read))(PERMIT)


@pytest.mark.parametrize(
    ("kind", "way"),
    [
        ("round_robin", RoundRobin),
        ("least_requests", LeastRequests),
        ("random_two", RandomTwo),
        ("hash", Rendezvous),
    ],
)
def test_the_configuration_names_the_way(kind: BalanceKind, way: type) -> None:
    upstream = upstream_of(balance=kind, hash_by=attribute("client.ip"))
    assert isinstance(balance_of(upstream, some(1)), way)


def test_a_hash_of_nothing_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="needs something"):
        balance_of(upstream_of(balance="hash"), some(1))


def test_none_of_them_has_anybody_to_choose_without_targets() -> None:
    assert [balance.turn(PERMIT) for balance in all_ways([])] == [None] * 4
