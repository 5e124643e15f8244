"""kill -9 at any instant, of the gateway and of its database: what a client was told is in the trail, once, and
the trail is proven whole."""

import os
import random
import re
import shutil
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from flows_gateway import POLICIES, UPSTREAMS
from support.audited import AuditedGateway, Kind, Record, audited, decisions, gaps
from support.commits import Commits, Fate, watched_commits
from support.gateway import eventually
from support.intruder import Intruder
from support.servers import PostgresServer, postgresql_url
from support.sql import new_database
from support.told import Clients, Told, questions, wait_for_answers
from support.witness import Witness, running_witness

PASSWORD = "a reader's password"


LOOKED = 1.2
"""Seconds within which a gateway has looked for whatever is to be shipped."""


def lag(gateway: AuditedGateway) -> float:
    """Return how many seconds ago nothing was left to ship; since its start, if something was all the time."""
    metrics = gateway.request("GET", "/metrics", port=gateway.admin_port).body.decode()
    found = re.search(r"^gateway_audit_shipping_lag_seconds(?:{.*})? (\S+)$", metrics, re.MULTILINE)
    assert found is not None
    return float(found[1])


class Story:
    """A gateway that dies again and again, and all that its clients were told."""

    def __init__(self, gateway: AuditedGateway, witness: Witness) -> None:
        self.gateway = gateway
        self.witness = witness
        self.told = Told()
        self.rounds = 0
        self.token: str | None = None
        self.notes: dict[int, str] = {}
        """Checkpoints, as they were when they were seen first."""

    def begin(self) -> None:
        """Start, with somebody who can log in."""
        self.gateway.start()
        self.gateway.create_user("rita", PASSWORD, "reader")
        self.token = self.gateway.login("rita", PASSWORD)["access_token"]

    def clients(self, *, pause: float = 0.002) -> Clients:
        """Return clients whose paths were never asked before."""
        self.rounds += 1
        return Clients(self.gateway.port, f"r{self.rounds}", questions(self.token), clients=3, pause=pause)

    def dies_after(self, seconds: float, die: Callable[[], None]) -> None:
        """Have clients ask, for some seconds, until something ends the gateway."""
        # Now a moderate load, and now as much as there can be.
        with self.clients(pause=random.choice((0.0, 0.002))) as clients:
            time.sleep(seconds)
            die()
            self.told |= clients.stop()

    def shown(self) -> list[Record]:
        """Return what the trail shows, after a look that nothing is missing or there twice."""
        records = self.gateway.export()
        found = decisions(records)
        assert [request for request in self.told.ids if found[request] != 1] == []
        assert set(found.values()) <= {1}
        paths = Counter(record["path"] for record in records if record["kind"] == "decision")
        assert [mark for mark in self.told.marks if paths[mark] != 1] == []
        allowed = {record["path"] for record in records if record["decision"] == "allow"}
        assert set(self.witness.targets) <= allowed, "nothing reaches a service unrecorded"
        assert gaps(records) == []
        by_writer: dict[str, list[int]] = {}
        for record in records:
            by_writer.setdefault(record["writer"], []).append(record["seq"])
        for writer, numbers in by_writer.items():
            assert sorted(numbers) == list(range(1, len(numbers) + 1)), writer
        return records

    def is_whole(self) -> None:
        """Fail unless the trail is proven whole, also by all checkpoints that were ever seen."""
        for row in Intruder(self.gateway).rows("audit_checkpoints"):
            self.notes.setdefault(row["number"], row["note"])
        seen = self.gateway.directory / "checkpoints"
        seen.write_text("\n\n".join(self.notes[number] for number in sorted(self.notes)))
        self.gateway.is_whole("--checkpoints", str(seen))

    def ends_well(self) -> None:
        """Start once more, stop in order, and look at everything."""
        self.gateway.start()
        # A stop takes a few seconds at most; what the dead have left may be more than that.
        time.sleep(LOOKED)
        eventually(lambda: lag(self.gateway) < LOOKED, within=60.0)
        assert self.gateway.stop() == 0
        # Everything was shipped: the logs are not needed any more.
        shutil.rmtree(self.gateway.spool)
        records = self.shown()
        assert len(records) > len(self.told.ids) > 10 * self.rounds
        self.is_whole()
        assert self.notes


def kill_again_and_again(
    directory: Path, kind: Kind | str, workers: int, times: int, *, look_every: int
) -> None:
    """Kill the gateway while it works, starts and stops: all of it, one worker, or the first process alone."""
    with (
        running_witness() as witness,
        audited(
            directory,
            policies=POLICIES,
            upstreams=UPSTREAMS,
            database=kind,
            workers=workers,
            environ={"TEST_SERVICE": witness.address},
            started=False,
        ) as gateway,
    ):
        story = Story(gateway, witness)
        story.begin()
        for turn in range(times):
            if turn:
                gateway.start()
            story.dies_after(random.uniform(0.0, 0.25), random.choice(_ways_to_die(gateway, workers)))
            if turn % look_every == 0:
                # Before anything is restarted: the commands read what the dead have left.
                story.shown()
                story.is_whole()
            if turn % 3 == 1:
                _dies_while_it_starts(gateway)
        story.ends_well()


def _ways_to_die(gateway: AuditedGateway, workers: int) -> list[Callable[[], None]]:
    def first_alone() -> None:
        """Its workers end by themselves, and answer what they have begun."""
        processes = gateway.processes()
        os.kill(processes[0], signal.SIGKILL)
        gateway.gone(processes)

    def one_worker() -> None:
        os.kill(random.choice(gateway.processes()[1:]), signal.SIGKILL)
        time.sleep(0.1)
        gateway.kill()

    def stopping() -> None:
        assert gateway.process is not None
        gateway.process.terminate()
        time.sleep(random.uniform(0.0, 0.2))
        gateway.kill()

    every_way = [gateway.kill, gateway.kill, stopping]
    return every_way if workers == 1 else [*every_way, first_alone, one_worker]


def _dies_while_it_starts(gateway: AuditedGateway) -> None:
    instant = threading.Timer(random.uniform(0.02, 0.3), gateway.kill)
    instant.start()
    with suppress(AssertionError):
        gateway.start()
    instant.join()
    gateway.kill()


@pytest.mark.parametrize(("kind", "workers"), [("sqlite", 1), ("postgresql", 2)])
def test_what_a_client_was_told_is_in_the_trail_once_whenever_the_gateway_was_killed(
    tmp_path: Path, kind: Kind, workers: int
) -> None:
    kill_again_and_again(tmp_path, kind, workers, 3, look_every=3)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_what_a_client_was_told_is_in_the_trail_once_after_a_hundred_kills(
    tmp_path: Path, kind: Kind, workers: int
) -> None:
    kill_again_and_again(tmp_path, kind, workers, 100, look_every=20)


def at_commits(directory: Path, times: int, *, die: bool) -> None:
    """At commits, end the connection or the whole gateway, before the server has heard of them or after."""
    fates = [Fate.CUT_BEFORE, Fate.CUT_AFTER]
    with (
        running_witness() as witness,
        new_database(postgresql_url()) as url,
        watched_commits(url) as commits,
        audited(
            directory,
            policies=POLICIES,
            upstreams=UPSTREAMS,
            database=commits.url,
            environ={"TEST_SERVICE": witness.address},
            started=False,
        ) as gateway,
    ):
        story = Story(gateway, witness)
        story.begin()
        for turn in range(times):
            if gateway.process is None:
                gateway.start()
            fate = fates[turn % len(fates)]
            with story.clients() as clients:
                wait_for_answers(clients, 30)
                _strike(commits, fate, gateway.kill if die else None)
                if not die:
                    # Others are struck while everything goes on.
                    wait_for_answers(clients, clients.answers + 100)
                story.told |= clients.stop()
            if die and turn < len(fates):
                story.shown()
        gateway.kill()
        story.ends_well()
        assert commits.seen.count(Fate.CUT_BEFORE) + commits.seen.count(Fate.CUT_AFTER) == times


def _strike(commits: Commits, fate: Fate, then: Callable[[], None] | None) -> None:
    """Give one of the next commits its fate; return when it has come."""
    lock, struck = threading.Lock(), threading.Event()
    spared = random.randrange(2)

    def decide() -> Fate:
        nonlocal spared
        with lock:
            if struck.is_set() or spared > 0:
                spared -= 1
                return Fate.PASSES
            if then is not None and fate is Fate.CUT_BEFORE:
                then()
            struck.set()
            return fate

    before = len([one for one in commits.seen if one is not Fate.PASSES])
    commits.decide = decide
    assert struck.wait(20), "nothing was committed"
    while len([one for one in commits.seen if one is not Fate.PASSES]) == before:
        time.sleep(0.001)
    if then is not None and fate is Fate.CUT_AFTER:
        then()


@pytest.mark.parametrize(
    "die", [pytest.param(False, marks=pytest.mark.slow), True], ids=["connection", "gateway"]
)
def test_a_commit_that_breaks_off_neither_loses_nor_repeats_a_record(tmp_path: Path, die: bool) -> None:
    at_commits(tmp_path, 2, die=die)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("die", [False, True], ids=["connection", "gateway"])
def test_many_commits_that_break_off_neither_lose_nor_repeat_a_record(tmp_path: Path, die: bool) -> None:
    at_commits(tmp_path, 40, die=die)


def kill_the_database(directory: Path, times: int) -> None:
    with (
        running_witness() as witness,
        PostgresServer() as server,
        audited(
            directory,
            policies=POLICIES,
            upstreams=UPSTREAMS,
            database=server.url,
            environ={"TEST_SERVICE": witness.address},
            started=False,
        ) as gateway,
    ):
        story = Story(gateway, witness)
        story.begin()
        for turn in range(times):
            with story.clients() as clients:
                wait_for_answers(clients, 100)
                time.sleep(random.uniform(0.0, 0.1))
                server.stop("kill" if turn % 2 else "immediate")
                wait_for_answers(clients, clients.answers + 50)
                server.start()
                wait_for_answers(clients, clients.answers + 50)
                story.told |= clients.stop()
            if turn % 5 == 4:
                gateway.kill()
                gateway.start()
        gateway.kill()
        story.ends_well()


def test_a_database_that_is_killed_under_load_neither_loses_nor_repeats_a_record(tmp_path: Path) -> None:
    kill_the_database(tmp_path, 2)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_database_that_is_killed_forty_times_neither_loses_nor_repeats_a_record(tmp_path: Path) -> None:
    kill_the_database(tmp_path, 40)
