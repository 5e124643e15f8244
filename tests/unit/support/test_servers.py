"""The servers that other tests trust: they start, they do as told, and nothing of them stays."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest
import redis
from support.gateway import eventually
from support.given_servers import GivenRedis, given_postgres_version
from support.installs import postgres_install, reachable_programs
from support.kept import Kept, account
from support.own_server import OwnServer
from support.servers import (
    PostgresServer,
    RedisServer,
    ServerFailed,
    empty_redis_url,
    postgresql_url,
    redis_url,
    versions,
)
from support.sql import new_database, sql

KINDS: list[Callable[[], OwnServer]] = [PostgresServer, RedisServer]
TESTS = Path(__file__).parents[2]


def runs(pid: int) -> bool:
    try:
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


@pytest.fixture
def client() -> Iterator[Callable[[str], "redis.Redis"]]:
    """Open a client of a URL, closed at the end."""
    with ExitStack() as stack:
        yield lambda url: stack.enter_context(GivenRedis.client(url))


def test_the_shared_servers_answer_and_say_what_they_are(client: Callable[[str], "redis.Redis"]) -> None:
    assert sql(postgresql_url(), "SELECT 1") == (1,)
    assert client(redis_url()).ping()
    assert [version.split()[0] for version in versions()] in (
        ["PostgreSQL", "Redis"],
        ["PostgreSQL", "Valkey"],
    )


def test_the_shared_redis_can_be_emptied(client: Callable[[str], "redis.Redis"]) -> None:
    client(redis_url()).set("left", "over")
    assert client(empty_redis_url()).get("left") is None


def test_a_database_is_lent_and_taken_back() -> None:
    with new_database(postgresql_url()) as url:
        sql(url, "CREATE TABLE things (name text)")
        name = sql(url, "SELECT current_database()")[0]
    assert sql(postgresql_url(), f"SELECT count(*) FROM pg_database WHERE datname = '{name}'") == (0,)


@pytest.mark.parametrize("kind", KINDS)
def test_two_servers_at_once_do_not_disturb_each_other(kind: Callable[[], OwnServer]) -> None:
    with kind() as one, kind() as other:
        assert one.port != other.port
        one.stop()
        assert not one.answers()
        assert other.answers()


@pytest.mark.parametrize("mode", ["fast", "immediate", "kill"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_stop_is_complete(kind: Callable[[], OwnServer], mode: str) -> None:
    with kind() as server:
        pids = server.processes()
        assert server.pid in pids
        server.stop(mode)
        assert [pid for pid in pids if runs(pid)] == []
        assert server.processes() == []
    assert not server.directory.exists()


@pytest.mark.parametrize("kind", KINDS)
def test_a_stalled_server_accepts_and_does_not_answer(kind: Callable[[], OwnServer]) -> None:
    with kind() as server:
        server.pause()
        assert not server.answers()
        server.resume()
        assert server.answers()
        # What is stalled can be ended too.
        server.pause()


@pytest.mark.parametrize("mode", ["fast", "immediate", "kill"])
def test_what_postgresql_committed_survives_its_end(mode: str) -> None:
    with PostgresServer() as server:
        sql(server.url, "CREATE TABLE things AS SELECT 7 AS seven")
        url = server.url
        server.restart(mode)
        assert server.url == url
        assert sql(url, "SELECT seven FROM things") == (7,)


def test_postgresql_takes_settings_and_a_socket() -> None:
    with PostgresServer({"max_connections": "17"}) as server:
        assert sql(server.url, "SHOW max_connections") == ("17",)
        assert len(os.fsencode(server.directory / ".s.PGSQL.00000")) < 100


@pytest.mark.parametrize("empty", [True, False])
def test_redis_restarts_empty_unless_told_otherwise(
    client: Callable[[str], "redis.Redis"], empty: bool
) -> None:
    with RedisServer(empty=empty) as server:
        client(server.url).set("a", "1")
        server.restart()
        assert client(server.url).get("a") == (None if empty else b"1")


def test_redis_takes_a_password_users_and_settings(client: Callable[[str], "redis.Redis"]) -> None:
    with RedisServer(
        password="secret",
        acl=["user alice on >wonder ~a:* +get +set"],
        settings={"maxmemory": "20mb"},
    ) as server:
        assert client(server.url).config_get("maxmemory") == {"maxmemory": str(20 * 2**20)}
        assert client(server.unix_url).ping()
        alice = client(f"redis://alice:wonder@127.0.0.1:{server.port}/0")
        assert alice.set("a:1", "x")
        with pytest.raises(redis.exceptions.NoPermissionError):
            alice.set("b:1", "x")
        with pytest.raises(redis.AuthenticationError):
            client(f"redis://127.0.0.1:{server.port}/0").ping()


@pytest.mark.parametrize(
    ("server", "said"),
    [
        (lambda: PostgresServer({"shared_buffers": "nonsense"}), "shared_buffers"),
        (lambda: RedisServer(settings={"maxmemory": "nonsense"}), "maxmemory"),
    ],
    ids=["postgresql", "redis"],
)
def test_a_server_that_cannot_start_says_why(server: Callable[[], OwnServer], said: str) -> None:
    refused = server()
    with pytest.raises(ServerFailed, match=said), refused:
        pass
    assert not refused.directory.exists()


OWNER = """
import json, os, sys, time
from support.servers import PostgresServer, RedisServer
servers = [PostgresServer().__enter__(), RedisServer().__enter__()]
child = 0
if "fork" in sys.argv:
    sys.argv.remove("fork")
    child = os.fork() or time.sleep(30) or os._exit(0)
for server in servers:
    for what in sys.argv[1:]:
        getattr(server, what)()
print(json.dumps({
    "child": child,
    "pids": [pid for server in servers for pid in server.processes()],
    "directories": [str(server.directory) for server in servers],
}), flush=True)
time.sleep(60)
"""


@pytest.mark.parametrize(
    ("signum", "before"),
    [
        pytest.param(signal.SIGINT, (), id="interrupted"),
        pytest.param(signal.SIGKILL, (), id="killed", marks=pytest.mark.slow),
        pytest.param(signal.SIGKILL, ("pause",), id="killed with stalled servers"),
        pytest.param(signal.SIGKILL, ("fork",), id="killed, but not a child", marks=pytest.mark.slow),
    ],
)
def test_servers_end_with_the_tests_however_those_end(
    signum: signal.Signals, before: tuple[str, ...]
) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", OWNER, *before],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(TESTS), *sys.path])},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as owner:
        assert owner.stdout is not None
        told = json.loads(owner.stdout.readline())
        assert len(told["pids"]) > 3
        assert all(runs(pid) for pid in told["pids"])
        owner.send_signal(signum)
        owner.wait(10)
        eventually(
            lambda: not any(runs(pid) for pid in told["pids"]),
            within=15.0,
            what="processes of the servers are gone",
        )
        eventually(lambda: not any(Path(name).exists() for name in told["directories"]), within=15.0)
        if told["child"]:
            os.kill(told["child"], signal.SIGKILL)


def test_a_server_dies_with_its_keeper() -> None:
    with RedisServer() as server:
        pids = server.processes()
        os.kill(server._kept.pid, signal.SIGKILL)
        eventually(lambda: not any(runs(pid) for pid in pids))
        # Nobody else is left to do it.
        shutil.rmtree(server.directory)


def test_programs_that_the_servers_user_cannot_reach_are_copied() -> None:
    programs = reachable_programs(replace(postgres_install(), reachable=False))
    assert programs != postgres_install().bin
    with Kept() as kept:
        kept.run(
            [str(programs / "initdb"), "-D", str(kept.directory / "data"), "--no-sync", "-U", "postgres"]
        )
        owner = (kept.directory / "data" / "PG_VERSION").stat().st_uid
        who = account()
        assert owner == (os.geteuid() if who is None else who.user)
        assert owner != 0


def test_a_given_postgresql_is_asked_for_its_version() -> None:
    with PostgresServer() as server:
        assert (
            given_postgres_version(server.url)
            == f"{server.version.split(' (')[0]} (GATEWAY_TEST_DATABASE_URL)"
        )
        sql(server.url, "CREATE ROLE guest LOGIN PASSWORD 'guest'")
        guest = f"postgresql://guest:guest@127.0.0.1:{server.port}/postgres"
        with pytest.raises(ServerFailed, match="may not create databases"):
            given_postgres_version(guest)
    with pytest.raises(ServerFailed, match="GATEWAY_TEST_DATABASE_URL cannot be used"):
        given_postgres_version(guest)


def test_the_data_of_a_given_redis_is_never_touched(client: Callable[[str], "redis.Redis"]) -> None:
    with RedisServer() as server:
        client(server.url).set("precious", "1")
        with pytest.raises(ServerFailed, match="not empty"):
            GivenRedis(server.url)
        somewhere = f"redis://127.0.0.1:{server.port}"
        with GivenRedis(somewhere) as given, GivenRedis(somewhere) as other:
            assert (given.url, other.url) == (f"{somewhere}/1", f"{somewhere}/2")
            client(given.url).set("rubbish", "1")
            client(other.url).set("rubbish", "1")
            GivenRedis.empty(given.url)
            assert client(given.url).get("rubbish") is None
            assert client(other.url).get("rubbish") == b"1"
            with pytest.raises(ServerFailed, match="not empty"):
                GivenRedis(given.url)
        assert (client(given.url).dbsize(), client(other.url).dbsize()) == (0, 0)
        assert client(server.url).get("precious") == b"1"
        with GivenRedis(server.unix_url) as by_socket:
            assert by_socket.url == f"{server.unix_url}?db=1"
    with pytest.raises(ServerFailed, match="GATEWAY_TEST_REDIS_URL cannot be used"):
        GivenRedis(server.url)
    with pytest.raises(ServerFailed, match=r"redis\+cluster"):
        GivenRedis("redis+cluster://127.0.0.1")
