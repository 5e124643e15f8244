import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from support.certificates import Authority

from gateway.ports import PageUnavailable
from gateway.stores.http import HttpPages


class Server:
    """Answers every request with the same bytes, and keeps what it was asked."""

    def __init__(self) -> None:
        self.answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
        self.asked: list[bytes] = []
        self.port = 0
        self.silent = False

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            self.asked.append(await reader.readuntil(b"\r\n\r\n"))
            if self.silent:
                await reader.read()
            writer.write(self.answer)
            await writer.drain()
        writer.close()

    def says(self, body: bytes, *fields: bytes, status: bytes = b"200 OK") -> None:
        lines = [b"HTTP/1.1 " + status, b"Content-Length: %d" % len(body), *fields]
        self.answer = b"\r\n".join(lines) + b"\r\n\r\n" + body

    @contextlib.asynccontextmanager
    async def running(self, context: ssl.SSLContext | None = None) -> AsyncIterator["Server"]:
        server = await asyncio.start_server(self.serve, "127.0.0.1", 0, ssl=context)
        self.port = server.sockets[0].getsockname()[1]
        async with server:
            yield self


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with Server().running() as running:
        yield running


async def why(url: str, pages: HttpPages | None = None) -> str:
    with pytest.raises(PageUnavailable) as fault:
        await (pages or HttpPages()).fetch(url)
    assert fault.value.__cause__ is None
    return str(fault.value)


async def test_a_page_is_fetched_with_nothing_but_its_address(server: Server) -> None:
    server.says(b'{"keys": []}', b"Set-Cookie: a=b", b"Cache-Control: public, max-age=300")
    pages = HttpPages()
    for _ in range(2):
        page = await pages.fetch(f"http://127.0.0.1:{server.port}/a%2Fb?x=%41")
        assert (page.body, page.max_age) == (b'{"keys": []}', 300.0)
    head = server.asked[1].lower()
    assert head.startswith(b"get /a%2fb?x=%41 http/1.1\r\n")
    for name in (b"cookie", b"authorization", b"accept-encoding", b"referer"):
        assert name + b":" not in head
    assert b"user-agent: gateway/" in head


@pytest.mark.parametrize(
    ("field", "max_age"),
    [
        (b"X: y", None),
        (b"Cache-Control: no-store", None),
        (b"Cache-Control: max-age=0", 0.0),
        (b'Cache-Control: s-maxage=5, Max-Age="60"', 60.0),
        (b"Cache-Control: max-age=-1", None),
        (b"Cache-Control: max-age=1e9", None),
        (b"Cache-Control: max-age=99999999999999999999", None),
        (b"Cache-Control: x-max-age=5", None),
    ],
)
async def test_how_long_it_is_good_is_the_servers_word(
    server: Server, field: bytes, max_age: float | None
) -> None:
    server.says(b"{}", field)
    assert (await HttpPages().fetch(f"http://127.0.0.1:{server.port}/")).max_age == max_age


@pytest.mark.parametrize("status", [b"301 Moved", b"302 Found", b"307 Temporary", b"308 Permanent"])
async def test_nobody_is_led_elsewhere(server: Server, status: bytes) -> None:
    server.says(b"", b"Location: http://127.0.0.1:%d/other" % server.port, status=status)
    assert "leads elsewhere" in await why(f"http://127.0.0.1:{server.port}/")
    assert len(server.asked) == 1


@pytest.mark.parametrize("status", [b"404 Not Found", b"500 Oops", b"204 No Content", b"206 Partial Content"])
async def test_only_200_is_an_answer(server: Server, status: bytes) -> None:
    server.says(b"", status=status)
    assert f"answers {status[:3].decode()}" in await why(f"http://127.0.0.1:{server.port}/")


async def test_a_page_that_does_not_end_is_left(server: Server) -> None:
    server.says(b"x" * 1025)
    pages = HttpPages(largest=1024)
    assert "is longer than 1 KiB" in await why(f"http://127.0.0.1:{server.port}/", pages)
    server.says(b"x" * 1024)
    assert len((await pages.fetch(f"http://127.0.0.1:{server.port}/")).body) == 1024


async def test_a_small_page_that_unpacks_to_a_large_one_is_left(server: Server) -> None:
    import gzip

    server.says(gzip.compress(bytes(1 << 20)), b"Content-Encoding: gzip")
    assert "is longer than 256 KiB" in await why(f"http://127.0.0.1:{server.port}/")


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"not http\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort",
        b"HTTP/1.1 200 OK\r\nA b: c\r\n\r\n",
    ],
)
async def test_what_is_no_answer_is_none(server: Server, answer: bytes) -> None:
    server.answer = answer
    assert "cannot be fetched" in await why(f"http://127.0.0.1:{server.port}/")


async def test_nobody_waits_for_ever(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    import aiohttp

    monkeypatch.setattr("gateway.stores.http.pages._PATIENCE", aiohttp.ClientTimeout(total=0.05))
    server.silent = True
    assert "does not answer in time" in await why(f"http://127.0.0.1:{server.port}/")


async def test_a_server_that_is_not_there_is_named() -> None:
    assert (await why("http://127.0.0.1:1/keys")).startswith("http://127.0.0.1:1/keys cannot be fetched: ")


@pytest.mark.parametrize(
    "url",
    [
        "http://login.example.com/keys",
        "http://192.0.2.1/keys",
        "http://127.0.0.1.example.com/",
        "ftp://127.0.0.1/keys",
        "file:///etc/passwd",
        "data:,x",
        "http://user:password@127.0.0.1/",
        "https://",
        "https://a.example/x\r\nHost: b",
        "//127.0.0.1/",
        "keys",
        "",
    ],
)
async def test_what_somebody_on_the_way_could_answer_is_not_asked_for(url: str) -> None:
    assert "is not https" in await why(url)


def server_context(folder: Path, authority: Authority, *names: str) -> ssl.SSLContext:
    pair = authority.issue("login", *names)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair.certificate, pair.key)
    return context


@pytest.mark.parametrize(
    ("trusted", "names", "good"),
    [(True, ("localhost",), True), (True, ("other.example",), False), (False, ("localhost",), False)],
)
async def test_the_certificate_must_be_trusted_and_the_servers_own(
    tmp_path: Path, trusted: bool, names: tuple[str, ...], good: bool
) -> None:
    authority = Authority(tmp_path)
    context = ssl.create_default_context(cafile=str(authority.file)) if trusted else None
    async with Server().running(server_context(tmp_path, authority, *names)) as server:
        url = f"https://localhost:{server.port}/keys"
        if good:
            assert (await HttpPages(context=context).fetch(url)).body == b"{}"
        else:
            assert "its certificate is not trusted" in await why(url, HttpPages(context=context))
            assert server.asked == []


async def test_proxies_of_the_environment_are_not_used(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    assert (await HttpPages().fetch(f"http://127.0.0.1:{server.port}/")).body == b"{}"
