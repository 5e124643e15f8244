"""A gateway whose audit trail is what a test is about: killed whole, asked by its own commands, looked at in its
database and its spool."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Literal

import pytest
from support.gateway import STOP_SECONDS, Gateway
from support.servers import postgresql_url, redis_url
from support.sql import new_database

Kind = Literal["sqlite", "postgresql"]
KINDS: Sequence[Kind] = ("sqlite", "postgresql")
FIRST_SQLITE: Final = ("sqlite", pytest.param("postgresql", marks=pytest.mark.slow))
"""For stories in which the database hardly matters."""

Record = dict[str, Any]
"""One record as the command line shows it."""


class AuditedGateway(Gateway):
    """A gateway that is killed with all its processes, and asked for its trail."""

    def processes(self) -> list[int]:
        """Return the gateway's processes, the first one first."""
        return [] if self.process is None else [self.process.pid, *_below(self.process.pid)]

    def kill(self) -> None:
        """Send SIGKILL to every process, and wait until all have gone."""
        process = self.process
        if process is None:
            return
        processes = [process.pid, *_below(process.pid)]
        for pid in processes:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.gone(processes)

    def gone(self, processes: Sequence[int]) -> None:
        """Wait until all of these have ended; the gateway is no more."""
        process = self.process
        if process is not None:
            process.wait(STOP_SECONDS)
            self.process = None
        deadline = time.monotonic() + STOP_SECONDS
        while any(map(_lives, processes)):
            assert time.monotonic() < deadline, "processes are left"
            time.sleep(0.002)
        self._reader.join(STOP_SECONDS)

    def export(self, *arguments: str) -> list[Record]:
        """Return every record, oldest first."""
        done = self.run("audit", "export", "--as", "jsonl", *arguments)
        assert (done.returncode, done.stderr) == (0, "")
        return [json.loads(line) for line in done.stdout.splitlines()]

    def verify(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """Have the trail checked."""
        return self.run("audit", "verify", *arguments)

    def is_whole(self, *arguments: str) -> None:
        """Fail unless the trail is as it was written."""
        done = self.verify(*arguments)
        assert done.returncode == 0, done.stdout + done.stderr

    @property
    def spool(self) -> Path:
        """Where records are before they are in the database."""
        return self.data_dir / "spool"


@contextlib.contextmanager
def audited(
    directory: Path,
    *,
    policies: str,
    upstreams: str,
    database: Kind | str = "sqlite",
    workers: int = 1,
    environ: Mapping[str, str] | None = None,
    started: bool = True,
) -> Iterator[AuditedGateway]:
    """Lend a gateway with a database of its own: a kind, or a URL."""
    with contextlib.ExitStack() as stack:
        given: dict[str, str] = {}
        if database == "postgresql":
            given["GATEWAY_DATABASE_URL"] = stack.enter_context(new_database(postgresql_url()))
        elif database != "sqlite":
            given["GATEWAY_DATABASE_URL"] = database
        if workers > 1:
            given |= {"GATEWAY_WORKERS": str(workers), "GATEWAY_REDIS_URL": redis_url()}
        gateway = AuditedGateway(
            directory, policies=policies, upstreams=upstreams, environ=given | dict(environ or {})
        )
        stack.callback(gateway.kill)
        if started:
            gateway.start()
        yield gateway


def decisions(records: Sequence[Record]) -> "Counter[str]":
    """Count decisions by request id."""
    return Counter(record["request_id"] for record in records if record["kind"] == "decision")


def gaps(records: Sequence[Record]) -> list[Record]:
    """Return the records that say that others are missing."""
    return [record for record in records if record["action"] == "audit.gap"]


def copied(gateway: AuditedGateway, directory: Path) -> AuditedGateway:
    """Return a gateway that does not run, with a copy of all that another one left."""
    copy = AuditedGateway(
        directory,
        policies=gateway.policies.read_text(),
        upstreams=gateway.upstreams.read_text(),
        environ=gateway.environ,
    )
    shutil.copytree(gateway.data_dir, copy.data_dir)
    return copy


def _below(pid: int) -> list[int]:
    found: list[int] = []
    waiting = [pid]
    while waiting:
        with contextlib.suppress(OSError):
            one = waiting.pop()
            children = [int(child) for child in Path(f"/proc/{one}/task/{one}/children").read_text().split()]
            found += children
            waiting += children
    return found


def _lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
