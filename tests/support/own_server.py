"""What a PostgreSQL and a Redis of a test's own have in common: a port that stays, and an end."""

import random
import signal
import socket
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar, Self

from support.installs import Install
from support.kept import Kept, ServerFailed

READY_SECONDS = 20.0
PORTS = range(15000, 30000)
"""Below the ports that Linux gives to outgoing connections: a server that is away finds its own free again."""


def free_port() -> int:
    """Return a port of loopback that nobody listens on, and that outgoing connections do not take."""
    for _ in range(200):
        port = random.SystemRandom().choice(PORTS)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise ServerFailed("no port is free")


class OwnServer(ABC):
    """What both kinds have in common."""

    STOP: ClassVar[Mapping[str, signal.Signals]]
    """Which signal to the first process ends it how."""

    def __init__(self, install: Install) -> None:
        self._kept = Kept()
        self.directory = self._kept.directory
        """Socket, data and log; removed at the end."""
        self.version = f"{install.version} ({install.origin})"
        self.port = 0
        self.pid = 0
        """Process id of the server's first process."""
        self._log = self.directory / "server.log"
        self._log.touch()

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def start(self) -> None:
        """Start the server, with what it had kept, and wait until it answers. Raise `ServerFailed`."""
        if self.port:
            self._start()
            return
        # Somebody else may take the port between the look and the start.
        for last in (False, False, False, True):
            self.port = free_port()
            try:
                self._start()
            except ServerFailed:
                if last or "in use" not in self.log():
                    raise
            else:
                return

    def _start(self) -> None:
        self.pid = self._kept.ask("start", argv=self._command(), log=str(self._log))["pid"]
        try:
            self._await_readiness()
        except BaseException:
            self.stop("kill")
            raise

    def _await_readiness(self) -> None:
        deadline = time.monotonic() + READY_SECONDS
        while not self.answers():
            if not self._kept.alive():
                raise ServerFailed(f"{self.version} has ended:\n{self.log()}")
            if time.monotonic() > deadline:
                raise ServerFailed(f"{self.version} is not ready after {READY_SECONDS:.0f} s:\n{self.log()}")
            time.sleep(0.01)

    def stop(self, mode: str = "fast") -> None:
        """End every process of the server and wait for it.

        `fast`: in order, without waiting for clients; `immediate`: without tidying up; `kill`: SIGKILL for all.
        """
        self._kept.ask("stop", signum=int(self.STOP[mode]))
        self.pid = 0

    def restart(self, mode: str = "fast") -> None:
        """Stop and start again, on the same port."""
        self.stop(mode)
        self.start()

    def pause(self) -> None:
        """Stall every process of the server: connections stay open and are accepted, nothing is answered."""
        self._kept.signal_all(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        self._kept.signal_all(signal.SIGCONT)

    def processes(self) -> list[int]:
        """Return the ids of all processes of the server."""
        return self._kept.processes()

    def close(self) -> None:
        """End the server and remove its directory."""
        self._kept.close()

    def log(self) -> str:
        """Return the end of what the server logged."""
        return self._log.read_text(errors="replace")[-5000:]

    @abstractmethod
    def _command(self) -> list[str]:
        """Return the program and its arguments."""

    @abstractmethod
    def answers(self) -> bool:
        """Say whether the server answers a new connection within a second."""


def first_answer(address: str | tuple[str, int], question: bytes) -> bytes:
    """Return the first bytes of an answer, none when there is no answer."""
    family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
    with socket.socket(family) as connection:
        connection.settimeout(1)
        try:
            connection.connect(address)
            connection.sendall(question)
            return connection.recv(64)
        except OSError:
            return b""
