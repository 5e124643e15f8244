"""What waits to be shipped: this process's log, and those of processes that are gone."""

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from threading import Lock
from typing import Final
from uuid import UUID

import structlog

from gateway.ports import Run
from gateway.stores.spool.log import Log
from gateway.stores.spool.recent import Kept, Recent
from gateway.stores.spool.room import lock, quarantined, writers_in
from gateway.stores.spool.segment import SUFFIX, UnknownFormatError, frames_of

_AT_ONCE: Final = 1024
_TAKEN_OVER: Final = 128
"""Logs of dead writers that a process has at once: each needs a descriptor, and there may be thousands."""


class SpoolBacklog:
    """The logs below `DATA_DIR/spool` that this process ships. Only one process ships a log, for it holds the
    log's lock. Every method blocks on the disk, and may be called in any thread: one whose caller was
    cancelled goes on in its own, beside the next."""

    def __init__(
        self, spool: Path, *, own: str | None, recent: Recent | None = None, only: str | None = None
    ) -> None:
        """`own` is the log that this process writes, if any, `recent` what its writer has in memory; of the
        logs of dead writers, `only` that one is taken over, None: all."""
        self._spool = spool
        self._only = only
        self._own = own
        self._recent = recent
        self._turn = Lock()
        self._logs: dict[str, Log] = {}
        if own:
            self._logs[own] = Log(spool / own, dead=False, form=frames_of(UUID(own)))
        self._locks: dict[str, int] = {}
        self._foreign: set[str] = set()
        """Logs in a form that this version cannot read."""
        self._closed: set[str] = set()
        """Logs that cannot be opened."""

    def writers(self) -> Sequence[str]:
        """Return whose records wait here, this process first; a log whose writer is gone is taken over, as
        long as there are not too many."""
        with self._turn:
            for writer in writers_in(self._spool):
                if self._only not in {None, writer}:
                    continue
                if len(self._locks) >= _TAKEN_OVER:
                    break
                if writer in self._logs or writer in self._foreign:
                    continue
                holder = self._lock(writer)
                if holder is not None:
                    self._locks[writer] = holder
                    self._logs[writer] = Log(self._spool / writer, dead=True)
            return list(self._logs)

    def read(self, writer: str, *, after: int, limit: int) -> Run | None:
        """Return up to `limit` records that come after a number, None when there are none for now."""
        if writer == self._own and self._recent is not None:
            kept = self._recent.read(after=after, limit=limit)
            if kept is not None:
                return _run(writer, kept) if kept.bodies else None
        with self._turn:
            log = self._logs.get(writer)
            try:
                run = None if log is None else log.read(after=after, limit=limit)
            except UnknownFormatError as error:
                self._leave(writer, error)
                return None
        if run is not None and writer == self._own and self._recent is not None:
            # What is being written this moment may be cut off again, should the disk be full.
            return _upto(run, self._recent.last)
        return run

    def damaged(self, writer: str) -> int | None:
        """Return the number of a dead writer's record behind which nothing of its log can be read, although
        it is more than a process leaves there when it ends; None otherwise."""
        with self._turn:
            log = self._logs.get(writer) if writer in self._locks else None
            return None if log is None else log.damaged()

    def release(self, writer: str, *, upto: int) -> bool:
        """Remove what has been shipped. True: the writer is dead, and nothing of its log is left."""
        with self._turn:
            log = self._logs.get(writer)
            if log is None:
                return False
            if writer == self._own and self._recent is not None:
                self._recent.released = upto
            try:
                log.drop(upto=upto)
                if writer not in self._locks or log.read(after=upto, limit=1) is not None:
                    return False
            except UnknownFormatError as error:
                self._leave(writer, error)
                return False
            directory = self._spool / writer
            keep = log.damaged() is not None
            # In their order: whoever looks meanwhile misses only the beginning.
            for path in sorted(directory.iterdir()):
                if keep and path.suffix == SUFFIX:
                    # Somebody may be able to read what we cannot.
                    aside = quarantined(self._spool, writer, 0).parent
                    aside.mkdir(mode=0o700, exist_ok=True)
                    path.rename(aside / f"{writer}-{path.name}")
                else:
                    path.unlink()
            directory.rmdir()
            self._give_up(writer)
            return True

    def quarantine(self, writer: str, seq: int, body: bytes) -> str:
        """Put aside a record that cannot be shipped, and return the name of the file it is in."""
        path = quarantined(self._spool, writer, seq)
        path.parent.mkdir(mode=0o700, exist_ok=True)
        with open(path, "wb", opener=_private) as file:
            file.write(body)
            file.flush()
            os.fsync(file.fileno())
        return str(path.relative_to(self._spool))

    def size(self) -> int:
        """Return how many bytes all logs take, also those that other processes ship."""
        return sum(_bytes_in(self._spool / writer) for writer in writers_in(self._spool))

    def close(self) -> None:
        """Let go of the logs of dead writers; another process may take them over."""
        with self._turn:
            for writer in list(self._locks):
                self._give_up(writer)

    def _lock(self, writer: str) -> int | None:
        try:
            holder = lock(self._spool / writer)
        except OSError as error:
            # What is in the way of one log must not keep the others.
            if writer not in self._closed:
                self._closed.add(writer)
                _tell(writer, f"it cannot be opened: {error.strerror}")
            return None
        self._closed.discard(writer)
        return holder

    def _leave(self, writer: str, error: UnknownFormatError) -> None:
        _tell(writer, str(error))
        self._give_up(writer)
        self._foreign.add(writer)

    def _give_up(self, writer: str) -> None:
        self._logs.pop(writer, None)
        holder = self._locks.pop(writer, None)
        if holder is not None:
            os.close(holder)


class UnshippedSpool:
    """The same logs, read beside whoever writes and ships them: no lock is taken and nothing is changed.

    It remembers where it has read, so asking again costs what is asked for.
    """

    def __init__(self, spool: Path) -> None:
        self._spool = spool
        self._logs: dict[str, Log] = {}

    def writers(self) -> Sequence[str]:
        """Return whose records may wait to be shipped."""
        found = writers_in(self._spool)
        self._logs = {writer: self._logs.get(writer) or self._log(writer) for writer in found}
        return found

    def read(self, writer: str, *, after: int) -> Iterator[Run]:
        """Give the records after a number, oldest first; nothing when the log has gone."""
        log = self._logs.get(writer) or self._log(writer)
        while True:
            try:
                run = log.read(after=after, limit=_AT_ONCE)
            except (UnknownFormatError, NotADirectoryError):
                return
            if run is None:
                return
            yield run
            after = run.last

    def _log(self, writer: str) -> Log:
        return Log(self._spool / writer, dead=False, remembers=True)


def _tell(writer: str, why: str) -> None:
    logger: structlog.typing.FilteringBoundLogger = structlog.get_logger("gateway.audit")
    logger.error("audit.spool_unreadable", writer=writer, detail=f"{why}; its records stay where they are")


def _run(writer: str, kept: Kept) -> Run:
    return Run(
        writer=writer,
        first=kept.first,
        bodies=tuple(kept.bodies),
        before=kept.before,
        heads=tuple(kept.heads),
        personal=tuple(kept.personal),
    )


def _upto(run: Run, last: int) -> Run | None:
    if run.last <= last:
        return run
    return replace(run.part(0, last + 1 - run.first), lost=run.lost) if run.first <= last else None


def _bytes_in(directory: Path) -> int:
    size = 0
    # What is no directory, or another user's, holds nothing that we could make smaller.
    with suppress(FileNotFoundError, NotADirectoryError, PermissionError), os.scandir(directory) as entries:
        for entry in entries:
            # A segment may be removed while we look.
            with suppress(FileNotFoundError):
                size += entry.stat().st_size
    return size


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
