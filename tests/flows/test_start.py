"""A gateway that starts before its database does."""

import signal
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from flows_gateway import POLICIES, UPSTREAMS
from support.gateway import Gateway, eventually
from support.servers import PostgresServer, free_port, redis_url


@pytest.fixture
def postgres() -> Iterator[PostgresServer]:
    with PostgresServer() as server:
        yield server


@pytest.fixture
def early(postgres: PostgresServer, tmp_path: Path) -> Iterator[Gateway]:
    """A gateway that is not running, whose database server has been stopped."""
    postgres.stop("fast")
    gateway = Gateway(
        tmp_path / "early",
        policies=POLICIES,
        upstreams=UPSTREAMS,
        environ={
            "TEST_SERVICE": "127.0.0.1:1",
            "GATEWAY_DATABASE_URL": postgres.url,
            "GATEWAY_ADMIN_LISTEN": f"127.0.0.1:{free_port()}",
        },
    )
    try:
        yield gateway
    finally:
        gateway.kill()


def _readyz(gateway: Gateway) -> tuple[int, str]:
    url = f"http://{gateway.environ['GATEWAY_ADMIN_LISTEN']}/readyz"
    try:
        with urllib.request.urlopen(url, timeout=5) as reply:
            return reply.status, reply.read().decode()
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code, refused.read().decode()
    except OSError:
        return 0, ""


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_database_server_that_is_away_is_waited_for_and_readiness_says_so(
    early: Gateway, postgres: PostgresServer, workers: str
) -> None:
    early.environ |= {"GATEWAY_WORKERS": workers, "GATEWAY_REDIS_URL": redis_url()}
    starting = threading.Thread(target=early.start)
    starting.start()
    try:
        status, text = eventually(
            lambda: (said := _readyz(early))[0] and "database postgresql" in said[1] and said, within=15
        )
        assert status == 503
        assert "127.0.0.1" in text
    finally:
        postgres.start()
        starting.join(30)
    assert _readyz(early)[0] == 200
    assert early.request("GET", "/gateway/v1").status == 200
    assert early.stop() == 0


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_start_that_waits_ends_with_a_signal(early: Gateway, workers: str) -> None:
    early.environ |= {"GATEWAY_WORKERS": workers, "GATEWAY_REDIS_URL": redis_url()}
    with subprocess.Popen(
        [sys.executable, "-m", "gateway", "serve"],
        cwd=early.directory,
        env=early.environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        eventually(lambda: "database postgresql" in _readyz(early)[1], within=15)
        process.send_signal(signal.SIGTERM)
        said, _ = process.communicate(timeout=15)
    assert process.returncode == 0, said
    assert said.count('"waiting"') == 1


def test_a_command_does_not_wait(early: Gateway) -> None:
    done = early.run("users", "list")
    assert done.returncode == 1
    assert done.stderr.startswith("gateway: database postgresql 127.0.0.1:")
    assert "Traceback" not in done.stderr


def test_the_password_of_the_database_is_not_printed(early: Gateway, postgres: PostgresServer) -> None:
    postgres.start()
    done = early.run("migrate")
    assert done.returncode == 0
    assert done.stdout.startswith("the schema of database postgresql 127.0.0.1:")
    password = urlsplit(postgres.url).password
    assert password
    assert password not in done.stdout + done.stderr
