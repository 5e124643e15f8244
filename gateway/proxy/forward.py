"""Carries permitted requests to their upstreams. It owns the connections, and says how each exchange ended;
the numbered steps of one exchange are in `passage.py`."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Final

from gateway.config import Upstream
from gateway.model import Line, Outcome, Permit
from gateway.proxy.assertion import Assertions
from gateway.proxy.downstream import BodyBroken, BodyTooLarge, ClientLeft, Downstream
from gateway.proxy.exchange import Exchange
from gateway.proxy.faults import Fault, UpstreamFault
from gateway.proxy.fleet import Fleet, Usage
from gateway.proxy.passage import Passage

# Looking up a member of an enum costs as much as ten of these (Python 3.11).
_COMPLETE: Final = Outcome.COMPLETE
_CUT: Final = (Fault.REQUEST_BODY_CLIENT, Fault.RESPONSE_BODY_CLIENT, Fault.GIVEN_UP)


class Forwarder:
    """Forwards permitted requests, and owns every connection to an upstream."""

    def __init__(self, *, assertions: Assertions) -> None:
        self._assertions = assertions
        self._fleets: dict[str, Fleet] = {}

    def __repr__(self) -> str:
        return f"Forwarder({list(self._fleets.values())})"

    async def forward(
        self,
        permit: Permit,
        upstream: Upstream,
        *,
        credential_fields: frozenset[bytes],
        client: Downstream,
        extra: Sequence[Line] = (),
    ) -> Exchange:
        """Carry one exchange and return how it ended.

        `credential_fields` are the lower-case names of the fields that authenticators read; `extra` are
        lines that the gateway adds to the response. Raises `UpstreamFault`, `BodyTooLarge` and `BodyBroken`
        only while the client has been sent nothing, so that a problem can be; later, the client's connection
        is cut and the exchange says why. When it is cancelled, because the client left, the upstream's
        connection is closed and its place given back.
        """
        asserts = upstream.forward.identity == "signed_jwt"
        assertion = self._assertions.about(permit, upstream.id) if asserts else None
        fleet = self._fleet(upstream)
        passage = Passage(fleet, permit, client)
        try:
            await passage.carry(assertion=assertion, credential_fields=credential_fields, extra=extra)
        except UpstreamFault as problem:
            fault = problem
        except ClientLeft:
            # A client that stopped reading is cut off by the connection's timer, and leaves because of it.
            stalled = passage.problem
            fault = stalled if isinstance(stalled, UpstreamFault) else UpstreamFault(Fault.CLIENT_LEFT)
        except (BodyTooLarge, BodyBroken) as problem:
            if not client.started:
                raise
            fault = UpstreamFault(Fault.REQUEST_BODY_CLIENT, f"{type(problem).__name__}: {problem}")
        else:
            return passage.ended(_COMPLETE)
        finally:
            await passage.end()
        fleet.faults[fault.fault] += 1
        if not client.started and fault.fault is not Fault.CLIENT_LEFT:
            raise fault
        client.abort()
        if fault.fault is Fault.CLIENT_LEFT:
            return passage.ended(Outcome.CLIENT_LEFT, fault)
        return passage.ended(Outcome.CUT if fault.fault in _CUT else Outcome.UPSTREAM_FAILED, fault)

    def usage(self) -> Mapping[str, Usage]:
        """Return what each upstream is doing that has been asked for something, by its name."""
        return {name: fleet.usage() for name, fleet in self._fleets.items()}

    async def close(self) -> None:
        """Close every connection; exchanges that still run fail."""
        for fleet in self._fleets.values():
            fleet.close()
        self._fleets.clear()
        # The loop ends closed transports in its next turn.
        await asyncio.sleep(0)

    def _fleet(self, upstream: Upstream) -> Fleet:
        fleet = self._fleets.get(upstream.id)
        if fleet is None:
            fleet = self._fleets[upstream.id] = Fleet(upstream)
        elif fleet.upstream is not upstream:
            fleet.follow(upstream)
        return fleet
