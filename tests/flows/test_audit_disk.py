"""A disk that is full, or that fails: what cannot be recorded does not happen, and what was told stays recorded."""

import contextlib
import json
import os
import resource
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from flows_gateway import POLICIES, UPSTREAMS
from support.audited import AuditedGateway, audited, decisions
from support.gateway import eventually
from support.told import Clients, Told, questions, wait_for_answers
from support.witness import Witness, running_witness

Switch = Callable[[bool], None]
"""Fills a disk, or makes room again."""


def _can_mount() -> bool:
    return os.geteuid() == 0 and subprocess.run(
        ["unshare", "--mount", "true"], capture_output=True, check=False
    ).returncode == 0  # fmt: skip


DISKS: Sequence[str] = ("limit on files", *(["small disk"] if _can_mount() else []))
"""A limit on the size of files works for everybody; only root can have a disk of its own."""


@contextlib.contextmanager
def small_disk(spool: Path, gateway: AuditedGateway) -> Iterator[Switch]:
    """Put a disk of 1 MiB under the spool alone."""
    spool.mkdir(mode=0o700, parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m,mode=700", "tmpfs", str(spool)], check=True)
    ballast = spool / "ballast"

    def full(yes: bool) -> None:
        if not yes:
            ballast.unlink()
            return
        with ballast.open("wb") as file, contextlib.suppress(OSError):
            for size in (65536, 4096, 1):
                with contextlib.suppress(OSError):
                    while True:
                        os.write(file.fileno(), bytes(size))

    try:
        yield full
    finally:
        gateway.kill()
        subprocess.run(["umount", str(spool)], check=True)


@contextlib.contextmanager
def limited_files(gateway: AuditedGateway) -> Iterator[Switch]:
    """No file of the gateway may grow any more."""

    def full(yes: bool) -> None:
        _, hard = resource.prlimit(gateway.pid, resource.RLIMIT_FSIZE)
        # Every log is larger than this already.
        resource.prlimit(gateway.pid, resource.RLIMIT_FSIZE, (2048 if yes else hard, hard))

    yield full


def told_and_recorded(gateway: AuditedGateway, witness: Witness, told: Told) -> None:
    """Every answer is in the trail once, nothing was forwarded unrecorded, and the trail is whole."""
    records = gateway.export()
    found = decisions(records)
    assert [request for request in told.ids if found[request] != 1] == []
    allowed = {record["path"] for record in records if record["decision"] == "allow"}
    assert set(witness.targets) <= allowed
    gateway.is_whole()


@pytest.mark.parametrize("disk", DISKS)
def test_a_disk_that_is_full_under_load_refuses_and_loses_nothing_it_told(tmp_path: Path, disk: str) -> None:
    with (
        running_witness() as witness,
        audited(
            tmp_path,
            policies=POLICIES,
            upstreams=UPSTREAMS,
            environ={"TEST_SERVICE": witness.address},
            started=False,
        ) as gateway,
        small_disk(gateway.spool, gateway) if disk == "small disk" else limited_files(gateway) as full,
    ):
        gateway.start()
        with Clients(gateway.port, "disk", questions(), clients=2) as clients:
            wait_for_answers(clients, 50)
            full(True)
            refused = clients.told.unrecorded
            eventually(lambda: clients.told.unrecorded > refused + 20)
            answered = clients.answers
            time.sleep(0.1)
            assert clients.answers == answered, "nothing is answered that cannot be recorded"
            ready = gateway.readyz()
            assert (ready.status, "audit" in ready.json["failed"]) == (503, True)
            full(False)
            wait_for_answers(clients, answered + 50)
            told = clients.stop()
        assert gateway.stop() == 0
        told_and_recorded(gateway, witness, told)


def test_a_disk_that_is_full_when_the_gateway_is_killed_loses_nothing_it_told(tmp_path: Path) -> None:
    with (
        running_witness() as witness,
        audited(
            tmp_path, policies=POLICIES, upstreams=UPSTREAMS, environ={"TEST_SERVICE": witness.address}
        ) as gateway,
        limited_files(gateway) as full,
    ):
        with Clients(gateway.port, "killed", questions(), clients=2) as clients:
            wait_for_answers(clients, 50)
            full(True)
            eventually(lambda: clients.told.unrecorded > 5)
            gateway.kill()
            told = clients.stop()
        told_and_recorded(gateway, witness, told)
        gateway.start()
        assert gateway.stop() == 0
        told_and_recorded(gateway, witness, told)


FAULTY = """
import errno, os

_real, _flag = os.fdatasync, os.environ["TEST_FAULTS"]

def fdatasync(descriptor):
    if os.path.exists(_flag):
        os.unlink(_flag)
        raise OSError(errno.EIO, os.strerror(errno.EIO))
    _real(descriptor)

os.fdatasync = fdatasync
"""
"""Read by an interpreter at its start (`sitecustomize`)."""


def _traceable() -> bool:
    strace = shutil.which("strace")
    return (
        strace is not None
        and subprocess.run([strace, "-o", "/dev/null", "true"], capture_output=True, check=False).returncode
        == 0
    )


@contextlib.contextmanager
def serving(gateway: AuditedGateway) -> Iterator[None]:
    """Run `gateway serve` by an interpreter of its own."""
    with subprocess.Popen(
        [sys.executable, "-m", "gateway", "serve"],
        cwd=gateway.directory,
        env=gateway.environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stdout is not None
        rest = threading.Thread(target=process.stdout.read)
        try:
            for line in process.stdout:
                if '"serving"' in line:
                    said = json.loads(line)
                    break
            else:
                raise AssertionError("it did not start")
            # What it says from now on must not fill the pipe.
            rest = threading.Thread(target=process.stdout.read)
            rest.start()
            gateway.port = int(said["listen"].rpartition(":")[2])
            gateway.admin_port = int(said["admin_listen"].rpartition(":")[2])
            yield
        finally:
            os.killpg(process.pid, 9)
            process.wait()
            if rest.ident is not None:
                rest.join()


def synced(directory: Path, witness: Witness) -> "contextlib.AbstractContextManager[AuditedGateway]":
    return audited(
        directory,
        policies=POLICIES,
        upstreams=UPSTREAMS,
        environ={"TEST_SERVICE": witness.address, "GATEWAY_AUDIT_DURABILITY": "power"},
        started=False,
    )


@pytest.mark.slow
def test_a_sync_that_fails_refuses_whoever_waited_for_it_and_nobody_else(tmp_path: Path) -> None:
    faults = tmp_path / "faults"
    faults.mkdir()
    (faults / "sitecustomize.py").write_text(FAULTY)
    flag = tmp_path / "fail"
    with running_witness() as witness, synced(tmp_path / "own", witness) as gateway:
        path = os.pathsep.join([str(faults), *filter(None, [gateway.environ.get("PYTHONPATH")])])
        gateway.environ |= {"PYTHONPATH": path, "TEST_FAULTS": str(flag)}
        with serving(gateway), Clients(gateway.port, "eio", questions(), clients=2) as clients:
            for _ in range(2):
                wait_for_answers(clients, clients.answers + 30)
                refused = clients.told.unrecorded
                flag.touch()
                eventually(lambda refused=refused: clients.told.unrecorded > refused)
                wait_for_answers(clients, clients.answers + 30)
            told = clients.stop()
        assert told.unrecorded >= 2
        told_and_recorded(gateway, witness, told)


@contextlib.contextmanager
def injected(gateway: AuditedGateway, file: Path, fault: str) -> Iterator[None]:
    """Have a system call on one file go wrong: `fdatasync:error=EIO:when=3`."""
    call = fault.partition(":")[0]
    with subprocess.Popen(
        [
            "strace",
            "-f",
            "-p",
            str(gateway.pid),
            "-P",
            str(file),
            "-e",
            f"trace={call}",
            "-e",
            f"inject={fault}",
        ],
        stderr=subprocess.PIPE,
        text=True,
    ) as strace:
        assert strace.stderr is not None
        assert "attached" in strace.stderr.readline()
        rest = threading.Thread(target=strace.stderr.read)
        rest.start()
        try:
            yield
        finally:
            strace.terminate()
            rest.join()


def newest_segment(gateway: AuditedGateway) -> Path:
    return max(gateway.spool.rglob("*.segment"), key=lambda path: path.stat().st_mtime_ns)


def faults_again_and_again(directory: Path, fault: str, times: int) -> None:
    with running_witness() as witness, synced(directory, witness) as gateway:
        gateway.start()
        with Clients(gateway.port, "traced", questions(), clients=2) as clients:
            for _ in range(times):
                wait_for_answers(clients, clients.answers + 30)
                refused = clients.told.unrecorded
                with injected(gateway, newest_segment(gateway), fault):
                    eventually(lambda refused=refused: clients.told.unrecorded > refused, within=10.0)
            wait_for_answers(clients, clients.answers + 30)
            told = clients.stop()
        assert gateway.stop() == 0
        told_and_recorded(gateway, witness, told)


def kills_at_writes(directory: Path, fault: str, times: int) -> None:
    """SQLite writes with `pwrite64`; between the writes of one transaction is the middle of a commit."""
    told = Told()
    with (
        running_witness() as witness,
        audited(
            directory,
            policies=POLICIES,
            upstreams=UPSTREAMS,
            environ={"TEST_SERVICE": witness.address},
            started=False,
        ) as gateway,
    ):
        for turn in range(times):
            gateway.start()
            of_spool = fault.startswith("write")
            file = newest_segment(gateway) if of_spool else gateway.data_dir / "gateway.db-wal"
            with Clients(gateway.port, f"k{turn}", questions(), clients=2) as clients:
                # The first of its writes may be the one that ends it.
                wait_for_answers(clients, 4)
                with injected(gateway, file, f"{fault}:signal=SIGKILL:when={1 + turn % 17}"):
                    assert gateway.process is not None
                    gateway.process.wait(20)
                    told |= clients.stop()
            gateway.gone([])
            if turn < 3:
                told_and_recorded(gateway, witness, told)
        assert len(told.marks) >= times
        gateway.start()
        assert gateway.stop() == 0
        told_and_recorded(gateway, witness, told)


if _traceable():
    # What the operating system itself says and does, where it can be had.
    FAULTS = ["fdatasync:error=EIO:when=3", "write:error=ENOSPC:when=3", "write:error=EIO:when=5"]

    @pytest.mark.parametrize("fault", FAULTS[:1])
    def test_a_system_call_that_fails_loses_nothing_that_was_told(tmp_path: Path, fault: str) -> None:
        faults_again_and_again(tmp_path / "own", fault, 1)

    @pytest.mark.slow
    @pytest.mark.parametrize("fault", FAULTS)
    def test_a_system_call_that_fails_again_and_again_loses_nothing_that_was_told(
        tmp_path: Path, fault: str
    ) -> None:
        faults_again_and_again(tmp_path / "own", fault, 10)

    @pytest.mark.parametrize("call", ["write", "pwrite64"], ids=["spool", "database"])
    def test_a_kill_at_a_write_of_the_log_or_of_the_database_loses_nothing_that_was_told(
        tmp_path: Path, call: str
    ) -> None:
        kills_at_writes(tmp_path / "own", call, 2)

    @pytest.mark.slow
    @pytest.mark.timeout(600)
    @pytest.mark.parametrize("call", ["write", "pwrite64"], ids=["spool", "database"])
    def test_a_kill_at_any_write_of_the_log_or_of_the_database_loses_nothing_that_was_told(
        tmp_path: Path, call: str
    ) -> None:
        kills_at_writes(tmp_path / "own", call, 60)
