"""What holds for every format: one line a record, whatever is in it."""

import csv
import io
import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.records import completion, decision, event, record, refusal

from gateway.cli.words_audit import ExportFormat
from gateway.formats import FORMATS, Format
from gateway.model import EventKind

HOSTILE = [
    "ü\x1b[2J\x9b31m\u202e\u2028|=\\,\"'",
    "=cmd|' /C calc'!A0",
    "a\r\nforged=line\r\nCEF:0|x|y|1|z|z|10|act=allow",
    "x" * 10_000,
    "\x00",
    "",
    " ",
]
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20) | st.sampled_from(HOSTILE)
VALUES = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False) | TEXTS
FIELDS = sorted(record())


def lines_of(record: dict[str, object]) -> dict[str, str]:
    return {name: format.line(record).decode() for name, format in FORMATS.items()}


def test_the_command_knows_every_format() -> None:
    assert [format.value for format in ExportFormat] == list(FORMATS)
    assert [format.name for format in FORMATS.values()] == list(FORMATS)


@pytest.mark.parametrize("format", FORMATS.values(), ids=FORMATS)
def test_a_header_is_one_line_or_nothing(format: Format) -> None:
    assert format.header().decode().isprintable()
    assert bool(format.header()) == (format.name == "csv")
    assert re.fullmatch(r"[a-z]+/[a-z-]+(; charset=utf-8)?", format.media_type)


@given(
    st.dictionaries(
        st.sampled_from(FIELDS),
        VALUES
        | st.lists(TEXTS, max_size=2)
        | st.dictionaries(st.sampled_from(["id", "kind", "name", "diagnosis", "x.y"]), VALUES, max_size=3),
        max_size=12,
    )
)
def test_any_record_at_all_is_one_line_in_every_format(fields: dict[str, object]) -> None:
    lines = lines_of(record(**fields))
    assert all(line.isprintable() for line in lines.values()), lines
    for name in ("jsonl", "ocsf", "ecs"):
        assert isinstance(json.loads(lines[name]), dict)
    (row,) = csv.reader(io.StringIO(lines["csv"]))
    assert len(row) == FORMATS["csv"].header().count(b",") + 1
    assert not [cell for cell in row if re.match(r"\s*[=+@]", cell)]
    assert lines["cef"].startswith("CEF:0|gateway|gateway|")


@pytest.mark.parametrize("kind", EventKind)
def test_every_event_is_known_to_the_formats_that_have_kinds(kind: EventKind) -> None:
    lines = lines_of(event(kind.value))
    assert json.loads(lines["ocsf"])["metadata"]["event_code"] == kind.value
    assert json.loads(lines["ecs"])["event"]["action"] == kind.value
    assert f"|{kind.value}|" in lines["cef"]


@pytest.mark.parametrize("known", [decision(), refusal(), completion(), event("auth.login")])
def test_lines_of_json_are_the_record(known: dict[str, object]) -> None:
    assert json.loads(FORMATS["jsonl"].line(known)) == known
    assert list(json.loads(FORMATS["jsonl"].line(known))) == list(known)
