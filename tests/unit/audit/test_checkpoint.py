"""What a checkpoint says is written in one way only, and read back exactly."""

from collections.abc import Callable
from pathlib import Path

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.proofs import SIGNER

from gateway.audit.checkpoint import Mark, Statement, StatementFlaw, digest, notes_in
from gateway.outlets.stdout import Output, StdoutCheckpoints
from gateway.ports import Dropped

A = "aaaaaaaa-0000-4000-8000-000000000001"
HEAD = bytes(range(32))
STATEMENT = Statement(
    number=42,
    time="2026-11-21T14:00:00.000000Z",
    previous=bytes(32),
    marks=(Mark(A, 7, HEAD),),
    dropped=(Dropped(writer=A, upto=3, head=HEAD),),
)

_writers = st.uuids().map(str)
_numbers = st.integers(0, 10**18)
_heads = st.binary(min_size=32, max_size=32)


def test_a_statement_is_lines() -> None:
    assert STATEMENT.text() == (
        "gateway audit checkpoint 1\n"
        "number 42\n"
        "time 2026-11-21T14:00:00.000000Z\n"
        "previous AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n"
        f"writer {A} 7 AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8\n"
        f"dropped {A} 3 AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8\n"
    )


@given(
    number=_numbers,
    previous=st.none() | _heads,
    marks=st.lists(st.builds(Mark, _writers, _numbers, _heads), max_size=4),
    dropped=st.lists(st.builds(Dropped, writer=_writers, upto=_numbers, head=_heads), max_size=4),
)
def test_a_statement_is_read_as_it_was_written(
    number: int, previous: bytes | None, marks: list[Mark], dropped: list[Dropped]
) -> None:
    statement = Statement(
        number=number,
        time="2026-11-21T14:00:00.000000Z",
        previous=previous,
        marks=tuple(marks),
        dropped=tuple(dropped),
    )
    assert Statement.parse(statement.text()) == statement


@pytest.mark.parametrize(
    "text",
    [
        "",
        "gateway audit checkpoint 1\n",
        STATEMENT.text().replace("checkpoint 1", "checkpoint 2"),
        STATEMENT.text().replace("number 42", "number 042"),
        STATEMENT.text().replace("number 42", "number -1"),
        STATEMENT.text().replace("number 42", "number x"),
        STATEMENT.text().replace("number 42", "number " + "9" * 5000),
        STATEMENT.text().replace("previous ", "previous A"),
        STATEMENT.text().replace("previous ", "before "),
        STATEMENT.text().replace(A, "somebody"),
        STATEMENT.text().replace(f"{A} 7", A),
        STATEMENT.text().replace(" 7 ", " 7 7 "),
        STATEMENT.text() + "more 1\n",
        STATEMENT.text() + "\n",
        STATEMENT.text()[:-1],
        "\n".join(reversed(STATEMENT.text().splitlines())) + "\n",
    ],
)
def test_a_text_of_another_form_is_refused(text: str) -> None:
    with pytest.raises(StatementFlaw):
        Statement.parse(text)


@given(st.text())
def test_any_text_is_read_or_refused_and_nothing_else(text: str) -> None:
    with pytest.raises(StatementFlaw):
        Statement.parse("gateway audit checkpoint 1\n" + text)


def _notes(count: int) -> list[str]:
    return [
        SIGNER.sign(Statement(number=number, time="t", previous=None).text())
        for number in range(1, count + 1)
    ]


@pytest.mark.parametrize("between", ["", "\n", "some log line\n", "{}\n", '{"event":"x"}\n\n', "— not one\n"])
def test_notes_are_found_among_other_lines(between: str) -> None:
    notes = _notes(3)
    lines = (between + between.join(notes) + between).splitlines(keepends=True)
    found = list(notes_in(lines))
    assert len(found) == 3
    if not between.startswith("—"):
        assert found == notes


def test_a_note_in_a_log_of_json_is_found() -> None:
    notes = _notes(2)
    lines = [orjson.dumps({"event": "audit.checkpoint", "note": note}).decode() + "\n" for note in notes]
    assert list(notes_in(["{}\n", *lines, "{gateway audit checkpoint 1\n"]))[:2] == notes


@pytest.mark.parametrize(
    "wrap",
    [
        lambda line: line,
        lambda line: f"  {line}",
        lambda line: f"2026-11-21T14:00:00.000000000Z stdout F {line}",
        lambda line: f"Nov 21 14:00:00 host gateway[17]: {line}",
        lambda line: orjson.dumps({"log": f"{line}\n", "stream": "stdout", "time": "t"}).decode(),
        lambda line: orjson.dumps({"pod": 1, "log": orjson.dumps({"message": line}).decode()}).decode(),
    ],
)
async def test_what_standard_output_was_given_is_found_in_a_collected_log(
    wrap: Callable[[str], str], tmp_path: Path
) -> None:
    log, notes = tmp_path / "log", _notes(3)
    with log.open("wb") as file:
        outlet = StdoutCheckpoints(Output(file.fileno()))
        for note in notes:
            await outlet.publish(note)
    lines = [wrap(line) + "\n" for line in log.read_text().splitlines()]
    other = '{"event":"http","path":"gateway audit checkpoint 1"}\n'
    assert list(notes_in([other, lines[0], "plain {text\n", other, *lines[1:]])) == notes


@given(st.text())
def test_any_line_of_a_log_is_passed_by(text: str) -> None:
    line = f'{{"{text}gateway audit checkpoint 1'
    assert "".join(notes_in([line, line + "}", f'{{"a":{line}}}'])).count("number") == 0


def test_a_note_that_is_cut_short_is_given_as_far_as_it_goes() -> None:
    one, two = _notes(2)
    assert list(notes_in((one[:60] + "\n" + two).splitlines())) == [one[:60] + "\n", two]
    assert list(notes_in(one[:60].splitlines())) == [one[:60] + "\n"]


def test_line_ends_of_another_system_do_not_matter() -> None:
    (note,) = _notes(1)
    (found,) = notes_in(note.replace("\n", "\r\n").splitlines(keepends=True))
    assert digest(found) == digest(note)
