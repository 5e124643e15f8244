"""Refusals in the language of RFC 6749."""

import json
import re

import pytest

from gateway.model import STATUS_AND_TITLE, Reason, Refusal
from gateway.web import oauth_error_for


@pytest.mark.parametrize("reason", [one for one in Reason if one is not Reason.OK])
def test_every_reason_can_be_told(reason: Reason) -> None:
    answer = oauth_error_for(Refusal(head=None, reason=reason, diagnosis="inside"), request_id="1-2")
    body = json.loads(answer.body)
    assert set(body) == {"error"}
    assert re.fullmatch("[a-z_]+", body["error"])
    assert answer.status == STATUS_AND_TITLE[reason][0]
    lines = dict(answer.lines)
    assert lines[b"Content-Type"] == b"application/json"
    assert (lines[b"Cache-Control"], lines[b"Pragma"]) == (b"no-store", b"no-cache")
    assert lines[b"X-Request-Id"] == b"1-2"
    if answer.status in {429, 503}:
        assert lines[b"Retry-After"] == b"1"


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("invalid_client", 401),
        ("invalid_grant", 400),
        ("invalid_request", 400),
        ("invalid_scope", 400),
        ("invalid_target", 400),
        ("invalid_dpop_proof", 400),
        ("unauthorized_client", 400),
        ("unsupported_grant_type", 400),
    ],
)
def test_a_code_has_its_status_whatever_the_reason_is(code: str, status: int) -> None:
    for reason in (Reason.CREDENTIALS_INVALID, Reason.INVALID_REQUEST, Reason.UNSUPPORTED_MEDIA_TYPE):
        answer = oauth_error_for(Refusal(head=None, reason=reason, oauth_error=code), request_id="1")
        assert (answer.status, json.loads(answer.body)["error"]) == (status, code)


def test_a_client_that_is_not_known_is_challenged() -> None:
    refusal = Refusal(head=None, reason=Reason.CREDENTIALS_INVALID, oauth_error="invalid_client")
    lines = oauth_error_for(refusal, request_id="1").lines
    assert [value for name, value in lines if name == b"WWW-Authenticate"] == [b'Basic realm="gateway"']


def test_a_description_has_no_character_that_it_may_not_have() -> None:
    refusal = Refusal(head=None, reason=Reason.INVALID_REQUEST, detail='a "b" \\ ü\n c')
    body = json.loads(oauth_error_for(refusal, request_id="1").body)
    assert body["error_description"] == "a 'b' ' '' c"


def test_what_a_refusal_says_besides_is_said() -> None:
    refusal = Refusal(
        head=None,
        reason=Reason.METHOD_NOT_ALLOWED,
        allow=("POST",),
        more=((b"DPoP-Nonce", b"n"),),
        close=True,
    )
    answer = oauth_error_for(refusal, request_id="1")
    assert (b"Allow", b"POST") in answer.lines
    assert (b"DPoP-Nonce", b"n") in answer.lines
    assert answer.close
