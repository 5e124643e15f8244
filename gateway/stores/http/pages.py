"""Reading what other servers publish: one small request each, without cookies, proxies or redirects."""

import re
import ssl
from http import HTTPStatus
from typing import Final

import aiohttp
from yarl import URL

from gateway import __version__
from gateway.model import is_secure_url
from gateway.ports import Page, PageUnavailable

LARGEST_PAGE: Final = 256 * 1024
_PATIENCE: Final = aiohttp.ClientTimeout(total=5.0, connect=3.0)
_MAX_AGE: Final = re.compile(r"(?:^|[,\s])max-age=\"?([0-9]{1,9})\"?(?=$|[,\s])", re.IGNORECASE)


class HttpPages:
    """Fetches pages by HTTPS. Implements `ports.Pages`."""

    def __init__(self, *, context: ssl.SSLContext | None = None, largest: int = LARGEST_PAGE) -> None:
        """`context` says whose certificates count; None: those that the system trusts."""
        self._context: ssl.SSLContext | bool = context or True
        self._largest = largest

    async def fetch(self, url: str) -> Page:
        """Return what is published at an address. Raise `PageUnavailable`, within five seconds at most.

        Plain http is refused but to this machine itself, and so is an answer that leads elsewhere.
        """
        if not is_secure_url(url):
            raise PageUnavailable(f"{url} is not https")
        try:
            # Pages are read minutes apart, so that no connection is worth keeping.
            async with (
                aiohttp.ClientSession(
                    connector=aiohttp.TCPConnector(ssl=self._context, force_close=True),
                    cookie_jar=aiohttp.DummyCookieJar(),
                    timeout=_PATIENCE,
                    headers={"User-Agent": f"gateway/{__version__}", "Accept": "application/json, */*;q=0.5"},
                    skip_auto_headers=("Accept-Encoding",),
                ) as session,
                session.get(URL(url, encoded=True), allow_redirects=False) as response,
            ):
                return await self._page(url, response)
        except TimeoutError:
            raise PageUnavailable(f"{url} does not answer in time") from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise PageUnavailable(f"{url} cannot be fetched: {_said(error)}") from None

    async def _page(self, url: str, response: aiohttp.ClientResponse) -> Page:
        if response.status // 100 == HTTPStatus.MULTIPLE_CHOICES // 100:
            raise PageUnavailable(f"{url} leads elsewhere ({response.status}): name the address itself")
        if response.status != HTTPStatus.OK:
            raise PageUnavailable(f"{url} answers {response.status}")
        body = bytearray()
        async for part in response.content.iter_any():
            body += part
            if len(body) > self._largest:
                raise PageUnavailable(f"{url} is longer than {self._largest // 1024} KiB")
        max_age = _MAX_AGE.search(response.headers.get("Cache-Control", ""))
        return Page(body=bytes(body), max_age=None if max_age is None else float(max_age[1]))


def _said(error: Exception) -> str:
    match error:
        case aiohttp.ClientConnectorCertificateError():
            fault = error.certificate_error
            told = fault.verify_message if isinstance(fault, ssl.SSLCertVerificationError) else str(fault)
            return f"its certificate is not trusted: {told}"
        case aiohttp.ClientConnectorError():
            return error.os_error.strerror or str(error.os_error)
        case aiohttp.ServerDisconnectedError():
            return "the connection was closed"
        case aiohttp.ClientError():
            return f"the answer cannot be read ({type(error).__name__})"
        case _:
            return str(error)
