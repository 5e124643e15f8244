"""Bodies for the gateway's own endpoints: small, soon, and of one meaning."""

from dataclasses import replace

import pytest
from support.heads import HEAD
from unit.edge.sides import sending, side

from gateway.accounts import Form
from gateway.edge import own_body
from gateway.edge.own_body import LARGEST_BODY, read_form_body, read_json_body
from gateway.model import Framing, Reason, Refusal

JSON = sending(b"application/json; charset=utf-8")
FORM = sending(b"application/x-www-form-urlencoded")


@pytest.fixture
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(own_body, "BODY_SECONDS", 0.02)


@pytest.mark.usefixtures("_soon")
async def test_a_body_that_does_not_arrive_is_408() -> None:
    for refusal in (
        await read_json_body(side(b'{"a"', ended=False, head=JSON), JSON),
        await read_form_body(side(b"a=", ended=False, head=FORM), FORM),
    ):
        assert isinstance(refusal, Refusal)
        assert (refusal.reason, refusal.close) == (Reason.REQUEST_TIMEOUT, True)


async def test_a_body_in_parts_is_one_object() -> None:
    client = side(b'{"a"', b": [1]}", ended=True, head=JSON)
    assert await read_json_body(client, JSON) == {"a": [1]}


async def test_a_form_in_parts_is_one_form() -> None:
    form = await read_form_body(side(b"scope=a", b"+b&x=1", ended=True, head=FORM), FORM)
    assert isinstance(form, Form)
    assert form.one("scope") == "a b"


async def test_nothing_is_an_empty_one() -> None:
    for head in (
        replace(FORM, framing=Framing.NONE, content_length=None),
        replace(HEAD, framing=Framing.LENGTH, content_length=0),
    ):
        assert await read_form_body(side(ended=True, head=head), head) == Form()
        assert await read_json_body(side(ended=True, head=head), head) == {}


@pytest.mark.parametrize(
    "text",
    [
        b"[]",
        b"1",
        b"{",
        b"\xff",
        b'{"a": NaN}',
        b"[" * 100_000,
        b'{"a": 1, "a": 2}',
        b'{"a": {"b": 1, "b": 1}}',
    ],
)
async def test_what_is_not_one_plain_object_is_refused(text: bytes) -> None:
    refusal = await read_json_body(side(text, ended=True, head=JSON), JSON)
    assert isinstance(refusal, Refusal)
    assert refusal.reason in {Reason.INVALID_REQUEST, Reason.BODY_TOO_LARGE}


@pytest.mark.parametrize("text", [b"a=1&a=1", b"a=%", b"a=\xff", b"a=1&" * 200])
async def test_what_is_not_one_plain_form_is_refused(text: bytes) -> None:
    refusal = await read_form_body(side(text, ended=True, head=FORM), FORM)
    assert isinstance(refusal, Refusal)
    assert (refusal.reason, refusal.oauth_error) == (Reason.INVALID_REQUEST, "invalid_request")


@pytest.mark.parametrize("length", [20, LARGEST_BODY + 1])
async def test_a_body_that_is_too_large_is_refused_announced_or_not(length: int) -> None:
    head = sending(b"application/x-www-form-urlencoded", length)
    refusal = await read_form_body(side(b"a=" + b"1" * LARGEST_BODY, ended=True, head=head), head)
    assert isinstance(refusal, Refusal)
    assert (refusal.reason, refusal.close) == (Reason.BODY_TOO_LARGE, True)


async def test_another_media_type_is_refused() -> None:
    form = await read_form_body(side(b"{}", ended=True, head=JSON), JSON)
    json = await read_json_body(side(b"a=1", ended=True, head=FORM), FORM)
    for refusal in (form, json):
        assert isinstance(refusal, Refusal)
        assert refusal.reason is Reason.UNSUPPORTED_MEDIA_TYPE
