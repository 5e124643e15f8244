"""The operators' listener answers health, readiness and metrics, and everything else as a problem."""

from collections.abc import Awaitable, Callable

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient

from gateway.admin import operators_application
from gateway.observability import MetricsState, families, state_of
from gateway.web import Readiness

AiohttpClient = Callable[[web.Application], Awaitable[TestClient[web.Request, web.Application]]]


def operators(readiness: Readiness, state: MetricsState | None = None) -> web.Application:
    return operators_application(readiness=readiness.report, metrics=lambda: state or {})


@pytest.fixture
def readiness() -> Readiness:
    return Readiness()


async def test_alive_is_200_whatever_else_is_wrong(
    aiohttp_client: AiohttpClient, readiness: Readiness
) -> None:
    readiness.checks["audit"] = lambda: "cannot record"
    client = await aiohttp_client(operators(readiness))
    assert (await client.get("/healthz")).status == 200


async def test_alive_is_503_when_only_another_start_helps(
    aiohttp_client: AiohttpClient, readiness: Readiness
) -> None:
    client = await aiohttp_client(
        operators_application(readiness=readiness.report, metrics=dict, is_alive=lambda: False)
    )
    answer = await client.get("/healthz")
    assert (answer.status, await answer.json()) == (503, {"status": "stuck"})


async def test_ready_says_what_fails_and_what_limps(
    aiohttp_client: AiohttpClient, readiness: Readiness
) -> None:
    client = await aiohttp_client(operators(readiness))
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
    client = await aiohttp_client(operators(readiness))
    assert (await client.get("/readyz")).status == 503


@pytest.mark.parametrize(
    ("method", "path", "status", "slug"),
    [
        ("GET", "/metrics/", 404, "not-found"),
        ("POST", "/metrics", 405, "method-not-allowed"),
        ("DELETE", "/readyz", 405, "method-not-allowed"),
    ],
)
async def test_everything_else_is_a_problem(
    aiohttp_client: AiohttpClient, readiness: Readiness, method: str, path: str, status: int, slug: str
) -> None:
    client = await aiohttp_client(operators(readiness))
    answer = await client.request(method, path)
    assert (answer.status, answer.content_type) == (status, "application/problem+json")
    assert (await answer.json())["type"] == f"urn:gateway:problem:{slug}"


async def test_a_bug_is_500_without_a_traceback(aiohttp_client: AiohttpClient, readiness: Readiness) -> None:
    def broken() -> str:
        raise ZeroDivisionError("secret detail")

    readiness.checks["broken"] = broken
    client = await aiohttp_client(operators(readiness))
    answer = await client.get("/readyz")
    assert answer.status == 500
    assert "secret detail" not in await answer.text()


async def test_metrics_are_text_that_nobody_stores(
    aiohttp_client: AiohttpClient, readiness: Readiness
) -> None:
    client = await aiohttp_client(operators(readiness, state_of({families.WORKERS: 3})))
    answer = await client.get("/metrics")
    assert answer.status == 200
    assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert answer.headers["Cache-Control"] == "no-store"
    assert "gateway_workers 3.0\n" in await answer.text()
    assert (await client.head("/metrics")).status == 200


async def test_answers_that_have_no_record_are_counted(
    aiohttp_client: AiohttpClient, readiness: Readiness
) -> None:
    state = state_of({families.UNRECORDED: {"interim": 3}})
    client = await aiohttp_client(operators(readiness, state))
    await client.get("/healthz")
    await client.get("/nothing")
    text = await (await client.get("/metrics")).text()
    assert 'gateway_unrecorded_total{what="operators"} 2.0' in text
    assert 'gateway_unrecorded_total{what="interim"} 3.0' in text


async def test_metrics_are_openmetrics_for_whom_accepts_them(
    aiohttp_client: AiohttpClient, readiness: Readiness
) -> None:
    client = await aiohttp_client(operators(readiness, state_of({families.WORKERS: 3})))
    accepts = [("Accept", "text/html"), ("Accept", "application/openmetrics-text;version=1.0.0")]
    answer = await client.get("/metrics", headers=accepts)
    assert answer.headers["Content-Type"].startswith("application/openmetrics-text; version=1.0.0")
    assert (await answer.text()).endswith("# EOF\n")


async def test_metrics_that_cannot_be_had_are_500_without_a_traceback(
    aiohttp_client: AiohttpClient, readiness: Readiness
) -> None:
    def broken() -> MetricsState:
        raise ZeroDivisionError("secret detail")

    client = await aiohttp_client(operators_application(readiness=readiness.report, metrics=broken))
    answer = await client.get("/metrics")
    assert answer.status == 500
    assert "secret detail" not in await answer.text()
