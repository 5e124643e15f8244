"""A syntax error is answered where it must be mended, with what to write."""

from pathlib import Path

import pytest

from gateway.config.loader import read_source


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        ("m: {path: /o/{id}/x, a: 1}", (1, 11, 9), 'path: "/o/{id}/x"'),
        ("m: {a: b,\n  path: /o/{id}}", (2, 9, 7), 'path: "/o/{id}"'),
        ("m: {a: ${env:X:-d}}", (1, 8, 11), '"${env:X:-d}"'),
        ("s: [*]", (1, 5, 1), '"*"'),
        ("s: [*:read, a]", (1, 5, 6), '"*:read"'),
        ("s:\n  - *", (2, 5, 1), '"*"'),
        ("a:\n\t- b", (2, 1, 1), "spaces"),
        ("a:\n  - b\n \t- c", (3, 2, 1), "spaces"),
        ('a: "b\nc: d\n', (1, 4, 1), "close"),
        ("a: 'b\n", (1, 4, 1), "close"),
        ("a: [b, c\nd: e\n", (1, 4, 1), '"]"'),
        ("a: {b: c\nd: e\n", (1, 4, 1), '"}"'),
        ("a: [b c, d}", (1, 11, 1), '"]"'),
        ("a: @b", (1, 4, 1), "quotes"),
        ("a: `b`", (1, 4, 1), "quotes"),
        ("a: %b", (1, 4, 1), "quotes"),
        ("a: b: c", (1, 4, 4), '"b: c"'),
        ("- a: b: c", (1, 6, 4), '"b: c"'),
        ("a: 1\n  b: 2", (2, 3, 1), "same column"),
        ("a: 1\n b: 2", (2, 2, 1), "same column"),
        ("a:\n  - b: 1\n   c: 2", (3, 4, 1), "same column"),
        ("a\nb: 1", (1, 1, 1), "write a:"),
        ("a: 1\nb 2\nc: 3", (2, 1, 1), "write b: 2"),
        ("a:1\nb: 2", (1, 1, 3), "write a: 1"),
        ("a: - b", (1, 4, 1), "[a, b]"),
        ('a: "\\d"', (1, 5, 1), "single quotes"),
        ('a: "b" c', (1, 8, 1), "quotes"),
        ("{a: 1}}", (1, 7, 1), "bracket"),
        ("a: \u2028b: \x07", (2, 4, 1), "remove"),
        ("a: [\n\n\n", (1, 4, 1), '"]"'),
    ],
)
def test_the_caret_stands_at_the_mistake(
    tmp_path: Path, text: str, place: tuple[int, int, int], words: str
) -> None:
    path = tmp_path / "policies.yaml"
    path.write_text(text, newline="")
    source, _ = read_source(path)
    (finding,) = source.findings
    assert finding.code in {"E001", "E010"}
    assert (finding.line, finding.column, finding.length) == place, str(finding)
    assert words in f"{finding.message} {finding.suggestion}"
