"""A whole gateway as its users run it: a process of its own, real sockets, real files."""

import contextlib
import json
import os
import signal
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from email.message import Message
from pathlib import Path
from queue import Empty, Queue
from typing import Any, Self

from support.commands import Forked, commands

START_SECONDS = 30.0
STOP_SECONDS = 20.0
MOST_STALLED_SECONDS = 4.0


@dataclass(frozen=True, slots=True)
class Reply:
    """What a client was answered."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


class Gateway:
    """One gateway process below a directory that outlives it, so that it can be started again."""

    def __init__(self, directory: Path, *, policies: str, upstreams: str, environ: Mapping[str, str]) -> None:
        self.directory = directory
        self.data_dir = directory / "data"
        directory.mkdir(parents=True, exist_ok=True)
        self.policies = directory / "policies.yaml"
        self.upstreams = directory / "upstreams.yaml"
        self.policies.write_text(policies)
        self.upstreams.write_text(upstreams)
        self.environ = {
            **{name: value for name, value in os.environ.items() if not name.startswith("GATEWAY_")},
            "GATEWAY_LISTEN": "127.0.0.1:0",
            "GATEWAY_ADMIN_LISTEN": "127.0.0.1:0",
            "GATEWAY_LOG_FORMAT": "json",
            **environ,
        }
        self.process: Forked | None = None
        self.port = 0
        self.admin_port = 0
        self.lines: list[str] = []
        self.serving: dict[str, Any] = {}
        """The line that said that it serves."""

    @property
    def pid(self) -> int:
        """Process id of the running gateway."""
        assert self.process is not None
        return self.process.pid

    @property
    def url(self) -> str:
        """Base URL of the clients' listener."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> Self:
        """Start the process and wait until it serves."""
        self.process = commands().begin("serve", cwd=self.directory, env=self.environ)
        found: Queue[dict[str, Any] | None] = Queue()
        self._reader = threading.Thread(target=self._read, args=(self.process, found), daemon=True)
        self._reader.start()
        try:
            serving = found.get(timeout=START_SECONDS)
        except Empty:
            serving = None
        if serving is None:
            self.kill()
            raise AssertionError("the gateway did not start:\n" + "\n".join(self.lines[-50:]))
        self.serving = serving
        self.port = _port(serving["listen"])
        self.admin_port = _port(serving["admin_listen"])
        return self

    def _read(self, process: Forked, found: "Queue[dict[str, Any] | None]") -> None:
        assert process.stdout is not None
        with process.stdout as lines:
            for line in lines:
                self.lines.append(line.rstrip("\n"))
                if '"serving"' in line:
                    found.put(json.loads(line))
        found.put(None)

    def stop(self) -> int:
        """Send SIGTERM, and return the exit code once all that it said has been read."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(STOP_SECONDS)
        self._reader.join(STOP_SECONDS)
        self.process = None
        return code

    def readyz(self) -> Reply:
        """Return what operators are told."""
        return self.request("GET", "/readyz", port=self.admin_port)

    def events(self, name: str) -> list[dict[str, Any]]:
        """Return the log lines of one kind."""
        found = (json.loads(line) for line in self.lines if f'"event": "{name}"' in line)
        return [line for line in found if line["event"] == name]

    def kill(self) -> None:
        """Send SIGKILL and wait for the end."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(STOP_SECONDS)
            self.process = None

    def run(self, *arguments: str, stdin: str | None = None) -> "subprocess.CompletedProcess[str]":
        """Run a command of the command line on the same files and data."""
        return commands().run(*arguments, cwd=self.directory, env=self.environ, stdin=stdin)

    def audit(self, *arguments: str) -> list[dict[str, Any]]:
        """Return what `gateway audit list` shows, newest first."""
        done = self.run("audit", "list", "--format", "json", "--limit", "100000", *arguments)
        assert done.returncode == 0, done.stderr
        records: list[dict[str, Any]] = json.loads(done.stdout)
        return records

    def create_user(self, name: str, password: str, *roles: str) -> None:
        """Make a verified account at the command line."""
        flags = [word for role in roles for word in ("--role", role)]
        done = self.run("users", "create", name, *flags, "--password-stdin", stdin=password + "\n")
        assert done.returncode == 0, done.stderr

    def login(self, name: str, password: str) -> dict[str, Any]:
        """Return the tokens of a new session."""
        reply = self.request("POST", "/gateway/v1/auth/login", body={"username": name, "password": password})
        assert reply.status == 200, reply.body
        tokens: dict[str, Any] = reply.json
        return tokens

    def request(
        self,
        method: str,
        path: str,
        *,
        token: str | None = None,
        headers: Mapping[str, str] | None = None,
        body: object = None,
        port: int | None = None,
    ) -> Reply:
        """Send one request on a connection of its own."""
        data = body if isinstance(body, bytes) else None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(
            f"http://127.0.0.1:{port or self.port}{path}", data=data, method=method
        )
        if body is not None and not isinstance(body, bytes):
            request.add_header("Content-Type", "application/json")
        if token is not None:
            request.add_header("Authorization", f"Bearer {token}")
        for name, value in (headers or {}).items():
            request.add_header(name, value)
        try:
            with urllib.request.urlopen(request, timeout=20) as response:
                return Reply(response.status, _joined(response.headers), response.read())
        except urllib.error.HTTPError as error:
            with error:
                return Reply(error.code, _joined(error.headers), error.read())

    def rss(self) -> int:
        """Return the resident memory of the process in bytes."""
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
        raise AssertionError("no VmRSS")


def _port(address: str) -> int:
    return 0 if address.startswith("unix:") else int(address.rpartition(":")[2])


def _joined(fields: Message) -> dict[str, str]:
    """Return fields by name, those that occur more than once as one list (RFC 9110 section 5.3)."""
    return {name: ", ".join(fields.get_all(name, [])) for name in fields}


@contextlib.contextmanager
def running_gateway(
    directory: Path, *, policies: str, upstreams: str, environ: Mapping[str, str] | None = None
) -> Iterator[Gateway]:
    """Run a gateway for the length of the block."""
    gateway = Gateway(directory, policies=policies, upstreams=upstreams, environ=environ or {})
    try:
        yield gateway.start()
    finally:
        gateway.kill()


def eventually(check: "Any", *, within: float = 5.0, what: str = "") -> Any:
    """Return the first true answer of a check, asking until the time is up.

    Not counted is, up to some seconds, when something here had to wait for a processor: what must happen within a
    second does so on a machine that has the time for it.
    """
    begun, stalled = time.monotonic(), _stalled()
    while True:
        answer = check()
        if answer:
            return answer
        passed = time.monotonic() - begun
        if passed > within:
            allowed = within + min(_stalled() - stalled, MOST_STALLED_SECONDS)
            assert passed < allowed, f"not within {within} s: {what or check}"
        time.sleep(0.02)


def _stalled() -> float:
    """Return for how many seconds something has waited for a processor by now; 0.0 where nobody counts them."""
    try:
        told = Path("/proc/pressure/cpu").read_text()
    except OSError:
        return 0.0
    return int(told.partition("total=")[2].split()[0]) / 1e6
