"""The head of a request with nothing special about it: tests replace what they are about."""

from dataclasses import replace

from gateway.model import Fields, Framing, RequestHead
from gateway.routing import TargetParts, read_target

HEAD = RequestHead(
    id="00000000-0000-4000-8000-000000000000",
    received=0.0,
    method="GET",
    target="/",
    path="/",
    query=None,
    segments=("",),
    host="api.example.com",
    authority="api.example.com",
    scheme="http",
    version=(1, 1),
    fields=Fields(()),
    framing=Framing.NONE,
    content_length=None,
    peer="192.0.2.1",
    client="192.0.2.1",
    peer_trusted=False,
)


def head_for(target: str) -> RequestHead:
    """Return a head whose target, path, query and segments belong together."""
    parts = read_target(target)
    assert isinstance(parts, TargetParts)
    return replace(
        HEAD,
        target=target,
        path=parts.path,
        query=parts.query,
        segments=parts.segments,
        oddities=parts.oddities,
    )
