"""A forwarder between a recording client and a raw upstream, without the rest of the gateway."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Unpack

from support.downstream import RecordingClient, head_of, permit_for
from support.upstream import Behaviour, RawUpstream, Settings, upstream_of, upstream_that

from gateway.config import Upstream
from gateway.model import ANONYMOUS, Permit, Principal, RequestHead
from gateway.ports import SystemClock
from gateway.proxy import Assertions, Envelope, Exchange, Forwarder, Watch


class Proxy:
    """A forwarder and the upstream it forwards to."""

    def __init__(self, upstream: Upstream, *, watch: Watch | None = None) -> None:
        self._upstream = upstream
        self.forwarder = Forwarder(
            assertions=Assertions(issuer="http://gw", sign=lambda _, typ: typ, clock=SystemClock()),
            watch=watch,
        )

    @property
    def upstream(self) -> Upstream:
        """What is forwarded to; another one is adopted as by a reload."""
        return self._upstream

    @upstream.setter
    def upstream(self, upstream: Upstream) -> None:
        self._upstream = upstream
        self.forwarder.follow({upstream.id: upstream})

    async def send(
        self,
        client: RecordingClient,
        head: RequestHead | None = None,
        principal: Principal = ANONYMOUS,
        *,
        envelope: Callable[[Permit], Envelope] | None = None,
    ) -> Exchange:
        """Carry one request of a client, in an envelope when one is made for it."""
        permit = permit_for(head or head_of(), principal=principal)
        prepared = None if envelope is None else envelope(permit)
        try:
            if prepared is not None:
                await prepared.prepare(client, idle=self.upstream.timeouts.idle)
            return await self.forwarder.forward(
                permit,
                self.upstream,
                credential_fields=frozenset({b"authorization"}),
                client=client,
                envelope=prepared,
            )
        finally:
            if prepared is not None:
                prepared.let_go()

    def begin(self, client: RecordingClient, head: RequestHead) -> "asyncio.Future[Exchange]":
        """Carry one request beside what the test does."""
        return asyncio.ensure_future(self.send(client, head))

    async def get(self, method: str = "GET") -> tuple[Exchange, RecordingClient]:
        """Carry one request without a body."""
        client = RecordingClient()
        return await self.send(client, head_of(method=method)), client


class ProxiedUpstream(Proxy):
    """... and the one raw upstream behind it."""

    def __init__(self, raw: RawUpstream, upstream: Upstream, *, watch: Watch | None = None) -> None:
        super().__init__(upstream, watch=watch)
        self.raw = raw


@asynccontextmanager
async def proxied(
    behaviour: Behaviour, *, watch: Watch | None = None, **settings: Unpack[Settings]
) -> AsyncIterator[ProxiedUpstream]:
    """Run an upstream with a forwarder in front; afterwards no task and no connection may be left."""
    before = asyncio.all_tasks()
    async with upstream_that(behaviour) as raw:
        proxy = ProxiedUpstream(raw, upstream_of(raw.target, **settings), watch=watch)
        try:
            yield proxy
        finally:
            await proxy.forwarder.close()
    assert asyncio.all_tasks() <= before
