"""Refreshes a session again and again, killed each time at a later moment, until it comes to the end.

A program of its own: `python -m support.dying_refresh URL`. After each death a new process presents the token
that the client holds, a day later, and the client gets its answer this time. Prints how often it was killed.
"""

import asyncio
import os
import signal
import sys

import orjson
from sqlalchemy import event
from sqlalchemy.engine import Engine

from gateway.accounts import AccountRules, Origin, Renewal, Sessions
from gateway.crypto import MasterSecret, Sealer
from gateway.ports import User
from gateway.stores.sql import Database, SqlSessionStore, SqlUserStore

DAY = 86400.0
RULES = AccountRules(
    registration="closed",
    default_roles=frozenset(),
    verifies_email=False,
    password_min_length=12,
    rejects_common=False,
    access_lifetime=600.0,
    refresh_idle=7 * DAY,
    refresh_absolute=3000 * DAY,
    reuse_grace=10.0,
)


class Clock:
    """Time that is told."""

    def __init__(self, day: int) -> None:
        self.day = day

    def now(self) -> float:
        return 1_800_000_000.0 + self.day * DAY

    def monotonic(self) -> float:
        return self.now()


def main() -> None:
    """Kill before the first statement of the database, then before the second, and so on."""
    url = sys.argv[1]
    held, day, kills = _answered(url, "", day=0), 1, 0
    while True:
        if _dies(url, held, day=day, point=kills + 1):
            kills += 1
        else:
            break
        held = _answered(url, held, day=day + 1)
        day += 2
    sys.stdout.write(str(kills))


def _dies(url: str, held: str, *, day: int, point: int) -> bool:
    pid = os.fork()
    if pid == 0:
        asyncio.run(_refresh(url, held, day, point))
        os._exit(0)
    _, status = os.waitpid(pid, 0)
    if os.WIFSIGNALED(status):
        assert os.WTERMSIG(status) == signal.SIGKILL
        return True
    assert os.WEXITSTATUS(status) == 0
    return False


def _answered(url: str, held: str, *, day: int) -> str:
    """Return the token that a living process answers with: a first one when none is held."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        token = asyncio.run(_refresh(url, held, day, 0))
        os.write(writing, token.encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as answers:
        token = answers.read()
    _, status = os.waitpid(pid, 0)
    assert status == 0, f"the token that the client holds is worth nothing: {held!r}"
    return token


async def _refresh(url: str, held: str, day: int, point: int) -> str:
    database = Database.open(url)
    users = SqlUserStore(database)
    sealer = Sealer(MasterSecret(b"a master secret of 32 bytes or so"))
    sessions = Sessions(SqlSessionStore(database), sealer, Clock(day))
    if not held:
        user = User(
            id="usr_1", username="ada", email=None, password_hash=None, roles=frozenset(), epoch=0,
            created_at=0.0, verified_at=None,
        )  # fmt: skip
        await users.add(user)
        renewal = await sessions.begin(user, RULES, Origin())
        assert renewal is not None
        return renewal.refresh_token
    # What a new connection says is the same every time.
    await users.find("usr_1")
    _die_at(point)
    outcome = await sessions.renew(held, RULES)
    assert isinstance(outcome, Renewal), orjson.dumps({"day": day, "point": point, "outcome": repr(outcome)})
    user_found = await users.find(outcome.user_id)
    assert user_found is not None
    await database.close()
    return outcome.refresh_token


def _die_at(point: int) -> None:
    passed = 0

    def step(*_: object) -> None:
        nonlocal passed
        passed += 1
        if passed == point:
            os.kill(os.getpid(), signal.SIGKILL)

    event.listen(Engine, "before_cursor_execute", step)
    event.listen(Engine, "commit", step)


if __name__ == "__main__":
    main()
