"""Reads what the gateway answered, as strictly as the RFC allows."""

import re
from collections.abc import Container, Sequence
from dataclasses import dataclass, field

_HEAD = re.compile(
    rb"HTTP/1\.1 (?P<status>[1-5][0-9][0-9]) (?P<reason>[\t\x20-\x7e\x80-\xff]*)\r\n"
    rb"(?P<lines>(?:[!#$%&'*+.^_`|~0-9A-Za-z-]+:[ \t]*[^\x00-\x08\x0a-\x1f\x7f]*\r\n)*)\r\n"
)
_CHUNK = re.compile(rb"([0-9a-f]{1,8})\r\n")
_INTERIM = range(100, 200)
_BODYLESS = (204, 304)
_SWITCHING = 101
_FIELD = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+:[ \t]*[^\x00-\x08\x0a-\x1f\x7f]*")

Line = tuple[bytes, bytes]


class Unreadable(Exception):
    """What the gateway sent is not HTTP; the text says why."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer."""

    status: int
    lines: Sequence[Line]
    body: bytes = field(repr=False)
    whole: bool
    """Whether it ended as it said that it would."""
    trailers: Sequence[Line] = ()

    def values(self, name: bytes) -> list[bytes]:
        """Return the values of a field, its name given in lower case."""
        return [value for other, value in self.lines if other.lower() == name]

    @property
    def request_id(self) -> str:
        """The id of the request."""
        return (self.values(b"x-request-id") or [b""])[0].decode("latin-1")

    @property
    def is_interim(self) -> bool:
        """Whether another follows for the same request."""
        return self.status in _INTERIM and self.status != _SWITCHING


class _CutShort(Exception):
    """The bytes end before the answer does."""


def read_answers(data: bytes, *, heads: Container[int], version_1_0: bool) -> list[Answer]:
    """Return all answers in the bytes of a connection that has ended. Raises `Unreadable`.

    `heads`: which requests were for a HEAD, counted from 0.
    """
    answers: list[Answer] = []
    number = 0
    while data:
        head, mark, rest = data.partition(b"\r\n\r\n")
        if not mark:
            raise Unreadable(f"a head that does not end: {data[:200]!r}")
        found = _HEAD.fullmatch(head + mark)
        if found is None:
            raise Unreadable(f"not the head of an answer: {head[:300]!r}")
        lines = [
            (name, value.strip(b" \t"))
            for name, _, value in (line.partition(b":") for line in found["lines"].split(b"\r\n")[:-1])
        ]
        status = int(found["status"])
        if status == _SWITCHING:
            return [*answers, Answer(status, lines, rest, whole=True)]
        bodyless = status in _BODYLESS or status in _INTERIM or number in heads
        trailers: list[Line] = []
        body, whole, data = _body(lines, rest, trailers, bodyless=bodyless, version_1_0=version_1_0)
        answers.append(Answer(status, lines, body, whole, trailers))
        number += not answers[-1].is_interim
    return answers


def _body(
    lines: Sequence[Line], rest: bytes, trailers: list[Line], *, bodyless: bool, version_1_0: bool
) -> tuple[bytes, bool, bytes]:
    lengths = [value for name, value in lines if name.lower() == b"content-length"]
    codings = [value for name, value in lines if name.lower() == b"transfer-encoding"]
    if len(lengths) > 1 or len(codings) > 1 or (lengths and codings):
        raise Unreadable(f"framing: {lengths} and {codings}")
    if bodyless:
        return b"", True, rest
    if codings:
        if codings != [b"chunked"] or version_1_0:
            raise Unreadable(f"framing: {codings}")
        try:
            return _chunks(rest, trailers)
        except _CutShort:
            return rest, False, b""
    if lengths:
        if not lengths[0].isdigit():
            raise Unreadable(f"framing: {lengths}")
        length = int(lengths[0])
        return rest[:length], len(rest) >= length, rest[length:]
    return rest, True, b""


def _chunks(rest: bytes, trailers: list[Line]) -> tuple[bytes, bool, bytes]:
    body = b""
    while True:
        line, mark, after = rest.partition(b"\r\n")
        if not mark:
            raise _CutShort
        found = _CHUNK.fullmatch(line + mark)
        if found is None:
            raise Unreadable(f"chunk size {line[:100]!r}")
        size = int(found[1], 16)
        if size == 0:
            return _trailers(body, after, trailers)
        if len(after) < size + 2:
            raise _CutShort
        if after[size : size + 2] != b"\r\n":
            raise Unreadable(f"after a chunk: {after[size : size + 20]!r}")
        body, rest = body + after[:size], after[size + 2 :]


def _trailers(body: bytes, rest: bytes, trailers: list[Line]) -> tuple[bytes, bool, bytes]:
    while True:
        line, mark, rest = rest.partition(b"\r\n")
        if not mark:
            raise _CutShort
        if not line:
            return body, True, rest
        if _FIELD.fullmatch(line) is None:
            raise Unreadable(f"trailer {line[:100]!r}")
        name, _, value = line.partition(b":")
        trailers.append((name, value.strip(b" \t")))
