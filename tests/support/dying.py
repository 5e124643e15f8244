"""Ships a log again and again, killed each time at a later moment, until it comes to the end.

A program of its own: `python -m support.dying URL`. Prints how often it was killed.
"""

import asyncio
import os
import signal
import sys

import orjson
from sqlalchemy import event
from sqlalchemy.engine import Engine
from support.shipped import NAMES_KEY, SEALER, body, run_of

from gateway.crypto import PersonalPart, seal_parts
from gateway.ports import Run
from gateway.stores.sql import Database, SqlAuditSink

RECORDS = 16
AT_ONCE = 8
WRITER = "00000000-0000-4000-8000-000000000001"


def whole() -> Run:
    """Return the log: every process makes the same, but for how it is sealed."""
    bodies, personal = [], []
    for number in range(RECORDS):
        subject = f"usr_{number % 3}"
        part = PersonalPart(subject, b"the salt of all " + orjson.dumps({"name": subject, "number": number}))
        actor = {"id": subject, "kind": "user"}
        bodies.append(body(number, actor=actor, personal={subject: part.commitment}))
        personal.append(seal_parts(SEALER, [part]))
    return run_of(bodies, writer=WRITER, personal=personal)


def main() -> None:
    """Kill before the first statement of the database, then before the second, and so on."""
    point = 1
    while not _ships(sys.argv[1], point):
        point += 1
    sys.stdout.write(str(point - 1))


def _ships(url: str, point: int) -> bool:
    pid = os.fork()
    if pid == 0:
        asyncio.run(_ship(url, point))
        os._exit(0)
    _, status = os.waitpid(pid, 0)
    if os.WIFSIGNALED(status):
        assert os.WTERMSIG(status) == signal.SIGKILL
        return False
    assert os.WEXITSTATUS(status) == 0
    return True


def _die_at(point: int) -> None:
    passed = 0

    def step(*_: object) -> None:
        nonlocal passed
        passed += 1
        if passed == point:
            os.kill(os.getpid(), signal.SIGKILL)

    event.listen(Engine, "before_cursor_execute", step)
    event.listen(Engine, "commit", step)


async def _ship(url: str, point: int) -> None:
    database = Database.open(url)
    sink, run = SqlAuditSink(database, SEALER, NAMES_KEY), whole()
    at = await sink.cursor(run.writer)
    # What a new connection says is the same every time.
    _die_at(point)
    while at < RECORDS:
        await sink.ship(run.part(at, at + AT_ONCE))
        at += AT_ONCE
    await database.close()


if __name__ == "__main__":
    main()
