"""Programs of others in JavaScript: `tests/interop/*.mjs`, with the packages that the lock beside them names."""

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import threading
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from queue import Empty, Queue
from typing import Any

FOLDER = Path(__file__).parents[1] / "interop"
MODULES = FOLDER / "node_modules"
OLDEST = 20
"""Of Node.js: what the packages ask for."""
INSTALL_SECONDS = 300.0
RUN_SECONDS = 30.0
START_SECONDS = 20.0


class NodeMissing(Exception):
    """Node.js or its packages cannot be had."""


class Node:
    """Runs scripts of the interop folder."""

    def __init__(self) -> None:
        self._program = _program("node")
        prepare()

    def __call__(
        self,
        script: str,
        *arguments: str,
        given: str = "",
        environ: Mapping[str, str] | None = None,
        timeout: float = RUN_SECONDS,
    ) -> Any:
        """Run a script to its end and return the JSON that it printed. `given` is what it reads on stdin.

        What it printed on stderr is the message of the failure when it does not end well.
        """
        done = subprocess.run(
            [self._program, str(FOLDER / script), *arguments],
            cwd=FOLDER,
            env={**os.environ, **(environ or {})},
            input=given,
            capture_output=True,
            text=True,
            check=False,
            timeout=timeout,
        )
        assert done.returncode == 0, f"{script} ended with {done.returncode}:\n{done.stderr}{done.stdout}"
        return json.loads(done.stdout)

    @contextlib.contextmanager
    def serving(
        self, script: str, *arguments: str, environ: Mapping[str, str] | None = None
    ) -> Iterator["Serving"]:
        """Run a server for the length of the block. The first line that it prints is JSON, and says where it is.

        It ends with the tests, however they end: it is loaded with `until_stdin_ends.mjs`.
        """
        keeper = (FOLDER / "until_stdin_ends.mjs").as_uri()
        with subprocess.Popen(
            [self._program, "--import", keeper, str(FOLDER / script), *arguments],
            cwd=FOLDER,
            env={**os.environ, **(environ or {})},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as process:
            serving = Serving(process)
            try:
                serving.wait()
                yield serving
            finally:
                process.kill()


class Serving:
    """A server of others that runs."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.lines: list[str] = []
        """What it has printed since its first line, errors too."""
        self.told: Any = None
        """The JSON of its first line."""
        self._process = process
        self._first: Queue[str] = Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def wait(self) -> None:
        """Wait for the first line."""
        try:
            line = self._first.get(timeout=START_SECONDS)
        except Empty:
            line = ""
        try:
            self.told = json.loads(line)
        except ValueError:
            self._process.kill()
            self._process.wait()
            raise AssertionError("the server did not start:\n" + "\n".join([line, *self.lines])) from None

    def say(self, line: str) -> None:
        """Give it a line on its stdin."""
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def _read(self) -> None:
        assert self._process.stdout is not None
        first = True
        with contextlib.suppress(ValueError):
            for line in self._process.stdout:
                if first:
                    self._first.put(line)
                    first = False
                else:
                    self.lines.append(line.rstrip("\n"))
        self._first.put("")


@cache
def prepare() -> None:
    """Have the locked packages installed. Raise `NodeMissing`.

    Several processes may ask at the same time: one installs, the others wait.
    """
    said = subprocess.run(
        [_program("node"), "--version"], capture_output=True, text=True, check=True
    ).stdout.strip()
    if int(said.removeprefix("v").partition(".")[0]) < OLDEST:
        raise NodeMissing(f"the interop tests need Node.js {OLDEST} or newer, and this is {said}")
    lock = (FOLDER / "package-lock.json").read_bytes()
    stamp = MODULES / f".installed-{hashlib.sha256(lock).hexdigest()[:16]}"
    folder = os.open(FOLDER, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        if stamp.exists():
            return
        done = subprocess.run(
            [_program("npm"), "ci", "--ignore-scripts", "--no-audit", "--no-fund"],
            cwd=FOLDER,
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
            timeout=INSTALL_SECONDS,
        )
        if done.returncode != 0:
            raise NodeMissing(f"npm ci failed in tests/interop:\n{done.stderr}{done.stdout}")
        stamp.touch()
    finally:
        os.close(folder)


def _program(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        raise NodeMissing(
            f"the interop tests need Node.js {OLDEST} or newer, and there is no {name} on the PATH; "
            "on Debian and Ubuntu: apt install nodejs npm"
        )
    return found
