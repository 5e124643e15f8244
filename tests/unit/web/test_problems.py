"""Every refusal has one shape."""

import json

import pytest

from gateway.model import STATUS_AND_TITLE, Algorithm, Limit, Reason, Refusal, Tally
from gateway.web import problem_for

LIMIT = Limit(
    id="defaults:0",
    place="policies.yaml:1",
    algorithm=Algorithm.WINDOW,
    per=("client_ip",),
    quota=5,
    window_us=60_000_000,
    burst=5,
)


def test_every_reason_is_in_the_table() -> None:
    assert set(STATUS_AND_TITLE) == set(Reason)


@pytest.mark.parametrize("reason", [one for one in Reason if one is not Reason.OK])
def test_the_shape_is_the_same_for_every_reason(reason: Reason) -> None:
    answer = problem_for(Refusal(head=None, reason=reason, diagnosis="inside"), request_id="1-2")
    body = json.loads(answer.body)
    assert body == {
        "type": f"urn:gateway:problem:{reason}",
        "title": STATUS_AND_TITLE[reason][1],
        "status": STATUS_AND_TITLE[reason][0],
        "instance": "urn:uuid:1-2",
    }
    lines = dict(answer.lines)
    assert lines[b"Content-Type"] == b"application/problem+json"
    assert lines[b"Cache-Control"] == b"no-store"
    assert lines[b"X-Request-Id"] == b"1-2"
    if answer.status in {429, 503}:
        assert lines[b"Retry-After"] == b"1"


@pytest.mark.parametrize(("seconds", "said"), [(0.001, b"1"), (1.0, b"1"), (1.001, b"2"), (59.2, b"60")])
def test_retry_after_is_rounded_up_and_at_least_one(seconds: float, said: bytes) -> None:
    refusal = Refusal(head=None, reason=Reason.RATE_EXCEEDED, retry_after=seconds)
    assert dict(problem_for(refusal, request_id="x").lines)[b"Retry-After"] == said


def test_limits_that_had_a_say_are_told() -> None:
    refusal = Refusal(
        head=None,
        reason=Reason.RATE_EXCEEDED,
        tallies=(Tally(LIMIT, 5_000_000, 0, 5_000_000),),
        retry_after=5,
    )
    lines = dict(problem_for(refusal, request_id="x").lines)
    assert lines[b"RateLimit-Policy"] == b'"defaults:0";q=5;w=60'
    assert lines[b"RateLimit"] == b'"defaults:0";r=0;t=5'


def test_a_426_names_what_is_spoken_instead() -> None:
    elsewhere = Refusal(head=None, reason=Reason.UPGRADE_REQUIRED)
    assert dict(problem_for(elsewhere, request_id="x").lines)[b"Upgrade"] == b"HTTP/1.1"
    older = Refusal(head=None, reason=Reason.UPGRADE_REQUIRED, is_websocket_here=True)
    lines = dict(problem_for(older, request_id="x").lines)
    assert (lines[b"Upgrade"], lines[b"Sec-WebSocket-Version"]) == (b"websocket", b"13")
