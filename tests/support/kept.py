"""The tests' side of a keeper: a directory and a server that are gone when the tests are, however they end."""

import contextlib
import json
import os
import pwd
import signal
import stat
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Self

CLOSE_SECONDS = 20.0
LONGEST_PARENT = 60
"""Bytes: a socket below the directory must have a path of at most 107."""

whole_run = contextlib.ExitStack()
"""What lasts until the tests end."""


class ServerFailed(Exception):
    """A test server did not do what it was told."""


@dataclass(frozen=True, slots=True)
class Account:
    """Who runs the servers, when it is not the user who runs the tests."""

    user: int
    group: int


@cache
def account() -> Account | None:
    """Return whom root runs the servers as, None for everybody else: PostgreSQL refuses to be run by root."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody", "daemon"):
        with contextlib.suppress(KeyError):
            entry = pwd.getpwnam(name)
            return Account(entry.pw_uid, entry.pw_gid)
    raise ServerFailed(
        "the tests run as root, and there is no user postgres, nobody or daemon for PostgreSQL"
    )


def runs(argv: Sequence[str]) -> bool:
    """Whether the servers' user can run a program; it may lie where only root can go."""
    who = account()
    try:
        return (
            subprocess.run(
                argv,
                cwd="/",
                stdin=subprocess.DEVNULL,
                capture_output=True,
                check=False,
                timeout=20,
                user=None if who is None else who.user,
                group=None if who is None else who.group,
                extra_groups=None if who is None else [],
            ).returncode
            == 0
        )
    except (OSError, subprocess.SubprocessError):
        return False


@cache
def _parent() -> str:
    """Return where directories are made: reachable for the servers' user, and short enough for sockets."""
    for place in (tempfile.gettempdir(), "/tmp", "/var/tmp", "/dev/shm"):
        if len(os.fsencode(place)) <= LONGEST_PARENT and (account() is None or _is_open(Path(place))):
            return place
    raise ServerFailed("no directory for temporary files that everybody may enter: set TMPDIR to one")


def _is_open(directory: Path) -> bool:
    try:
        return all(place.stat().st_mode & stat.S_IXOTH for place in (directory, *directory.parents))
    except OSError:
        return False


class Kept:
    """One keeper: see `keeper.py`. Use as a context manager, or `close` it."""

    def __init__(self) -> None:
        who = account()
        self._lock = threading.Lock()
        self._process = subprocess.Popen(
            [
                sys.executable,
                "-I",
                "-S",
                str(Path(__file__).with_name("keeper.py")),
                _parent(),
                *(["-", "-"] if who is None else [str(who.user), str(who.group)]),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
            text=True,
        )
        greeting = self._answer()
        self.directory = Path(greeting["directory"])
        self.pid: int = greeting["pid"]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def ask(self, verb: str, **arguments: object) -> dict[str, Any]:
        """Have the keeper do something and return its answer. Raise `ServerFailed`."""
        with self._lock:
            assert self._process.stdin is not None
            try:
                self._process.stdin.write(json.dumps({"verb": verb, **arguments}) + "\n")
                self._process.stdin.flush()
            except OSError as problem:
                raise ServerFailed(f"the keeper of a test server has gone: {problem}") from problem
            return self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise ServerFailed("the keeper of a test server has gone")
        answer: dict[str, Any] = json.loads(line)
        if "problem" in answer:
            raise ServerFailed(answer["problem"])
        return answer

    def run(self, argv: Sequence[str]) -> str:
        """Run a program as the servers' user and return what it printed. Raise `ServerFailed`."""
        done = self.ask("run", argv=list(argv))
        if done["code"] != 0:
            raise ServerFailed(f"{' '.join(argv)} failed ({done['code']}):\n{done['output']}")
        output: str = done["output"]
        return output

    def alive(self) -> bool:
        """Say whether the server runs."""
        return bool(self.ask("alive")["alive"])

    def signal_all(self, signum: signal.Signals) -> None:
        """Send a signal to every process of the server."""
        self.ask("signal_all", signum=int(signum))

    def processes(self) -> list[int]:
        """Return the ids of all processes of the server."""
        pids: list[int] = self.ask("signal_all", signum=0)["pids"]
        return pids

    def close(self) -> None:
        """End the server, remove the directory, and wait until both have happened."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with contextlib.suppress(OSError):
            self._process.stdin.close()
        self._process.wait(CLOSE_SECONDS)
        self._process.stdout.close()
