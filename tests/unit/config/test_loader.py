"""What YAML would silently guess is a finding; what it would misread stays text."""

from pathlib import Path

import pytest

from gateway.config.builder import MAX_DEPTH
from gateway.config.loader import read_source
from gateway.config.places import node_at, span_of
from gateway.config.source import SourceFile


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "policies.yaml"


def _read(path: Path, content: str | bytes) -> SourceFile:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_source(path)[0]


def _codes(source: SourceFile) -> list[str]:
    return [finding.code for finding in source.findings]


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("NO", "NO"),
        ("on", "on"),
        ("yes", "yes"),
        ("22:00", "22:00"),
        ("1:30:00", "1:30:00"),
        ("2026-01-01", "2026-01-01"),
        ("017", "017"),
        ("0x1F", "0x1F"),
        ("0o17", "0o17"),
        ("1_000", "1_000"),
        (".inf", ".inf"),
        ("1e3", "1e3"),
        ("=", "="),
        ("12", 12),
        ("-0", 0),
        ("+7", 7),
        ("1.50", 1.5),
        ("9" * 30, "9" * 30),
        ("true", True),
        ("FALSE", False),
        ('"true"', "true"),
        ("'12'", "12"),
        ("|\n  two\n  lines", "two\nlines\n"),
        ("50%", "50%"),
        ("/reports/**", "/reports/**"),
        ("/orders/{id}", "/orders/{id}"),
        ("a,b", "a,b"),
        ("１２", "１２"),
    ],
)
def test_scalars_are_those_of_yaml_1_2_without_surprises(path: Path, written: str, value: object) -> None:
    source = _read(path, f"k: {written}\n")
    assert source.findings == []
    assert source.tree == {"k": value}
    assert type(source.tree["k"]) is type(value)


@pytest.mark.parametrize(
    ("content", "codes"),
    [
        (b"", ["E009"]),
        (b"---\n", ["E009"]),
        (b"# nothing\n\n", ["E009"]),
        (b"\xef\xbb\xbfversion: 1\n", ["E003"]),
        ("version: 1\n".encode("utf-16"), ["E003"]),
        (b"version: \xff\n", ["E003"]),
        (b"just text", ["E100"]),
        (b"- a\n- b\n", ["E100"]),
        (b"null", ["E100"]),
        (b"a: 1\n---\nb: 2\n", ["E007"]),
        (b"a: 1\na: 2\n", ["E004"]),
        (b'a: 1\n"a": 2\n', ["E004"]),
        (b"x: {a: 1, b: 2, a: 3}\n", ["E004"]),
        (b"a: &x 1\n", ["E005"]),
        (b"a: &x [*x]\n", ["E005", "E005"]),
        (b"*x : 1\n", ["E005"]),
        (b"<<: {a: 1}\n", ["E005"]),
        (b"a: !!python/object:os.system x\n", ["E006"]),
        (b"a: ! x\n", ["E006"]),
        (b"12: x\n", ["E008"]),
        (b"true: x\n", ["E008"]),
        (b"? [a, b]\n: 1\n", ["E008"]),
        (b"? {a: {b: c}}\n: {d: e}\n", ["E008"]),
        (b"{[a]: 1, {b: c}: 2, d: 3}\n", ["E008", "E008"]),
        (b": x\n", ["E001"]),
        (b"a:\n", ["E100"]),
        (b"a: ~\n", ["E100"]),
        (b"a: [1, ~, 3]\n", ["E100"]),
        (b"a:\n  -\n  - b\n", ["E100"]),
        (b"a:\n\tb: 1\n", ["E010"]),
        (b"a: \x07\n", ["E001"]),
        (b"a: \x00\n", ["E001"]),
        (b"a: [" * 5000, ["E011"]),
        (b"- " * 100_000, ["E011"]),
        (b"[" * 100_000, ["E011"]),
        (b"? " * 100_000, ["E008"]),
    ],
)
def test_what_is_not_plain_yaml_is_a_finding(path: Path, content: bytes, codes: list[str]) -> None:
    source = _read(path, content)
    assert _codes(source) == codes
    assert all(finding.suggestion or finding.message for finding in source.findings)


def test_a_quoted_merge_key_is_an_ordinary_key(path: Path) -> None:
    assert _read(path, '"<<": x\n').tree == {"<<": "x"}


def test_an_anchor_bomb_costs_nothing_and_is_refused(path: Path) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 40)]
    source = _read(path, "\n".join(lines))
    assert set(_codes(source)) == {"E005"}


def test_a_file_may_be_nested_as_deeply_as_conditions_are(path: Path) -> None:
    text = "a: " + "[" * (MAX_DEPTH - 1) + "]" * (MAX_DEPTH - 1)
    assert _read(path, text).findings == []
    assert _codes(_read(path, "a: " + "[" * MAX_DEPTH + "]" * MAX_DEPTH)) == ["E011"]


def test_a_huge_file_is_refused_unread(path: Path) -> None:
    with path.open("wb") as stream:
        stream.truncate(40 * 1024 * 1024)
    source, _ = read_source(path)
    assert _codes(source) == ["E011"]


def test_what_comes_after_a_finding_is_read_all_the_same(path: Path) -> None:
    source = _read(path, "a: 1\na: 2\nb: {c: ~, d: 3}\n<<: {e: 4}\nf: [~, 5]\n")
    assert source.tree == {"a": 1, "b": {"d": 3}, "f": [5]}
    assert source.is_lost(("b", "c"))
    assert not source.is_lost(("b", "d"))
    assert not source.is_whole(("f",))
    # A merge key may have stood for anything.
    assert source.is_lost(("anything",))


@pytest.mark.parametrize("breaks", ["\n", "\r\n", "\r"])
def test_places_are_exact_whatever_ends_the_lines(path: Path, breaks: str) -> None:
    text = breaks.join(
        ["version: 1", "# é", "a:", "  - {ключ: 'ä b', x: [1, 22]}", "  - k: v", "    l: w", ""]
    )
    source = _read(path, text)
    assert source.root is not None

    def shown(*at: str | int, key: bool = False) -> tuple[int, int, str]:
        assert source.root is not None
        span = span_of(node_at(source.root, at, key=key))
        line = source.line(span.line)
        return span.line, span.column, line[span.column - 1 : span.column - 1 + span.length]

    assert shown("a", 0, "ключ") == (4, 12, "'ä b'")
    assert shown("a", 0, "ключ", key=True) == (4, 6, "ключ")
    assert shown("a", 0, "x", 1) == (4, 26, "22")
    assert shown("a", 0) == (4, 5, "{ключ: 'ä b', x: [1, 22]}")
    assert shown("a", 1) == (5, 5, "k")
    assert shown("a", 1, "l") == (6, 8, "w")
    assert shown("a", 1, "nowhere") == (5, 5, "k")
    assert source.place(("a", 1, "l")) == "policies.yaml:6"
