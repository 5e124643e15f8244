"""Findings as text for people, and as JSON, GitHub commands or SARIF for machines."""

import json
from collections.abc import Iterable, Sequence

from gateway.config.codes import CODES, Severity
from gateway.config.finding import Finding
from gateway.config.words import printable

_WIDTH = 120
"""Longer lines are shown in part: a minified file is one line."""


def render_text(findings: Iterable[Finding]) -> str:
    """Return findings for a terminal: place, message, the line, carets, and what to write instead."""
    return "\n".join(_block(finding) for finding in findings)


def summary(findings: Sequence[Finding]) -> str:
    """Return `0 errors, 1 warning`."""
    counts = dict.fromkeys(Severity, 0)
    for finding in findings:
        counts[finding.severity] += 1
    errors, warnings = counts[Severity.ERROR], counts[Severity.WARNING]
    return f"{errors} error{'s' * (errors != 1)}, {warnings} warning{'s' * (warnings != 1)}"


def render_json(findings: Sequence[Finding], **more: object) -> str:
    """Return one JSON object: `findings`, and whatever else is given."""
    return json.dumps({**more, "findings": [_plain(finding) for finding in findings]}, indent=2)


def render_github(findings: Iterable[Finding]) -> str:
    """Return one workflow command a finding: GitHub shows them beside the lines."""
    return "\n".join(_command(finding) for finding in findings)


def render_sarif(findings: Sequence[Finding], *, version: str) -> str:
    """Return a SARIF 2.1.0 log, as code scanning takes it."""
    used = sorted({finding.code for finding in findings})
    rules = [{"id": code, "shortDescription": {"text": CODES[code]}} for code in used]
    driver = {"name": "gateway check", "version": version, "rules": rules}
    run = {"tool": {"driver": driver}, "results": [_result(finding) for finding in findings]}
    log = {"$schema": "https://json.schemastore.org/sarif-2.1.0.json", "version": "2.1.0", "runs": [run]}
    return json.dumps(log, indent=2)


def _block(finding: Finding) -> str:
    head = f"{finding.place}: {finding.severity}[{finding.code}]: {finding.message}"
    hint = "" if finding.suggestion is None else f"  {finding.suggestion}"
    if finding.severity is Severity.NOTE:
        return head
    if finding.excerpt is None:
        return head + (f"\n      {hint}" if hint else "")
    shown, column, length = _window(finding.excerpt, finding.column - 1, finding.length)
    number = f"{finding.line:5}"
    return f"{head}\n{number} | {shown}\n{' ' * len(number)} | {' ' * column}{'^' * length}{hint}"


def _window(line: str, column: int, length: int) -> tuple[str, int, int]:
    """Return the part of a line around a place, and where the place is in it. Tabs become one space, so that
    carets stay below what they point at."""
    shown = "".join(c if c.isprintable() else " " for c in line).rstrip()
    start = 0
    if len(shown) > _WIDTH:
        start = max(0, min(column - _WIDTH // 3, len(shown) - _WIDTH))
        shown = shown[start : start + _WIDTH]
    return shown, column - start, max(1, min(length, max(len(shown) - (column - start), 1)))


def _plain(finding: Finding) -> dict[str, object]:
    return {
        "code": finding.code,
        "severity": finding.severity.value,
        "file": finding.file,
        "line": finding.line,
        "column": finding.column,
        "length": finding.length,
        "message": finding.message,
        "suggestion": finding.suggestion,
    }


def _sentence(finding: Finding) -> str:
    return finding.message if finding.suggestion is None else f"{finding.message}; {finding.suggestion}"


def _command(finding: Finding) -> str:
    level = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.NOTE: "notice"}[finding.severity]
    place = f"file={_escape(finding.file)}"
    if finding.line:
        place += f",line={finding.line},col={finding.column},endColumn={finding.column + finding.length}"
    return f"::{level} {place},title={finding.code}::{_escape(_sentence(finding), in_property=False)}"


def _escape(text: str, *, in_property: bool = True) -> str:
    """Return text as workflow commands want it; properties also end at commas and colons."""
    escaped = text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
    return escaped.replace(":", "%3A").replace(",", "%2C") if in_property else escaped


def _result(finding: Finding) -> dict[str, object]:
    location: dict[str, object] = {"artifactLocation": {"uri": printable(finding.file)}}
    if finding.line:
        location["region"] = {
            "startLine": finding.line,
            "startColumn": finding.column,
            "endColumn": finding.column + finding.length,
        }
    return {
        "ruleId": finding.code,
        "level": finding.severity.value,
        "message": {"text": _sentence(finding)},
        "locations": [{"physicalLocation": location}],
    }
