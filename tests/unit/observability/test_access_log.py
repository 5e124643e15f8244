"""Request lines: complete, without secrets, and never in the way."""

import json
import os
import time
from dataclasses import replace

import pytest
from support.heads import HEAD

from gateway.model import (
    ANONYMOUS,
    Completion,
    Grant,
    Outcome,
    Permit,
    Reason,
    Refusal,
    RequestHead,
    Route,
)
from gateway.observability import AccessLog


def head(target: str = "/a?token=secret") -> RequestHead:
    return replace(HEAD, target=target, path=target.partition("?")[0], query="token=secret")


def permit() -> Permit:
    route = Route(
        id="r", host=None, methods=frozenset({"GET"}), path="/a", upstream="u", place="policies.yaml:1"
    )
    nothing: frozenset[str] = frozenset()
    return Permit(
        head=head(),
        route=route,
        params={},
        principal=ANONYMOUS,
        grant=Grant(scopes=nothing, required=nothing),
        tallies=(),
    )


COMPLETION = Completion(
    status=200, bytes_in=1, bytes_out=2, duration_ms=3.0, outcome=Outcome.COMPLETE, reason=Reason.OK
)


def lines(*, as_json: bool, refusal: Refusal | None = None) -> bytes:
    reading, writing = os.pipe()
    log = AccessLog(enabled=True, as_json=as_json, descriptor=writing)
    log.start()
    if refusal is None:
        log.completed(permit(), COMPLETION)
    else:
        log.refused(refusal)
    log.stop()
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        return pipe.read()


def test_a_line_says_what_happened_and_keeps_the_query_to_itself() -> None:
    line = json.loads(lines(as_json=True))
    assert line["event"] == "request"
    assert (line["method"], line["path"], line["status"], line["route"]) == ("GET", "/a", 200, "r")
    assert (line["actor"], line["source_ip"], line["outcome"]) == (None, "192.0.2.1", "complete")
    assert "secret" not in json.dumps(line)


def test_on_a_terminal_the_same_is_plain_text() -> None:
    text = lines(as_json=False).decode()
    assert "method=GET path=/a" in text
    assert "secret" not in text


@pytest.mark.parametrize("as_json", [True, False])
def test_what_a_client_wrote_cannot_begin_a_line_of_its_own(as_json: bool) -> None:
    hostile = head('/a\r\n{"forged":1}\x1b[2J\udcff')
    written = lines(as_json=as_json, refusal=Refusal(head=hostile, reason=Reason.MALFORMED_REQUEST))
    assert written.count(b"\n") == 1
    assert b"\x1b" not in written
    assert b"\r" not in written


def test_a_reader_that_does_not_read_holds_nobody_up() -> None:
    reading, writing = os.pipe()
    log = AccessLog(enabled=True, as_json=True, descriptor=writing)
    log.start()
    begun = time.monotonic()
    for _ in range(120_000):
        log.completed(permit(), COMPLETION)
    assert log.dropped > 0
    assert time.monotonic() - begun < 10
    os.close(reading)
    log.stop()
    os.close(writing)


def test_a_log_that_is_switched_off_writes_nothing() -> None:
    log = AccessLog(enabled=False, as_json=True)
    log.start()
    log.completed(permit(), COMPLETION)
    log.stop()
