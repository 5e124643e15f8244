"""The frames of version 1: `length u32 | crc32 u32 | number u64 | record`, little-endian, without a chain.

Nothing writes them; logs that were left over are read. The chain is made while reading, and begins with the
first record that is there. The checksum is seeded with the number.
"""

from struct import Struct
from typing import Final
from zlib import crc32

from gateway.crypto import link
from gateway.stores.spool.form import MAX_BODY, Found, Scanned, numbers_in

_PREFIX: Final = Struct("<IIQ")
_NUMBER_AT: Final = 8
_LOW: Final = 0xFFFFFFFF


class UnchainedFrames:
    """Frames without a chain. Implements `Form`."""

    prefix_size = _PREFIX.size

    def __init__(self, *, header_size: int) -> None:
        self.header_size = header_size

    def prefix(self, data: bytes, offset: int = 0) -> None:
        """Return None: only the record shows whether its prefix is good."""

    def scan(self, data: bytes, *, expected: int, limit: int, before: bytes) -> Scanned:
        """Take up to `limit` good frames off the front of `data`, whose numbers count up from `expected`."""
        bodies: list[bytes] = []
        heads: list[bytes] = []
        offset, size, start = 0, len(data), _PREFIX.size
        wanted = start
        while len(bodies) < limit:
            if size - offset < start:
                wanted = start
                break
            length, check, number = _PREFIX.unpack_from(data, offset)
            if number != expected or length > MAX_BODY:
                wanted = 0
                break
            end = offset + start + length
            if end > size:
                wanted = start + length
                break
            body = data[offset + start : end]
            if crc32(body, number & _LOW) != check:
                wanted = 0
                break
            before = link(before, number, body)
            bodies.append(body)
            heads.append(before)
            offset, expected = end, expected + 1
        return Scanned(
            bodies=bodies, heads=heads, personal=[b""] * len(bodies), consumed=offset, wanted=wanted
        )

    def resume(self, data: bytes, expected: int) -> Found | None:
        """Find the first good frame whose number is `expected` or somewhat above, or None."""
        for place, number in numbers_in(data, expected):
            offset = place - _NUMBER_AT
            end = offset + _PREFIX.size + MAX_BODY
            if offset >= 0 and self.scan(data[offset:end], expected=number, limit=1, before=b"").bodies:
                return Found(offset=offset, number=number, before=None)
        return None
