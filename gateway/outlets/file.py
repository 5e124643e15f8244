"""Outlet: lines at the end of a file."""

import os
import stat
from asyncio import to_thread
from collections.abc import Sequence
from pathlib import Path
from threading import Lock
from time import sleep
from typing import Final

from gateway.outlets.lines import LineFormat, header_of, lines_of
from gateway.ports import OutletUnavailable, Record

_FLAGS: Final = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
"""Neither a link that somebody put there is followed, nor does a pipe without a reader hold anybody up."""

_LINE_SECONDS: Final = 0.05
"""In which another process has written the rest of its lines."""


class GrowingFile:
    """A file that is only ever appended to: durable after each time, and never with half a line in it.

    When it was moved away or removed, a new one is begun, so that it can be rotated. Every method blocks.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None
        # Whoever was cancelled leaves a thread behind that still writes.
        self._turn = Lock()

    def append(self, data: bytes, *, header: bytes = b"") -> None:
        """Write data at the end, behind the header when the file is empty. Raise `OutletUnavailable`; then
        the file is as it was."""
        with self._turn:
            try:
                self._append(self._opened(), data, header)
            except OSError as error:
                self._close()
                raise OutletUnavailable(f"{self._path}: {error.strerror or error}") from None

    def close(self) -> None:
        """Let go of the file."""
        with self._turn:
            self._close()

    def _opened(self) -> int:
        if self._descriptor is not None and not self._is_in_place(self._descriptor):
            self._close()
        if self._descriptor is None:
            descriptor = os.open(self._path, _FLAGS, 0o600)
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                os.close(descriptor)
                raise OutletUnavailable(f"{self._path} is not a regular file")
            self._descriptor = descriptor
            if _is_torn(descriptor):
                # The machine went down in the middle of a line. It comes again: nobody was told that it is
                # here.
                os.write(descriptor, b"\n")
        return self._descriptor

    def _is_in_place(self, descriptor: int) -> bool:
        try:
            return os.path.samestat(self._path.lstat(), os.fstat(descriptor))
        except FileNotFoundError:
            return False

    def _append(self, descriptor: int, data: bytes, header: bytes) -> None:
        size = os.fstat(descriptor).st_size
        if size == 0:
            data = header + data
        try:
            left = memoryview(data)
            while left:
                left = left[os.write(descriptor, left) :]
            os.fdatasync(descriptor)
        except OSError:
            os.ftruncate(descriptor, size)
            raise

    def _close(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def _is_torn(descriptor: int) -> bool:
    """Say whether a file ends in the middle of a line, which nobody is writing at this moment."""
    if not _ends_within_line(descriptor):
        return False
    sleep(_LINE_SECONDS)
    return _ends_within_line(descriptor)


def _ends_within_line(descriptor: int) -> bool:
    size = os.fstat(descriptor).st_size
    return size > 0 and os.pread(descriptor, 1, size - 1) != b"\n"


class FileOutlet:
    """Appends a line for each record. Implements `ports.Outlet`."""

    def __init__(self, path: Path, format: LineFormat) -> None:
        self.name = f"file {path}"
        self._file = GrowingFile(path)
        self._format = format

    async def send(self, records: Sequence[Record]) -> None:
        """Return once all of them are on the disk. Raise `OutletUnavailable`; then none is in the file."""
        await to_thread(self._append, records)

    async def close(self) -> None:
        """Let go of the file."""
        await to_thread(self._file.close)

    def _append(self, records: Sequence[Record]) -> None:
        self._file.append(b"".join(lines_of(records, self._format)), header=header_of(self._format))


class FileCheckpoints:
    """Appends signed notes, with an empty line behind each. Implements `ports.CheckpointOutlet`."""

    def __init__(self, path: Path) -> None:
        self.name = f"checkpoints file {path}"
        self._file = GrowingFile(path)

    async def publish(self, note: str) -> None:
        """Return once the note is on the disk. Raise `OutletUnavailable`; then it is not in the file."""
        await to_thread(self._file.append, note.rstrip("\n").encode() + b"\n\n")

    async def close(self) -> None:
        """Let go of the file."""
        await to_thread(self._file.close)
