"""The spool of one process: where an audit record becomes durable.

Records of one turn of the event loop go out in one `write(2)`. When a write fails, what it left behind is cut
off, everybody who waited for it fails with `AuditUnavailable`, and so does every new record until a probe, at
most once a second, has opened a new segment and written to it. A file whose `fdatasync` has failed is never
synced again: the kernel may have dropped the pages, and a second call would report success.
"""

import asyncio
import errno
import os
import time
from collections.abc import Awaitable, Generator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Final, Self
from uuid import UUID, uuid4

import structlog

from gateway.crypto import beginning
from gateway.ports import AuditUnavailable, Durability
from gateway.stores.spool.form import MAX_BODY
from gateway.stores.spool.log import Log
from gateway.stores.spool.recent import Kept, Recent
from gateway.stores.spool.room import hand_over, lock, sync_directory
from gateway.stores.spool.segment import HEADER_SIZE, frames_of, header, name_of

SEGMENT_BYTES: Final = 64 << 20
_PROBE_BYTES: Final = 64 << 10
_PROBE_EVERY: Final = 1.0
_ATTEMPTS: Final = 100


class _Batch(asyncio.Future[None]):
    """What everybody whose records go out together waits for.

    Cancelling a task cancels the future that it awaits, and this one is shared: one client that leaves would
    take the others with it. So it refuses; the task is cancelled when the records are written.
    """

    def cancel(self, msg: object = None) -> bool:  # noqa: ARG002 - the signature is asyncio's
        return False


class _Done:
    """Awaiting it does not wait."""

    __slots__ = ()

    def __await__(self) -> Generator[None, None, None]:
        yield from ()


_DONE: Final = _Done()


class SpoolWriter:
    """One process's log under `DATA_DIR/spool`. Open it after forking; one event loop uses it."""

    def __init__(
        self, *, directory: Path, writer: UUID, holder: int, durability: Durability, segment_bytes: int
    ) -> None:
        self.writer = str(writer)
        self.durability = durability
        self.dropped = 0
        """Records that were taken and then could not be written; whoever waited for them was told."""
        self._directory = directory
        self._id = writer
        self._holder = holder
        self._segment_bytes = segment_bytes
        self._frames = frames_of(writer)
        self._next = 1
        self._head = beginning(self.writer)
        """The chain's head after the newest record that was written."""
        self._acknowledged = 0
        self._fault: str | None = None
        self._probe_at = 0.0
        self._closed = False
        self._scheduled = False
        self.recent = Recent()
        self._pending: list[bytes] = []
        self._pending_personal: list[bytes] = []
        self._batch: _Batch | None = None
        self._syncer = ThreadPoolExecutor(1, "spool-sync") if durability is Durability.POWER else None
        self._sync_work: Future[None] | None = None
        self._unsynced = False
        self._written: list[_Batch] = []
        """Written, and waiting for the next sync."""
        self._syncing: list[_Batch] | None = None
        """Waiting for the sync that runs; None when none does."""
        self._retired: list[int] = []
        """Full segments that are not synced yet."""
        self._turn_to(self._new_segment(probe=False))

    @classmethod
    def open(
        cls,
        spool: Path,
        *,
        durability: Durability = Durability.PROCESS,
        segment_bytes: int = SEGMENT_BYTES,
    ) -> Self:
        """Begin a new log below a directory, which is made when it is missing.

        A process never goes on with an older log: after a loss of power that log may have lost numbers which
        were shipped already, and records that took these numbers again would be dropped as known. Raise
        `AuditUnavailable`.
        """
        try:
            spool.mkdir(mode=0o700, parents=True, exist_ok=True)
            for _ in range(_ATTEMPTS):
                writer = uuid4()
                directory = spool / str(writer)
                directory.mkdir(mode=0o700)
                # Another process may look at the new directory, find it unlocked and clear it away.
                holder = lock(directory)
                if holder is not None:
                    hand_over(holder, spool)
                    break
            else:
                msg = f"cannot lock a directory below {spool}"
                raise AuditUnavailable(msg)
            try:
                opened = cls(
                    directory=directory,
                    writer=writer,
                    holder=holder,
                    durability=durability,
                    segment_bytes=segment_bytes,
                )
                sync_directory(directory)
                sync_directory(spool)
            except BaseException:
                os.close(holder)
                raise
        except OSError as error:
            msg = f"cannot open the audit spool {spool}: {error.strerror}"
            raise AuditUnavailable(msg) from error
        return opened

    @property
    def available(self) -> bool:
        """Whether records can be written. Looks for recovery, at most once a second, when they could not."""
        if self._fault is not None:
            self._probe()
        return self._fault is None

    @property
    def last(self) -> int:
        """Number of the newest record, 0 before the first."""
        return self._next - 1

    def append(self, body: bytes, personal: bytes = b"") -> int:
        """Take one record, and sealed what it says of persons, and return its number. Durable only after
        `flushed`. Raise `AuditUnavailable`.

        Needs a running event loop, which writes at the end of its turn.
        """
        if self._fault is not None:
            self._probe()
            if self._fault is not None:
                raise AuditUnavailable(self._fault)
        if len(body) > MAX_BODY or len(personal) > MAX_BODY:
            msg = f"an audit record of {len(body)} and {len(personal)} bytes is longer than {MAX_BODY}"
            raise ValueError(msg)
        if not self._scheduled:
            asyncio.get_running_loop().call_soon(self._flush)
            self._scheduled = True
        seq = self._next
        self._next = seq + 1
        self._pending.append(body)
        self._pending_personal.append(personal)
        return seq

    def flushed(self) -> Awaitable[None]:
        """Return what completes when everything appended so far is durable, or raises `AuditUnavailable`."""
        if self._batch is not None:
            return self._batch
        if self._pending or self._fault is not None:
            batch = _Batch(loop=asyncio.get_running_loop())
            if self._fault is not None:
                _settle(batch, self._fault)
            else:
                self._batch = batch
            return batch
        # With `power`, what is written may still wait for its sync: for the next one, or the one that runs.
        waiting = self._written if self._unsynced else self._syncing
        if waiting is None:
            return _DONE
        if not waiting:
            waiting.append(_Batch(loop=asyncio.get_running_loop()))
        return waiting[-1]

    def write_now(self) -> None:
        """Hand everything appended so far to the operating system. Raise `AuditUnavailable`."""
        if self._pending:
            self._write()
        if self._fault is not None:
            raise AuditUnavailable(self._fault)

    def roll_if_older(self, seconds: float) -> bool:
        """Turn to a new segment if there are records in the one at hand and it was begun longer ago; say
        whether it did. Only whole segments can go once what they hold is shipped, so whoever writes seldom
        would keep for ever what was shipped long ago, with what it says of persons.

        Needs a running event loop.
        """
        if self._closed or self._pending or self._fault is not None or self._size == HEADER_SIZE:
            return False
        if time.monotonic() - self._begun <= seconds or not self._roll():
            return False
        # Whoever ships has no reason to look again as long as nothing is written.
        with suppress(OSError):
            Log(self._directory, dead=False).drop(upto=self.recent.released)
        if self._syncer is not None and self._syncing is None:
            # Until it is synced the old file stays open, and so on the disk.
            self._sync(self._syncer)
        return True

    def close(self) -> None:
        """Write what is left and give the log up. Whoever looks next ships the rest of it, and clears it
        away; a log without any record goes at once."""
        if self._closed:
            return
        self._closed = True
        if self._pending:
            self._write()
        if self._syncer is not None:
            self._syncer.shutdown()
            error = self._sync_work.exception() if self._sync_work is not None else None
            if error is None and (self._unsynced or self._retired):
                error = self._sync_in_place()
            waiting = [*(self._syncing or []), *self._written]
            for batch in waiting:
                _settle(batch, None if error is None else _describe("sync", error))
        self._fault = "the audit spool is closed"
        self._probe_at = float("inf")
        if self._next == 1:
            # Most commands write nothing; they leave nothing either.
            with suppress(OSError):
                (self._directory / name_of(1)).unlink()
                self._directory.rmdir()
        for descriptor in (*self._retired, self._descriptor, self._holder):
            os.close(descriptor)

    def _flush(self) -> None:
        self._scheduled = False
        if self._pending:
            self._write()

    def _write(self) -> None:
        pending, self._pending = self._pending, []
        personal, self._pending_personal = self._pending_personal, []
        batch, self._batch = self._batch, None
        before, first = self._head, self._next - len(pending)
        data, heads = self._frames.write(pending, personal, first=first, before=before)
        try:
            if not os.fstat(self._descriptor).st_nlink:
                # Somebody has removed the file: whatever goes there is gone with this process.
                raise OSError(errno.ENOENT, os.strerror(errno.ENOENT))  # noqa: TRY301 - one way to fail
            written = os.write(self._descriptor, data)
            if written != len(data):
                # A regular file takes less than it was given when the disk is full.
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))  # noqa: TRY301 - one way to fail
        except OSError as error:
            with suppress(OSError):
                # Nothing of it may stay, for the chain goes on without it. Should this fail too, it is tried
                # again before anything else is written.
                os.ftruncate(self._descriptor, self._size)
            self._fail("write to", error)
            self._lose(len(pending), batch)
            return
        self._size += written
        self._head = heads[-1]
        self.recent.add(Kept(first, pending, heads, personal, before), written)
        if self._syncer is None:
            self._acknowledged = self._next - 1
            if batch is not None:
                batch.set_result(None)
        else:
            self._unsynced = True
            if batch is not None:
                self._written.append(batch)
        if self._size >= self._segment_bytes:
            self._roll()
        if self._syncer is not None and self._syncing is None and not self._closed:
            self._sync(self._syncer)

    def _lose(self, count: int, batch: _Batch | None) -> None:
        """Tell who waits that the records are not written. Their numbers are not given out again, for a
        reader may have seen them before they were cut off."""
        self.dropped += count
        if batch is not None:
            _settle(batch, self._fault)

    def _fail(self, doing: str, error: BaseException) -> None:
        self._fault = _describe(doing, error)
        self._probe_at = time.monotonic() + _PROBE_EVERY
        _log().error("audit.spool_failed", detail=self._fault)

    def _probe(self) -> None:
        """Leave the failed segment for a new one, if a new one can be written."""
        now = time.monotonic()
        if now < self._probe_at or self._syncing is not None:
            return
        self._probe_at = now + _PROBE_EVERY
        try:
            os.ftruncate(self._descriptor, self._size)
            descriptor = self._new_segment(probe=True)
        except OSError as error:
            self._fault = _describe("write to", error)
            return
        os.close(self._descriptor)
        self._turn_to(descriptor)
        self._fault = None
        _log().warning("audit.spool_recovered", dropped=self.dropped)

    def _roll(self) -> bool:
        try:
            descriptor = self._new_segment(probe=False)
        except OSError:
            # The segment at hand may still take records; the next write tries again.
            return False
        if self._syncer is None:
            os.close(self._descriptor)
        else:
            self._retired.append(self._descriptor)
        self._turn_to(descriptor)
        return True

    def _turn_to(self, descriptor: int) -> None:
        self._descriptor, self._size = descriptor, HEADER_SIZE
        self._begun = time.monotonic()

    def _new_segment(self, *, probe: bool) -> int:
        """Make the next segment; with `probe`, also show that the disk takes more than the header."""
        path = self._directory / name_of(self._next)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC
        # A segment that begins with this number exists only when nothing could be written to it.
        path.unlink(missing_ok=True)
        descriptor = os.open(path, flags, 0o600)
        try:
            hand_over(descriptor, self._directory)
            head = header(self._id, first=self._next, acknowledged=self._acknowledged, before=self._head)
            _write_all(descriptor, head)
            if probe:
                _write_all(descriptor, bytes(_PROBE_BYTES))
                os.ftruncate(descriptor, HEADER_SIZE)
                if self._syncer is not None:
                    _sync_files(descriptor, [], self._directory)
        except BaseException:
            os.close(descriptor)
            path.unlink(missing_ok=True)
            raise
        return descriptor

    def _sync(self, syncer: ThreadPoolExecutor) -> None:
        """Sync everything written so far in the other thread. What is written meanwhile is the next group."""
        self._syncing, self._written = self._written, []
        retired, self._retired = self._retired, []
        self._unsynced = False
        reached = self._next - 1 - len(self._pending)
        loop = asyncio.get_running_loop()
        directory = self._directory if retired else None
        self._sync_work = syncer.submit(_sync_files, self._descriptor, retired, directory)

        def back(done: "Future[None]") -> None:
            # The loop may have ended by now; then `close` settles what is left.
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(self._synced, done.exception(), reached)

        self._sync_work.add_done_callback(back)

    def _synced(self, error: BaseException | None, reached: int) -> None:
        if self._closed:
            return
        waiting, self._syncing = self._syncing or [], None
        if error is None:
            self._acknowledged = reached
        else:
            # Whatever else waits is in a file that must not be synced any more.
            waiting += self._written
            self._written, self._unsynced = [], False
            self._fail("sync", error)
            count, self._pending, self._pending_personal = len(self._pending), [], []
            batch, self._batch = self._batch, None
            self._lose(count, batch)
        for batch in waiting:
            _settle(batch, None if error is None else self._fault)
        if self._unsynced and self._syncer is not None:
            self._sync(self._syncer)

    def _sync_in_place(self) -> OSError | None:
        retired, self._retired = self._retired, []
        try:
            _sync_files(self._descriptor, retired, self._directory)
        except OSError as error:
            return error
        return None


def _settle(batch: _Batch, fault: str | None) -> None:
    if fault is None:
        batch.set_result(None)
        return
    batch.set_exception(AuditUnavailable(fault))
    # When the only waiter was cancelled before it waited, nobody will look at the exception.
    batch.exception()


def _describe(doing: str, error: BaseException) -> str:
    reason = error.strerror if isinstance(error, OSError) else type(error).__name__
    return f"cannot {doing} the audit spool: {reason}"


def _log() -> structlog.typing.FilteringBoundLogger:
    logger: structlog.typing.FilteringBoundLogger = structlog.get_logger("gateway.audit")
    return logger


def _write_all(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]


def _sync_files(descriptor: int, retired: list[int], directory: Path | None) -> None:
    try:
        for other in (*retired, descriptor):
            os.fdatasync(other)
        if directory is not None:
            sync_directory(directory)
    finally:
        for other in retired:
            os.close(other)
