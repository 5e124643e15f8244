"""Both files, from bytes to a snapshot or to findings. Nothing is fetched, and nothing is connected to."""

import gc
import hashlib
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from gateway.config.analysis import analyse
from gateway.config.compile import compile_policies
from gateway.config.compile_upstreams import compile_upstreams
from gateway.config.documents import PoliciesDocument, UpstreamsDocument
from gateway.config.finding import Finding, has_errors, in_order
from gateway.config.interpolate import Interpolation, interpolate_secrets
from gateway.config.loader import read_source
from gateway.config.snapshot import Snapshot
from gateway.config.source import SourceFile
from gateway.config.unsupported import report_unsupported
from gateway.config.validate import validate
from gateway.config.weave import weave

FORMAT_VERSION = 1

D = TypeVar("D", PoliciesDocument, UpstreamsDocument)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """How much there is, for summaries."""

    routes: int = 0
    pairs: int = 0
    """Pairs of a method and a route."""
    roles: int = 0
    scopes: int = 0
    upstreams: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """What came of reading both files."""

    findings: tuple[Finding, ...]
    snapshot: Snapshot | None
    """None when there is any error, or when secret files were not read."""
    unreadable: bool
    """Whether a file could not be read at all."""
    tally: Tally


def load_configuration(
    policies: Path,
    upstreams: Path,
    *,
    environ: Mapping[str, str],
    read_secrets: bool = True,
    now: Callable[[], float] = time.time,
) -> Loaded:
    """Return a snapshot, or everything that is wrong with the two files. Never raises for what is in them.

    `environ` is what `${env:X}` reads. Without `read_secrets` files named by `${file:...}` are not touched,
    and there is no snapshot: with stand-ins for secrets nothing must be served.
    """
    with _without_collection():
        return _load(policies, upstreams, environ, read_secrets=read_secrets, now=now())


def _load(
    policies_path: Path, upstreams_path: Path, environ: Mapping[str, str], *, read_secrets: bool, now: float
) -> Loaded:
    policies, policies_content = read_source(policies_path)
    upstreams, upstreams_content = read_source(upstreams_path)
    interpolate_secrets(policies, environ, read_secrets=read_secrets)
    outside = Interpolation(upstreams, environ, read_secrets).run()

    policy_document = _document(policies, PoliciesDocument)
    upstream_document = _document(upstreams, UpstreamsDocument)
    rules = (
        None
        if upstream_document is None
        else compile_upstreams(upstream_document, upstreams, read_files=read_secrets)
    )
    compiled = (
        None
        if policy_document is None
        else compile_policies(policy_document, policies, upstreams.names("upstreams"))
    )

    snapshot = None
    if compiled is not None and rules is not None:
        found = (*policies.findings, *upstreams.findings)
        if not has_errors(each for each in found if each.code != "E190"):
            analyse(compiled, policies, upstreams, now)
        if read_secrets and not has_errors(found):
            revision = _revision(policies_content, upstreams_content, outside.encode())
            snapshot = weave(revision, compiled, rules)
    findings = in_order((*policies.findings, *upstreams.findings))
    return Loaded(
        findings=findings,
        snapshot=snapshot,
        unreadable=any(finding.code == "E002" for finding in findings),
        tally=_tally(policy_document, upstream_document),
    )


def _document(source: SourceFile, kind: type[D]) -> D | None:
    document = validate(source, kind)
    if document is None:
        return None
    if document.version != FORMAT_VERSION:
        source.report(
            "E125",
            ("version",),
            f"version {document.version} of this format is not known",
            "write version: 1",
        )
    report_unsupported(document, source.report)
    return document


def _revision(*parts: bytes) -> str:
    """Return the name of this content: of both files, and of what the environment put into them."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "big"))
        digest.update(part)
    return digest.hexdigest()[:12]


def _tally(policies: PoliciesDocument | None, upstreams: UpstreamsDocument | None) -> Tally:
    routes = [] if policies is None else policies.routes
    return Tally(
        routes=len(routes),
        pairs=sum(len(route.match.methods) for route in routes),
        roles=0 if policies is None else len(policies.roles),
        scopes=0 if policies is None else len(policies.scopes),
        upstreams=0 if upstreams is None else len(upstreams.upstreams),
    )


@contextmanager
def _without_collection() -> Iterator[None]:
    """Switch the garbage collector off for a while.

    Reading makes very many objects, all of them still in use: looking for garbage among them again and again
    takes longer than the reading.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
