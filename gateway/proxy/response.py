"""Reads responses of one upstream connection. No I/O: bytes go in, a head and body bytes come out.

llhttp does the syntax, strictly: bare CR or LF, folded lines, control bytes, doubled Content-Length, and
Content-Length beside Transfer-Encoding are its errors. What it lets through and a gateway must not is checked
here. Bodies of known length and bodies that end with the connection are counted here too, without a copy.
"""

import re
from http import HTTPStatus
from typing import Final, NamedTuple

import httptools

from gateway.model import Framing, Line
from gateway.proxy.headers import nominated

MAX_HEAD: Final = 65_536
"""Bytes of a response's head, interim responses before it included; also of trailers and of the extensions
between two chunks."""

# Looking up a member of an enum costs as much as ten of these (Python 3.11).
_NONE: Final = Framing.NONE
_LENGTH: Final = Framing.LENGTH
_CHUNKED: Final = Framing.CHUNKED
_CLOSE: Final = Framing.CLOSE
_NO_BODY: Final = (204, 304)
_FIRST_INTERIM: Final = 100
_FIRST_FINAL: Final = 200
_LAST_STATUS: Final = 599
_SWITCHING: Final = 101
_LENGTH_DIGITS: Final = 18
_PHRASES = frozenset(status.phrase.encode("ascii") for status in HTTPStatus)
_PHRASE = re.compile(rb"[\t\x20-\x7e\x80-\xff]*")
_FRAMING_LENGTHS: Final = frozenset({len(b"content-length"), len(b"transfer-encoding"), len(b"connection")})
_KEEP_ALIVE: Final = [b"keep-alive"]
_NOTHING: Final[frozenset[bytes]] = frozenset()
_LEAST_INTERIM: Final = 16
"""Bytes that an interim head has at least besides its lines."""


class ResponseBroken(Exception):
    """The upstream broke the protocol; the text says how."""


class ResponseHead(NamedTuple):
    """The head of a final response, or of the 101 that ends an exchange."""

    status: int
    reason: bytes
    lines: list[Line]
    framing: Framing
    hop: frozenset[bytes]
    """Lower-case names of the fields that `Connection` nominates."""


class ResponseReader:
    """Reads one response after another. `begin` starts the next."""

    __slots__ = (
        "_interim_size",
        "_left",
        "_lines",
        "_parser",
        "_parts",
        "_phrase",
        "_problem",
        "_quiet",
        "_switching",
        "_without_parser",
        "behind",
        "bodiless",
        "buffered",
        "complete",
        "head",
        "interims",
        "reusable",
        "switched",
        "trailers",
    )

    def __init__(self) -> None:
        self._parser: httptools.HttpResponseParser | None = None
        self._without_parser = False
        self.interims: list[tuple[int, bytes, list[Line]]] = []
        """Status, reason and lines of the interim responses that have arrived; whoever takes them empties
        it."""
        self.trailers: list[Line] = []
        """The lines behind the last chunk of a complete response."""
        self.switched = False
        """Whether the response is a 101 that was asked for: what follows is not HTTP, and for good."""
        self.behind = b""
        """Bytes that came behind a 101."""
        self.begin(bodiless=False)
        # The parser comes with the first exchange: a connection that was never made has no end to drop it at.
        self.drop()

    def __repr__(self) -> str:
        return f"ResponseReader(head={self.head is not None}, complete={self.complete})"

    def begin(self, *, bodiless: bool, switching: bool = False) -> None:
        """Forget the last response and expect another; `bodiless` when it answers a HEAD, `switching` when it
        may be a 101."""
        self.head: ResponseHead | None = None
        self.complete = False
        self.reusable = False
        """Whether the connection may carry another exchange once the response is complete."""
        self.buffered = 0
        """Body bytes that have not been taken."""
        if self.trailers:
            self.trailers = []
        self.bodiless = bodiless
        self._switching = switching
        self._interim_size = 0
        self._lines: list[Line] = []
        self._parts: list[bytes] = []
        self._phrase = b""
        self._problem: str | None = None
        self._left: int | None = 0
        self._quiet = 0
        # A parser that was left in the middle of a message cannot begin another.
        if self._parser is None or self._without_parser:
            self._parser = httptools.HttpResponseParser(self)
            # An interim response does not end the connection, whatever it or its version says. What follows
            # a final response is dropped here with the connection, whether or not the parser complains.
            self._parser.set_dangerous_leniencies(lenient_keep_alive=True)
        self._without_parser = False

    def drop(self) -> None:
        """Let go of the parser, which holds this object in a cycle."""
        self._parser = None

    def forget(self) -> None:
        """Let go of what has not been taken of the body, too: nobody will."""
        self._parser = None
        self._parts.clear()
        self.buffered = 0

    def take(self) -> bytes:
        """Return the body bytes that have arrived, b"" when there are none."""
        parts = self._parts
        if not parts:
            return b""
        self.buffered = 0
        data = parts[0] if len(parts) == 1 else b"".join(parts)
        parts.clear()
        return data

    def feed(self, data: bytes) -> None:
        """Take bytes from the upstream. Raises `ResponseBroken`.

        Bytes after the end of the response do not spoil it; they make the connection unusable.
        """
        if self.complete:
            self.reusable = False
            if self.switched:
                self.behind += data
        elif self._without_parser:
            self._count(data)
        else:
            self._parse(data)

    def eof(self, problem: Exception | None = None) -> None:
        """Take the end of the connection, which was closed, or broke because of a problem. Raises
        `ResponseBroken` when the response is not whole."""
        self.reusable = False
        if self.complete:
            return
        how = "was closed" if problem is None else f"broke ({problem})"
        if self.head is None:
            raise ResponseBroken(f"the connection {how} before the end of the response's head")
        # RFC 9112 section 8: a body that ends with its connection is whole when that was closed.
        if self.head.framing is not _CLOSE or problem is not None:
            raise ResponseBroken(f"the connection {how} in the middle of the response's body")
        self.complete = True

    def _count(self, data: bytes) -> None:
        left = self._left
        if left is None:
            self._add(data)
        elif len(data) < left:
            self._left = left - len(data)
            self._add(data)
        else:
            if len(data) > left:
                data = data[:left]
                self.reusable = False
            self._add(data)
            self.complete = True

    def _add(self, data: bytes) -> None:
        self._parts.append(data)
        self.buffered += len(data)

    def _parse(self, data: bytes) -> None:
        parser = self._parser
        if parser is None:
            raise ResponseBroken("the connection has been given up")
        self._quiet += len(data)
        try:
            parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._parser = None
            if not self.complete:
                raise ResponseBroken(self._problem or str(error)) from None
            if self.switched and isinstance(error, httptools.HttpParserUpgrade):
                self.behind = data[error.args[0] :]
            # The fault lies in what follows the response.
            self.reusable = False
            return
        head = self.head
        if self.complete:
            return
        if head is not None and head.framing is not _CHUNKED:
            # The rest is a matter of counting, which spares the parser's copy.
            self._parser = None
            self._without_parser = True
        elif self._quiet > MAX_HEAD:
            raise ResponseBroken(f"more than {MAX_HEAD} bytes of head, trailers or chunk extensions")

    # What llhttp calls.

    def on_message_begin(self) -> None:
        """Begin a message: the response, or whatever follows it."""
        self._lines = []
        self._phrase = b""
        if self.complete:
            self.reusable = False

    def on_status(self, part: bytes) -> None:
        """Take a part of the reason phrase."""
        self._phrase += part

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header line, or a trailer."""
        if self.head is None:
            self._lines.append((name, value))
        elif not self.complete:
            self.trailers.append((name, value))

    def on_headers_complete(self) -> None:
        """Judge the head."""
        if self.head is not None or self._parser is None:
            return
        status = self._parser.get_status_code()
        lines = self._lines
        if status < _FIRST_FINAL:
            self._take_interim(status, lines)
            return
        # One read may hold more than the limit without the head being that long.
        if self._quiet > MAX_HEAD and len(self._phrase) + _size(lines) > MAX_HEAD:
            self._refuse(f"a head of more than {MAX_HEAD} bytes")
        if status > _LAST_STATUS:
            self._refuse(f"status {status}")
        if self._phrase not in _PHRASES:
            self._check_phrase()
        self._quiet = 0
        self._frame(status, lines, self._parser.get_http_version())

    def on_body(self, data: bytes) -> None:
        """Take body bytes."""
        self._quiet = 0
        if self.complete:
            self.reusable = False
            return
        if self._left is not None:
            self._left -= len(data)
        self._add(data)

    def on_chunk_header(self) -> None:
        """Take the size of a chunk; where no body belongs there are no chunks either."""
        if self.complete:
            self.reusable = False

    def on_message_complete(self) -> None:
        """End the message: an interim one, the response, or whatever follows it."""
        if self.head is not None:
            # One read may hold more than the limit.
            if self.trailers and not self.complete and _size(self.trailers) > MAX_HEAD:
                self._refuse(f"more than {MAX_HEAD} bytes of trailers")
            self.complete = True

    def _take_interim(self, status: int, lines: list[Line]) -> None:
        if status < _FIRST_INTERIM or (status == _SWITCHING and not self._switching):
            self._refuse(f"status {status}, which nobody asked for")
        self._check_phrase()
        if status == _SWITCHING:
            options = [value for name, value in lines if name.lower() == b"connection"]
            self.head = ResponseHead(status, self._phrase, lines, _NONE, nominated(options))
            self.switched = True
            return
        length, codings, _ = self._framing_fields(lines)
        if length or codings:
            # RFC 9110 section 8.6 forbids it; what follows is a body to some, a response to others.
            self._refuse(f"a {status} with a body")
        self._interim_size += _LEAST_INTERIM + _size(lines)
        if self._interim_size > MAX_HEAD:
            self._refuse(f"more than {MAX_HEAD} bytes of interim responses")
        self.interims.append((status, self._phrase, lines))

    def _check_phrase(self) -> None:
        if _PHRASE.fullmatch(self._phrase) is None:
            self._refuse("control bytes in the reason phrase")

    def _frame(self, status: int, lines: list[Line], version: str) -> None:
        """Find how the body ends (RFC 9112 section 6.3), and whether the connection outlives it."""
        length, codings, options = self._framing_fields(lines)
        if version not in ("1.1", "1.0"):
            self._refuse(f"version {version}")
        if codings:
            self._check_codings(codings, version)
        keeps, hop = version == "1.1", _NOTHING
        if options and options != _KEEP_ALIVE:
            keeps, hop = _keeps_connection(version, options), nominated(options)
        elif options:
            keeps = True
        if self.bodiless or status in _NO_BODY:
            framing = _NONE
        elif codings:
            framing = _CHUNKED
            self._left = None
        elif length is not None:
            framing = _LENGTH
            self._left = length
        else:
            framing = _CLOSE
            self._left = None
        self.reusable = keeps and framing is not _CLOSE
        self.head = ResponseHead(status, self._phrase, lines, framing, hop)
        if framing is _NONE:
            self.complete = True
            if self.bodiless:
                # llhttp cannot be told that the body will not come.
                self._without_parser = True

    def _framing_fields(self, lines: list[Line]) -> tuple[int | None, list[bytes], list[bytes]]:
        length: int | None = None
        codings: list[bytes] = []
        options: list[bytes] = []
        for name, value in lines:
            # The length rules out nearly every line, before its name is lower-cased.
            if len(name) in _FRAMING_LENGTHS:
                match name.lower():
                    case b"content-length":
                        length = self._length(value)
                    case b"transfer-encoding":
                        codings.append(value)
                    case b"connection":
                        options.append(value)
                    case _:
                        pass
        return length, codings, options

    def _length(self, value: bytes) -> int:
        digits = value.strip(b" \t")
        # llhttp takes 2^64-1 for "unknown".
        if not digits.isdigit() or len(digits) > _LENGTH_DIGITS:
            self._refuse("a Content-Length that is not a sensible number")
        return int(digits)

    def _check_codings(self, codings: list[bytes], version: str) -> None:
        """Accept one `chunked`. RFC 9112 section 6.1: with HTTP/1.0 a transfer coding makes the framing
        faulty, and a coding that is not understood hides where the body ends."""
        if version == "1.0" or len(codings) > 1 or codings[0].strip(b" \t").lower() != b"chunked":
            self._refuse("a transfer coding other than one `chunked`")

    def _refuse(self, problem: str) -> None:
        self._problem = problem
        raise ResponseBroken(problem)


def _size(lines: list[Line]) -> int:
    return sum(len(name) + len(value) for name, value in lines)


def _keeps_connection(version: str, options: list[bytes]) -> bool:
    tokens = {option.strip(b" \t") for value in options for option in value.lower().split(b",")}
    return b"close" not in tokens and (version == "1.1" or b"keep-alive" in tokens)
