"""A command that was forked is what a real process would have been."""

import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from support.commands import commands
from support.gateway import Gateway
from support.pasted import gateway_below, paste

POLICIES = """\
version: 1
routes: [{id: here, match: {methods: [GET], path: /}, upstream: nowhere, authn: public, because: For tests}]
"""
UPSTREAMS = 'version: 1\nupstreams: {nowhere: {targets: [{url: "http://127.0.0.1:1"}]}}\n'


@pytest.fixture
def gateway(tmp_path: Path) -> Gateway:
    """One that does not run."""
    return Gateway(tmp_path, policies=POLICIES, upstreams=UPSTREAMS, environ={})


def _sockets(pid: int) -> set[str]:
    files = [str(file.readlink()) for file in Path(f"/proc/{pid}/fd").iterdir()]
    return {name for name in files if name.startswith("socket:")}


@pytest.mark.parametrize(
    "arguments",
    [["check", "--format", "json"], ["check", "--policies", "missing.yaml"], ["nonsense"]],
    ids=["a success", "a failure", "a mistake"],
)
def test_it_says_and_returns_what_a_fresh_interpreter_does(gateway: Gateway, arguments: list[str]) -> None:
    real = subprocess.run(
        [sys.executable, "-m", "gateway", *arguments],
        cwd=gateway.directory,
        env=gateway.environ,
        capture_output=True,
        text=True,
        check=False,
    )
    forked = gateway.run(*arguments)
    assert (forked.returncode, forked.stdout, forked.stderr) == (real.returncode, real.stdout, real.stderr)


def test_it_reads_what_it_is_given_and_nothing_when_it_is_given_nothing(gateway: Gateway) -> None:
    gateway.create_user("rita", "a reader's password")
    refused = gateway.run("users", "create", "walt", "--password-stdin")
    assert refused.returncode != 0


@pytest.mark.parametrize(("signum", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 0), (signal.SIGKILL, -9)])
def test_signals_reach_it_and_its_end_is_told(gateway: Gateway, signum: signal.Signals, code: int) -> None:
    gateway.start()
    process = gateway.process
    assert process is not None
    assert process.poll() is None
    process.send_signal(signum)
    assert process.wait(20) == code
    assert process.poll() == code
    # Nobody is hit who has the number by now.
    process.kill()


def test_whoever_waits_too_short_is_told_so_and_may_wait_again(gateway: Gateway) -> None:
    gateway.start()
    assert gateway.process is not None
    with pytest.raises(subprocess.TimeoutExpired):
        gateway.process.wait(0.01)
    assert gateway.stop() == 0


def test_it_has_the_place_the_environment_and_the_limits_of_a_child(gateway: Gateway) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (0, hard))
    try:
        gateway.start()
    finally:
        resource.setrlimit(resource.RLIMIT_CORE, (soft, hard))
    seen = Path(f"/proc/{gateway.pid}")
    assert (seen / "cwd").readlink() == gateway.directory.resolve()
    (core,) = [line for line in (seen / "limits").read_text().splitlines() if line.startswith("Max core")]
    assert core.split()[4] == "0"
    assert os.getpgid(gateway.pid) == os.getpgid(0)
    assert not _sockets(gateway.pid) & _sockets(commands().pid)
    assert gateway.stop() == 0


def test_a_shell_runs_it_as_any_command(gateway: Gateway, tmp_path: Path) -> None:
    environ = gateway.environ | {"PATH": f"{gateway_below(tmp_path / 'bin')}:{os.environ['PATH']}"}
    told = paste(
        "printf 'a password of hers' | gateway users create rita --password-stdin >/dev/null; "
        "gateway users list | grep -c rita; gateway nonsense 2>/dev/null; echo $?",
        folder=gateway.directory,
        environ=environ,
    )
    assert told.split() == ["1", "2"]


def test_the_tests_know_it_by_the_number_that_the_system_has(gateway: Gateway) -> None:
    process = commands().begin("check", cwd=gateway.directory, env=gateway.environ)
    with process.stdout or pytest.fail("nothing to read") as said:
        assert said.read()
    assert process.wait(20) == 0
    assert not Path(f"/proc/{process.pid}").exists()
