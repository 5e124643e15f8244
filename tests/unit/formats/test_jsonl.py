"""The record itself."""

import json

from support.records import decision

from gateway.formats.jsonl import JSONL


def test_a_line_is_the_record_with_what_is_unprintable_escaped() -> None:
    told = decision(path="/\x1b[2J\u202e")
    line = JSONL.line(told)
    assert b"/\\u001b[2J\\u202e" in line
    assert json.loads(line) == told
