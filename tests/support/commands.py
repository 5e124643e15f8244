"""Commands of the gateway in processes of their own, without the second that a fresh interpreter takes to import it.

One process imports the program and forks for every command; what is forked knows nothing of the tests. Run as a
program this file is that process: it takes requests from a socket that is its file descriptor 0, and from whoever
connects to the address that it is given.
"""

import contextlib
import ctypes
import gc
import importlib
import json
import os
import pkgutil
import resource
import secrets
import select
import signal
import socket
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import IO, Any, NoReturn, Self, cast

PR_SET_PDEATHSIG = 1
LONGEST = 1 << 18
"""Bytes of a request: arguments and environment."""
LEAST_COST = 4
"""Of hashing a password with bcrypt, here and in every command: each one more doubles the time, and tests hash
many."""
PASSWORD_COST = "GATEWAY_TEST_PASSWORD_COST"
"""Variable of a command for another cost: of tests that are about how long hashing takes."""
_LATE = ("alembic.command", "encodings.idna", "pydantic.type_adapter", "rich.markdown", "typer._adapters")
"""What commands import when they need it."""
_LIMITS = [getattr(resource, name) for name in dir(resource) if name.startswith("RLIMIT_")]


class Forked:
    """A command that runs; what tests use of `subprocess.Popen`."""

    def __init__(self, commands: "Commands", pid: int, stdout: IO[str] | None) -> None:
        self.pid = pid
        self.stdout = stdout
        self.returncode: int | None = None
        self._commands = commands
        self._end = os.pidfd_open(pid)
        self._reaping = threading.Lock()

    def send_signal(self, signum: int) -> None:
        """Send a signal, unless it has ended."""
        if self.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._end, signum)

    def terminate(self) -> None:
        """Send SIGTERM."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Send SIGKILL."""
        self.send_signal(signal.SIGKILL)

    def poll(self) -> int | None:
        """Return how it ended, None while it runs."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Return how it ended, as `subprocess` says it. Raise `TimeoutExpired`."""
        with self._reaping:
            if self.returncode is None:
                if not select.select([self._end], [], [], timeout)[0]:
                    raise subprocess.TimeoutExpired("gateway", timeout or 0.0)
                self.returncode = self._commands.reap(self.pid)
                os.close(self._end)
            return self.returncode


class Commands:
    """The process that forks. Use as a context manager."""

    def __init__(self) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._socket = ours
        self._lock = threading.Lock()
        self.address = "\0" + secrets.token_hex(16)
        """Where others than the tests ask for commands."""
        with theirs:
            program = [sys.executable, "-P", str(Path(__file__).resolve()), self.address[1:]]
            self._process = subprocess.Popen(program, stdin=theirs.fileno())
        self.pid = self._process.pid

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()
        self._process.wait(20)

    def start(
        self,
        arguments: Sequence[str],
        *,
        cwd: Path,
        env: Mapping[str, str],
        stdin: IO[Any] | int | None = None,
        stdout: IO[Any] | int,
        stderr: IO[Any] | int,
    ) -> int:
        """Start a command and return its process id; `reap` it when it has ended."""
        with Path(os.devnull).open("rb") as nothing:
            files = [_number(nothing if stdin is None else stdin), _number(stdout), _number(stderr)]
            request = {
                "argv": list(arguments),
                "cwd": str(cwd),
                "env": dict(env),
                "limits": [(limit, resource.getrlimit(limit)) for limit in _LIMITS],
            }
            return int(self._ask(request, files)["pid"])

    def reap(self, pid: int) -> int:
        """Return how a command ended, as `subprocess` says it."""
        return int(self._ask({"reap": pid}, [])["code"])

    def begin(self, *arguments: str, cwd: Path, env: Mapping[str, str]) -> Forked:
        """Start a command whose output, errors too, is to be read."""
        reading, writing = os.pipe()
        try:
            pid = self.start(arguments, cwd=cwd, env=env, stdout=writing, stderr=writing)
        finally:
            os.close(writing)
        return Forked(self, pid, os.fdopen(reading, encoding="utf-8", errors="replace"))

    def run(
        self,
        *arguments: str,
        cwd: Path,
        env: Mapping[str, str],
        stdin: str | None = None,
        timeout: float = 60.0,
    ) -> "subprocess.CompletedProcess[str]":
        """Run a command to its end."""
        with contextlib.ExitStack() as stack:
            given, out, err = (stack.enter_context(_unnamed_file()) for _ in range(3))
            given.write((stdin or "").encode())
            given.seek(0)
            process = Forked(
                self, self.start(arguments, cwd=cwd, env=env, stdin=given, stdout=out, stderr=err), None
            )
            try:
                code = process.wait(timeout)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                raise
            out.seek(0)
            err.seek(0)
            return subprocess.CompletedProcess(
                ["gateway", *arguments], code, out.read().decode(), err.read().decode()
            )

    def _ask(self, request: Mapping[str, object], files: Sequence[int]) -> dict[str, Any]:
        with self._lock:
            socket.send_fds(self._socket, [json.dumps(request).encode()], list(files))
            answer = self._socket.recv(LONGEST)
        assert answer, "the process that starts commands has ended"
        return cast("dict[str, Any]", json.loads(answer))


@cache
def commands() -> Commands:
    """Return the process that forks, started on first use; it ends with the tests."""
    from support.kept import whole_run

    return whole_run.enter_context(Commands())


def hash_at(cost: int) -> int:
    """Let hashing a password cost this in this process, and return what it did cost."""
    from gateway.accounts.passwords import Passwords

    defaults = Passwords.__init__.__kwdefaults__
    assert defaults is not None
    before: int = defaults["cost"]
    defaults["cost"] = cost
    return before


def _unnamed_file() -> IO[bytes]:
    return os.fdopen(os.memfd_create("command"), "w+b")


def _number(file: IO[Any] | int) -> int:
    return file if isinstance(file, int) else file.fileno()


def _import_program() -> None:
    import gateway.cli

    for module in pkgutil.iter_modules(gateway.cli.__path__, "gateway.cli."):
        importlib.import_module(module.name)
    for name in _LATE:
        importlib.import_module(name)
    # Whoever collects what was there before the fork copies all of its memory.
    gc.collect()
    gc.freeze()


def _serve_requests(tests: socket.socket, door: socket.socket) -> None:
    """Answer requests until the tests have ended."""
    _import_program()
    hash_at(LEAST_COST)
    connections = [tests, door]
    while True:
        for one in select.select(connections, [], [])[0]:
            if one is door:
                connections.append(door.accept()[0])
                continue
            data, files, _, _ = socket.recv_fds(one, LONGEST, 3)
            if data:
                one.send(json.dumps(_done(json.loads(data), files)).encode())
            elif one is tests:
                return
            else:
                connections.remove(one)
                one.close()


def _done(request: Mapping[str, Any], files: Sequence[int]) -> dict[str, int]:
    """Do what is asked for, and return the answer."""
    if "reap" in request:
        _, status = os.waitpid(request["reap"], 0)
        return {"code": os.waitstatus_to_exitcode(status)}
    pid = os.fork()
    if pid == 0:
        _become(request, files)
    for file in files:
        os.close(file)
    return {"pid": pid}


def _become(request: Mapping[str, Any], files: Sequence[int]) -> NoReturn:
    """Run a command in this process and end with it."""
    code: object = 70
    # Whatever becomes of the tests, nothing of theirs runs on.
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL))
    try:
        for number, file in enumerate(files):
            os.dup2(file, number)
        # Of open files a program that is started has these alone.
        os.closerange(len(files), resource.getrlimit(resource.RLIMIT_NOFILE)[1])
        for limit, value in request.get("limits", ()):
            resource.setrlimit(limit, value)
        os.chdir(request["cwd"])
        os.environ.clear()
        os.environ.update(request["env"])
        time.tzset()
        if PASSWORD_COST in os.environ:
            hash_at(int(os.environ[PASSWORD_COST]))
        sys.argv = ["gateway", *request["argv"]]
        sys.stdout.reconfigure(line_buffering=False)  # type: ignore[union-attr] # a plain text file
        from gateway.cli.main import main

        main()
        code = 0
    except SystemExit as end:
        code = end.code
    except BaseException:  # noqa: BLE001 - as an interpreter ends
        traceback.print_exc()
        code = 1
    finally:
        with contextlib.suppress(OSError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code if isinstance(code, int) else 0 if code is None else 1)


if __name__ == "__main__":
    # A descriptor of its own: what is forked gets another standard input.
    _tests = socket.socket(fileno=os.dup(0))
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as _door:
        _door.bind("\0" + sys.argv[1])
        _door.listen()
        _serve_requests(_tests, _door)
