"""The chain through one writer's audit records: change, remove or reorder one, and no later head is the same.

The head after a record is SHA-256 of the head before it, its number (8 bytes, little-endian) and its bytes;
the first record's is the writer's own beginning. Numbers that were given out and never written leave no trace
in it: the next record's number says so.
"""

from hashlib import sha256
from typing import Final

HEAD_BYTES: Final = 32
_BEGINNING: Final = b"gateway audit chain 1\n"


def beginning(writer: str) -> bytes:
    """Return the head of a writer that has written nothing yet."""
    return sha256(_BEGINNING + writer.encode()).digest()


def link(head: bytes, number: int, body: bytes) -> bytes:
    """Return the head after one more record."""
    return sha256(head + number.to_bytes(8, "little") + body).digest()
