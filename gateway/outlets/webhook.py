"""Outlet: an HTTP endpoint that records, or checkpoints, are posted to."""

import asyncio
import contextlib
import ssl
from asyncio import to_thread
from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Final

import aiohttp
from yarl import URL

from gateway import __version__
from gateway.outlets.lines import LineFormat, header_of, lines_of
from gateway.outlets.tls import TlsFiles, said
from gateway.ports import OutletUnavailable, Record, RecordRefused

_LARGEST: Final = 1 << 20
"""Bytes of a body, at first; one record may be larger."""
_REFUSALS: Final = frozenset({HTTPStatus.BAD_REQUEST, HTTPStatus.UNPROCESSABLE_ENTITY})
"""What says that the receiver does not want this, as against: not now, or not from you."""
_LONGEST_ANSWER: Final = 1 << 16
_PATIENCE: Final = aiohttp.ClientTimeout(total=9.0, connect=5.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """Where, and how."""

    url: str
    """With the query that the receiver wants, never with a name or a password."""
    place: str
    """The URL as messages may show it, without the query."""
    token: Path | None = None
    """File of what `Authorization` says: a token for `Bearer`, or a scheme and its credentials."""
    tls: TlsFiles | None = None
    """How `https` is secured; None for `http`."""


class Poster:
    """Posts bodies to an endpoint and says what came of it. Follows no redirect and uses no proxy."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._url = URL(endpoint.url, encoded=True)
        self._session: aiohttp.ClientSession | None = None

    async def post(self, body: bytes, media_type: str) -> int:
        """Post a body and return the status: 2xx, 400, 413 or 422. Raise `OutletUnavailable` for others, and
        when there is none."""
        headers = {"Content-Type": media_type, "User-Agent": f"gateway/{__version__}"}
        if self._endpoint.token is not None:
            headers["Authorization"] = await to_thread(_authorization, self._endpoint.token)
        try:
            session = await self._opened()
            async with session.post(self._url, data=body, headers=headers, allow_redirects=False) as response:
                status = response.status
                # An answer that was read to its end leaves the connection to the next; it says no more.
                with contextlib.suppress(asyncio.IncompleteReadError, aiohttp.ClientError, TimeoutError):
                    async with asyncio.timeout(1.0):
                        await response.content.readexactly(_LONGEST_ANSWER)
        except (aiohttp.ClientError, OSError) as error:
            # The next attempt reads the certificates anew.
            await self.close()
            raise OutletUnavailable(_explained(error)) from None
        except BaseException:
            await self.close()
            raise
        if status // 100 == HTTPStatus.OK // 100 or status in _REFUSALS | {
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE
        }:
            return status
        raise OutletUnavailable(f"the receiver answered {status}")

    async def close(self) -> None:
        """End the connections."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            tls = self._endpoint.tls
            context: ssl.SSLContext | bool = True if tls is None else await to_thread(tls.context)
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(ssl=context, limit=1),
                timeout=_PATIENCE,
                cookie_jar=aiohttp.DummyCookieJar(),
                skip_auto_headers=("Accept-Encoding",),
            )
        return self._session


class WebhookOutlet:
    """Posts records, many lines in one body. Implements `ports.Outlet`."""

    def __init__(self, endpoint: Endpoint, format: LineFormat) -> None:
        self.name = f"webhook {endpoint.place}"
        self._poster = Poster(endpoint)
        self._format = format
        self._largest = _LARGEST

    async def send(self, records: Sequence[Record]) -> None:
        """Return once a 2xx has answered all of them. Raise `OutletUnavailable`; then the receiver may have
        some. Raise `RecordRefused` when it wants one of them never: it answered 400 or 422, or 413 to one
        alone."""
        lines = await to_thread(lines_of, records, self._format)
        while lines:
            body, count = _body(lines, self._largest)
            status = await self._poster.post(header_of(self._format) + body, self._format.media_type)
            if status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE and count > 1:
                # For good: the receiver will not take more the next time either.
                self._largest = len(body) // 2
                continue
            if status // 100 != HTTPStatus.OK // 100:
                raise RecordRefused(f"the receiver answered {status}")
            lines = lines[count:]

    async def close(self) -> None:
        """End the connections."""
        await self._poster.close()


class WebhookCheckpoints:
    """Posts each signed note as plain text. Implements `ports.CheckpointOutlet`."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.name = f"checkpoints webhook {endpoint.place}"
        self._poster = Poster(endpoint)

    async def publish(self, note: str) -> None:
        """Return once a 2xx has answered. Raise `OutletUnavailable` for everything else."""
        status = await self._poster.post(note.encode(), "text/plain; charset=utf-8")
        if status // 100 != HTTPStatus.OK // 100:
            raise OutletUnavailable(f"the receiver answered {status}")

    async def close(self) -> None:
        """End the connections."""
        await self._poster.close()


def _body(lines: Sequence[bytes], largest: int) -> tuple[bytes, int]:
    """Join the first lines, one at least, and return how many."""
    count, size = 1, len(lines[0])
    while count < len(lines) and size + len(lines[count]) <= largest:
        size += len(lines[count])
        count += 1
    return b"".join(lines[:count]), count


def _authorization(path: Path) -> str:
    """Read what `Authorization` says. Raise `OutletUnavailable`."""
    try:
        text = path.read_text(encoding="ascii").strip()
    except (OSError, ValueError) as error:
        raise OutletUnavailable(f"{path} cannot be read: {said(error)}") from None
    if not text or not text.isprintable():
        raise OutletUnavailable(f"{path} holds no token: it is empty, or has several lines")
    return text if " " in text else f"Bearer {text}"


def _explained(error: Exception) -> str:
    match error:
        case aiohttp.ClientConnectorCertificateError():
            return said(error.certificate_error)
        case aiohttp.ClientOSError():
            cause = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error.__cause__
            return said(cause if isinstance(cause, OSError) else error)
        case aiohttp.ServerDisconnectedError():
            return "the receiver closed the connection"
        case aiohttp.ClientError():
            return f"the receiver's answer cannot be read ({type(error).__name__})"
        case _:
            return said(error)
