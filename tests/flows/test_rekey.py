"""Changing the master secret of gateways that run: nobody notices, whatever is cut off, stopped or restarted."""

import asyncio
import json
import os
import random
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from databases import opened
from flows_gateway import POLICIES, UPSTREAMS
from sqlalchemy import select
from support.commands import Forked, commands
from support.gateway import Gateway
from support.servers import postgresql_url
from support.sql import new_database

from gateway.stores.sql.sealed_values import SEALED
from gateway.stores.sql.tables import users

pytestmark = pytest.mark.slow

PASSWORD = "correct horse battery"
OLD = "the first master secret of these tests"
NEW = "the second master secret of these tests"
AUTH = "/gateway/v1/auth/"


class Load(threading.Thread):
    """Does one thing again and again, and keeps what was answered otherwise than it should."""

    def __init__(self, what: Callable[[], tuple[int, bytes]]) -> None:
        super().__init__()
        self.answers = 0
        self.wrong: list[tuple[int, bytes]] = []
        self._what = what
        self._over = threading.Event()

    def run(self) -> None:
        while not self._over.is_set():
            status, body = self._what()
            self.answers += 1
            if status != 200:
                self.wrong.append((status, body))

    def stop(self) -> None:
        self._over.set()
        self.join(20)


class Session:
    """A session that is renewed and used."""

    def __init__(self, gateway: Gateway, name: str = "ada") -> None:
        self.gateway = gateway
        self.pair: dict[str, Any] = gateway.login(name, PASSWORD)

    def renew(self) -> tuple[int, bytes]:
        body = {"refresh_token": self.pair["refresh_token"]}
        reply = self.gateway.request("POST", f"{AUTH}refresh", body=body)
        if reply.status == 200:
            self.pair = reply.json
        return reply.status, reply.body

    def use(self) -> tuple[int, bytes]:
        reply = self.gateway.request("GET", "/orders", token=self.pair["access_token"])
        return reply.status, reply.body


def logs_in(gateway: Gateway) -> tuple[int, bytes]:
    reply = gateway.request("POST", f"{AUTH}login", body={"username": "ada", "password": PASSWORD})
    return reply.status, reply.body


def begun(gateway: Gateway) -> Forked:
    """Start a change of the master secret, and do not wait for it."""
    with Path(os.devnull).open("w") as nothing:
        pid = commands().start(
            ["rekey"], cwd=gateway.directory, env=gateway.environ, stdout=nothing, stderr=nothing
        )
    return Forked(commands(), pid, None)


def url_of(gateway: Gateway) -> str:
    return gateway.environ.get("GATEWAY_DATABASE_URL", f"sqlite:///{gateway.data_dir}/gateway.db")


def generations(url: str) -> set[int]:
    """Return the generations of everything that is sealed in a database."""
    return asyncio.run(_generations(url))


async def _generations(url: str) -> set[int]:
    found: set[int] = set()
    async with opened(url) as database, database.read() as connection:
        for sealed in SEALED:
            values = await connection.scalars(select(sealed.column).where(sealed.column.is_not(None)))
            found |= {value[0] for value in values}
    return found


async def _hashes(url: str) -> list[str]:
    async with opened(url) as database, database.read() as connection:
        return [str(one) for one in await connection.scalars(select(users.c.password_hash))]


def starts(gateway: Gateway) -> str | None:
    """Say why a gateway with these settings does not start, None when a command works on its data."""
    done = gateway.run("users", "list")
    return None if done.returncode == 0 else done.stderr


def test_nobody_notices_a_change_and_everything_is_sealed_anew(own_gateway: Gateway) -> None:
    gateway = own_gateway
    gateway.create_user("ada", PASSWORD, "reader")
    made = gateway.run("keys", "create", "robot", "--user", "ada", "--format", "json")
    robot = {"X-Api-Key": json.loads(made.stdout)["key"]}
    before = (gateway.data_dir / "secret").read_bytes()
    idle, busy = Session(gateway), Session(gateway)

    def comes_with_a_key() -> tuple[int, bytes]:
        reply = gateway.request("GET", "/orders", headers=robot)
        return reply.status, reply.body

    loads = [Load(work) for work in (busy.renew, idle.use, lambda: logs_in(gateway), comes_with_a_key)]
    for load in loads:
        load.start()
    done = gateway.run("rekey")
    time.sleep(0.5)
    for load in loads:
        load.stop()
    assert done.returncode == 0, done.stderr
    assert [load.wrong for load in loads] == [[], [], [], []]
    assert min(load.answers for load in loads) > 5
    assert generations(url_of(gateway)) == {2}
    assert {one[:3] for one in asyncio.run(_hashes(url_of(gateway)))} == {"v2$"}
    assert idle.renew()[0] == 200
    assert gateway.readyz().status == 200

    gateway.stop()
    gateway.start()
    assert idle.renew()[0] == busy.renew()[0] == idle.use()[0] == logs_in(gateway)[0] == 200
    verified = gateway.run("audit", "verify")
    assert verified.returncode == 0, verified.stdout
    assert len(gateway.run("audit", "verify", "--show-key").stdout.splitlines()) == 2
    changes = [one for one in gateway.audit("--kind", "event") if one["action"] == "secret.changed"]
    assert [one["attributes"] for one in changes] == [
        {"generation": 2, "step": "finished"},
        {"generation": 2, "step": "begun"},
    ]
    assert {one["actor"]["kind"] for one in changes} == {"operator"}
    told = "\n".join(gateway.lines) + done.stdout + done.stderr
    for secret in (before, (gateway.data_dir / "secret").read_bytes()):
        assert secret.decode().strip() not in told

    gateway.stop()
    (gateway.data_dir / "secret").write_bytes(before)
    assert "this master secret was changed, and shut out on" in str(starts(gateway))


def test_a_command_that_is_killed_at_any_instant_goes_on(own_gateway: Gateway) -> None:
    gateway = own_gateway
    gateway.create_user("ada", PASSWORD, "reader")
    session = Session(gateway)
    loads = [Load(session.renew), Load(lambda: logs_in(gateway))]
    for load in loads:
        load.start()
    dice = random.Random(7)
    for longest in (0.3, 3.0, 5.0, 6.5):
        command = begun(gateway)
        time.sleep(longest * (0.5 + dice.random() / 2))
        command.kill()
        command.wait(10)
        assert starts(gateway) is None
    done = gateway.run("rekey", "--format", "json")
    for load in loads:
        load.stop()
    assert done.returncode == 0, done.stderr
    assert [load.wrong for load in loads] == [[], []]
    gateway.stop()
    gateway.start()
    assert session.renew()[0] == 200
    assert len(generations(url_of(gateway))) == 1
    assert gateway.run("audit", "verify").returncode == 0


@pytest.fixture
def pair(service: str, tmp_path: Path) -> Iterator[tuple[Gateway, Gateway]]:
    """Two gateways on one PostgreSQL, whose master secret is in a setting."""
    with ExitStack() as stack:
        database = stack.enter_context(new_database(postgresql_url()))

        def made(name: str) -> Gateway:
            gateway = Gateway(
                tmp_path / name,
                policies=POLICIES,
                upstreams=UPSTREAMS,
                environ={
                    "TEST_SERVICE": service,
                    "GATEWAY_DATABASE_URL": database,
                    "GATEWAY_SECRET": OLD,
                },
            )
            stack.callback(gateway.kill)
            return gateway.start()

        yield made("one"), made("other")


def stopped(gateway: Gateway) -> ExitStack:
    """Stop a gateway for the length of the block."""
    stack = ExitStack()
    os.kill(gateway.pid, signal.SIGSTOP)
    stack.callback(os.kill, gateway.pid, signal.SIGCONT)
    return stack


def test_a_gateway_that_slept_through_a_change_knows_when_it_wakes(
    pair: tuple[Gateway, Gateway], tmp_path: Path
) -> None:
    one, other = pair
    one.create_user("ada", PASSWORD, "reader")
    session = Session(other)
    file = tmp_path / "new-secret"
    file.write_text(f"{NEW}\n")
    with stopped(other):
        done = one.run("rekey", "--new-secret-file", str(file), "--keep-old")
        assert done.returncode == 0, done.stderr
        fresh = Session(one)
    # Its first question may well be about something of the next generation.
    for known in (session, fresh):
        known.gateway = other
        assert known.renew()[0] == 200
    assert logs_in(other)[0] == 200
    assert Session(other).pair

    # The setting is changed at one gateway after the other, and the old secret is shut out then.
    for gateway in pair:
        gateway.environ["GATEWAY_SECRET"] = NEW
        gateway.stop()
        gateway.start()
    done = one.run("rekey")
    assert done.returncode == 0, done.stderr
    assert fresh.renew()[0] == session.renew()[0] == 200
    # What the other one sealed as it woke up too.
    assert generations(url_of(one)) == {2}
    one.environ["GATEWAY_SECRET"] = OLD
    assert "was changed, and shut out on" in str(starts(one))
    one.environ["GATEWAY_SECRET"] = NEW
    assert one.run("audit", "verify").returncode == 0


def test_a_gateway_that_slept_until_its_secret_was_shut_out_says_what_it_needs(
    pair: tuple[Gateway, Gateway], tmp_path: Path
) -> None:
    one, other = pair
    one.create_user("ada", PASSWORD, "reader")
    session = Session(other)
    file = tmp_path / "new-secret"
    file.write_text(f"{NEW}\n")
    with stopped(other):
        done = one.run("rekey", "--new-secret-file", str(file))
        assert done.returncode == 0, done.stderr
        assert f"set GATEWAY_SECRET_FILE to {file}" in done.stderr
        # The other one runs on without a restart.
        assert logs_in(one)[0] == 200
    assert session.renew()[0] == 503
    assert "start it again with the new one" in other.readyz().body.decode()
    assert other.readyz().status == 503
    other.environ["GATEWAY_SECRET"] = NEW
    other.stop()
    other.start()
    assert session.renew()[0] == 200
    assert other.readyz().status == 200
    assert other.run("audit", "verify").returncode == 0
