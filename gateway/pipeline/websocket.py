"""WebSocket at a route: from which pages it may be opened, and whether the handshake is one."""

from gateway.config import Plan, WebsocketRules
from gateway.model import Authorized, Reason, Refusal, Tally, websocket_flaw


def foreign_page(authorized: Authorized, rules: WebsocketRules | None) -> Refusal | None:
    """Refuse a handshake that comes from a page of an origin that is not listed.

    Browsers send cookies along and let every page open a connection to anywhere (RFC 6455 section 10.2);
    without an `Origin` it is no browser.
    """
    head = authorized.head
    if rules is None or rules.origins is None or b"origin" not in head.fields:
        return None
    origin = head.fields.one(b"origin")
    if origin is not None and origin.decode("latin-1").lower() in rules.origins:
        return None
    return Refusal(
        head=head,
        route=authorized.route,
        principal=authorized.principal,
        reason=Reason.DENIED,
        rule=authorized.route.rule,
        diagnosis="pages of this origin may not open a WebSocket",
        close=True,
    )


def unswitchable(authorized: Authorized, plan: Plan, tallies: tuple[Tally, ...]) -> Refusal | None:
    """Refuse a handshake on a route that does not speak WebSocket, or one that is flawed."""
    is_websocket_here = plan.websocket is not None
    reason = websocket_flaw(authorized.head) if is_websocket_here else Reason.UPGRADE_REQUIRED
    if reason is None:
        return None
    if not is_websocket_here:
        detail = "This route does not speak WebSocket."
    elif reason is Reason.UPGRADE_REQUIRED:
        detail = "WebSocket is spoken here in version 13."
    else:
        detail = "The WebSocket handshake is malformed."
    return Refusal(
        head=authorized.head,
        route=authorized.route,
        principal=authorized.principal,
        reason=reason,
        rule=authorized.route.rule,
        detail=detail,
        tallies=tallies,
        close=True,
        is_websocket_here=is_websocket_here,
    )
