"""The demo's resources: a few orders, kept in memory, and users whose profiles are made up on request."""

from dataclasses import asdict, dataclass, replace
from json import JSONDecodeError

from aiohttp import web


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """One order. `total` is in cents."""

    id: int
    item: str
    total: int
    status: str


class Orders:
    """The orders of this process; they start anew with it."""

    def __init__(self) -> None:
        self._by_id: dict[int, Order] = {}
        for item, total in (("Espresso machine", 24900), ("Grinder", 8900), ("Kettle", 4500)):
            self.add(item, total)

    def all(self) -> list[Order]:
        """Return every order, oldest first."""
        return list(self._by_id.values())

    def find(self, text: str) -> Order | None:
        """Return the order whose number is written so."""
        return next((order for order in self._by_id.values() if str(order.id) == text), None)

    def add(self, item: str, total: int) -> Order:
        """Return a new order."""
        order = Order(id=len(self._by_id) + 1, item=item, total=total, status="paid")
        self._by_id[order.id] = order
        return order

    def refund(self, order: Order) -> Order:
        """Return the order as it is after its refund."""
        self._by_id[order.id] = replace(order, status="refunded")
        return self._by_id[order.id]


ORDERS = web.AppKey("orders", Orders)


def add_routes(app: web.Application) -> None:
    """Give the application its orders and users."""
    app[ORDERS] = Orders()
    app.router.add_get("/orders", _list)
    app.router.add_post("/orders", _create)
    app.router.add_get("/orders/{id}", _show)
    app.router.add_post("/orders/{id}/refund", _refund)
    app.router.add_get("/users/{id}", _user)


async def _list(request: web.Request) -> web.Response:
    return web.json_response({"items": [asdict(order) for order in request.app[ORDERS].all()]})


async def _create(request: web.Request) -> web.Response:
    try:
        body = await request.json()
    except (JSONDecodeError, UnicodeDecodeError):
        return _error(400, "the body is not JSON")
    match body:
        case {"item": str(item), "total": int(total)} if item and total > 0 and not isinstance(total, bool):
            order = request.app[ORDERS].add(item, total)
            return web.json_response(asdict(order), status=201, headers={"location": f"/orders/{order.id}"})
    return _error(400, 'write {"item": "Kettle", "total": 4500}, with the total in cents')


async def _show(request: web.Request) -> web.Response:
    order = request.app[ORDERS].find(request.match_info["id"])
    return _error(404, "no such order") if order is None else web.json_response(asdict(order))


async def _refund(request: web.Request) -> web.Response:
    order = request.app[ORDERS].find(request.match_info["id"])
    if order is None:
        return _error(404, "no such order")
    if order.status == "refunded":
        return _error(409, "the order is refunded already")
    return web.json_response(asdict(request.app[ORDERS].refund(order)))


async def _user(request: web.Request) -> web.Response:
    return web.json_response({"id": request.match_info["id"], "newsletter": False})


def _error(status: int, message: str) -> web.Response:
    return web.json_response({"error": message}, status=status)
