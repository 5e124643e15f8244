"""A server's certificate and clients that trust it, for tests of TLS on the clients' listener."""

import contextlib
import ssl
from pathlib import Path

from support.certificates import Authority, KeyPair
from support.listening import Client

from gateway.edge.server_tls import ServerTls


class Secured:
    """One authority, the server's files, and contexts for clients."""

    def __init__(self, folder: Path, *, asks: bool = False) -> None:
        """With `asks`, clients are asked for certificates that the same authority has signed."""
        self.authority = Authority(folder)
        self.pair = self.authority.issue("server", "localhost", "127.0.0.1")
        self.tls = ServerTls(
            certificate=self.pair.certificate,
            key=self.pair.key,
            client_ca=self.authority.file if asks else None,
        )

    def trust(self, own: KeyPair | None = None) -> ssl.SSLContext:
        """Return what a client connects with, that shows a certificate or none."""
        context = ssl.create_default_context(cafile=self.authority.file)
        if own is not None:
            context.load_cert_chain(own.certificate, own.key)
        return context


class Hand:
    """A client that does TLS by hand over a plain connection, so that a test has each byte of it."""

    def __init__(
        self, client: Client, context: ssl.SSLContext, session: ssl.SSLSession | None = None
    ) -> None:
        self.client = client
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(
            self._incoming, self._outgoing, server_hostname="localhost", session=session
        )

    def take(self) -> bytes:
        """Return what TLS wants to send, without sending it."""
        return self._outgoing.read()

    def sealed(self, data: bytes) -> bytes:
        """Return text as it is to be sent."""
        self.tls.write(data)
        return self.take()

    async def shake(self, *, piece: int = 65536) -> None:
        """Do the handshake, in pieces of so many bytes. Raise `ssl.SSLError`, `EOFError`."""
        while True:
            try:
                self.tls.do_handshake()
            except ssl.SSLWantReadError:
                await self._send(piece)
                await self._receive()
            else:
                break
        await self._send(piece)

    async def send(self, data: bytes, *, piece: int = 65536) -> None:
        """Send text, in pieces of so many encrypted bytes."""
        self.tls.write(data)
        await self._send(piece)

    async def end(self) -> None:
        """Say that nothing more comes."""
        with contextlib.suppress(ssl.SSLError):
            self.tls.unwrap()
        await self._send(65536)

    async def receive(self) -> bytes:
        """Return the next text, b"" at an orderly end. Raise `EOFError` at any other, `ssl.SSLError`."""
        while True:
            try:
                return self.tls.read(65536)
            except ssl.SSLWantReadError:
                await self._receive()
            except ssl.SSLZeroReturnError:
                return b""

    async def rest(self) -> bytes:
        """Return all text until the orderly end."""
        found = b""
        while data := await self.receive():
            found += data
        return found

    async def _send(self, piece: int) -> None:
        data = self._outgoing.read()
        await self.client.send_each(data[at : at + piece] for at in range(0, len(data), piece))

    async def _receive(self) -> None:
        data = await self.client.reader.read(65536)
        if not data:
            raise EOFError
        self._incoming.write(data)
