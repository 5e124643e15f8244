"""The process above the workers: starts them, gives them connections, and starts them again when they end.

It is synchronous and small on purpose: no event loop, no threads, no database, so that there is next to
nothing in it that can fail, and nothing that a fork would copy in the middle of something. What it forks has
the configuration that was read once, at the start: a worker that comes back decides exactly as the one that
died, whatever has happened to the files since. Each child opens its spool, its database and its counters
itself, after the fork.
"""

import contextlib
import os
import selectors
import signal
import socket
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import orjson
import structlog

from gateway.workers.desk import Desk
from gateway.workers.endings import ending_of
from gateway.workers.entrance import Entrance
from gateway.workers.fork import Closable, fork
from gateway.workers.hand import LEAVING
from gateway.workers.place import Place
from gateway.workers.reporter import METRICS, REFUSED, WAITING
from gateway.workers.roll import departed_line, draining_line, endings_line, entry_line, metrics_line
from gateway.workers.signals import Signals

_log: structlog.typing.FilteringBoundLogger = structlog.get_logger("gateway.workers")

_STRAGGLERS: Final = 8.0
"""Seconds after the drain's own time-out, after which a worker that is still there is killed."""
_LAST: Final = 5.0
"""Seconds that children get to end when the whole could not start, and that the operators' process gets."""
_LAST_TICK: Final = 0.005
_NO_ROOM_PAUSE: Final = 1.0
_TICK: Final = 0.05
"""Seconds between two looks while something waits."""


class WorkerRefused(Exception):
    """A worker could not start, before the whole had served at all. The text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Post:
    """What a worker's process is given."""

    number: int
    hand: socket.socket
    """Where connections come from."""
    channel: socket.socket
    """Where its reports go."""


class Supervisor:
    """Runs workers, and the one process that speaks for them to the operators."""

    def __init__(
        self,
        *,
        listeners: Sequence[socket.socket],
        workers: int,
        work: Callable[[Post], int],
        desk: Desk,
        remember: Callable[[bytes], bytes],
        drain_timeout: float,
        on_serving: Callable[[Sequence[int]], None],
    ) -> None:
        """`work` is the life of a worker. `remember` takes what one that has ended had counted, and returns
        what all that have ended had counted. `on_serving` is called once, with the workers' process ids, when
        all of them can serve; it makes the sockets listen."""
        self._places = [Place(number + 1) for number in range(workers)]
        self._work = work
        self._desk = desk
        self._remember = remember
        self._drain_timeout = drain_timeout
        self._on_serving = on_serving
        self._selector = selectors.DefaultSelector()
        self._entrance = Entrance(listeners, self._selector)
        self._signals = Signals()
        self._departed: bytes | None = None
        """What processes had counted that have ended."""
        self._last: dict[str, int] = {}
        """By worker the last process that has ended."""
        self._endings: Counter[str] = Counter()
        """Workers that ended without being told to, by how."""
        self._has_served = False
        self._stopping = False
        self._kill_at = 0.0
        self._next_look = 0.0
        self._failure: WorkerRefused | None = None

    def run(self) -> None:
        """Run until SIGTERM or SIGINT, and until every child has ended. Raise `WorkerRefused`."""
        with self._signals:
            self._selector.register(self._signals.wakeup, selectors.EVENT_READ, self._signals.clear)
            try:
                self._start_first()
                while not (self._stopping and all(place.pid is None for place in self._places)):
                    for key, _ in self._selector.select(self._timeout()):
                        key.data()
                    # After the others: it closes what they read.
                    if self._signals.came:
                        self._reap()
                    now = time.monotonic()
                    if now >= self._next_look:
                        self._look(now)
                    self._entrance.tend(self._places, now)
                    self._desk.send()
            finally:
                self._end()
        if self._failure is not None:
            raise self._failure

    # Children

    def _start_first(self) -> None:
        try:
            self._start_desk()
            self._start(self._places[0])
        except OSError as error:
            raise _no_room(error) from None

    def _start_others(self) -> None:
        try:
            for place in self._places:
                if place.pid is None:
                    self._start(place)
        except OSError as error:
            raise _no_room(error) from None

    def _start(self, place: Place) -> None:
        place.prepare()
        post = Post(number=place.number, hand=place.hand.theirs, channel=place.theirs)
        place.filled(fork(lambda: self._work(post), closing=self._inherited(place)))
        self._selector.register(place.hand.ours, selectors.EVENT_READ, lambda: self._hear(place))
        self._selector.register(place.ours, selectors.EVENT_READ, lambda: self._read(place))
        place.fault = "is starting"
        self._tell(place)

    def _start_desk(self) -> None:
        self._desk.start(lambda life, theirs: fork(life, closing=[*self._inherited(None), *theirs]))
        for place in self._places:
            self._tell(place)
            if place.metrics is not None:
                self._tell_metrics(place, place.metrics)
        if self._departed is not None:
            self._desk.tell("departed", departed_line(self._departed, self._last))
        if self._stopping:
            self._desk.tell("whole", draining_line())
        # The last: then it knows everything.
        self._desk.tell("endings", endings_line(self._endings))

    def _inherited(self, own: Place | None) -> list[Closable]:
        """Return what a child must close: it is nobody's but this process's, or another child's."""
        mine: list[Closable] = [self._selector, self._signals, *self._entrance.inherited()]
        for place in self._places:
            mine += place.inherited(by_its_own=place is own)
        return mine if own is None else [*mine, *self._desk.inherited()]

    def _reap(self) -> None:
        self._signals.came = False
        self._next_look = 0.0
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                return
            if pid == self._desk.pid:
                self._desk_ended(pid, ending_of(status))
                continue
            # The first process of a container inherits the orphans of others too: they are nobody's here.
            for place in self._places:
                if place.pid == pid:
                    self._ended(place, ending_of(status))

    def _ended(self, place: Place, reason: str) -> None:
        pid, was_draining = place.pid, place.is_draining
        self._read(place)
        self._forget(place.hand.ours)
        self._forget(place.ours)
        self._entrance.take_over(place.hand)
        if place.metrics is not None and pid is not None:
            self._departed = self._remember(place.metrics)
            self._last[place.name] = pid
            self._desk.tell("departed", departed_line(self._departed, self._last))
        refusal = place.refusal
        lived = place.emptied(reason)
        # Before it has handlers of its own, a signal ends a process by itself.
        is_asked = was_draining or self._stopping
        is_expected = is_asked and reason in {"exit code 0", "killed by SIGTERM", "killed by SIGINT"}
        say = _log.info if is_expected else _log.error
        if not is_asked:
            self._endings[reason] += 1
            self._desk.tell("endings", endings_line(self._endings))
        say("worker_ended", worker=place.number, pid=pid, reason=refusal or reason, lived=round(lived, 3))
        self._tell(place)
        if not self._has_served and not self._stopping:
            self._failure = WorkerRefused(refusal or f"worker {place.name} ended while it started: {reason}")
            self._stop(_LAST)

    def _desk_ended(self, pid: int, reason: str) -> None:
        lived = self._desk.ended()
        _log.error("operators_ended", pid=pid, reason=reason, lived=round(lived, 3))
        if not self._has_served and not self._stopping:
            self._failure = WorkerRefused(f"the operators' process ended while it started: {reason}")
            self._stop(_LAST)

    # News

    def _hear(self, place: Place) -> None:
        place.hand.hear()
        if place.hand.mood == LEAVING and not place.hand.is_closed_to_more:
            self._let_go(place)

    def _read(self, place: Place) -> None:
        for line in place.inbox.read():
            if line.startswith(METRICS):
                place.metrics = line[len(METRICS) : -1]
                self._tell_metrics(place, place.metrics)
                continue
            if line.startswith(REFUSED):
                place.refusal = orjson.loads(line)["refused"]
                continue
            if line.startswith(WAITING):
                place.fault = f"waits: {orjson.loads(line)['waiting']}"
                self._tell(place)
                continue
            place.standing, place.fault = line, None
            place.hand.is_stuck = False
            if not place.is_ready:
                self._is_ready(place)
            self._tell(place)
        if place.inbox.over:
            self._forget(place.ours)

    def _is_ready(self, place: Place) -> None:
        place.is_ready = True
        if self._stopping:
            return
        if self._has_served:
            _log.info("worker_started", worker=place.number, pid=place.pid)
            return
        self._start_others()
        if all(one.is_ready for one in self._places):
            self._on_serving([one.pid for one in self._places if one.pid is not None])
            self._has_served = self._entrance.is_open = True

    def _tell_metrics(self, place: Place, metrics: bytes) -> None:
        self._desk.tell(f"metrics {place.name}", metrics_line(place.name, place.pid, metrics))

    def _tell(self, place: Place) -> None:
        line = entry_line(place.name, pid=place.pid, fault=place.fault, standing=place.standing)
        self._desk.tell(f"worker {place.name}", line)

    # Time

    def _timeout(self) -> float | None:
        waits = (
            self._entrance.waits
            or self._stopping
            or self._desk.due is not None
            or self._desk.has_news
            or any(place.due is not None or place.hand.waiting_since is not None for place in self._places)
        )
        return _TICK if waits else None

    def _look(self, now: float) -> None:
        """Do what has fallen due."""
        self._next_look = now + _TICK
        if self._signals.stop_asked and not self._stopping:
            _log.info("draining", timeout=self._drain_timeout)
            self._stop(self._drain_timeout + _STRAGGLERS)
        try:
            if self._desk.due is not None and now >= self._desk.due:
                self._start_desk()
            for place in self._places:
                if self._has_served and not self._stopping and place.due is not None and now >= place.due:
                    self._start(place)
        except OSError as error:
            # No room for another process, or for its files: what runs goes on, and this is tried again.
            _log.error("cannot_start_process", reason=os.strerror(error.errno or 0))
            self._next_look = now + _NO_ROOM_PAUSE
        self._entrance.take_back(self._places, now)
        if self._stopping and now >= self._kill_at:
            self._kill_stragglers()

    # The end

    def _stop(self, within: float) -> None:
        self._stopping, self._kill_at = True, time.monotonic() + within
        self._desk.tell("whole", draining_line())
        for place in self._places:
            place.due = None
            if place.pid is not None:
                os.kill(place.pid, signal.SIGTERM)

    def _let_go(self, place: Place) -> None:
        """Let a worker leave that has nothing to do. The last one takes with it who has knocked already."""
        others = (one for one in self._places if one is not place and one.can_serve)
        is_last = self._stopping and not any(one.hand.can_take for one in others)
        if is_last and not self._entrance.close_behind(place.hand):
            # It gets more when it tells that it has taken some.
            return
        place.hand.say_no_more()

    def _kill_stragglers(self) -> None:
        self._kill_at = float("inf")
        for place in self._places:
            if place.pid is not None:
                _log.error("worker_killed", worker=place.number, pid=place.pid, reason="did not end in time")
                os.kill(place.pid, signal.SIGKILL)

    def _end(self) -> None:
        """Close everything, and end whatever child is left; the operators' process is the last."""
        self._entrance.close()
        workers = [place.pid for place in self._places if place.pid is not None]
        for pid in workers:
            os.kill(pid, signal.SIGTERM)
        _await_all(workers)
        self._desk.close()
        _await_all([self._desk.pid] if self._desk.pid is not None else [])
        for place in self._places:
            for end in place.inherited(by_its_own=False):
                end.close()
        self._selector.close()

    def _forget(self, end: socket.socket) -> None:
        with contextlib.suppress(KeyError):
            self._selector.unregister(end)


def _no_room(error: OSError) -> WorkerRefused:
    return WorkerRefused(f"cannot start a process: {os.strerror(error.errno or 0)}")


def _await_all(pids: Sequence[int]) -> None:
    """Wait until children have ended, and kill those that do not."""
    deadline = time.monotonic() + _LAST
    for pid in pids:
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(pid, os.WNOHANG) == (0, 0):
                if time.monotonic() > deadline:
                    os.kill(pid, signal.SIGKILL)
                    os.waitpid(pid, 0)
                    break
                time.sleep(_LAST_TICK)
