"""From a file to plain values and their places. Strict: what YAML would silently guess is a finding."""

from pathlib import Path as FilePath

import yaml
from yaml._yaml import CParser

from gateway.config.builder import Builder
from gateway.config.hints import report_syntax
from gateway.config.source import SourceFile

MAX_BYTES = 32 * 1024 * 1024

_MARKS = {
    b"\xef\xbb\xbf": "The file begins with a byte order mark",
    b"\xff\xfe": "The file is UTF-16",
    b"\xfe\xff": "The file is UTF-16",
}


def read_source(path: FilePath) -> tuple[SourceFile, bytes]:
    """Return a file with its values and places, and its bytes. What is wrong with it is in its findings; its
    `root` is None when there is nothing that could be checked further."""
    source = SourceFile(path)
    try:
        with path.open("rb") as stream:
            content = stream.read(MAX_BYTES + 1)
    except OSError as fault:
        reason = (fault.strerror or type(fault).__name__).lower()
        source.report_file("E002", f"the file cannot be read: {reason}")
        return source, b""
    text = _decode(source, content)
    if text is not None:
        source.text = text
        _parse(source)
    return source, content


def _decode(source: SourceFile, content: bytes) -> str | None:
    if len(content) > MAX_BYTES:
        source.report_file("E011", f"the file is larger than {MAX_BYTES // 1024 // 1024} MiB")
        return None
    for mark, problem in _MARKS.items():
        if content.startswith(mark):
            source.report_file(
                "E003", problem[0].lower() + problem[1:], "save it as UTF-8 without a byte order mark"
            )
            return None
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as fault:
        line = content.count(b"\n", 0, fault.start) + 1
        source.report_file(
            "E003",
            f"the file is not UTF-8: byte 0x{content[fault.start]:02x} in line {line}",
            "save it as UTF-8",
        )
        return None


def _parse(source: SourceFile) -> None:
    builder = Builder(source)
    try:
        parser = CParser(source.text)
        while (event := parser.get_event()) is not None:
            if not builder.take(event):
                return
    except yaml.YAMLError as fault:
        report_syntax(source, fault)
        return
    except UnicodeEncodeError:
        source.report_file("E003", "the file is not UTF-8: it holds half of a surrogate pair")
        return
    if builder.root is None or (builder.value is None and builder.root.text == ""):
        source.report_file("E009", "the file is empty", "the least it must say is: version: 1")
    elif builder.root.fields is None:
        source.root = builder.root
        source.report(
            "E100",
            (),
            "the file must be a mapping: names, each with a colon and a value",
            "begin with: version: 1",
        )
        source.root = None
    else:
        source.root, source.tree = builder.root, builder.value
