"""The ladder: each rung extends the one before and proves that its stage ran. Or a refusal, or a preflight.

Only `gateway/pipeline/limit.py` makes a `Permit`; a test holds it to that.
"""

from collections.abc import Mapping
from dataclasses import field

from gateway.model.limit import Tally
from gateway.model.per_request import per_request, per_step
from gateway.model.principal import Principal
from gateway.model.reason import Reason
from gateway.model.request import Line, RequestHead
from gateway.model.route import Route


@per_step
class Routed:
    """A request whose route is known."""

    head: RequestHead
    route: Route
    params: Mapping[str, str]
    """Values of the path's parameters, percent-decoded once."""


@per_step
class Identified(Routed):
    """... and whose caller is known (`ANONYMOUS` on a public route)."""

    principal: Principal


@per_request
class Grant:
    """What allowed it: the scopes the caller holds, and the ones the route asked for."""

    scopes: frozenset[str]
    required: frozenset[str]


@per_step
class Authorized(Identified):
    """... and who may do this."""

    grant: Grant


@per_step
class Permit(Authorized):
    """... and whose limits have been charged. The only thing the forwarder accepts."""

    tallies: tuple[Tally, ...]


@per_request
class Refusal:
    """The other ending. `diagnosis` is for the audit record and the operator, never for the caller;
    `detail` is text meant for the caller."""

    head: RequestHead | None
    """None when the request could not even be read."""
    reason: Reason
    diagnosis: str = ""
    detail: str | None = None
    route: Route | None = None
    principal: Principal | None = None
    subject: str | None = None
    """The person whose credential was refused, where it proved that much: whence the request came is said of
    that person, although nobody counts as identified."""
    rule: str | None = None
    broken: bool = False
    """Whether a condition met a missing attribute, and that decided."""
    challenges: tuple[str, ...] = ()
    allow: tuple[str, ...] = ()
    """Methods for the `Allow` field of a 405."""
    retry_after: float | None = None
    """Seconds; the answer rounds up."""
    tallies: tuple[Tally, ...] = ()
    errors: tuple[Mapping[str, str], ...] = field(default=())
    """Extension member `errors` of `invalid-request`: where and what."""
    close: bool = False
    """Whether the connection must not be used again: its framing can no longer be trusted."""
    oauth_error: str = ""
    """Error code of RFC 6749 section 5.2, where the answer speaks that language; empty: what follows from the
    reason."""
    more: tuple[Line, ...] = ()
    """Further header lines of the answer."""
    is_websocket_here: bool = False
    """Whether WebSocket is spoken here, only not in the version that was asked for."""


@per_request
class Preflight:
    """The ending of a request by which a browser asks whether a page may send another one (Fetch standard,
    CORS preflight): the page may. Answered by the gateway, before anybody is identified."""

    head: RequestHead
    route: Route
    """Of the request that the page wants to send."""
    lines: tuple[Line, ...]
    """What the browser is told."""


@per_request
class Unsettled:
    """A permit that depends on more than the head of its request: on a body that is to be decrypted, or a key
    for the response. Nothing of it is written down yet, and nobody may act on it."""

    permit: Permit


Decision = Permit | Refusal | Preflight
