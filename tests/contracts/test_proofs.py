"""A DPoP proof is good once, wherever its uses are counted."""

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from support.counting import StandingClock, counters_on
from support.dpop import ProofKey
from support.heads import head_for
from support.servers import empty_redis_url

from gateway.crypto import ProofRefused, Proofs
from gateway.model import Fields, RequestHead
from gateway.ports import CounterStore, SystemClock
from gateway.stores.memory import MemoryCounters

KEY = ProofKey()


@pytest.fixture(params=["memory", "redis"])
async def store(request: pytest.FixtureRequest) -> AsyncIterator[CounterStore]:
    clock = StandingClock()
    if request.param == "memory":
        yield MemoryCounters(clock)
        return
    async with counters_on(empty_redis_url(), clock) as (counters, _):
        yield counters


def head() -> RequestHead:
    proof = KEY.proof("GET", "http://api.example.com/orders", at=time.time())
    return replace(head_for("/orders"), fields=Fields([(b"dpop", proof.encode())]))


async def test_of_uses_that_come_together_one_is_good(store: CounterStore) -> None:
    proofs = Proofs(public_url="http://public.example", counters=store, clock=SystemClock())
    sent = head()
    answers = await asyncio.gather(*(proofs.prove(sent) for _ in range(5)), return_exceptions=True)
    assert [answer for answer in answers if not isinstance(answer, ProofRefused)] == [KEY.thumbprint]
    with pytest.raises(ProofRefused, match="used before"):
        await proofs.prove(sent)
    assert await proofs.prove(head()) == KEY.thumbprint


async def test_good_proofs_exhaust_nothing(store: CounterStore) -> None:
    proofs = Proofs(public_url="http://public.example", counters=store, clock=SystemClock())
    for _ in range(3):
        await proofs.prove(head())
    assert not store.is_refusing
