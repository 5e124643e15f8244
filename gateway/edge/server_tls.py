"""How clients' connections are secured: by files, which are read again when they change.

Certificates are renewed while the gateway runs: by a new file of the same name, or by a link that points
elsewhere. A connection keeps what it began with.
"""

import asyncio
import contextlib
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

from gateway.crypto import CertificateUnusable, check_server_certificate
from gateway.observability import log
from gateway.settings import Settings

LOOK_EVERY: Final = 1.0
"""Seconds between two looks at the files. They are read once two looks have found the same: certificate and
key do not change in one step."""

_Seen = tuple[tuple[int, int, int] | None, ...]
"""What the files were: inode, size and time of the last change; None for one that is not there."""


class TlsUnusable(Exception):
    """The files cannot be used. The text names the setting and the file, and says what is wrong."""


class ServerTls:
    """What clients are shown, and who may vouch for theirs."""

    def __init__(self, *, certificate: Path, key: Path, client_ca: Path | None) -> None:
        """Read the files. Raise `TlsUnusable`."""
        self._certificate, self._key, self._client_ca = certificate, key, client_ca
        self._files = tuple(path for path in (certificate, key, client_ca) if path is not None)
        self._seen = self._read_last = _look_at(self._files)
        self.fault: str | None = None
        """Why the files that are there by now cannot be used; None: they are in force."""
        self.context, self.expires = self._load()
        """What the next connection is secured with, and when its certificate expires, in seconds since the
        epoch."""

    @classmethod
    def of(cls, settings: Settings) -> "ServerTls | None":
        """Return what the settings say, None where they say nothing. Raise `TlsUnusable`."""
        if settings.tls_cert is None or settings.tls_key is None:
            return None
        return cls(certificate=settings.tls_cert, key=settings.tls_key, client_ca=settings.tls_client_ca)

    def __repr__(self) -> str:
        return f"ServerTls({', '.join(map(str, self._files))})"

    async def follow(self, *, pause: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        """Look at the files every second, for ever."""
        while True:
            await pause(LOOK_EVERY)
            await self.look()

    async def look(self) -> None:
        """Look at the files, and read them when they have changed, but not since the last look.

        Files that cannot be used leave the last good ones in force.
        """
        before, self._seen = self._seen, await asyncio.to_thread(_look_at, self._files)
        if self._seen == self._read_last or self._seen != before:
            return
        self._read_last = self._seen
        try:
            self.context, self.expires = await asyncio.to_thread(self._load)
        except TlsUnusable as error:
            self.fault = str(error)
            log.error("tls_files_unusable", error=self.fault)
        else:
            self.fault = None
            log.info("tls_files_read", files=[str(path) for path in self._files])

    def _load(self) -> tuple[ssl.SSLContext, float]:
        certificate = _bytes_of(self._certificate, "GATEWAY_TLS_CERT")
        key = _bytes_of(self._key, "GATEWAY_TLS_KEY")
        try:
            expires = check_server_certificate(certificate, key)
        except CertificateUnusable as error:
            message = f"{error} (GATEWAY_TLS_CERT={self._certificate}, GATEWAY_TLS_KEY={self._key})"
            raise TlsUnusable(message) from None
        context = _context()
        try:
            context.load_cert_chain(self._certificate, self._key, password=lambda: "")
        except (OSError, ValueError) as error:
            message = f"GATEWAY_TLS_CERT: {self._certificate} cannot be used: {_said(error)}"
            raise TlsUnusable(message) from None
        if self._client_ca is not None:
            _ask_for_certificates(context, self._client_ca)
        return context, expires


def _context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # Of TLS 1.2 only what is forward secret and authenticated as a whole (RFC 9325 section 4.2).
    context.set_ciphers("ECDHE+AESGCM:ECDHE+CHACHA20")
    context.options |= ssl.OP_NO_RENEGOTIATION
    context.set_alpn_protocols(["http/1.1"])
    return context


def _ask_for_certificates(context: ssl.SSLContext, client_ca: Path) -> None:
    """Ask clients for a certificate. One that does not hold ends the handshake."""
    _bytes_of(client_ca, "GATEWAY_TLS_CLIENT_CA")
    with contextlib.suppress(OSError, ValueError):
        context.load_verify_locations(cafile=client_ca)
    if not context.cert_store_stats()["x509"]:
        message = f"GATEWAY_TLS_CLIENT_CA: {client_ca} holds no certificate in PEM that can be read"
        raise TlsUnusable(message)
    context.verify_mode = ssl.CERT_OPTIONAL
    # Whoever is in the file is trusted for itself, also an authority that is not its own.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN


def _bytes_of(path: Path, setting: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise TlsUnusable(f"{setting}: cannot read {path}: {error.strerror}") from None


def _look_at(files: tuple[Path, ...]) -> _Seen:
    def look(path: Path) -> tuple[int, int, int] | None:
        try:
            found = path.stat()
        except OSError:
            return None
        return found.st_ino, found.st_size, found.st_mtime_ns

    return tuple(look(path) for path in files)


def _said(error: Exception) -> str:
    return (error.reason if isinstance(error, ssl.SSLError) else None) or str(error)
