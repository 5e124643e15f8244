"""The operators' listener: health, readiness, metrics. Everything else is a problem, 404 or 405."""

import asyncio
import uuid
from collections.abc import Awaitable, Callable

from aiohttp import web

from gateway.model import Reason, Refusal
from gateway.observability import MetricsState, exposition, families, log, merged_state, state_of
from gateway.web import NO_STORE, Answer, json_answer, problem_for

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def operators_application(
    *,
    readiness: Callable[[], tuple[int, dict[str, object]]],
    metrics: Callable[[], MetricsState],
    is_alive: Callable[[], bool] = lambda: True,
) -> web.Application:
    """Return the application of the operators' listener.

    `readiness` gives the status and the body of `/readyz`; `metrics` gives what `/metrics` shows, and is
    called on the event loop. `is_alive` says whether `/healthz` is 200: not when only another start helps.
    """

    async def healthz(_request: web.Request) -> web.Response:
        return _response(
            json_answer(200, {"status": "alive"}) if is_alive() else json_answer(503, {"status": "stuck"})
        )

    async def readyz(_request: web.Request) -> web.Response:
        status, body = readiness()
        return _response(json_answer(status, body))

    async def scrape(request: web.Request) -> web.Response:
        accept = ",".join(request.headers.getall("Accept", []))
        own = state_of({families.UNRECORDED: {"operators": answered}})
        # Only taking the state is the loop's business; the text takes ten times as long.
        body, media_type = await asyncio.to_thread(exposition, merged_state([metrics(), own]), accept)
        lines = ((b"Content-Type", media_type.encode()), NO_STORE)
        return _response(Answer(status=200, lines=lines, body=body))

    answered = 0

    async def count(_request: web.Request, _response: web.StreamResponse) -> None:
        nonlocal answered
        answered += 1

    application = web.Application(middlewares=[_problems])
    application.on_response_prepare.append(count)
    application.router.add_get("/healthz", healthz)
    application.router.add_get("/readyz", readyz)
    application.router.add_get("/metrics", scrape)
    return application


@web.middleware
async def _problems(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn what the framework refuses, and bugs, into problems."""
    try:
        return await handler(request)
    except web.HTTPMethodNotAllowed as refused:
        refusal = Refusal(
            head=None, reason=Reason.METHOD_NOT_ALLOWED, allow=tuple(sorted(refused.allowed_methods))
        )
    except web.HTTPException:
        refusal = Refusal(head=None, reason=Reason.NOT_FOUND)
    except Exception as error:  # noqa: BLE001 - the outer net: a bug is a 500 with an id, never a traceback
        refusal = Refusal(head=None, reason=Reason.INTERNAL)
        log.error("operators_request_failed", error=type(error).__name__, exc_info=error)
    return _response(problem_for(refusal, request_id=str(uuid.uuid4())))


def _response(answer: Answer) -> web.Response:
    response = web.Response(status=answer.status, body=answer.body)
    for name, value in answer.lines:
        if name == b"Content-Type":
            response.headers["Content-Type"] = value.decode()
        else:
            response.headers.add(name.decode(), value.decode())
    return response
