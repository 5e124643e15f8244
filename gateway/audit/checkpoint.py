"""What a checkpoint says, and how it is written: lines of text that a signed note can carry.

Each names the one before it by its hash, so that none can be taken out of the middle.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256
from typing import Final, NamedTuple, Self

import orjson

from gateway.crypto import HEAD_BYTES, decode_base64url, encode_base64url
from gateway.ports import Dropped

FIRST_LINE: Final = "gateway audit checkpoint 1"
"""How every checkpoint begins: what it is, and the version of its form."""
_WRITER: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_NUMBER: Final = re.compile(r"0|[1-9][0-9]{0,18}")
_WRAPPINGS: Final = 3
_HEADERS: Final = ("number", "time", "previous")


class Mark(NamedTuple):
    """How far a writer had come: the number of its newest record, and the chain's head after it."""

    writer: str
    seq: int
    head: bytes


class StatementFlaw(ValueError):
    """A text is no checkpoint of a form that this version knows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """What one checkpoint says."""

    number: int
    time: str
    """When it was signed; RFC 3339 UTC."""
    previous: bytes | None
    """`digest` of the one before it, None for the first."""
    marks: tuple[Mark, ...] = ()
    """The writers that have moved since the signing process' last checkpoint."""
    dropped: tuple[Dropped, ...] = ()
    """What was removed on purpose."""

    def text(self) -> str:
        """Return the statement as lines."""
        previous = "-" if self.previous is None else encode_base64url(self.previous)
        lines = [FIRST_LINE, f"number {self.number}", f"time {self.time}", f"previous {previous}"]
        lines += (f"writer {one.writer} {one.seq} {encode_base64url(one.head)}" for one in self.marks)
        lines += (f"dropped {one.writer} {one.upto} {encode_base64url(one.head)}" for one in self.dropped)
        return "\n".join(lines) + "\n"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return what the lines say. Raise `StatementFlaw` unless they are exactly as `text` writes them."""
        first, *lines = text.split("\n")
        if first != FIRST_LINE or len(lines) <= len(_HEADERS):
            raise StatementFlaw(f"it does not begin with {FIRST_LINE!r}, a number, a time and the one before")
        number, time, previous = (
            line.removeprefix(f"{name} ") for name, line in zip(_HEADERS, lines, strict=False)
        )
        rows = [line.split(" ") for line in lines[len(_HEADERS) : -1]]
        statement = cls(
            number=_number(number),
            time=time,
            previous=None if previous == "-" else _hash(previous),
            marks=tuple(_mark(row) for row in rows if row[0] == "writer"),
            dropped=tuple(_dropped(row) for row in rows if row[0] == "dropped"),
        )
        if statement.text() != text:
            raise StatementFlaw("it has lines that this version does not know")
        return statement


def digest(note: str) -> bytes:
    """Return the hash that the next checkpoint names a signed one by: SHA-256 of its whole text."""
    return sha256(note.encode(errors="surrogatepass")).digest()


def notes_in(lines: Iterable[str]) -> Iterable[str]:
    """Give the signed checkpoints among lines of text, whatever else is between them.

    A line may also be a JSON object with the note as a member, as standard output has it, and whoever
    collected that may have wrapped it in another. One that is cut short is given as far as it goes.
    """
    note: list[str] = []
    below = False
    for line in _unwrapped(lines):
        whole = line.rstrip("\r\n") + "\n"
        if whole == f"{FIRST_LINE}\n" or (below and not whole.startswith("— ")):
            if note:
                yield "".join(note)
            note, below = [], False
        if note or whole == f"{FIRST_LINE}\n":
            note.append(whole)
            below = below or whole.startswith("— ")
    if note:
        yield "".join(note)


def _unwrapped(lines: Iterable[str]) -> Iterable[str]:
    for line in lines:
        note = _note_in(line) if "{" in line and FIRST_LINE in line else None
        if note is None:
            yield line
        else:
            yield from note.split("\n")


def _note_in(line: str) -> str | None:
    """Return the note in a line of a log, None when there is none: in a JSON object, which others may have
    put something in front of, or into a string of one of their own."""
    for _ in range(_WRAPPINGS):
        try:
            fields = orjson.loads(line[line.index("{") :])
        except (ValueError, UnicodeError):
            return None
        texts = [text for text in fields.values() if isinstance(text, str) and FIRST_LINE in text]
        if not texts:
            return None
        line = texts[0]
        if line.startswith(f"{FIRST_LINE}\n"):
            return line
    return None


def _mark(row: list[str]) -> Mark:
    return Mark(*_place(row))


def _dropped(row: list[str]) -> Dropped:
    writer, upto, head = _place(row)
    return Dropped(writer=writer, upto=upto, head=head)


def _place(row: list[str]) -> tuple[str, int, bytes]:
    try:
        _, writer, seq, head = row
    except ValueError:
        raise StatementFlaw("a line does not name a writer, a number and a head") from None
    if _WRITER.fullmatch(writer) is None:
        raise StatementFlaw(f"{writer!r} is no writer")
    return writer, _number(seq), _hash(head)


def _number(text: str) -> int:
    if _NUMBER.fullmatch(text) is None:
        raise StatementFlaw(f"{text!r} is no number")
    return int(text)


def _hash(text: str) -> bytes:
    try:
        value = decode_base64url(text.encode())
    except ValueError:
        value = b""
    if len(value) != HEAD_BYTES:
        raise StatementFlaw(f"{text!r} is no SHA-256 hash")
    return value
