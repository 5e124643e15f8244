"""`gateway check`: whether a configuration is sound, and what in it is probably not meant."""

import os
import sys
from pathlib import Path

from gateway import __version__
from gateway.config import (
    Finding,
    Loaded,
    Severity,
    load_configuration,
    render_github,
    render_json,
    render_sarif,
    render_text,
    summary,
)

FINE, FOUND, UNREADABLE = 0, 1, 2


def check(policies: Path, upstreams: Path, *, strict: bool, no_secrets: bool, output: str) -> int:
    """Print everything there is to say about the two files. Return 0, 1 with errors (or warnings, when
    `strict`), 2 when a file cannot be read."""
    loaded = load_configuration(policies, upstreams, environ=os.environ, read_secrets=not no_secrets)
    match output:
        case "json":
            print(render_json(loaded.findings, **_facts(loaded)))
        case "sarif":
            print(render_sarif(loaded.findings, version=__version__))
        case "github":
            _print_some(render_github(loaded.findings))
        case _:
            _print_some(render_text(loaded.findings))
            print(_last_line(loaded))
    if loaded.unreadable:
        return UNREADABLE
    return FOUND if any(_counts(finding, strict=strict) for finding in loaded.findings) else FINE


def _counts(finding: Finding, *, strict: bool) -> bool:
    return finding.severity is Severity.ERROR or (strict and finding.severity is Severity.WARNING)


def _print_some(text: str) -> None:
    if text:
        # Names in the files may hold what a terminal of another encoding cannot show.
        encoding = sys.stdout.encoding or "utf-8"
        print(text.encode(encoding, "backslashreplace").decode(encoding))


def _last_line(loaded: Loaded) -> str:
    tally = loaded.tally
    amounts = (
        _amount(tally.routes, "route"),
        f"{tally.pairs} (method, route) pair{'s' * (tally.pairs != 1)}",
        _amount(tally.roles, "role"),
        _amount(tally.scopes, "scope"),
        _amount(tally.upstreams, "upstream"),
    )
    return f"{', '.join(amounts)} · {summary(loaded.findings)}"


def _amount(number: int, noun: str) -> str:
    return f"{number} {noun}{'s' * (number != 1)}"


def _facts(loaded: Loaded) -> dict[str, object]:
    tally = loaded.tally
    by_severity = dict.fromkeys(Severity, 0)
    for finding in loaded.findings:
        by_severity[finding.severity] += 1
    return {
        "revision": None if loaded.snapshot is None else loaded.snapshot.revision,
        "errors": by_severity[Severity.ERROR],
        "warnings": by_severity[Severity.WARNING],
        "routes": tally.routes,
        "pairs": tally.pairs,
        "roles": tally.roles,
        "scopes": tally.scopes,
        "upstreams": tally.upstreams,
    }
