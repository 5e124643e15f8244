"""How far the body of a request reaches in what has come.

aiohttp's parser judges the bytes of a request, and gets no others: behind a chunked body it would take the
last trailer for a field of the next request, and what it has once been given cannot be had back.
"""

from typing import Final, Protocol

_FREE: Final = 16 * 1024
"""Bytes of a chunked body that may always be something else than body: size lines, extensions, trailers."""
_EACH: Final = 18
"""Bytes that may be so for each byte of body: the size line and the line ends of a chunk of one byte, and a
short extension."""


class Extent(Protocol):
    """Follows one body."""

    is_chunked: bool

    @property
    def is_over(self) -> bool:
        """Whether the body has come to its end."""

    @property
    def is_padded(self) -> bool:
        """Whether too much has come that was not body: what the route allows bounds the body only."""

    def reach(self, data: bytes) -> int:
        """Return how many of the next bytes belong to the body. Raise `ValueError` for what is no size."""


class Counted:
    """A body of known length."""

    __slots__ = ("_left",)
    is_chunked = False
    is_padded = False

    def __init__(self, length: int) -> None:
        self._left = length

    @property
    def is_over(self) -> bool:
        """Whether the body has come to its end."""
        return not self._left

    def reach(self, data: bytes) -> int:
        """Return how many of the next bytes belong to the body."""
        reach = min(self._left, len(data))
        self._left -= reach
        return reach


class Chunked:
    """A body in chunks (RFC 9112 section 7.1). Whether they are well-formed is the parser's business."""

    __slots__ = ("_excess", "_in_trailers", "_left", "_line", "is_over")
    is_chunked = True

    def __init__(self) -> None:
        self.is_over = False
        self._line = b""
        """What has come of a line."""
        self._left = 0
        """Bytes up to the next line."""
        self._in_trailers = False
        self._excess = 0

    @property
    def is_padded(self) -> bool:
        """Whether too much has come that was not body."""
        return self._excess > _FREE

    def reach(self, data: bytes) -> int:
        """Return how many of the next bytes belong to the body. Raise `ValueError` for what is no size."""
        at = skipped = 0
        while at < len(data) and not self.is_over:
            if self._left:
                step = min(self._left, len(data) - at)
                self._left -= step
                skipped += step
                at += step
                continue
            end = data.find(b"\n", at) + 1
            line = self._line + data[at : end or len(data)]
            at = end or len(data)
            self._line = b"" if end else line
            if end:
                self._read(line)
        # The line end of each chunk was skipped with it, which is too little to matter.
        self._excess = max(0, self._excess + at - skipped - _EACH * skipped)
        return at

    def _read(self, line: bytes) -> None:
        if self._in_trailers:
            self.is_over = line == b"\r\n"
        elif size := int(line.partition(b";")[0], 16):
            self._left = size + len(b"\r\n")
        else:
            self._in_trailers = True
