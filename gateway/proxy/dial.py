"""Opens connections to targets: TCP, TLS over TCP, unix sockets. What goes wrong is told as a fault."""

import asyncio
import contextlib
import ssl
from ipaddress import ip_address
from typing import Final

from gateway.config import Target
from gateway.proxy.connection import Connection
from gateway.proxy.faults import Fault, UpstreamFault
from gateway.proxy.resolver import Resolver
from gateway.proxy.tls import Credentials

_ASK_AGAIN: Final = 0.01
"""Seconds between two tries to enter a full backlog of a unix socket."""


def is_literal(host: str) -> bool:
    """Say whether a host is an address, which needs no lookup."""
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


class Dial:
    """Opens connections to the targets of one upstream."""

    def __init__(self, resolver: Resolver, credentials: Credentials) -> None:
        self._resolver = resolver
        self._credentials = credentials

    def __repr__(self) -> str:
        return f"Dial({self._resolver!r}, {self._credentials!r})"

    async def open(self, target: Target, within: float) -> tuple[Connection, str]:
        """Return a new connection and the address that it leads to, after `within` seconds at most.

        The lookup, the handshakes and every address of a name are part of that time; while there is another
        address left to try, one that does not answer has only its share of it. Raises `UpstreamFault` with
        `CONNECT`, `CONNECT_TIMEOUT` or `TLS`.
        """
        try:
            async with asyncio.timeout(within):
                if target.scheme == "unix":
                    connection, address = await self._open_unix(target.host), ""
                else:
                    connection, address = await self._open_host(target, within)
        except TimeoutError:
            raise UpstreamFault(Fault.CONNECT_TIMEOUT, f"{target.name}: no answer") from None
        if connection.closed:
            raise UpstreamFault(Fault.CONNECT, f"{target.name}: closed at once")
        return connection, address

    async def _open_unix(self, path: str) -> Connection:
        loop = asyncio.get_running_loop()
        while True:
            try:
                _, connection = await loop.create_unix_connection(lambda: Connection(loop), path)
            except BlockingIOError:
                # The backlog is full. TCP would ask again by itself (unix(7)).
                await asyncio.sleep(_ASK_AGAIN)
            except (OSError, ValueError) as error:
                raise UpstreamFault(Fault.CONNECT, f"unix:{path}: {error}") from None
            else:
                return connection

    async def _open_host(self, target: Target, within: float) -> tuple[Connection, str]:
        deadline = asyncio.get_running_loop().time() + within
        context = await self._credentials.context() if target.scheme == "https" else None
        if is_literal(target.host):
            return await self._open_address(target, target.host, context), target.host
        addresses = await self._resolver.addresses(target.host, within / 2)
        *others, last = addresses
        for index, address in enumerate(others):
            left = deadline - asyncio.get_running_loop().time()
            with contextlib.suppress(TimeoutError, UpstreamFault):
                async with asyncio.timeout(left / (len(addresses) - index)):
                    return await self._open_address(target, address, context), address
        return await self._open_address(target, last, context), last

    async def _open_address(self, target: Target, address: str, context: ssl.SSLContext | None) -> Connection:
        loop = asyncio.get_running_loop()
        where = target.name if address == target.host else f"{target.name} at {address}"
        # An address is verified as one, and never sent as a name (RFC 6066 section 3).
        name = None if context is None else self._credentials.rules.server_name or target.host.rstrip(".")
        try:
            _, connection = await loop.create_connection(
                lambda: Connection(loop), address, target.port, ssl=context, server_hostname=name
            )
        except ssl.SSLError as error:
            raise UpstreamFault(Fault.TLS, f"{where}: {_why(error)}") from None
        except (ConnectionResetError, ConnectionAbortedError, BrokenPipeError) as error:
            fault = Fault.CONNECT if context is None else Fault.TLS
            raise UpstreamFault(fault, f"{where}: {error}") from None
        except OSError as error:
            raise UpstreamFault(Fault.CONNECT, f"{where}: {error}") from None
        return connection


def _why(error: ssl.SSLError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the certificate is not trusted: {error.verify_message}"
    return str(error.reason or error)
