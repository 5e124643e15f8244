"""TLS under a client's connection: bytes come in encrypted and go out so, and nobody above it need know.

It is a protocol for the socket's transport, and a transport for the connection, which is told of its client
before TLS is agreed. So whoever takes long over that is counted, and has the time that a head has. What the
loop's own TLS leaves out: the end of one direction alone, as a connection needs it that has written its last
answer while the client still sends (RFC 8446 section 6.1).
"""

import asyncio
import contextlib
import ssl
from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final, cast

from gateway.crypto import CertificateUnusable, read_client_certificate
from gateway.observability import log

if TYPE_CHECKING:
    from gateway.edge.connection import Connection

_RECORD: Final = 16 * 1024
"""Bytes of text in one record, at most (RFC 8446 section 5.1)."""
_PIECE: Final = 32 * 1024
"""Bytes that TLS is given at once: its buffers stay as large as they have ever been."""
_CARRIERS: Final = 32
"""Encrypted bytes that come with each byte of text, at most: a record around a single one has 23."""
_MOST_BARREN: Final = 20 * 1024
"""Encrypted bytes that may come beyond that: no record is as long. More of them are there to be a burden: to
agree on new keys costs a hundred times what it costs to ask for it."""
_MOST_SAID: Final = 16 * 1024
"""Bytes that TLS may say of its own accord while the client takes nothing."""
OUTCOMES: Final = ("ok", "unfinished", "not_tls", "no_common", "certificate", "distrusted", "failed")
"""How handshakes end, as the metric names it."""
_BY_REASON: Final = {
    "HTTP_REQUEST": "not_tls",
    "HTTPS_PROXY_REQUEST": "not_tls",
    "WRONG_VERSION_NUMBER": "not_tls",
    "UNSUPPORTED_PROTOCOL": "no_common",
    "VERSION_TOO_LOW": "no_common",
    "NO_SHARED_CIPHER": "no_common",
    "NO_SUITABLE_SIGNATURE_ALGORITHM": "no_common",
    "NO_SUITABLE_KEY_SHARE": "no_common",
    "CERTIFICATE_VERIFY_FAILED": "certificate",
    "TLSV1_ALERT_UNKNOWN_CA": "distrusted",
    "SSLV3_ALERT_BAD_CERTIFICATE": "distrusted",
    "SSLV3_ALERT_CERTIFICATE_EXPIRED": "distrusted",
    "SSLV3_ALERT_CERTIFICATE_UNKNOWN": "distrusted",
}
"""What OpenSSL's reasons mean; those that are not here are `failed`."""


class TlsLayer(asyncio.Protocol, asyncio.Transport):
    """Stands between the socket of one client and its connection."""

    __slots__ = (
        "_barren",
        "_connection",
        "_handshakes",
        "_has_ended",
        "_has_heard_end",
        "_incoming",
        "_is_agreed",
        "_is_counted",
        "_outgoing",
        "_protocol",
        "_said",
        "_tls",
        "_transport",
    )

    def __init__(self, connection: "Connection", context: ssl.SSLContext, handshakes: Counter[str]) -> None:
        """`handshakes` counts how they ended, by `OUTCOMES`."""
        asyncio.Transport.__init__(self)
        self._connection = connection
        self._protocol: asyncio.BaseProtocol = connection
        """Who is told: the connection, or what has taken it over."""
        self._handshakes = handshakes
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self._is_agreed = self._is_counted = False
        self._barren = self._said = 0
        self._has_ended = False
        """We have said that nothing more comes."""
        self._has_heard_end = False
        """The client has."""

    # As a protocol: what the event loop calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the socket's transport."""
        self._transport = cast("asyncio.Transport", transport)
        self._protocol.connection_made(self)

    def data_received(self, data: bytes) -> None:
        """Take encrypted bytes."""
        size = len(data)
        for at in range(0, size, _PIECE):
            piece = data if size <= _PIECE else data[at : at + _PIECE]
            self._incoming.write(piece)
            if self._is_agreed:
                self._barren += len(piece)
                self._read()
            elif self._agree():
                self._read()
            if self._transport.is_closing():
                break

    def eof_received(self) -> bool:
        """Take the end of what the client sends; close unless the connection wants to go on sending."""
        if not self._is_agreed or self._has_heard_end:
            return self._is_agreed
        self._has_heard_end = True
        return bool(self._told.eof_received())

    def connection_lost(self, exc: Exception | None) -> None:
        """Take the end of the socket."""
        self._count("unfinished")
        self._protocol.connection_lost(exc)

    def pause_writing(self) -> None:
        """Hold back who writes."""
        self._protocol.pause_writing()

    def resume_writing(self) -> None:
        """Let writing go on."""
        self._protocol.resume_writing()

    # As a transport: what the connection calls.

    def get_extra_info(self, name: str, default: object = None) -> object:
        """Return what the socket's transport knows; `ssl_object` is what TLS has agreed on."""
        return self._tls if name == "ssl_object" else self._transport.get_extra_info(name, default)

    def get_protocol(self) -> asyncio.BaseProtocol:
        """Return who is told what comes."""
        return self._protocol

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Tell another one from here on."""
        self._protocol = protocol

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send bytes; nothing once our end has been said."""
        transport = self._transport
        if not data or self._has_ended or transport.is_closing():
            return
        size = len(data)
        try:
            for at in range(0, size, _PIECE):
                # What is written goes into memory, which takes all of it.
                self._tls.write(data if size <= _PIECE else data[at : at + _PIECE])
                transport.write(self._outgoing.read())
        except ssl.SSLError:
            self.abort()

    def writelines(self, list_of_data: Iterable[bytes | bytearray | memoryview]) -> None:
        """Send several pieces as one."""
        self.write(b"".join(list_of_data))

    def can_write_eof(self) -> bool:
        """Say that our direction can end alone."""
        return True

    def write_eof(self) -> None:
        """End our direction; the client's goes on."""
        self._say_end()
        transport = self._transport
        if transport.can_write_eof() and not transport.is_closing():
            transport.write_eof()

    def close(self) -> None:
        """Send what is left and our end, and close."""
        self._say_end()
        self._transport.close()

    def abort(self) -> None:
        """Close at once: without our end said, what was sent cannot pass for whole."""
        self._has_ended = True
        self._transport.abort()

    def is_closing(self) -> bool:
        """Say whether it is closed, or about to be."""
        return self._transport.is_closing()

    def pause_reading(self) -> None:
        """Take nothing more; what has been taken is still told."""
        self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Take bytes again."""
        self._transport.resume_reading()

    def is_reading(self) -> bool:
        """Say whether bytes are taken."""
        return self._transport.is_reading()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Say how many encrypted bytes may wait before writing is paused."""
        self._transport.set_write_buffer_limits(high, low)

    def get_write_buffer_size(self) -> int:
        """Return how many encrypted bytes wait."""
        return self._transport.get_write_buffer_size()

    # TLS.

    @property
    def _told(self) -> asyncio.Protocol:
        return cast("asyncio.Protocol", self._protocol)

    def _agree(self) -> bool:
        """Go on with the handshake, and say whether it is done."""
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            self._send()
            return False
        except ssl.SSLError as error:
            self._fail(error.reason or "")
            return False
        self._send()
        if der := self._tls.getpeercert(binary_form=True):
            try:
                self._connection.certificate = read_client_certificate(der)
            except CertificateUnusable:
                self._fail("CERTIFICATE_VERIFY_FAILED")
                return False
        self._is_agreed = True
        self._count("ok")
        return True

    def _read(self) -> None:
        """Tell the connection what has come, in one piece."""
        read, incoming = self._tls.read, self._incoming
        parts: list[bytes] = []
        ends = is_broken = False
        try:
            # While there is nothing to read, there is no exception that says so.
            while incoming.pending:
                part = read(_RECORD)
                if not part:
                    ends = True
                    break
                parts.append(part)
        except ssl.SSLWantReadError:
            # The rest of a record is still on its way.
            pass
        except ssl.SSLZeroReturnError:
            ends = True
        except ssl.SSLError:
            is_broken = True
        if self._outgoing.pending:
            self._answer()
        if parts:
            text = parts[0] if len(parts) == 1 else b"".join(parts)
            self._barren = max(self._barren - _CARRIERS * len(text), 0)
            self._told.data_received(text)
        if is_broken:
            # An alert says why, to whoever listens.
            self._has_ended = True
            self._leave()
        elif ends:
            self._hear_end()
        elif self._barren > _MOST_BARREN:
            self.abort()

    def _hear_end(self) -> None:
        # What comes behind the client's end is none of it.
        self._incoming.read()
        if not self._has_heard_end:
            self._has_heard_end = True
            if not self._told.eof_received():
                self.close()

    def _send(self) -> None:
        """Send what TLS has to say."""
        if self._outgoing.pending:
            self._transport.write(self._outgoing.read())

    def _answer(self) -> None:
        """Send what TLS answers by itself to what has come."""
        if not self._transport.get_write_buffer_size():
            self._said = 0
        self._said += self._outgoing.pending
        self._send()
        if self._said > _MOST_SAID:
            self.abort()

    def _leave(self) -> None:
        """Close, and do not wait for a client that takes nothing: nobody would look after it."""
        if self._transport.get_write_buffer_size() > self._said:
            self._transport.abort()
        else:
            self._transport.close()

    def _say_end(self) -> None:
        if self._has_ended:
            return
        self._has_ended = True
        if self._is_agreed and not self._transport.is_closing():
            # It asks for the client's end as well, which may come or not.
            with contextlib.suppress(ssl.SSLError):
                self._tls.unwrap()
            self._send()

    def _fail(self, reason: str) -> None:
        outcome = _BY_REASON.get(reason, "failed")
        log.debug("tls_handshake_failed", outcome=outcome, reason=reason, source_ip=self._connection.peer)
        self._count(outcome)
        self._send()
        self._has_ended = True
        self._transport.close()

    def _count(self, outcome: str) -> None:
        if not self._is_counted:
            self._is_counted = True
            self._handshakes[outcome] += 1
