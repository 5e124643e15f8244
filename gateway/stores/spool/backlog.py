"""What waits to be shipped: this process's log, and those of processes that are gone."""

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from threading import Lock
from typing import Final

import structlog

from gateway.ports import Run, StoredRecord
from gateway.stores.spool.log import Log
from gateway.stores.spool.recent import Recent
from gateway.stores.spool.room import QUARANTINE, lock, writers_in
from gateway.stores.spool.segment import UnknownFormatError

_AT_ONCE: Final = 1024


class SpoolBacklog:
    """The logs below `DATA_DIR/spool` that this process ships. Only one process ships a log, for it holds the
    log's lock. Every method blocks on the disk, and may be called in any thread: one whose caller was
    cancelled goes on in its own, beside the next."""

    def __init__(self, spool: Path, *, own: str | None, recent: Recent | None = None) -> None:
        """`own` is the log that this process writes, if any, `recent` what its writer has in memory."""
        self._spool = spool
        self._own = own
        self._recent = recent
        self._turn = Lock()
        self._logs: dict[str, Log] = {}
        if own:
            self._logs[own] = Log(spool / own, dead=False)
        self._locks: dict[str, int] = {}
        self._foreign: set[str] = set()
        """Logs in a form that this version cannot read."""

    def writers(self) -> Sequence[str]:
        """Return whose records wait here, this process first; a log whose writer is gone is taken over."""
        with self._turn:
            for writer in writers_in(self._spool):
                if writer in self._logs or writer in self._foreign:
                    continue
                holder = lock(self._spool / writer)
                if holder is not None:
                    self._locks[writer] = holder
                    self._logs[writer] = Log(self._spool / writer, dead=True)
            return list(self._logs)

    def read(self, writer: str, *, after: int, limit: int) -> Run | None:
        """Return up to `limit` records that come after a number, None when there are none for now."""
        if writer == self._own and self._recent is not None:
            bodies = self._recent.read(after=after, limit=limit)
            if bodies is not None:
                return Run(writer=writer, first=after + 1, bodies=bodies) if bodies else None
        with self._turn:
            log = self._logs.get(writer)
            try:
                return None if log is None else log.read(after=after, limit=limit)
            except UnknownFormatError as error:
                structlog.get_logger("gateway.audit").error(
                    "audit.spool_unreadable",
                    writer=writer,
                    detail=f"{error}; its records stay where they are",
                )
                self._give_up(writer)
                self._foreign.add(writer)
                return None

    def release(self, writer: str, *, upto: int) -> bool:
        """Remove what has been shipped. True: the writer is dead, and nothing of its log is left."""
        with self._turn:
            log = self._logs.get(writer)
            if log is None:
                return False
            log.drop(upto=upto)
            if writer not in self._locks or log.read(after=upto, limit=1) is not None:
                return False
            directory = self._spool / writer
            for path in directory.iterdir():
                path.unlink()
            directory.rmdir()
            self._give_up(writer)
            return True

    def quarantine(self, record: StoredRecord) -> str:
        """Put a record aside that cannot be shipped, and return the name of the file it is in."""
        directory = self._spool / QUARANTINE
        directory.mkdir(mode=0o700, exist_ok=True)
        path = directory / f"{record.writer}-{record.seq}.json"
        with open(path, "wb", opener=_private) as file:
            file.write(record.body)
            file.flush()
            os.fsync(file.fileno())
        return str(path.relative_to(self._spool))

    def size(self) -> int:
        """Return how many bytes the logs take that this process ships."""
        with self._turn:
            directories = [self._spool / writer for writer in self._logs]
        return sum(_bytes_in(directory) for directory in directories)

    def close(self) -> None:
        """Let go of the logs of dead writers; another process may take them over."""
        with self._turn:
            for writer in list(self._locks):
                self._give_up(writer)

    def _give_up(self, writer: str) -> None:
        self._logs.pop(writer, None)
        holder = self._locks.pop(writer, None)
        if holder is not None:
            os.close(holder)


class UnshippedSpool:
    """The same logs, read beside whoever writes and ships them: no lock is taken and nothing is changed.

    It remembers how far it has read, so asking again costs what is new.
    """

    def __init__(self, spool: Path) -> None:
        self._spool = spool
        self._logs: dict[str, Log] = {}

    def writers(self) -> Sequence[str]:
        """Return whose records may wait to be shipped."""
        found = writers_in(self._spool)
        self._logs = {writer: self._logs.get(writer) or self._log(writer) for writer in found}
        return found

    def read(self, writer: str, *, after: int) -> Iterator[StoredRecord]:
        """Give the records after a number, oldest first; nothing when the log has gone."""
        log = self._logs.get(writer) or self._log(writer)
        while True:
            try:
                run = log.read(after=after, limit=_AT_ONCE)
            except UnknownFormatError:
                return
            if run is None:
                return
            for seq, body in enumerate(run.bodies, run.first):
                yield StoredRecord(writer=writer, seq=seq, body=body)
            after = run.last

    def _log(self, writer: str) -> Log:
        return Log(self._spool / writer, dead=False)


def _bytes_in(directory: Path) -> int:
    size = 0
    with suppress(FileNotFoundError), os.scandir(directory) as entries:
        for entry in entries:
            # A segment may be removed while we look.
            with suppress(FileNotFoundError):
                size += entry.stat().st_size
    return size


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
