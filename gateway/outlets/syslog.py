"""Outlet: syslog messages of RFC 5424 over a stream, plain (RFC 6587) or in TLS (RFC 5425)."""

import re
import socket
from asyncio import CancelledError, to_thread
from collections.abc import Sequence
from threading import Event
from typing import Final

from gateway.outlets.connection import Connection
from gateway.outlets.lines import LineFormat
from gateway.outlets.tls import TlsFiles
from gateway.ports import Record

_FACILITY: Final = 13
"""`log audit` of RFC 5424 section 6.2.1."""
_ERROR, _WARNING, _INFORMATIONAL = 3, 4, 6
_NOT_PRINTABLE: Final = re.compile(r"[^!-~]")
_LONGEST_HOST, _LONGEST_FIELD, _LONGEST_ID = 255, 128, 32


class SyslogOutlet:
    """Sends a message for each record, its length before it (RFC 6587 section 3.4.1), so that no text can
    pass for the beginning of another. Implements `ports.Outlet`.

    Nobody confirms a message in syslog: records count as taken when the receiver's machine has them.
    """

    def __init__(self, host: str, port: int, format: LineFormat, *, tls: TlsFiles | None = None) -> None:
        shown = f"[{host}]" if ":" in host else host
        self.name = f"syslog{'' if tls is None else '+tls'}://{shown}:{port}"
        self._connection = Connection(host, port, tls)
        self._format = format
        self._host = _printable(socket.gethostname(), _LONGEST_HOST)

    async def send(self, records: Sequence[Record]) -> None:
        """Return once the receiver's machine has all of them. Raise `OutletUnavailable`; it may have some."""
        given_up = Event()
        try:
            await to_thread(self._send, records, given_up)
        except CancelledError:
            given_up.set()
            self._connection.interrupt()
            raise

    async def close(self) -> None:
        """End the connection."""
        await to_thread(self._connection.close)

    def _send(self, records: Sequence[Record], given_up: Event) -> None:
        line = self._format.line
        messages = [self._framed(record, line(record)) for record in records]
        self._connection.send(b"".join(messages), given_up)

    def _framed(self, record: Record, line: bytes) -> bytes:
        # No byte order mark before the text (section 6.4): receivers that read JSON stumble over it.
        time, writer = (
            _printable(str(record.get(name) or ""), _LONGEST_FIELD) for name in ("time", "writer")
        )
        priority = _FACILITY * 8 + severity_of(record)
        head = f"<{priority}>1 {time} {self._host} gateway {writer} {_message_id(record)} - "
        message = head.encode("ascii") + line
        return b"%d %b" % (len(message), message)


def severity_of(record: Record) -> int:
    """Return the severity of RFC 5424 section 6.2.1: error for a gap in the trail, warning for what was
    refused or failed, else informational."""
    if record.get("action") == "audit.gap":
        return _ERROR
    refused = record.get("decision") == "deny" or (record.get("reason") or "ok") != "ok"
    return _WARNING if refused else _INFORMATIONAL


def _message_id(record: Record) -> str:
    """Return what kind of message it is: the action of an event, else the kind of record."""
    kind = record.get("kind")
    return _printable(str((record.get("action") if kind == "event" else kind) or ""), _LONGEST_ID)


def _printable(text: str, longest: int) -> str:
    """Return a text as a field of the header may be: printable ASCII without blanks, `-` for nothing."""
    return _NOT_PRINTABLE.sub("?", text)[:longest] or "-"
