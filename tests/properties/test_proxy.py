"""Laws of the proxy's pure parts, for anything that peers may send."""

import re
from collections import Counter
from dataclasses import replace

import httptools
from hypothesis import given
from hypothesis import strategies as st
from support.downstream import ALICE, head_of, permit_for
from support.upstream import rules

from gateway.model import Framing, Line
from gateway.proxy.headers import is_claimed, spelling
from gateway.proxy.request_head import RequestHeads
from gateway.proxy.response import ResponseBroken, ResponseReader

TOKEN = "!#$%&'*+-.^_`|~0123456789ABCXYZabcxyz"
NAMED = [
    "Connection",
    "Content-Length",
    "Transfer-Encoding",
    "Host",
    "TE",
    "Expect",
    "X-Forwarded-For",
    "X-Gateway-Subject",
    "X-Request-Id",
    "X-User",
    "Authorization",
    "Cookie",
    "Via",
    "traceparent",
    "tracestate",
    "Upgrade",
    "X-A",
]


@st.composite
def spelled(draw: st.DrawFn) -> bytes:
    name = draw(st.sampled_from(NAMED) | st.text(TOKEN, min_size=1, max_size=12))
    letters = [draw(st.sampled_from([letter.lower(), letter.upper()])) for letter in name]
    return "".join(draw(st.sampled_from("-_.")) if letter == "-" else letter for letter in letters).encode()


VALUES = st.one_of(
    st.sampled_from(
        [b"", b"5", b"chunked", b"close", b"trailers", b"Bearer abc", b"Host, X-A, Content-Length, Via"]
    ),
    st.lists(spelled(), max_size=4).map(b", ".join),
    st.binary(max_size=20).map(lambda raw: re.sub(rb"[\x00-\x1f\x7f]", b" ", raw).strip()),
)
LINES = st.lists(st.tuples(spelled(), VALUES), max_size=12)


class Strict:
    """What a strict server makes of a request."""

    def __init__(self, raw: bytes) -> None:
        self.lines: list[Line] = []
        self.heads = 0
        self.parser = httptools.HttpRequestParser(self)
        self.parser.feed_data(raw)

    def on_header(self, name: bytes, value: bytes) -> None:
        self.lines.append((name, value))

    def on_headers_complete(self) -> None:
        self.heads += 1

    def values(self, name: bytes) -> list[bytes]:
        return [value for other, value in self.lines if other.lower() == name]


@given(lines=LINES, length=st.none() | st.integers(0, 10**15), chunked=st.booleans(), trusted=st.booleans())
def test_whatever_a_client_sends_one_request_with_one_framing_and_our_identity_leaves(
    *, lines: list[Line], length: int | None, chunked: bool, trusted: bool
) -> None:
    lines = [line for line in lines if line[0].lower() != b"host"]
    head = head_of(
        *lines,
        method="POST",
        framing=Framing.CHUNKED if chunked else None,
        length=None if chunked else length,
        trusted=trusted,
    )
    heads = RequestHeads(rules(identity="headers"), frozenset({b"authorization"}))
    raw = heads.write(
        permit_for(head, principal=ALICE, scopes=frozenset({"a"})), authority=b"10.0.0.1:80", assertion=None
    )
    seen = Strict(raw)
    assert seen.heads == 1
    assert raw.count(b"\r\n\r\n") == 1
    assert seen.values(b"host") == [b"api.example.com"]
    assert seen.values(b"transfer-encoding") == ([b"chunked"] if chunked else [])
    assert seen.values(b"content-length") == ([] if chunked or length is None else [b"%d" % length])
    assert seen.values(b"x-gateway-subject") == [b"usr_alice"]
    assert not [value for value in seen.values(b"authorization") if value.lower().startswith(b"bearer ")]
    claimed = Counter(name for name, _ in seen.lines if is_claimed(spelling(name)))
    assert set(claimed) <= {
        b"X-Request-Id",
        b"X-Forwarded-For",
        b"X-Forwarded-Proto",
        b"X-Forwarded-Host",
        b"X-Gateway-Subject",
        b"X-Gateway-Roles",
        b"X-Gateway-Scopes",
        b"X-Gateway-Auth-Kind",
    }
    assert set(claimed.values()) == {1}
    if not trusted:
        assert seen.values(b"x-forwarded-for") == [b"192.0.2.7"]


@given(lines=LINES)
def test_what_was_known_of_earlier_requests_changes_nothing(lines: list[Line]) -> None:
    heads = RequestHeads(rules(), frozenset({b"authorization"}))
    permit = permit_for(head_of(*lines))
    first = heads.write(permit, authority=b"a:1", assertion=None)
    assert heads.write(permit, authority=b"a:1", assertion=None) == first
    assert (
        RequestHeads(rules(), frozenset({b"authorization"})).write(permit, authority=b"a:1", assertion=None)
        == first
    )


@st.composite
def responses(draw: st.DrawFn) -> bytes:
    """Mostly sound responses, some with a byte changed or something after them."""
    body = draw(st.binary(max_size=40))
    interim = draw(
        st.sampled_from([b"", b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 103 X\r\nLink: a\r\n\r\n"])
    )
    status = draw(st.sampled_from([b"200 OK", b"204 No Content", b"304 Not Modified", b"404 ", b"999 X"]))
    framing = draw(st.sampled_from(["length", "chunked", "close"]))
    raw = interim + b"HTTP/1.1 " + status + b"\r\nX-A: b\r\n"
    if framing == "length":
        raw += b"Content-Length: %d\r\n\r\n" % len(body) + body
    elif framing == "chunked":
        cut = draw(st.integers(0, len(body)))
        pieces = b"".join(
            b"%x\r\n%b\r\n" % (len(piece), piece) for piece in (body[:cut], body[cut:]) if piece
        )
        raw += b"Transfer-Encoding: chunked\r\n\r\n" + pieces + b"0\r\n\r\n"
    else:
        raw += b"\r\n" + body
    if draw(st.booleans()):
        at = draw(st.integers(0, len(raw) - 1))
        raw = raw[:at] + bytes([draw(st.integers(0, 255))]) + raw[at + 1 :]
    return raw + draw(st.sampled_from([b"", b"", b"x", b"HTTP/1.1 200 OK\r\n\r\n"]))


def outcome(pieces: list[bytes], *, bodiless: bool) -> tuple[object, ...]:
    """What a client could tell apart."""
    reader = ResponseReader()
    reader.begin(bodiless=bodiless)
    body = b""
    try:
        for piece in pieces:
            reader.feed(piece)
            body += reader.take()
        reusable = reader.complete and reader.reusable
        reader.eof()
    except ResponseBroken:
        # How much of a broken body had been read depends on how it came.
        return ("broken", reader.head is None)
    return (reader.head, body, reader.complete, reusable)


@given(raw=responses(), bodiless=st.booleans(), data=st.data())
def test_how_a_response_is_cut_into_segments_changes_nothing(
    *, raw: bytes, bodiless: bool, data: st.DataObject
) -> None:
    cuts = sorted(data.draw(st.sets(st.integers(0, len(raw)), max_size=6)))
    pieces = [raw[start:end] for start, end in zip([0, *cuts], [*cuts, len(raw)], strict=True) if start < end]
    assert outcome(pieces, bodiless=bodiless) == outcome([raw], bodiless=bodiless)


@given(first=st.text(max_size=12), second=st.text(max_size=12))
def test_two_subjects_never_read_alike(first: str, second: str) -> None:
    heads = RequestHeads(rules(identity="headers"), frozenset())

    def written(subject: str) -> bytes:
        principal = replace(ALICE, id=subject)
        raw = heads.write(permit_for(head_of(), principal=principal), authority=b"a:1", assertion=None)
        (value,) = Strict(raw).values(b"x-gateway-subject")
        return value

    assert (written(first) == written(second)) == (first == second)
