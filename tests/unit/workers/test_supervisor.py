"""A supervisor with workers of a few lines: what the flows with real ones do not show."""

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[2]


class Small:
    """One run of the program."""

    def __init__(self, workers: int, manner: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "support.small_workers", str(workers), manner],
            env={**os.environ, "PYTHONPATH": f"{TESTS}:{TESTS.parent}"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self.children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        self.port = 0
        self.pids: list[int] = []

    def serving(self) -> "Small":
        """Wait until it serves."""
        assert self.process.stdout is not None
        line = json.loads(self.process.stdout.readline())
        self.port, self.pids = line["port"], line["pids"]
        return self

    def ask(self) -> bytes:
        """Connect, and return the number of the worker that answered."""
        with socket.create_connection(("127.0.0.1", self.port), 10) as client:
            return client.recv(10)

    def rest(self) -> str:
        """Wait for the end, and return everything that was printed."""
        said, _ = self.process.communicate(timeout=20)
        with pytest.raises(ProcessLookupError):
            os.killpg(self.process.pid, 0)
        return said

    def end(self) -> str:
        self.process.terminate()
        return self.rest()


@pytest.fixture
def small() -> Iterator[Callable[[int, str], Small]]:
    started: list[Small] = []

    def start(workers: int, manner: str = "none") -> Small:
        started.append(Small(workers, manner))
        return started[-1]

    yield start
    for one in started:
        if one.process.poll() is None:
            os.killpg(one.process.pid, signal.SIGKILL)
        one.process.communicate()


def test_short_connections_go_to_all_in_turns(small: Callable[..., Small]) -> None:
    running = small(3).serving()
    answers = Counter(running.ask() for _ in range(300))
    assert set(answers) == {b"1", b"2", b"3"}
    assert all(90 <= count <= 110 for count in answers.values())
    assert running.end().endswith("ended\n")
    assert running.process.returncode == 0


def test_a_worker_that_crashes_at_the_start_ends_the_start(small: Callable[..., Small]) -> None:
    running = small(3, "crashing")
    assert "refused: worker 2 ended while it started: exit code 3\n" in running.rest()
    assert running.process.returncode == 2


def test_a_worker_that_cannot_start_says_why(small: Callable[..., Small]) -> None:
    running = small(3, "refusing")
    assert "refused: the second worker does not want to\n" in running.rest()
    assert running.process.returncode == 2


def test_a_worker_that_does_not_end_is_killed_after_a_while(small: Callable[..., Small]) -> None:
    running = small(2, "stubborn").serving()
    begun = time.monotonic()
    said = running.end()
    assert time.monotonic() - begun < 5
    assert said.count("worker_killed") == 2
    assert said.count("killed by SIGKILL") == 2
    assert running.process.returncode == 0


def test_orphans_of_others_are_taken_in_and_buried(small: Callable[..., Small]) -> None:
    running = small(1, "orphaning").serving()
    deadline = time.monotonic() + 5
    # Its worker and the operators' process are what is left.
    while len(running.children.read_text().split()) != 2:
        assert time.monotonic() < deadline, running.children.read_text()
        time.sleep(0.01)
    assert running.ask() == b"1"
    assert running.end().count("worker_ended") == 1


@pytest.mark.parametrize("children", [1, 2, 3, 5])
def test_a_signal_in_the_middle_of_the_start_ends_it(small: Callable[..., Small], children: int) -> None:
    running = small(4)
    while len(running.children.read_text().split()) < children:
        assert running.process.poll() is None
    running.process.terminate()
    running.process.terminate()
    said = running.rest()
    assert said.endswith("ended\n")
    assert "cannot_accept" not in said
    assert running.process.returncode == 0


def test_connections_outlive_workers_that_are_killed_all_the_time(small: Callable[..., Small]) -> None:
    running = small(3).serving()
    # The first to fall is started again at once, and then less and less often: the others serve.
    os.kill(running.pids[0], signal.SIGKILL)
    os.kill(running.pids[1], signal.SIGKILL)
    answers = [running.ask() for _ in range(200)]
    # A killed worker may have had a connection in its hands.
    assert sum(answer == b"" for answer in answers) <= 2
    os.kill(running.pids[2], signal.SIGKILL)
    answers = [running.ask() for _ in range(200)]
    assert sum(answer == b"" for answer in answers) <= 1
    assert len(re.findall(r"killed by SIGKILL", running.end())) == 3


def test_whoever_has_connected_when_the_end_begins_is_answered(small: Callable[..., Small]) -> None:
    running = small(2).serving()
    for pid in running.pids:
        os.kill(pid, signal.SIGSTOP)
    with contextlib.ExitStack() as stack:
        # More than the workers' queues take at once.
        clients = [
            stack.enter_context(socket.create_connection(("127.0.0.1", running.port), 10))
            for _ in range(1500)
        ]
        running.process.terminate()
        for pid in running.pids:
            os.kill(pid, signal.SIGCONT)
        answers = Counter(client.recv(10) for client in clients)
    assert sum(answers.values()) - answers[b""] == 1500
    assert running.rest().endswith("ended\n")
