"""What a syntax error of the YAML parser most likely means, and where the mistake really is."""

import re

import yaml
from yaml.reader import ReaderError

from gateway.config.places import Mark, Span
from gateway.config.source import SourceFile, split_lines
from gateway.config.words import printable

_BRACED = re.compile(r"""(?P<key>[\w.-]+):\s+(?P<value>[^\s,{}"'\[\]][^\s,{}]*)?\{[^{}\s]*\}[^\s,}\]]*""")
_COLON = re.compile(r"^\s*(?:- +)?[\w.:-]+: +(?P<value>[^\"'\[{#|>].*?: .*)$")

_PLAIN_WORDS = (
    (
        "block sequence entries are not allowed",
        'a list with "- " begins on a line of its own',
        "or write it as [a, b]",
    ),
    (
        "unknown escape character",
        "this escape is not known in double quotes",
        "use single quotes for a text with backslashes",
    ),
    (
        "expected <document start>",
        "nothing may follow here",
        "a closing bracket too many, or a line that is not a key",
    ),
)


def report_syntax(source: SourceFile, fault: yaml.YAMLError) -> None:
    """Record what the parser could not read, at the place where it must be mended."""
    if isinstance(fault, ReaderError):
        _report_character(source, fault)
        return
    if not isinstance(fault, yaml.MarkedYAMLError):
        source.report_file("E001", f"the file is not valid YAML: {fault}")
        return
    problem = fault.problem or "the text is not valid YAML"
    mark = fault.problem_mark or fault.context_mark
    if mark is None:
        source.report_file("E001", problem)
        return
    for diagnose in (
        _known,
        _tab,
        _braces,
        _star,
        _unclosed,
        _reserved,
        _colon,
        _text_after_quote,
        _key_or_indent,
    ):
        if diagnose(source, fault, problem, mark):
            return
    source.report_span(
        "E001",
        _span(source, mark),
        printable(problem),
        "the mistake is here or just before; a text with : # , [ ] { or } in it must be quoted",
    )


def _span(source: SourceFile, mark: Mark, length: int = 1) -> Span:
    """Return a place in the text; the end of the file becomes the end of its last line with text."""
    line, column = mark.line + 1, mark.column + 1
    while line > 1 and not source.line(line).strip():
        line -= 1
        column = len(source.line(line)) + 1
    return Span(line=line, column=column, length=length)


def _known(source: SourceFile, _fault: yaml.MarkedYAMLError, problem: str, mark: Mark) -> bool:
    for text, message, suggestion in _PLAIN_WORDS:
        if text in problem:
            source.report_span("E001", _span(source, mark), message, suggestion)
            return True
    return False


def _tab(source: SourceFile, _fault: yaml.MarkedYAMLError, problem: str, mark: Mark) -> bool:
    line = source.line(mark.line + 1)
    indent = line[: len(line) - len(line.lstrip())]
    if "\t" not in indent or not ("tab" in problem or "cannot start" in problem):
        return False
    column = indent.index("\t")
    tabs = len(indent) - len(indent.replace("\t", ""))
    source.report_span(
        "E010",
        Span(line=mark.line + 1, column=column + 1, length=tabs),
        "a tab is used for indentation",
        "YAML allows only spaces there",
    )
    return True


def _braces(source: SourceFile, fault: yaml.MarkedYAMLError, _problem: str, mark: Mark) -> bool:
    if "flow mapping" not in (fault.context or ""):
        return False
    for found in _BRACED.finditer(source.line(mark.line + 1)):
        # The value begins before the place where the parser gave up, and goes on after it.
        start = found.end("key") + 1
        text = found[0][start - found.start() :].lstrip()
        start = found.end() - len(text)
        if not start < mark.column <= found.end():
            continue
        what = "an interpolation" if "${" in text else "a path template"
        source.report_span(
            "E001",
            Span(line=mark.line + 1, column=start + 1, length=len(text)),
            f"{what} inside {{ }} must be quoted",
            f'write {found["key"]}: "{printable(text)}"',
        )
        return True
    return False


def _star(source: SourceFile, fault: yaml.MarkedYAMLError, problem: str, mark: Mark) -> bool:
    at = fault.context_mark if "scanning an alias" in (fault.context or "") else mark
    line = source.line(at.line + 1) if at is not None else ""
    if at is None or not ("alias" in (fault.context or "") or "undefined alias" in problem):
        return False
    found = re.match(r"\*[^\s,\]}]*", line[at.column :])
    text = found[0] if found else "*"
    source.report_span(
        "E001",
        Span(line=at.line + 1, column=at.column + 1, length=len(text)),
        "a text that begins with * must be quoted",
        f'write "{printable(text)}"',
    )
    return True


def _unclosed(source: SourceFile, fault: yaml.MarkedYAMLError, problem: str, mark: Mark) -> bool:
    context, at = fault.context or "", fault.context_mark
    if at is None:
        return False
    if "quoted scalar" in context and "end of stream" in problem:
        source.report_span(
            "E001", _span(source, at), "this quote is never closed", "close it on the same line"
        )
        return True
    if "flow" not in context:
        return False
    opener, closer = ("{", "}") if "mapping" in context else ("[", "]")
    if at.line == mark.line and source.line(at.line + 1)[at.column : at.column + 1] == opener:
        source.report_span(
            "E001",
            _span(source, mark),
            f'a comma or "{closer}" is expected here',
            f"the {opener} is in column {at.column + 1}",
        )
    else:
        source.report_span(
            "E001", _opening(source, at, opener), f'this "{opener}" is never closed', f'add a "{closer}"'
        )
    return True


def _opening(source: SourceFile, at: Mark, opener: str) -> Span:
    """Return where a collection begins: where the parser says, or before that when it speaks of the end."""
    line, column = at.line + 1, at.column
    if source.line(line)[column : column + 1] == opener:
        return Span(line=line, column=column + 1, length=1)
    while line > 1 and opener not in source.line(line):
        line -= 1
    return Span(line=line, column=source.line(line).rfind(opener) + 1 or 1, length=1)


def _reserved(source: SourceFile, _fault: yaml.MarkedYAMLError, problem: str, mark: Mark) -> bool:
    if "cannot start any token" not in problem:
        return False
    character = source.line(mark.line + 1)[mark.column : mark.column + 1]
    source.report_span(
        "E001",
        _span(source, mark),
        f"a text that begins with {printable(character)} must be quoted",
        "put it in quotes",
    )
    return True


def _colon(source: SourceFile, _fault: yaml.MarkedYAMLError, problem: str, mark: Mark) -> bool:
    if "mapping values are not allowed" not in problem:
        return False
    line = source.line(mark.line + 1)
    found = _COLON.match(line)
    if found is not None and found.start("value") < mark.column:
        text = found["value"].rstrip()
        source.report_span(
            "E001",
            Span(line=mark.line + 1, column=found.start("value") + 1, length=len(text)),
            'a text that holds ": " must be quoted',
            f'write "{printable(text)}"',
        )
        return True
    above = source.line(mark.line)
    if mark.line and re.fullmatch(r"\s*[\w.]+[\w.-]*\s*", above):
        column = len(above) - len(above.lstrip()) + 1
        text = above.strip()
        source.report_span(
            "E001",
            Span(line=mark.line, column=column, length=len(text)),
            "a colon is missing after this key",
            f"write {text}:",
        )
        return True
    if mark.line and re.fullmatch(r"\s*(?:- +)*[\w.-]+:[^\s:].*", above) and ": " not in above:
        text = above.strip()
        key, _, value = text.partition(":")
        source.report_span(
            "E001",
            Span(line=mark.line, column=above.index(text) + 1, length=len(text)),
            "a space is missing after the colon",
            f"write {printable(key)}: {printable(value)}",
        )
        return True
    _report_indent(source, mark.line + 1)
    return True


def _text_after_quote(source: SourceFile, _fault: yaml.MarkedYAMLError, problem: str, mark: Mark) -> bool:
    before = source.line(mark.line + 1)[: mark.column].rstrip()
    if "did not find expected" not in problem or not before.endswith(('"', "'")):
        return False
    source.report_span(
        "E001", _span(source, mark), "this text stands after a closing quote", "put the whole value in quotes"
    )
    return True


def _key_or_indent(source: SourceFile, fault: yaml.MarkedYAMLError, problem: str, mark: Mark) -> bool:
    line = source.line(mark.line + 1)
    if "could not find expected ':'" in problem and fault.context_mark is not None:
        at = fault.context_mark
        key, *rest = source.line(at.line + 1)[at.column :].split() or ["key"]
        advice = f"write {printable(key)}: {printable(' '.join(rest))}".rstrip()
        source.report_span("E001", _span(source, at, len(key)), "a colon is missing after this key", advice)
        return True
    if "did not find expected" in problem and not line[: mark.column].strip():
        _report_indent(source, mark.line + 1)
        return True
    return False


def _report_indent(source: SourceFile, number: int) -> None:
    line = source.line(number)
    text = line.strip()
    indent = len(line) - len(line.lstrip())
    source.report_span(
        "E001",
        Span(line=number, column=indent + 1, length=max(len(text.split(":")[0]), 1)),
        "this line is not indented like the lines it belongs to",
        "entries of one mapping or list begin in the same column",
    )


def _report_character(source: SourceFile, fault: ReaderError) -> None:
    # The parser counts bytes of UTF-8 here, unlike everywhere else.
    before = source.text.encode()[: fault.position].decode(errors="ignore")
    lines = split_lines(before)
    source.report_span(
        "E001",
        Span(line=len(lines), column=len(lines[-1]) + 1, length=1),
        f"the character U+{fault.character:04X} is not allowed",
        "remove it, or write it as an escape in double quotes",
    )
