"""The endpoints that say what this gateway is: a welcome, and the keys its tokens are verified with."""

from collections.abc import Callable, Sequence

from gateway import __version__
from gateway.edge.own import Call, Endpoint
from gateway.web import Answer, json_answer


def metadata_endpoints(jwks: Callable[[], bytes], others: Sequence[Endpoint]) -> list[Endpoint]:
    """Return the welcome, which lists `others` too, and the key set (RFC 7517)."""

    async def welcome(_call: Call) -> Answer:
        listed = [{"method": one.method, "path": one.path, "summary": one.summary} for one in endpoints]
        return json_answer(200, {"name": "gateway", "version": __version__, "endpoints": listed})

    async def keys(_call: Call) -> Answer:
        return Answer(
            status=200,
            lines=(
                (b"Content-Type", b"application/jwk-set+json"),
                (b"Cache-Control", b"public, max-age=300"),
            ),
            body=jwks(),
        )

    endpoints = [
        Endpoint(
            method="GET",
            path="/gateway/v1",
            name="gateway:welcome",
            answer=welcome,
            summary="Name, version and endpoints.",
        ),
        Endpoint(
            method="GET",
            path="/.well-known/jwks.json",
            name="gateway:jwks",
            answer=keys,
            summary="Public keys of tokens and identity assertions.",
        ),
    ]
    endpoints += others
    return endpoints
