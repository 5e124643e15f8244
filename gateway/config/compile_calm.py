"""From `health`, `outlier` and `circuit` as they are written to how failing targets are left alone."""

from gateway.config.documents import CircuitDocument, CommonDocument, HealthDocument, OutlierDocument
from gateway.config.places import Path
from gateway.config.snapshot import CircuitRules, HealthRules, OpenAfter, OutlierRules
from gateway.config.source import SourceFile


def compile_health(document: HealthDocument | None) -> HealthRules | None:
    """Return how targets are asked how they are; None: not at all."""
    if document is None:
        return None
    return HealthRules(
        path=document.path,
        interval=document.interval,
        timeout=document.timeout,
        healthy_after=document.healthy_after,
        unhealthy_after=document.unhealthy_after,
    )


def compile_outlier(document: OutlierDocument | None) -> OutlierRules | None:
    """Return when a target that fails is left out; None: never."""
    if document is None:
        return None
    return OutlierRules(
        consecutive_errors=document.consecutive_errors,
        eject_for=document.eject_for,
        max_ejected=document.max_ejected,
    )


def compile_circuit(document: CircuitDocument | None) -> CircuitRules | None:
    """Return when the upstream is left alone; None: never."""
    if document is None:
        return None
    threshold = document.open_after
    return CircuitRules(
        max_concurrent=document.max_concurrent,
        open_after=None
        if threshold is None
        else OpenAfter(errors=threshold.errors, within=threshold.within, at_least=threshold.at_least),
        probe_every=document.probe_every,
    )


def check_calm(document: CommonDocument, source: SourceFile, path: Path, *, targets: int | None) -> None:
    """Report rules at a path that could not work as they are written; `targets` is None for the defaults."""
    if document.health is not None:
        _check_health(document.health, source, (*path, "health"))
    if document.outlier is not None:
        _check_outlier(document.outlier, source, (*path, "outlier"), targets=targets)
    if document.circuit is not None:
        _check_circuit(document.circuit, source, (*path, "circuit"))


def _check_health(health: HealthDocument, source: SourceFile, path: Path) -> None:
    if health.timeout > health.interval and source.is_whole(path):
        source.report(
            "E127",
            (*path, "timeout" if "timeout" in health.model_fields_set else "interval"),
            "a check may take longer than the time until the next one",
            "make the timeout at most as long as the interval",
        )


def _check_outlier(outlier: OutlierDocument, source: SourceFile, path: Path, *, targets: int | None) -> None:
    if outlier.max_ejected == 0:
        source.report(
            "E109",
            (*path, "max_ejected"),
            "no target could ever be left out",
            'write 1% or more, or remove "outlier"',
        )
    elif targets == 1:
        source.report(
            "E127",
            path,
            "while its only target is left out there is none to turn to",
            "add a target, or write circuit instead of outlier",
            key=True,
        )


def _check_circuit(circuit: CircuitDocument, source: SourceFile, path: Path) -> None:
    threshold = circuit.open_after
    if threshold is not None:
        if threshold.errors == 0:
            source.report(
                "E109",
                (*path, "open_after", "errors"),
                "the circuit would open without any error",
                "write 1% or more",
            )
        return
    if source.is_lost((*path, "open_after")):
        return
    if circuit.max_concurrent is None and not source.is_lost((*path, "max_concurrent")):
        source.report(
            "E102",
            path,
            'the circuit breaker says neither "max_concurrent" nor "open_after"',
            "add open_after: {errors: 50%, within: 10s}",
        )
    elif "probe_every" in circuit.model_fields_set:
        source.report(
            "E127",
            (*path, "probe_every"),
            '"probe_every" is about an open circuit, and without "open_after" it never opens',
            'add open_after: {errors: 50%, within: 10s}, or remove "probe_every"',
            key=True,
        )
