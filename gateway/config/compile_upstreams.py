"""From upstreams as they are written to upstreams as requests are sent there."""

from collections.abc import Iterable, Mapping
from typing import TypeVar

from gateway.config.documents import CommonDocument, UpstreamDocument, UpstreamsDocument
from gateway.config.places import Origin, Path, find_node
from gateway.config.quantities import Size
from gateway.config.snapshot import ForwardRules, PoolRules, Retries, Target, Timeouts, Upstream
from gateway.config.source import SourceFile
from gateway.config.unsupported import ADVICE
from gateway.config.words import quoted

T = TypeVar("T")

_FRAMING = ("content-length", "transfer-encoding")
_HOP = frozenset(
    {
        "connection",
        "expect",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "upgrade",
        *_FRAMING,
    }
)
_OURS = frozenset({"via", "forwarded", "x-request-id", "x-real-ip"})
_OUR_PREFIXES = ("x-gateway-", "x-forwarded-")
# Upstreams that turn names into variables take `_` and `.` for `-`.
_SPELLINGS = str.maketrans("_.", "--")


def compile_upstreams(document: UpstreamsDocument, source: SourceFile) -> Mapping[str, Upstream]:
    """Return the upstreams by name; what is wrong with them is reported."""
    _check_forward(document.defaults, source, ("defaults",))
    return {
        name: _upstream(name, each, document.defaults, source) for name, each in document.upstreams.items()
    }


def _upstream(
    name: str, document: UpstreamDocument, defaults: CommonDocument, source: SourceFile
) -> Upstream:
    path: Path = ("upstreams", name)
    _check_forward(document, source, path)
    targets = []
    for index, target in enumerate(document.targets):
        url = target.url
        if url.scheme != "http":
            what = "an upstream over TLS (https)" if url.scheme == "https" else "an upstream on a unix socket"
            if source.origin((*path, "targets", index, "url")) is not Origin.UNREAD:
                source.report("E190", (*path, "targets", index, "url"), f"not supported yet: {what}", ADVICE)
        targets.append(Target(scheme=url.scheme, host=url.host, port=url.port, weight=target.weight))
    timeouts, base_timeouts = document.timeouts, defaults.timeouts
    retries, base_retries = document.retries, defaults.retries
    pool, base_pool = document.pool, defaults.pool
    return Upstream(
        id=name,
        targets=tuple(targets),
        timeouts=Timeouts(
            connect=_first(timeouts.connect, base_timeouts.connect, 1.0),
            response=_first(timeouts.response, base_timeouts.response, 15.0),
            idle=_first(timeouts.idle, base_timeouts.idle, 60.0),
        ),
        retries=Retries(
            max=_retries(
                _first(retries.max, base_retries.max, 1),
                _first(retries.retry_on, base_retries.retry_on, ["connect_failure"]),
            ),
            budget=_first(retries.budget, base_retries.budget, 0.2),
        ),
        pool=PoolRules(
            max_connections=_first(pool.max_connections, base_pool.max_connections, 200),
            max_waiting=_first(pool.max_waiting, base_pool.max_waiting, 500),
            keepalive=_first(pool.keepalive, base_pool.keepalive, 30.0),
        ),
        forward=_forward(document, defaults),
        max_request=_first(
            document.body.max_request, defaults.body.max_request, Size(10 * 1024 * 1024)
        ).bytes,
    )


def _first(written: T | None, default: T | None, built_in: T) -> T:
    if written is not None:
        return written
    return built_in if default is None else default


def _retries(most: int, reasons: Iterable[object]) -> int:
    """Return how often a connection that failed is tried again: never, when it is no reason to."""
    return most if "connect_failure" in reasons else 0


def _forward(document: CommonDocument, defaults: CommonDocument) -> ForwardRules:
    own, base = document.forward, defaults.forward
    return ForwardRules(
        host=_first(own.host, base.host, "preserve"),
        identity=_first(own.identity, base.identity, "signed_jwt"),
        pass_credentials=_first(own.credentials, base.credentials, "strip") == "pass",
        remove_request_headers=tuple(
            _first(own.remove_request_headers, base.remove_request_headers, ["x-internal-*"])
        ),
        remove_response_headers=tuple(
            _first(own.remove_response_headers, base.remove_response_headers, ["server", "x-powered-by"])
        ),
        set_request_headers=tuple(_first(own.set_request_headers, base.set_request_headers, {}).items()),
        set_response_headers=tuple(_first(own.set_response_headers, base.set_response_headers, {}).items()),
    )


def _check_forward(document: CommonDocument, source: SourceFile, path: Path) -> None:
    forward = document.forward
    path = (*path, "forward")
    for key in ("set_request_headers", "set_response_headers"):
        _check_set(source, (*path, key), is_request=key == "set_request_headers")
    for key, patterns in (
        ("remove_request_headers", forward.remove_request_headers),
        ("remove_response_headers", forward.remove_response_headers),
    ):
        vital = (*_FRAMING, "host") if key == "remove_request_headers" else _FRAMING
        for index, pattern in enumerate(patterns or ()):
            struck = [
                name
                for name in vital
                if name == pattern or (pattern.endswith("*") and name.startswith(pattern[:-1]))
            ]
            if struck:
                source.report(
                    "E109",
                    (*path, key, index),
                    f"{quoted(pattern)} would remove {struck[0]}, without which a message cannot be read",
                    "name the fields more narrowly",
                )


def _check_set(source: SourceFile, path: Path, *, is_request: bool) -> None:
    node = None if source.root is None else find_node(source.root, path)
    if node is None or node.fields is None:
        return
    seen: dict[str, str] = {}
    for written in node.fields:
        name = written.lower()
        if name in seen:
            source.report(
                "E118",
                (*path, written),
                f"the field is set already, as {quoted(seen[name])}",
                "names are compared without case",
                key=True,
            )
        seen[name] = written
        folded = name.translate(_SPELLINGS)
        if folded == "host" and is_request:
            source.report(
                "E109",
                (*path, written),
                "the Host of a request is not set here",
                "write forward: {host: upstream}",
                key=True,
            )
        elif (
            folded in _HOP
            or (is_request and (folded in _OURS or folded.startswith(_OUR_PREFIXES)))
            or folded == "x-request-id"
        ):
            source.report(
                "E109",
                (*path, written),
                f"{quoted(written)} is the gateway's own business",
                "remove it",
                key=True,
            )
