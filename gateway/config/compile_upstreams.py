"""From upstreams as they are written to upstreams as requests are sent there."""

from collections.abc import Mapping

from gateway.config.compile_balance import compile_balance
from gateway.config.compile_calm import check_calm, compile_circuit, compile_health, compile_outlier
from gateway.config.compile_forward import check_forward, compile_forward
from gateway.config.compile_tls import compile_tls
from gateway.config.documents import CommonDocument, RewriteDocument, UpstreamDocument, UpstreamsDocument
from gateway.config.merge import first
from gateway.config.places import Path
from gateway.config.quantities import Size
from gateway.config.snapshot import PoolRules, Retries, Rewrite, Target, Timeouts, Upstream
from gateway.config.source import SourceFile


def compile_upstreams(
    document: UpstreamsDocument, source: SourceFile, *, read_files: bool = True
) -> Mapping[str, Upstream]:
    """Return the upstreams by name; what is wrong with them is reported.

    Without `read_files` certificates and keys are not touched.
    """
    check_forward(document.defaults, source, ("defaults",))
    check_calm(document.defaults, source, ("defaults",), targets=None)
    return {
        name: _upstream(name, each, document.defaults, source, read_files=read_files)
        for name, each in document.upstreams.items()
    }


def _upstream(
    name: str, document: UpstreamDocument, defaults: CommonDocument, source: SourceFile, *, read_files: bool
) -> Upstream:
    path: Path = ("upstreams", name)
    check_forward(document, source, path, defaults=defaults)
    check_calm(
        document,
        source,
        path,
        targets=len(document.targets) if source.is_whole((*path, "targets")) else None,
    )
    targets = tuple(
        Target(scheme=each.url.scheme, host=each.url.host, port=each.url.port, weight=each.weight)
        for each in document.targets
    )
    balance, hash_by = compile_balance(document, source, path)
    timeouts, base_timeouts = document.timeouts, defaults.timeouts
    pool, base_pool = document.pool, defaults.pool
    return Upstream(
        id=name,
        targets=targets,
        timeouts=Timeouts(
            connect=first(timeouts.connect, base_timeouts.connect, 1.0),
            response=first(timeouts.response, base_timeouts.response, 15.0),
            idle=first(timeouts.idle, base_timeouts.idle, 60.0),
        ),
        retries=_retries(document, defaults),
        pool=PoolRules(
            max_connections=first(pool.max_connections, base_pool.max_connections, 200),
            max_waiting=first(pool.max_waiting, base_pool.max_waiting, 500),
            keepalive=first(pool.keepalive, base_pool.keepalive, 30.0),
        ),
        forward=compile_forward(document, defaults),
        max_request=first(document.body.max_request, defaults.body.max_request, Size(10 * 1024 * 1024)).bytes,
        balance=balance,
        hash_by=hash_by,
        tls=compile_tls(document.tls, targets, source, path, read_files=read_files),
        health=compile_health(document.health or defaults.health),
        outlier=compile_outlier(document.outlier or defaults.outlier),
        circuit=compile_circuit(document.circuit or defaults.circuit),
        rewrite=_rewrite(document.rewrite, source, (*path, "rewrite")),
        paths=frozenset(document.paths.allow if document.paths else ()),
    )


def _retries(document: CommonDocument, defaults: CommonDocument) -> Retries:
    own, base = document.retries, defaults.retries
    reasons = frozenset(map(str, first(own.retry_on, base.retry_on, ["connect_failure"])))
    return Retries(
        max=first(own.max, base.max, 1) if reasons else 0,
        on=reasons,
        budget=first(own.budget, base.budget, 0.2),
    )


def _rewrite(document: RewriteDocument | None, source: SourceFile, path: Path) -> Rewrite | None:
    if document is None:
        return None
    if document.strip_prefix is None and document.add_prefix is None and source.is_whole(path):
        source.report(
            "E102",
            path,
            'the rewrite says neither "strip_prefix" nor "add_prefix"',
            "add strip_prefix: /reports",
        )
    return Rewrite(strip_prefix=document.strip_prefix or "", add_prefix=document.add_prefix or "")
