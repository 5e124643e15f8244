"""How connections to an upstream are secured. Certificates are always verified: there is no switch.

Files are looked at again while the gateway runs, because certificates are renewed: by a new file of the same
name, or by a link that points elsewhere.
"""

import asyncio
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Final

from gateway.config import TlsRules
from gateway.observability import log
from gateway.proxy.faults import Fault, UpstreamFault

LOOK_EVERY: Final = 1.0
"""Seconds between two looks at the files."""

_Seen = tuple[tuple[int, int, int] | None, ...]
"""What the files were: inode, size and time of the last change; None for one that is not there."""


class Credentials:
    """The authorities that are trusted, and the certificate that is shown."""

    def __init__(self, rules: TlsRules, *, now: Callable[[], float] | None = None) -> None:
        """`now` is a clock in seconds that never steps, by default the loop's."""
        self.rules = rules
        self._now = now or asyncio.get_running_loop().time
        self._files = tuple(path for path in (rules.ca, rules.client_cert, rules.client_key) if path)
        self._context: ssl.SSLContext | None = None
        self._seen: _Seen | None = None
        self._look_at = float("-inf")
        self._problem = ""
        self._looking = asyncio.Lock()

    def __repr__(self) -> str:
        return f"Credentials({', '.join(str(path) for path in self._files)})"

    async def context(self) -> ssl.SSLContext:
        """Return what the next connection is secured with.

        Files that cannot be used leave the last good ones in force. Raises `UpstreamFault` with `TLS` when
        there were none.
        """
        if self._context is None or self._files:
            # Whoever comes while somebody looks waits for what is found.
            async with self._looking:
                if self._now() >= self._look_at:
                    await self._look()
        if self._context is None:
            raise UpstreamFault(Fault.TLS, self._problem)
        return self._context

    async def _look(self) -> None:
        seen = await asyncio.to_thread(_look_at, self._files)
        if self._context is None or seen != self._seen:
            try:
                self._context = await asyncio.to_thread(_context, self.rules)
            except (OSError, ValueError) as error:
                self._problem = f"{', '.join(str(path) for path in self._files)}: {_said(error)}"
                log.warning("tls_files_unusable", error=self._problem)
            else:
                log.debug("tls_files_read", files=[str(path) for path in self._files])
        self._seen = seen
        self._look_at = self._now() + LOOK_EVERY


def _look_at(files: tuple[Path, ...]) -> _Seen:
    def look(path: Path) -> tuple[int, int, int] | None:
        try:
            found = path.stat()
        except OSError:
            return None
        return found.st_ino, found.st_size, found.st_mtime_ns

    return tuple(look(path) for path in files)


def _context(rules: TlsRules) -> ssl.SSLContext:
    """Return a context. Raises `OSError` (`ssl.SSLError` is one) or `ValueError` for files that are unfit."""
    # Verifies certificates and names, unless told otherwise.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # RFC 9525 section 2: the name is in the certificate's alternative names, nowhere else.
    context.hostname_checks_common_name = False
    context.set_alpn_protocols(["http/1.1"])
    if rules.ca is not None:
        context.load_verify_locations(cafile=rules.ca)
    else:
        context.load_default_certs()
    if rules.client_cert is not None:
        # Without the last argument OpenSSL would ask the terminal for the password of an encrypted key.
        context.load_cert_chain(rules.client_cert, rules.client_key, password=lambda: "")
    return context


def _said(error: Exception) -> str:
    if isinstance(error, ssl.SSLError):
        return error.reason or "not readable as PEM"
    return str(error)
