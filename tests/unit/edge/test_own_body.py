"""Bodies for the gateway's own endpoints: small, soon, and of one meaning."""

import json
from dataclasses import replace

import pytest
from support.heads import HEAD
from unit.edge.sides import sending, side

from gateway.accounts import Form
from gateway.edge import own_body
from gateway.edge.own_body import LARGEST_BODY, LARGEST_STRUCTURE, read_form_body, read_json_body
from gateway.model import Fields, Framing, Reason, Refusal

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


@pytest.mark.parametrize("lines", [[b"gzip"], [b"identity, br"], [b"", b"Deflate"]])
async def test_what_is_compressed_is_refused(lines: list[bytes]) -> None:
    """RFC 9110 section 8.4."""
    for head, read in ((JSON, read_json_body), (FORM, read_form_body)):
        fields = Fields([*head.fields.lines, *((b"Content-Encoding", line) for line in lines)])
        coded = replace(head, fields=fields)
        refusal = await read(side(b"{}", ended=True, head=coded), coded)
        assert isinstance(refusal, Refusal)
        assert refusal.reason is Reason.UNSUPPORTED_MEDIA_TYPE
        assert refusal.detail == "Send the body as it is, without a Content-Encoding."
        nothing = replace(coded, content_length=0)
        assert not isinstance(await read(side(ended=True, head=nothing), nothing), Refusal)


async def test_a_coding_that_changes_nothing_is_none() -> None:
    coded = replace(JSON, fields=Fields([*JSON.fields.lines, (b"Content-Encoding", b"Identity")]))
    assert await read_json_body(side(b'{"a": 1}', ended=True, head=coded), coded) == {"a": 1}


LARGE = 4 * 1024 * 1024
TOO_MUCH = "the body has more than 98304 characters that are not within strings"


@pytest.mark.parametrize(
    "value",
    [
        {"a": "x" * 3_000_000},
        {"batch": [{"a": '"{[,:]}\\' * 300, "b": "\u20ac\U0001f600"}] * 1000},
        {"a": '"' * 1_000_000, "b": {"c": [1, 2.5, None, True, "\n"]}},
    ],
    ids=["one text", "a batch", "quotes"],
)
async def test_where_an_endpoint_says_so_a_body_may_be_large_for_its_strings(value: object) -> None:
    text = json.dumps(value).encode()
    assert LARGEST_BODY < len(text) <= LARGE
    head = sending(b"application/json", len(text))
    assert await read_json_body(side(text, ended=True, head=head), head, largest=LARGE) == value


async def test_a_large_batch_may_be_indented() -> None:
    value = {"batch": [{"plaintext": "x" * 1000, "context": "x" * 1000}] * 1000}
    text = json.dumps(value, indent=4).encode()
    head = sending(b"application/json", len(text))
    assert await read_json_body(side(text, ended=True, head=head), head, largest=LARGE) == value


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        (b'{"a": [' + b"1," * LARGEST_STRUCTURE + b"1]}", TOO_MUCH),
        (b'{"a": [' + b'"",' * LARGEST_STRUCTURE + b'""]}', TOO_MUCH),
        (b" " * LARGE, TOO_MUCH),
        (b'{"a": "' + b"x" * LARGEST_BODY + b'", "a": 1}', "an object names a member twice"),
        (b'{"a": "' + b"x" * LARGEST_BODY, "the body is not JSON"),
        (b'{"a": "' + b"\\" * (2 * LARGEST_BODY + 1) + b'"}', "the body is not JSON"),
        (b'{"a": "' + b"x" * LARGEST_BODY + b'\xff"}', "the body is not JSON"),
        (b'["' + b"x" * LARGEST_BODY + b'"]', "the body is not a JSON object"),
        (b"[" * 90_000, "the body is not JSON"),
    ],
)
async def test_what_is_large_otherwise_or_is_not_one_object_is_refused(text: bytes, wrong: str) -> None:
    head = sending(b"application/json", len(text))
    refusal = await read_json_body(side(text, ended=True, head=head), head, largest=LARGE)
    assert isinstance(refusal, Refusal)
    assert (refusal.reason, refusal.errors) == (
        Reason.INVALID_REQUEST,
        ({"field": "", "message": wrong},),
    )


async def test_a_larger_body_has_an_end_too() -> None:
    for length in (LARGE + 1, None):
        head = replace(JSON, content_length=length)
        text = b'{"a": "' + b"x" * LARGE
        refusal = await read_json_body(side(text, ended=True, head=head), head, largest=LARGE)
        assert isinstance(refusal, Refusal)
        assert (refusal.reason, refusal.close) == (Reason.BODY_TOO_LARGE, True)
        assert refusal.detail == f"The body may have at most {LARGE} bytes."
