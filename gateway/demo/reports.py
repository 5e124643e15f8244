"""The demo's reports: figures that not everybody on the way is to see."""

from dataclasses import asdict, dataclass

from aiohttp import web


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The figures of one quarter, in cents."""

    id: str
    revenue: int
    profit: int


_REPORTS = (
    Report(id="2026-q1", revenue=4_187_000, profit=612_000),
    Report(id="2026-q2", revenue=4_531_000, profit=748_000),
)


def add_routes(app: web.Application) -> None:
    """Give the application its reports."""
    app.router.add_get("/reports/{id}", _show)


async def _show(request: web.Request) -> web.Response:
    wanted = request.match_info["id"]
    for report in _REPORTS:
        if report.id == wanted:
            return web.json_response(asdict(report))
    return web.json_response({"error": "no such report"}, status=404)
