"""Changes the master secret again and again, killed each time at a later moment, until it comes to the end.

A program of its own: `python -m support.dying_rekey DATA_DIR URL`. After each death a new process opens everything
with the secret that the file has, reads what was sealed before, and the same command comes to the end. Prints how
often it was killed.
"""

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sqlalchemy import event
from sqlalchemy.engine import Engine

from gateway.accounts import Errand, ErrandKind
from gateway.assembly import Stores, open_stores
from gateway.operations import Rekeyed, Rekeying, operator_at_the_command_line
from gateway.operations import rekey as module
from gateway.settings import Settings

MAILS = 3


def main() -> None:
    """Kill before the first statement of the change or its first touch of a file, then before the second, and so
    on."""
    settings = Settings.model_validate({"data_dir": Path(sys.argv[1]), "database_url": sys.argv[2]})
    _in_a_process(lambda: asyncio.run(_furnish(settings)))
    kills = 0
    while _dies(settings, kills + 1):
        kills += 1
        _in_a_process(lambda: asyncio.run(_goes_on(settings)))
    sys.stdout.write(str(kills))


def _in_a_process(work: Callable[[], None]) -> None:
    pid = os.fork()
    if pid == 0:
        work()
        os._exit(0)
    _, status = os.waitpid(pid, 0)
    assert status == 0, status


def _dies(settings: Settings, point: int) -> bool:
    pid = os.fork()
    if pid == 0:
        asyncio.run(_change(settings, point))
        os._exit(0)
    _, status = os.waitpid(pid, 0)
    if os.WIFSIGNALED(status):
        assert os.WTERMSIG(status) == signal.SIGKILL
        return True
    assert os.WEXITSTATUS(status) == 0
    return False


async def _furnish(settings: Settings) -> None:
    async with open_stores(settings) as stores:
        for number in range(MAILS):
            await stores.mailing.ask(Errand(kind=ErrandKind.RESET, email=f"ada{number}@example.com"))


async def _goes_on(settings: Settings) -> None:
    async with open_stores(settings) as stores:
        await _opens(stores)
        await _changed(stores)
        assert await _opens(stores) == {stores.roots.newest}
        assert len(await stores.root_keys.store.all()) == 1
    assert not (settings.data_dir / "secret.new").exists()


async def _opens(stores: Stores) -> set[int]:
    waiting = await stores.mailing.queue.waiting()
    errands = [await stores.mailing.errand_in(mail) for mail in waiting]
    assert {one.email for one in errands if one} == {f"ada{number}@example.com" for number in range(MAILS)}
    return {mail.sealed[0] for mail in waiting}


async def _change(settings: Settings, point: int) -> None:
    async with open_stores(settings) as stores:
        # What a new connection says is the same every time.
        await _opens(stores)
        _die_at(point)
        await _changed(stores)


async def _changed(stores: Stores) -> None:
    async def pause(_: float) -> None:
        return

    rekeying = Rekeying(
        stores.root_keys,
        stores.sealed_values,
        stores.sealer,
        stores.events,
        stores.clock,
        file=stores.secret_file,
        operator=operator_at_the_command_line(),
        pause=pause,
    )
    done = await rekeying.change(None, keep_old=False)
    assert isinstance(done, Rekeyed), done


def _die_at(point: int) -> None:
    passed = 0

    def step(*_: object) -> None:
        nonlocal passed
        passed += 1
        if passed == point:
            os.kill(os.getpid(), signal.SIGKILL)

    event.listen(Engine, "before_cursor_execute", step)
    event.listen(Engine, "commit", step)
    for name in ("put_beside", "put_in_place"):
        setattr(module, name, _between(step, getattr(module, name)))


def _between(step: Callable[[], None], work: Callable[..., Any]) -> Callable[..., Any]:
    """Return what may die right before a piece of work, and right after it."""

    def done(*arguments: object) -> object:
        step()
        made = work(*arguments)
        step()
        return made

    return done


if __name__ == "__main__":
    main()
