"""Where the frames of a WebSocket stream begin and end (RFC 6455 section 5.2). No I/O, and no copy: headers
are read and payloads are counted."""

from typing import Final

_CLOSE: Final = 8
_OPCODE: Final = 0x0F
_MASKED: Final = 0x80
_LENGTH: Final = 0x7F
_TWO_BYTES: Final = 126
_EIGHT_BYTES: Final = 127
_SHORTEST: Final = 2
_LONGEST: Final = 14


def _header_size(second: int) -> int:
    length = second & _LENGTH
    extended = 2 if length == _TWO_BYTES else 8 if length == _EIGHT_BYTES else 0
    return _SHORTEST + extended + (4 if second & _MASKED else 0)


_HEADER_SIZES: Final = bytes(map(_header_size, range(256)))
"""Bytes of a frame's header by its second byte."""


class Frames:
    """Follows one direction of a connection. Whatever the bytes are, it never fails."""

    __slots__ = ("_begun", "_left", "closing")

    def __init__(self) -> None:
        self._begun = b""
        """As much of a frame's header as has come."""
        self._left = 0
        """Bytes of the payload of the frame in progress that have not come."""
        self.closing = False
        """Whether a close frame has begun: no frame may follow it (RFC 6455 section 5.5.1)."""

    def __repr__(self) -> str:
        return f"Frames(between={self.between}, closing={self.closing})"

    @property
    def between(self) -> bool:
        """Whether the stream is between two frames."""
        return not self._left and not self._begun

    @property
    def closed(self) -> bool:
        """Whether a whole close frame has passed."""
        return self.closing and not self._left and not self._begun

    def feed(self, data: bytes) -> None:
        """Take the next bytes of the stream."""
        size = len(data)
        at = self._left
        if at > size:
            self._left = at - size
            return
        self._left = 0
        if self._begun:
            at = self.rest(data)
            if self._left:
                return
        while at < size:
            if at + _SHORTEST > size:
                self._begun = data[at:]
                return
            length = data[at + 1]
            start = at + _HEADER_SIZES[length]
            if start > size:
                self._begun = data[at:]
                return
            if data[at] & _OPCODE == _CLOSE:
                self.closing = True
            length &= _LENGTH
            if length == _TWO_BYTES:
                length = data[at + 2] << 8 | data[at + 3]
            elif length == _EIGHT_BYTES:
                length = int.from_bytes(data[at + 2 : at + 10])
            at = start + length
        self._left = at - size

    def rest(self, data: bytes) -> int:
        """Take the bytes up to the end of the frame in progress, and return how many these are."""
        begun, self._begun = self._begun, b""
        if begun:
            header = begun + data[: _LONGEST - len(begun)]
            size = _HEADER_SIZES[header[1]] if len(header) >= _SHORTEST else _LONGEST
            if size > len(header):
                self._begun = header
                return len(data)
            self.feed(header[:size])
            taken = size - len(begun)
        else:
            taken = 0
        payload = min(self._left, len(data) - taken)
        self._left -= payload
        return taken + payload


def close_frame(code: int, mask: bytes = b"") -> bytes:
    """Return a close frame without a text; with four bytes of `mask` as a client has to send it."""
    payload = code.to_bytes(2)
    if not mask:
        return b"\x88\x02" + payload
    return b"\x88\x82" + mask + bytes(byte ^ key for byte, key in zip(payload, mask, strict=False))
