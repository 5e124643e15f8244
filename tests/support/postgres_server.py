"""A PostgreSQL of a test's own."""

import secrets
import signal
import struct
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import ClassVar

from support.installs import postgres_install, reachable_programs
from support.kept import Kept, whole_run
from support.own_server import OwnServer, first_answer


class PostgresServer(OwnServer):
    """A PostgreSQL of one's own: user `postgres`, a password, TCP on loopback and a socket.

    Nothing is forced to the disk, but the log is written before a commit returns: what was committed survives the
    end of its processes. `settings` are lines of `postgresql.conf`.
    """

    STOP: ClassVar = {"fast": signal.SIGINT, "immediate": signal.SIGQUIT, "kill": signal.SIGKILL}

    def __init__(self, settings: Mapping[str, str] | None = None) -> None:
        super().__init__(postgres_install())
        self._settings = {
            "fsync": "off",
            "full_page_writes": "off",
            "shared_buffers": "16MB",
            "max_connections": "200",
            "wal_level": "minimal",
            "max_wal_senders": "0",
            "autovacuum": "off",
            "jit": "off",
            # A file of the data directory goes with it; what lies in /dev/shm would stay after a kill.
            "dynamic_shared_memory_type": "mmap",
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": str(self.directory),
            "unix_socket_permissions": "0700",
            **(settings or {}),
        }
        self._data = self.directory / "data"
        self._kept.run(["cp", "-a", str(cluster() / "data"), str(self._data)])

    @property
    def url(self) -> str:
        """URL of the database `postgres`, as superuser."""
        return f"postgresql://postgres:{_password()}@127.0.0.1:{self.port}/postgres"

    @property
    def unix_url(self) -> str:
        """The same by the socket; only the user who runs the server gets in."""
        return f"postgresql://postgres:{_password()}@/postgres?host={self.directory}&port={self.port}"

    def _command(self) -> list[str]:
        settings = {**self._settings, "port": str(self.port)}
        flags = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        return [str(reachable_programs(postgres_install()) / "postgres"), "-D", str(self._data), *flags]

    def answers(self) -> bool:
        # The first question of a connection: whoever asks for a password is ready, a server that still starts
        # answers with an error.
        parameters = b"user\0postgres\0database\0postgres\0\0"
        hello = struct.pack("!ii", 8 + len(parameters), 196608) + parameters
        return first_answer(("127.0.0.1", self.port), hello)[:1] == b"R"


@cache
def _password() -> str:
    return secrets.token_hex(12)


@cache
def cluster() -> Path:
    """Return a directory with a fresh `data` that no server runs on, for each server to copy."""
    kept = whole_run.enter_context(Kept())
    password = kept.directory / "password"
    password.write_text(_password())
    password.chmod(0o644)
    kept.run(
        [
            str(reachable_programs(postgres_install()) / "initdb"),
            f"--pgdata={kept.directory / 'data'}",
            "--username=postgres",
            f"--pwfile={password}",
            "--auth=scram-sha-256",
            "--encoding=UTF8",
            "--locale=C",
            "--wal-segsize=1",
            "--no-sync",
            "--no-instructions",
        ]
    )
    return kept.directory
