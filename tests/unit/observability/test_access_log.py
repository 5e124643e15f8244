"""Request lines: complete, without secrets, and never in the way."""

import json
import os
import select
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

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


def lines(
    *, as_json: bool, refusal: Refusal | None = None, hide: Callable[[str], str] | None = None
) -> bytes:
    reading, writing = os.pipe()
    log = AccessLog(enabled=True, as_json=as_json, descriptor=writing)
    log.hide_address = hide
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


@pytest.mark.parametrize("as_json", [True, False])
def test_the_address_of_a_client_is_shown_as_it_is_said(as_json: bool) -> None:
    written = lines(as_json=as_json, hide=lambda address: f"{address[:3]}***").decode()
    assert "192***" in written
    assert "192.0.2.1" not in written


def test_an_answer_of_the_gateway_itself_says_how_long_it_took() -> None:
    reading, writing = os.pipe()
    log = AccessLog(enabled=True, as_json=True, descriptor=writing)
    log.start()
    now = time.time()
    for received in (now - 2, now + 2):
        log.answered(
            replace(head(), received=received), route="gateway:x", status=200, actor=None, reason=Reason.OK
        )
    log.stop()
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        took = [json.loads(line)["duration_ms"] for line in pipe]
    assert took[0] >= 2000
    assert took[1] == 0


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


WRITER = """
import sys
from dataclasses import replace
from support.heads import HEAD
from gateway.model import Reason, Refusal
from gateway.observability import AccessLog
log = AccessLog(enabled=True, as_json=True, worker=int(sys.argv[1]))
head = replace(HEAD, path="/" + "x" * 300)
for _ in range(1500):
    log.refused(Refusal(head=head, reason=Reason.NO_ROUTE))
print("ready", file=sys.stderr, flush=True)
sys.stdin.read()
log.start()
log._thread.join(0.3)
log.stop()
"""


def test_lines_of_several_workers_do_not_mix_in_a_pipe_that_is_full() -> None:
    reading, writing = os.pipe()
    tests = Path(__file__).parents[2]
    environ = {**os.environ, "PYTHONPATH": f"{tests}:{tests.parent}"}
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, str(number)],
            env=environ,
            stdin=subprocess.PIPE,
            stdout=writing,
            stderr=subprocess.PIPE,
        )
        for number in (1, 2, 3)
    ]
    os.close(writing)
    for writer in writers:
        assert writer.stderr is not None
        with writer.stderr:
            assert writer.stderr.readline() == b"ready\n"
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.close()
    found = Counter[int]()
    with os.fdopen(reading, "rb", buffering=0) as pipe:
        rest = b""
        # Small bites, so that the pipe is full most of the time.
        while data := pipe.read(3000):
            *whole, rest = (rest + data).split(b"\n")
            found.update(json.loads(line)["worker"] for line in whole)
    assert found == {1: 1500, 2: 1500, 3: 1500}
    assert [writer.wait(10) for writer in writers] == [0, 0, 0]


def test_a_worker_that_is_stopped_in_the_middle_of_a_line_holds_up_no_other() -> None:
    reading, writing = os.pipe()
    tests = Path(__file__).parents[2]
    environ = {**os.environ, "PYTHONPATH": f"{tests}:{tests.parent}"}
    with os.fdopen(reading, "rb", buffering=0) as pipe:
        first, second = (
            subprocess.Popen(
                [sys.executable, "-c", WRITER, str(number)],
                env=environ,
                stdin=subprocess.PIPE,
                stdout=writing,
                stderr=subprocess.PIPE,
            )
            for number in (1, 2)
        )
        try:
            for writer in (first, second):
                assert writer.stderr is not None
                assert writer.stderr.readline() == b"ready\n"
            assert first.stdin is not None
            assert second.stdin is not None
            # The first fills the pipe, and is stopped while it waits for room.
            first.stdin.close()
            _until(lambda: not select.select([], [writing], [], 0)[1])
            first.send_signal(signal.SIGSTOP)
            second.stdin.close()
            found = Counter[int]()
            rest = b""
            while found[2] < 1500:
                ready, _, _ = select.select([pipe], [], [], 5)
                assert ready, "the second worker is held up"
                *whole, rest = (rest + pipe.read(65536)).split(b"\n")
                found.update(json.loads(line)["worker"] for line in whole)
        finally:
            os.close(writing)
            for writer in (first, second):
                writer.kill()
                # Closes its ends of the pipes, and waits.
                with writer:
                    pass


def _until(check: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 5
    while not check():
        assert time.monotonic() < deadline
        time.sleep(0.01)
