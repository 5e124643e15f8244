"""Bodies of every kind: what was received told back, slow streams, large downloads and uploads.

Nothing here holds a whole body, so memory stays flat at any size.
"""

import asyncio
import hashlib

from aiohttp import HttpVersion11, web

_BLOCK = bytes(range(256)) * 256
"""64 KiB of a pattern; a download repeats it."""


def add_routes(app: web.Application) -> None:
    """Give the application its streams and sinks."""
    app.router.add_route("*", "/echo", _echo)
    app.router.add_route("*", "/echo/{rest:(?s:.*)}", _echo)
    for path, handler in (("/stream", _stream), ("/events", _events), ("/download", _download)):
        app.router.add_get(path, handler, allow_head=False)
    for method in ("POST", "PUT"):
        app.router.add_route(method, "/upload", _upload)


async def _echo(request: web.Request) -> web.Response:
    """Tell what was received: target and header lines as they came, and the body's length and digest."""
    length, digest = await _drain(request)
    return web.json_response(
        {
            "method": request.method,
            "target": request.raw_path,
            "headers": [
                [name.decode("latin-1"), value.decode("latin-1")] for name, value in request.raw_headers
            ],
            "body": {"bytes": length, "sha256": digest},
        }
    )


async def _upload(request: web.Request) -> web.Response:
    length, digest = await _drain(request)
    return web.json_response({"bytes": length, "sha256": digest})


async def _drain(request: web.Request) -> tuple[int, str]:
    length, digest = 0, hashlib.sha256()
    async for block in request.content.iter_any():
        length += len(block)
        digest.update(block)
    return length, digest.hexdigest()


async def _stream(request: web.Request) -> web.StreamResponse:
    return await _trickle(request, content_type="text/plain", form="chunk {}\n")


async def _events(request: web.Request) -> web.StreamResponse:
    return await _trickle(request, content_type="text/event-stream", form="id: {0}\ndata: chunk {0}\n\n")


async def _trickle(request: web.Request, *, content_type: str, form: str) -> web.StreamResponse:
    """Send `?chunks=5` pieces, `?interval=1` seconds apart, each as soon as it is made."""
    chunks = _number(request, "chunks", default=5, most=10_000)
    interval = _number(request, "interval", default=1, most=60)
    response = web.StreamResponse(headers={"content-type": content_type, "cache-control": "no-store"})
    if request.version >= HttpVersion11:
        response.enable_chunked_encoding()
    await response.prepare(request)
    for number in range(1, int(chunks) + 1):
        if number > 1:
            await asyncio.sleep(interval)
        await response.write(form.format(number).encode())
    await response.write_eof()
    return response


async def _download(request: web.Request) -> web.StreamResponse:
    """Send `?bytes=1048576` bytes of a fixed pattern, with their length announced."""
    left = int(_number(request, "bytes", default=1024**2, most=1024**4))
    response = web.StreamResponse(headers={"content-type": "application/octet-stream"})
    response.content_length = left
    await response.prepare(request)
    while left:
        block = _BLOCK[:left]
        await response.write(block)
        left -= len(block)
    await response.write_eof()
    return response


def _number(request: web.Request, name: str, *, default: float, most: float) -> float:
    text = request.query.get(name, str(default))
    try:
        value = float(text)
    except ValueError:
        value = -1
    if not 0 <= value <= most:
        raise web.HTTPBadRequest(text=f"{name} is a number from 0 to {most:g}, not {text[:40]!r}\n")
    return value
