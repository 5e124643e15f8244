"""A child process that begins clean: nothing of its parent's signals, files and unwritten output."""

import os
import signal
import sys
from collections.abc import Callable, Iterable
from typing import Protocol

import structlog

from gateway.workers.signals import WATCHED


class Closable(Protocol):
    """What a child inherits and must not keep."""

    def close(self) -> None:
        """Close it, in this process."""


def fork(life: Callable[[], int], *, closing: Iterable[Closable]) -> int:
    """Start a process that runs `life` and ends with the exit code it returns; return the process id.

    The child closes what `closing` gives, and a signal that comes before it has handlers of its own ends it.
    Raise `OSError` when the system has no room for another process.
    """
    # What is buffered would be written by both.
    sys.stdout.flush()
    sys.stderr.flush()
    # A signal between the fork and the reset below would be noted by the parent's handlers in the child, that
    # is, by nobody.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, WATCHED)
    try:
        pid = os.fork()
    except OSError:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        raise
    if pid:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        return pid
    code = 1
    try:
        signal.set_wakeup_fd(-1)
        for number in WATCHED:
            signal.signal(number, signal.SIG_DFL)
        for one in closing:
            one.close()
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        code = life()
    except BaseException as error:  # noqa: BLE001 - the parent's stack must not be unwound in a child
        structlog.get_logger("gateway.workers").error(
            "process_failed", error=type(error).__name__, exc_info=error
        )
    finally:
        try:
            sys.stdout.flush()
            sys.stderr.flush()
        finally:
            os._exit(code)
