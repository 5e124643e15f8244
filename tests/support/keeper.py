"""Keeps one test server and everything that belongs to it: its processes and its directory.

A program of its own, with the standard library alone, for Linux. It takes commands as lines of JSON on stdin and
answers each with one line on stdout. When the tests end, for whatever reason, `kill -9` included, it ends the
server, waits until no process of it is left, removes the directory, and ends.
"""

import contextlib
import ctypes
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
IPC_RMID = 0

POLITE_SECONDS = 5.0
"""How long a server may take to end before it is killed."""

LOOK_SECONDS = 1.0

libc = ctypes.CDLL(None, use_errno=True)


def die_with_the_keeper() -> None:
    """Have the kernel kill this process when the keeper is killed."""
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


class Keeper:
    """A directory, at most one server, and every process that descends from it."""

    def __init__(self, directory: Path, user: int | None, group: int | None) -> None:
        self.directory = directory
        self.user = user
        self.group = group
        self.server: subprocess.Popen[bytes] | None = None

    def popen(self, argv: list[str], **streams: Any) -> "subprocess.Popen[bytes]":
        """Start a program as the server's user, away from the terminal's signals."""
        who: dict[str, Any] = {}
        if self.user is not None:
            who = {"user": self.user, "group": self.group, "extra_groups": []}
        return subprocess.Popen(
            argv,
            cwd=self.directory,
            env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "TZ": "UTC"},
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            preexec_fn=die_with_the_keeper,  # noqa: PLW1509 - the keeper has one thread
            **who,
            **streams,
        )

    def run(self, argv: list[str]) -> dict[str, Any]:
        """Run a program to its end."""
        program = self.popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        output, _ = program.communicate()
        return {"code": program.returncode, "output": output.decode(errors="replace")}

    def copy(self, source: str, name: str) -> dict[str, Any]:
        """Copy a tree into the directory, for everybody to read."""
        shutil.copytree(source, self.directory / name, symlinks=True)
        self.directory.chmod(0o755)
        return {}

    def start(self, argv: list[str], log: str) -> dict[str, Any]:
        """Start the server. What it says is appended to a log."""
        with Path(log).open("ab") as output:
            self.server = self.popen(argv, stdout=output, stderr=subprocess.STDOUT)
        return {"pid": self.server.pid}

    def alive(self) -> dict[str, Any]:
        """Say whether the server's first process runs."""
        return {"alive": self.server is not None and self.server.poll() is None}

    def stop(self, signum: int) -> dict[str, Any]:
        """End the server with a signal to its first process; SIGKILL goes to all at once."""
        if self.server is not None and self.server.poll() is None:
            if signum == signal.SIGKILL:
                self.signal_all(signal.SIGKILL)
            else:
                self.signal_all(signal.SIGCONT)
                self.server.send_signal(signum)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self.server.wait(POLITE_SECONDS)
        self.end_all()
        self.server = None
        return {}

    def end_all(self) -> None:
        """Kill whatever is left and wait until it has gone."""
        while left := self.descendants():
            for pid in left:
                _signal(pid, signal.SIGKILL)
            time.sleep(0.002)
        if self.server is not None:
            self.server.wait()
        with contextlib.suppress(ChildProcessError):
            while True:
                os.waitpid(-1, 0)

    def signal_all(self, signum: int) -> dict[str, Any]:
        """Send a signal to every process of the server, those that start meanwhile too."""
        reached: set[int] = set()
        while new := set(self.descendants()) - reached:
            for pid in sorted(new):
                _signal(pid, signum)
            reached |= new
        return {"pids": sorted(reached)}

    def descendants(self) -> list[int]:
        """Return the processes below this one, orphans of the server included: the keeper is their reaper."""
        children: dict[int, list[int]] = {}
        for place in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                # The name in parentheses may hold anything, spaces and parentheses too.
                status = (place / "stat").read_bytes().rpartition(b")")[2].split()
                if status[0] != b"Z":
                    children.setdefault(int(status[1]), []).append(int(place.name))
        found: list[int] = []
        waiting = [os.getpid()]
        while waiting:
            below = children.get(waiting.pop(), [])
            found += below
            waiting += below
        return found

    def close(self) -> None:
        """End the server and remove what it leaves."""
        self.stop(signal.SIGQUIT)
        for pidfile in self.directory.glob("*/postmaster.pid"):
            _remove_shared_memory(pidfile)
        shutil.rmtree(self.directory, ignore_errors=True)


def _signal(pid: int, signum: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signum)


def _remove_shared_memory(pidfile: Path) -> None:
    """Remove the segment that a killed PostgreSQL leaves: its id is the last word of the seventh line."""
    with contextlib.suppress(OSError, IndexError, ValueError):
        libc.shmctl(int(pidfile.read_text().splitlines()[6].split()[1]), IPC_RMID, None)


def next_line(tests: int) -> str:
    """Return the next command, nothing when the tests have gone: a child of theirs may hold their end open."""
    while not select.select([sys.stdin], [], [], LOOK_SECONDS)[0]:
        if os.getppid() != tests:
            return ""
    return sys.stdin.readline()


def main() -> None:
    """Serve commands until stdin ends. Arguments: where to make the directory, user and group or `-`."""
    parent, user, group = sys.argv[1:]
    tests = os.getppid()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    libc.prctl(PR_SET_CHILD_SUBREAPER, 1)
    directory = Path(tempfile.mkdtemp(prefix="gw-test-", dir=parent))
    keeper = Keeper(directory, *(None if name == "-" else int(name) for name in (user, group)))
    try:
        if keeper.user is not None:
            os.chown(directory, keeper.user, keeper.group or 0)
        answer: dict[str, Any] = {"directory": str(directory), "pid": os.getpid()}
        while True:
            with contextlib.suppress(BrokenPipeError):
                sys.stdout.write(json.dumps(answer) + "\n")
                sys.stdout.flush()
            line = next_line(tests)
            if not line:
                break
            command = json.loads(line)
            try:
                answer = getattr(keeper, command.pop("verb"))(**command)
            except Exception as problem:  # noqa: BLE001 - told to whoever asked
                answer = {"problem": f"{type(problem).__name__}: {problem}"}
    finally:
        keeper.close()


if __name__ == "__main__":
    main()
