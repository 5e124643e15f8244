"""Services that refuse, stall, reset, lie, trickle and are killed, under load: nobody hangs, nobody is told
anything wrong, and nothing is left behind.

What happens is drawn from a seed, which a failure tells; GATEWAY_TEST_CHAOS_SEED draws it again.
"""

import asyncio
import os
import random
import sys
import time
from pathlib import Path
from statistics import median

import pytest
import uvloop
from support.chaos_checks import (
    Watched,
    complaints,
    in_use,
    left_behind,
    misdelivered,
    open_files,
    processes_of,
    unfair,
    unrecorded,
)
from support.chaos_load import Account, Client, clients
from support.chaos_requests import Asking
from support.chaos_stage import ROUTES, Stage, stage
from support.gateway import Gateway, eventually, running_gateway
from support.servers import empty_redis_url

SEED = os.environ.get("GATEWAY_TEST_CHAOS_SEED") or f"{random.randrange(10**9)}"
SHOWN = 40
"""Defects that a failure tells in full."""


async def storm(
    gateway: Gateway, behind: Stage, account: Account, watched: Watched, *, seconds: float, count: int
) -> None:
    """Ask while services are disturbed; return when every request has ended."""

    async def watch() -> None:
        while True:
            watched.look()
            await asyncio.sleep(0.25)

    others = [asyncio.create_task(behind.disturb()), asyncio.create_task(watch())]
    try:
        await clients(gateway.port, account, seed=SEED, count=count, until=time.monotonic() + seconds)
    finally:
        for other in others:
            other.cancel()
        ends = await asyncio.gather(*others, return_exceptions=True)
    assert all(isinstance(end, asyncio.CancelledError) for end in ends), ends


async def calm(gateway: Gateway, account: Account, name: str) -> list[str]:
    """Return the upstreams that are not soon of use when nobody disturbs their services."""
    asking = Asking(name, random.Random(f"{SEED} {name}"))
    client = Client(gateway.port, account, asking)
    useless: list[str] = []
    for route in ROUTES:
        good, end, deadline = 0, "", time.monotonic() + 10
        while good < 3 and time.monotonic() < deadline:
            request = asking.request(uploads=bool(good % 2), behaviour="normal", route=route)
            end = await client.ask(request)
            good = good + 1 if end == "whole" else 0
        if good < 3:
            useless.append(f"{name}: {route} answers {end}")
    return useless


def play(directory: Path, *, seconds: float, count: int, **environ: str) -> Watched:
    """Run the whole piece, and fail with everything that is wrong, not only with what is found first."""
    account = Account()
    with (
        stage(directory / "behind", SEED) as behind,
        running_gateway(
            directory / "gateway",
            policies=behind.policies,
            upstreams=behind.upstreams,
            environ={"PYTHONWARNINGS": "default::ResourceWarning", **environ},
        ) as gateway,
    ):
        watched = Watched(processes_of(gateway))
        wrong = uvloop.run(calm(gateway, account, "before"))
        eventually(lambda: not in_use(gateway), what="idle at the beginning")
        files = open_files(watched.pids)
        uvloop.run(storm(gateway, behind, account, watched, seconds=seconds, count=count))
        wrong += uvloop.run(calm(gateway, account, "after"))
        wrong += left_behind(gateway, watched, files)
        watched.look()
        if (code := gateway.stop()) != 0:
            wrong.append(f"the gateway ended with {code}")
        for check in (
            unfair(account),
            misdelivered(behind, account),
            complaints(gateway),
            unrecorded(gateway, account),
        ):
            wrong += check
    told = f"seed {SEED}: {account}\ndone to services: {dict(behind.done)}\nMiB: {watched}\n"
    sys.stdout.write(told)
    if wrong:
        pytest.fail("\n".join([told, f"{len(wrong)} defects:", *wrong[:SHOWN]]), pytrace=False)
    return watched


def test_whatever_services_do_clients_are_told_the_truth_and_nothing_is_left_behind(tmp_path: Path) -> None:
    watched = play(tmp_path, seconds=2, count=24)
    assert watched.curve[-1][1] < watched.curve[0][1] + 60, watched


@pytest.mark.slow
@pytest.mark.timeout(240)
@pytest.mark.parametrize("workers", [1, 2])
def test_a_minute_of_it_leaves_memory_where_it_was(workers: int, tmp_path: Path) -> None:
    environ = {} if workers == 1 else {"GATEWAY_WORKERS": "2", "GATEWAY_REDIS_URL": empty_redis_url()}
    watched = play(tmp_path, seconds=60, count=32, **environ)
    assert median(watched.between(55, 70)) < median(watched.between(15, 25)) * 1.05 + 5, watched
