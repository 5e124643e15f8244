"""The endpoints that say what this gateway is: a welcome, the keys its tokens are verified with, and what
OAuth clients need to know (RFC 8414, RFC 9728).
"""

from collections.abc import Callable, Mapping, Sequence
from urllib.parse import urlsplit

import orjson

from gateway import __version__
from gateway.accounts import GRANT_TYPES
from gateway.crypto import PROOF_ALGORITHMS
from gateway.edge.oauth import OAUTH_PREFIX
from gateway.edge.own import Call, Endpoint
from gateway.model import Line
from gateway.web import Answer, json_answer

_KEYS = "/.well-known/jwks.json"
_WITH_SECRET = ("client_secret_basic", "client_secret_post")
_FOR_ALL: Line = (b"Cache-Control", b"public, max-age=300")


def metadata_endpoints(
    jwks: Callable[[], bytes], others: Sequence[Endpoint], *, issuer: str
) -> list[Endpoint]:
    """Return the welcome, which lists `others` too, the key set (RFC 7517), and the metadata of the
    authorization server and of the protected resource that the gateway is. `issuer` is its public URL."""

    async def welcome(_call: Call) -> Answer:
        listed = [{"method": one.method, "path": one.path, "summary": one.summary} for one in endpoints]
        return json_answer(200, {"name": "gateway", "version": __version__, "endpoints": listed})

    async def keys(_call: Call) -> Answer:
        lines = ((b"Content-Type", b"application/jwk-set+json"), _FOR_ALL)
        return Answer(status=200, lines=lines, body=jwks())

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
            path=_KEYS,
            name="gateway:jwks",
            answer=keys,
            summary="Public keys of tokens and identity assertions.",
        ),
        *_documents(
            "oauth-authorization-server",
            issuer,
            lambda _call: _authorization_server(issuer),
            "What OAuth clients can have here.",
        ),
        *_documents(
            "oauth-protected-resource",
            issuer,
            lambda call: _protected_resource(issuer, call),
            "Whose tokens are taken here.",
        ),
    ]
    endpoints += others
    return endpoints


def resource_metadata_url(issuer: str) -> str:
    """Return where the metadata of the protected resource is found (RFC 9728 section 3.1)."""
    return _address("oauth-protected-resource", issuer)


def _documents(
    name: str, issuer: str, document: Callable[[Call], Mapping[str, object]], summary: str
) -> list[Endpoint]:
    """Return a document at its well-known path, and where that path is inserted before the one of the public
    URL (RFC 8414 section 3.1), which an outer proxy may or may not pass on."""

    async def answer(call: Call) -> Answer:
        lines = ((b"Content-Type", b"application/json"), _FOR_ALL)
        return Answer(status=200, lines=lines, body=orjson.dumps(document(call)))

    plain = f"/.well-known/{name}"
    paths = dict.fromkeys((plain, plain + urlsplit(issuer).path))
    return [
        Endpoint(method="GET", path=path, name=f"gateway:{name}", answer=answer, summary=summary)
        for path in paths
    ]


def _address(name: str, issuer: str) -> str:
    parts = urlsplit(issuer)
    return f"{parts.scheme}://{parts.netloc}/.well-known/{name}{parts.path}"


def _authorization_server(issuer: str) -> Mapping[str, object]:
    """Return the metadata of RFC 8414 section 2."""
    return {
        "issuer": issuer,
        "token_endpoint": f"{issuer}{OAUTH_PREFIX}token",
        "token_endpoint_auth_methods_supported": [*_WITH_SECRET, "none"],
        "grant_types_supported": GRANT_TYPES,
        # Required, although there is no authorization endpoint.
        "response_types_supported": [],
        "revocation_endpoint": f"{issuer}{OAUTH_PREFIX}revoke",
        "revocation_endpoint_auth_methods_supported": [*_WITH_SECRET, "none"],
        "introspection_endpoint": f"{issuer}{OAUTH_PREFIX}introspect",
        "introspection_endpoint_auth_methods_supported": _WITH_SECRET,
        "jwks_uri": f"{issuer}{_KEYS}",
        "dpop_signing_alg_values_supported": PROOF_ALGORITHMS,
    }


def _protected_resource(issuer: str, call: Call) -> Mapping[str, object]:
    """Return the metadata of RFC 9728 section 2. The issuers of the policy that publish keys are named."""
    external = (spec.external for spec in call.snapshot.authenticators.values())
    others = [each.issuer for each in external if each is not None and each.secret is None]
    return {
        "resource": issuer,
        "authorization_servers": [issuer, *others],
        "bearer_methods_supported": ["header"],
        "dpop_signing_alg_values_supported": PROOF_ALGORITHMS,
    }
