"""One thing to say about a configuration file, and where it is written."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from gateway.config.codes import Severity, severity_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What is wrong, where, and what to write instead. Its text never holds an interpolated value."""

    code: str
    file: str
    """The path as it was given."""
    line: int
    """From 1; 0 when the finding is about the file as a whole."""
    column: int
    """From 1, in characters; 0 when `line` is 0."""
    length: int
    """How many characters the caret underlines, at least 1."""
    message: str
    suggestion: str | None = None
    excerpt: str | None = field(default=None, repr=False)
    """The line as it is written."""

    @property
    def severity(self) -> Severity:
        """How much it weighs."""
        return severity_of(self.code)

    @property
    def place(self) -> str:
        """`policies.yaml:41:9`, or the file alone."""
        return f"{self.file}:{self.line}:{self.column}" if self.line else self.file

    def __str__(self) -> str:
        text = f"{self.place}: {self.severity}[{self.code}]: {self.message}"
        return text if self.suggestion is None else f"{text} ({self.suggestion})"


def has_errors(findings: Iterable[Finding]) -> bool:
    """Say whether any of them forbids to use the configuration."""
    return any(finding.severity is Severity.ERROR for finding in findings)


def in_order(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Return them by file and place, each only once."""
    unique = {(f.file, f.line, f.column, f.code, f.message): f for f in findings}
    return tuple(unique[key] for key in sorted(unique))
