"""The operators' listener: health and readiness. Everything else is a problem, 404 or 405."""

import uuid
from collections.abc import Awaitable, Callable

from aiohttp import web

from gateway.model import Reason, Refusal
from gateway.observability import log
from gateway.web import Answer, Readiness, json_answer, problem_for

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def operators_application(readiness: Readiness) -> web.Application:
    """Return the application of the operators' listener."""

    async def healthz(_request: web.Request) -> web.Response:
        return _response(json_answer(200, {"status": "alive"}))

    async def readyz(_request: web.Request) -> web.Response:
        status, body = readiness.report()
        return _response(json_answer(status, body))

    application = web.Application(middlewares=[_problems])
    application.router.add_get("/healthz", healthz)
    application.router.add_get("/readyz", readyz)
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
