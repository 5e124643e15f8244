"""One configuration file while it is being read: its text, its values, their places, and what was found."""

import re
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import Protocol

from gateway.config.finding import Finding
from gateway.config.places import Node, Origin, Path, Span, find_node, is_lost, is_whole, node_at, span_of

# What libyaml counts as the end of a line; splitting otherwise would show the wrong line.
_LINE_BREAK = re.compile("\r\n|[\n\r\x85\u2028\u2029]")
_HIDDEN = "***"
_IGNORE = re.compile(r"#\s*gateway:\s*ignore((?:[\s,]+W3\d\d)+)\s*$")


class Report(Protocol):
    """How a check says what it found at a path of one file."""

    def __call__(
        self, code: str, path: Path, message: str, suggestion: str | None = None, *, key: bool = False
    ) -> None:
        """Record a finding at the value of a path, or at its key."""


@dataclass(frozen=True, slots=True)
class Names:
    """The names that a section declares, those included whose entries could not be used."""

    known: frozenset[str]
    knows_all: bool = False
    """Whether nothing can be said about a name, because the section itself could not be used."""

    def __contains__(self, name: object) -> bool:
        return self.knows_all or name in self.known


class SourceFile:
    """A file and the findings about it. Owned by one load; nothing of it is kept afterwards."""

    def __init__(self, path: FilePath, text: str = "") -> None:
        self.name = str(path)
        """As it was given: findings are clickable."""
        self.short = path.name
        """The file's own name: rules are named alike on every machine."""
        self.text = text
        self.tree: object = None
        self.root: Node | None = None
        self.findings: list[Finding] = []
        self._lines: list[str] | None = None

    def report(
        self, code: str, path: Path, message: str, suggestion: str | None = None, *, key: bool = False
    ) -> None:
        """Record a finding at the value of a path, or at its key."""
        if self.root is None:
            self.report_file(code, message, suggestion)
        else:
            self.report_span(code, span_of(node_at(self.root, path, key=key)), message, suggestion)

    def report_span(self, code: str, span: Span, message: str, suggestion: str | None = None) -> None:
        """Record a finding at a stretch of a line."""
        excerpt = self.line(span.line)
        if code.startswith("W") and code in _ignored(excerpt):
            return
        self.findings.append(
            Finding(
                code=code,
                file=self.name,
                line=span.line,
                column=span.column,
                length=span.length,
                message=message,
                suggestion=suggestion,
                excerpt=excerpt,
            )
        )

    def report_file(self, code: str, message: str, suggestion: str | None = None) -> None:
        """Record a finding about the file as a whole."""
        self.findings.append(
            Finding(
                code=code,
                file=self.name,
                line=0,
                column=0,
                length=1,
                message=message,
                suggestion=suggestion,
            )
        )

    def place(self, path: Path, *, key: bool = False) -> str:
        """Return `policies.yaml:41` for a path."""
        if self.root is None:
            return self.short
        return f"{self.short}:{node_at(self.root, path, key=key).start.line + 1}"

    def is_lost(self, path: Path) -> bool:
        """Say whether something stands at this path that could not be used."""
        return self.root is not None and is_lost(self.root, path)

    def is_whole(self, path: Path) -> bool:
        """Say whether nothing at or below this path was left out because it could not be used."""
        return self.root is not None and not self.is_lost(path) and is_whole(node_at(self.root, path))

    def names(self, section: str) -> "Names":
        """Return the names that a section of the file declares."""
        if self.root is None or self.is_lost((section,)):
            return Names(frozenset(), knows_all=True)
        node = find_node(self.root, (section,))
        if node is None:
            return Names(frozenset())
        return Names(frozenset(node.fields or ()) | {str(name) for name in node.lost or ()})

    def written(self, path: Path) -> str | None:
        """Return a scalar as it is written, before interpolation; None for collections."""
        node = None if self.root is None else find_node(self.root, path)
        return None if node is None else node.text

    def hide(self, node: Node) -> None:
        """Show asterisks in place of a scalar from here on, wherever its line or its text is shown."""
        node.text = _HIDDEN
        lines = self._all_lines()
        for number in range(node.start.line, min(node.end.line + 1, len(lines))):
            line = lines[number]
            start = node.start.column if number == node.start.line else 0
            end = node.end.column if number == node.end.line else len(line)
            # As many as there were characters: what stands behind stays where it is.
            lines[number] = f"{line[:start]}{'*' * (end - start)}{line[end:]}"

    def origin(self, path: Path) -> Origin:
        """Say where the value at a path comes from."""
        return Origin.WRITTEN if self.root is None else node_at(self.root, path).origin

    def line(self, number: int) -> str:
        """Return a line, counted from 1; empty beyond the end."""
        lines = self._all_lines()
        return lines[number - 1] if 0 < number <= len(lines) else ""

    def _all_lines(self) -> list[str]:
        if self._lines is None:
            self._lines = split_lines(self.text)
        return self._lines


def split_lines(text: str) -> list[str]:
    """Return the lines of a text as the parser counts them; at least one."""
    return _LINE_BREAK.split(text)


def _ignored(line: str) -> set[str]:
    """Return the warnings that a comment on the line switches off: `# gateway: ignore W301`."""
    match = _IGNORE.search(line)
    return set() if match is None else set(re.findall(r"W3\d\d", match[1]))
