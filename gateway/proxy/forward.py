"""Carries permitted requests to their upstreams. It owns the connections, and says how each exchange ended;
the numbered steps of one exchange are in `passage.py`."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Final, Never

from gateway.config import Upstream
from gateway.model import Line, Outcome, Permit
from gateway.proxy.assertion import Assertions
from gateway.proxy.downstream import BodyBroken, BodyTooLarge, ClientLeft, Downstream
from gateway.proxy.envelope import Envelope
from gateway.proxy.exchange import Exchange
from gateway.proxy.faults import Fault, UpstreamFault, outcome_of
from gateway.proxy.fleet import Fleet, Usage
from gateway.proxy.passage import Passage
from gateway.proxy.watch import Watch

# Looking up a member of an enum costs as much as ten of these (Python 3.11).
_COMPLETE: Final = Outcome.COMPLETE


class Forwarder:
    """Forwards permitted requests, and owns every connection to an upstream."""

    def __init__(self, *, assertions: Assertions, watch: Watch | None = None) -> None:
        """`watch` is told of what lasts longer than a moment."""
        self._assertions = assertions
        self._watch = watch
        self._fleets: dict[str, Fleet] = {}
        self._retired: list[Fleet] = []
        self._changed = asyncio.Event()
        """Set when there are fleets that nobody checks yet, or some that are no longer needed."""

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
        envelope: Envelope | None = None,
    ) -> Exchange:
        """Carry one exchange and return how it ended.

        `credential_fields` are the lower-case names of the fields that authenticators read; `extra` are
        lines that the gateway adds to the response; `envelope` is what is encrypted of it, if anything.
        `upstream` is known by its name, and is as the last configuration says that was adopted by `follow`.
        Raises `UpstreamFault`, `EnvelopeRefused`, `BodyTooLarge` and `BodyBroken` only while the client has
        been sent nothing, so that a problem can be; later, the client's connection is cut and the exchange
        says why. When it is cancelled, because the client left, the upstream's connection is closed and its
        place given back.
        """
        fleet = self._fleets.get(upstream.id) or self._add(upstream)
        passage = Passage(fleet, permit, client, self._watch, envelope)
        try:
            await passage.carry(
                assertions=self._assertions,
                credential_fields=credential_fields,
                extra=extra,
            )
        except UpstreamFault as problem:
            # The frames that it came through would hold it, and it them.
            fault = problem.with_traceback(None)
            passage.fault = problem.fault
        except ClientLeft:
            # A client that stopped reading is cut off by the connection's timer, and leaves because of it.
            fault = _why_left(passage.problem)
            passage.fault = fault.fault
        except (BodyTooLarge, BodyBroken) as problem:
            passage.fault = Fault.REQUEST_BODY_CLIENT
            if not client.started:
                raise
            fault = UpstreamFault(Fault.REQUEST_BODY_CLIENT, f"{type(problem).__name__}: {problem}")
        else:
            return passage.ended(_COMPLETE)
        finally:
            await passage.end()
        fleet.faults[fault.fault] += 1
        if not client.started and fault.fault is not Fault.CLIENT_LEFT:
            try:
                raise fault
            finally:
                del fault
        client.abort()
        return passage.ended(outcome_of(fault.fault), fault)

    def follow(self, upstreams: Mapping[str, Upstream]) -> None:
        """Adopt a configuration: all upstreams by name.

        Targets that have not changed keep their connections; what runs goes on, also to upstreams that are
        gone.
        """
        for name in [name for name in self._fleets if name not in upstreams]:
            fleet = self._fleets.pop(name)
            fleet.retire()
            self._retired.append(fleet)
        for name, upstream in upstreams.items():
            if name in self._fleets:
                self._fleets[name].follow(upstream)
            else:
                self._add(upstream)
        self._retired = [fleet for fleet in self._retired if not fleet.is_over]
        self._changed.set()

    async def run(self) -> Never:
        """Check the targets of every upstream, for as long as it runs."""
        checks: dict[Fleet, asyncio.Task[None]] = {}
        async with asyncio.TaskGroup() as group:
            while True:
                fleets = set(self._fleets.values())
                for fleet in checks.keys() - fleets:
                    checks.pop(fleet).cancel()
                for fleet in fleets - checks.keys():
                    checks[fleet] = group.create_task(
                        fleet.run_checks(), name=f"checks of {fleet.upstream.id}"
                    )
                self._changed.clear()
                await self._changed.wait()

    def usage(self) -> Mapping[str, Usage]:
        """Return what each upstream is doing, by its name."""
        return {name: fleet.usage() for name, fleet in self._fleets.items()}

    async def close(self) -> None:
        """Close every connection; exchanges that still run fail."""
        for fleet in (*self._fleets.values(), *self._retired):
            fleet.close()
        self._fleets.clear()
        self._retired.clear()
        # The loop ends closed transports in its next turn.
        await asyncio.sleep(0)

    def _add(self, upstream: Upstream) -> Fleet:
        fleet = self._fleets[upstream.id] = Fleet(upstream)
        self._changed.set()
        return fleet


def _why_left(problem: Exception | None) -> UpstreamFault:
    if isinstance(problem, UpstreamFault):
        return problem.with_traceback(None)
    return UpstreamFault(Fault.CLIENT_LEFT)
