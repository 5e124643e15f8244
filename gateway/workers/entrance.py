"""The way from the listening sockets to the workers' hands."""

import os
import selectors
import socket
import time
from collections import deque
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Final

import structlog

from gateway.workers.doorstep import let_nobody_begin
from gateway.workers.hand import Hand
from gateway.workers.place import Place
from gateway.workers.spread import Spread, is_slow

_log: structlog.typing.FilteringBoundLogger = structlog.get_logger("gateway.workers")

_AT_ONCE: Final = 64
"""Connections that are accepted in one turn."""
_TAKE_BACK_AFTER: Final = 0.5
"""Seconds after which connections that a worker does not take are given to another one."""
_FULL_PAUSE: Final = 0.5
"""Seconds without accepting when this process may open no more files."""


class Entrance:
    """Accepts connections and gives each to a worker. When none can take one, they wait in the queue of the
    listening socket; what a worker has not taken when it ends or sticks is given to another."""

    def __init__(self, listeners: Sequence[socket.socket], selector: selectors.BaseSelector) -> None:
        self.is_open = False
        """Whether the sockets listen."""
        self._listeners = list(listeners)
        self._selector = selector
        self._spread = Spread()
        self._unplaced: deque[socket.socket] = deque()
        """Accepted, or taken back, and not given to anybody yet."""
        self._is_accepting = False
        self._full_until = 0.0

    @property
    def waits(self) -> bool:
        """Whether there is something that must be tried again soon."""
        return bool(self._unplaced) or self._full_until > time.monotonic()

    def tend(self, places: Iterable[Place], now: float) -> None:
        """Give what waits, and accept only while somebody can take more."""
        hands = [place.hand for place in places if place.can_serve]
        while self._unplaced:
            hand = self._spread.choose(hands, now)
            if hand is None or not hand.give(self._unplaced[0]):
                break
            self._unplaced.popleft()
        is_free = self.is_open and not self._unplaced and now >= self._full_until
        self._set_accepting(wanted=is_free and any(hand.can_take for hand in hands))

    def take_back(self, places: Iterable[Place], now: float) -> None:
        """Take what waits for workers that do not move, when there is one that does."""
        serving = [place for place in places if place.can_serve]
        if all(is_slow(place.hand, now) or place.hand.is_leaving for place in serving):
            return
        for place in serving:
            since = place.hand.waiting_since
            if since is not None and now - since > _TAKE_BACK_AFTER:
                place.hand.is_stuck = True
                back = place.hand.take_back()
                _log.warning("worker_stuck", worker=place.number, pid=place.pid, taken_back=len(back))
                self._unplaced += back

    def take_over(self, hand: Hand) -> None:
        """Take what a worker has not taken that has ended."""
        self._unplaced += hand.take_back()

    def close_behind(self, last: Hand) -> bool:
        """Stop listening, and give whoever has knocked already to the last worker, which is about to go.

        Say whether it has got all of them: it takes only so many at a time.
        """
        for listener in self._listeners if self.is_open else ():
            let_nobody_begin(listener)
            while self._accept(listener):
                pass
        self.close_listeners()
        while self._unplaced and last.give(self._unplaced[0]):
            self._unplaced.popleft()
        return not self._unplaced

    def close_listeners(self) -> None:
        """Stop listening."""
        self._set_accepting(wanted=False)
        self.is_open = False
        for listener in self._listeners:
            listener.close()
        self._listeners.clear()

    def close(self) -> None:
        """Stop listening, and end connections that nobody has taken."""
        self.close_listeners()
        for connection in self._unplaced:
            connection.close()

    def inherited(self) -> list[socket.socket]:
        """Return what a child inherits and must close."""
        return [*self._listeners, *self._unplaced]

    def _set_accepting(self, *, wanted: bool) -> None:
        if wanted == self._is_accepting:
            return
        self._is_accepting = wanted
        for listener in self._listeners:
            if wanted:
                self._selector.register(listener, selectors.EVENT_READ, partial(self._accept, listener))
            else:
                self._selector.unregister(listener)

    def _accept(self, listener: socket.socket) -> bool:
        """Accept some connections and say whether there may be more."""
        if listener not in self._listeners:
            # Closed since the system said that somebody knocks there.
            return False
        for _ in range(_AT_ONCE):
            try:
                connection, _ = listener.accept()
            except (BlockingIOError, InterruptedError):
                return False
            except ConnectionError:
                # The client left while it waited.
                continue
            except OSError as error:
                if self._unplaced:
                    # Giving those away makes room.
                    return False
                self._full_until = time.monotonic() + _FULL_PAUSE
                _log.error("cannot_accept", reason=os.strerror(error.errno or 0))
                return False
            self._unplaced.append(connection)
        return True
