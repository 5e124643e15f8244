"""Outlet: lines on standard output, among those of the log."""

import os
import select
from asyncio import to_thread
from collections.abc import Iterator, Sequence
from threading import Lock
from time import monotonic
from typing import Final

import orjson

from gateway.outlets.lines import LineFormat, header_of, lines_of
from gateway.ports import OutletUnavailable, Record

_PATIENCE: Final = 5.0
"""Seconds that a reader may take to make room for more."""
_OUTPUT: Final = 1


class Output:
    """Standard output, which others write to as well: in pieces that the system writes whole."""

    def __init__(self, descriptor: int = _OUTPUT) -> None:
        self._descriptor = descriptor
        # Whoever was cancelled leaves a thread behind that still writes.
        self._turn = Lock()

    def write(self, lines: Sequence[bytes]) -> None:
        """Write lines. Blocks for five seconds at the most while nobody reads. Raise `OutletUnavailable`."""
        with self._turn:
            ends = monotonic() + _PATIENCE
            writable = select.poll()
            writable.register(self._descriptor, select.POLLOUT)
            for piece in _pieces(lines):
                left = piece
                while left:
                    # A pipe that is ready takes a piece without waiting, whoever else wrote to it before.
                    if not writable.poll(max(0.0, ends - monotonic()) * 1000):
                        raise OutletUnavailable("nobody reads standard output")
                    try:
                        left = left[os.write(self._descriptor, left) :]
                    except BlockingIOError:
                        continue
                    except OSError as error:
                        raise OutletUnavailable(f"standard output: {error.strerror}") from None


class StdoutOutlet:
    """Writes a line for each record. Implements `ports.Outlet`."""

    name = "stdout"

    def __init__(self, format: LineFormat, output: Output | None = None) -> None:
        self._output = output or Output()
        self._format = format
        self._begun = False

    async def send(self, records: Sequence[Record]) -> None:
        """Return once all of them are written. Raise `OutletUnavailable`; some may be written then."""
        await to_thread(self._write, records)

    async def close(self) -> None:
        """Leave standard output as it is."""

    def _write(self, records: Sequence[Record]) -> None:
        header = header_of(self._format)
        lines = lines_of(records, self._format)
        self._output.write(lines if self._begun or not header else [header, *lines])
        self._begun = True


class StdoutCheckpoints:
    """Writes each signed note as a line of JSON, `{"event": "audit.checkpoint", "note": "..."}`, so that
    whoever collects the log keeps it too. Implements `ports.CheckpointOutlet`."""

    name = "checkpoints stdout"

    def __init__(self, output: Output | None = None) -> None:
        self._output = output or Output()

    async def publish(self, note: str) -> None:
        """Return once the note is written. Raise `OutletUnavailable`."""
        line = orjson.dumps({"event": "audit.checkpoint", "note": note}, option=orjson.OPT_APPEND_NEWLINE)
        await to_thread(self._output.write, [line])

    async def close(self) -> None:
        """Leave standard output as it is."""


def _pieces(lines: Sequence[bytes]) -> Iterator[bytes]:
    """Join lines, as many as go into one piece; a line that is longer is cut up."""
    piece = b""
    for line in lines:
        if piece and len(piece) + len(line) > select.PIPE_BUF:
            yield piece
            piece = b""
        piece += line
        while len(piece) > select.PIPE_BUF:
            yield piece[: select.PIPE_BUF]
            piece = piece[select.PIPE_BUF :]
    if piece:
        yield piece
