"""The operators' listener answers health and readiness, and everything else as a problem."""

from collections.abc import Awaitable, Callable

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient

from gateway.admin import operators_application
from gateway.web import Readiness

AiohttpClient = Callable[[web.Application], Awaitable[TestClient[web.Request, web.Application]]]


@pytest.fixture
def readiness() -> Readiness:
    return Readiness()


async def test_alive_is_200_whatever_else_is_wrong(
    aiohttp_client: AiohttpClient, readiness: Readiness
) -> None:
    readiness.checks["audit"] = lambda: "cannot record"
    client = await aiohttp_client(operators_application(readiness))
    assert (await client.get("/healthz")).status == 200


async def test_ready_says_what_fails_and_what_limps(
    aiohttp_client: AiohttpClient, readiness: Readiness
) -> None:
    client = await aiohttp_client(operators_application(readiness))
    answer = await client.get("/readyz")
    assert (answer.status, await answer.json()) == (200, {"status": "ready", "failed": {}, "degraded": {}})

    readiness.limps["reload"] = lambda: "the last one was refused"
    answer = await client.get("/readyz")
    assert (answer.status, (await answer.json())["status"]) == (200, "degraded")

    readiness.checks["audit"] = lambda: "cannot record"
    answer = await client.get("/readyz")
    assert (answer.status, (await answer.json())["failed"]) == (503, {"audit": "cannot record"})


async def test_a_gateway_that_shuts_down_is_not_ready(
    aiohttp_client: AiohttpClient, readiness: Readiness
) -> None:
    readiness.draining = True
    client = await aiohttp_client(operators_application(readiness))
    assert (await client.get("/readyz")).status == 503


@pytest.mark.parametrize(
    ("method", "path", "status", "slug"),
    [("GET", "/metrics", 404, "not-found"), ("DELETE", "/readyz", 405, "method-not-allowed")],
)
async def test_everything_else_is_a_problem(
    aiohttp_client: AiohttpClient, readiness: Readiness, method: str, path: str, status: int, slug: str
) -> None:
    client = await aiohttp_client(operators_application(readiness))
    answer = await client.request(method, path)
    assert (answer.status, answer.content_type) == (status, "application/problem+json")
    assert (await answer.json())["type"] == f"urn:gateway:problem:{slug}"


async def test_a_bug_is_500_without_a_traceback(aiohttp_client: AiohttpClient, readiness: Readiness) -> None:
    def broken() -> str:
        raise ZeroDivisionError("secret detail")

    readiness.checks["broken"] = broken
    client = await aiohttp_client(operators_application(readiness))
    answer = await client.get("/readyz")
    assert answer.status == 500
    assert "secret detail" not in await answer.text()
