"""What upstreams are asked on routes that encrypt or decrypt."""

import pytest
from support.downstream import head_of, permit_for
from support.upstream import rules

from gateway.model import Framing, Line, RequestHead
from gateway.proxy.envelope_request import asking_for_all, with_body, without_body
from gateway.proxy.request_head import RequestHeads


def written(head: RequestHead, original: RequestHead | None = None) -> list[bytes]:
    """Return the header lines that the upstream gets, without those that the gateway always adds."""
    raw = RequestHeads(rules(), frozenset()).write(
        permit_for(original or head_of()), authority=b"u:1", assertion=None, head=head
    )
    ours = (b"x-request-id:", b"x-forwarded-", b"via:", b"traceparent:")
    return [line for line in raw.split(b"\r\n")[1:-2] if not line.lower().startswith(ours)]


def test_a_representation_is_asked_for_whole_and_as_it_is() -> None:
    head = head_of(
        (b"Accept-Encoding", b"gzip"),
        (b"Accept", b"*/*"),
        (b"Range", b"bytes=0-1"),
        (b"If-Range", b'"x"'),
        (b"TE", b"trailers"),
        (b"X-A", b"b"),
    )
    assert written(asking_for_all(head)) == [
        b"Host: api.example.com",
        b"Accept: */*",
        b"X-A: b",
        b"Accept-Encoding: identity",
    ]


@pytest.mark.parametrize("name", [b"accept_encoding", b"RANGE", b"If_Range", b"range", b"Accept.Encoding"])
def test_no_spelling_of_a_field_asks_for_anything_else(name: bytes) -> None:
    assert written(asking_for_all(head_of((name, b"x")))) == [
        b"Host: api.example.com",
        b"Accept-Encoding: identity",
    ]


@pytest.mark.parametrize("nominated", [b"accept-encoding", b"Accept-Encoding, x-a, close"])
def test_a_client_cannot_take_away_what_is_asked_for(nominated: bytes) -> None:
    """RFC 9110 section 7.6.1: what Connection nominates is the client's own."""
    head = head_of((b"Connection", nominated), (b"X-B", b"c"))
    assert written(asking_for_all(head))[-1] == b"Accept-Encoding: identity"


def test_what_connection_nominates_goes_all_the_same() -> None:
    head = head_of((b"Connection", b"x-a"), (b"X-A", b"b"), (b"X-B", b"c"))
    assert written(asking_for_all(head)) == [
        b"Host: api.example.com",
        b"X-B: c",
        b"Accept-Encoding: identity",
    ]


@pytest.mark.parametrize("nomination", [[], [(b"Connection", b"TE")]])
def test_trailers_may_come_with_an_answer_that_is_not_encrypted(nomination: list[Line]) -> None:
    """RFC 9110 section 10.1.4: whether they may is said by TE; Connection names it because it must."""
    head = head_of((b"TE", b"trailers"), *nomination, method="POST", length=9)
    assert b"TE: trailers" in written(with_body(head, 5, None), head)
    assert b"TE: trailers" not in written(asking_for_all(head), head)


ABOUT_BODY: list[Line] = [
    (b"Content-Type", b"application/jose"),
    (b"content_type", b"application/jose"),
    (b"Content-MD5", b"x"),
    (b"Digest", b"x"),
    (b"Content-Digest", b"x"),
    (b"Repr-Digest", b"x"),
    (b"Content-Encoding", b"identity"),
    (b"Trailer", b"x"),
    (b"Expect", b"100-continue"),
    (b"Content-Length", b"999"),
]


def test_a_body_that_was_decrypted_says_what_it_is_itself() -> None:
    head = head_of(*ABOUT_BODY, (b"X-A", b"b"), method="POST", length=999)
    assert written(with_body(head, 5, "text/plain; charset=utf-8"), head) == [
        b"Host: api.example.com",
        b"X-A: b",
        b"Content-Type: text/plain; charset=utf-8",
        b"Content-Length: 5",
    ]


def test_a_body_in_chunks_gets_a_length() -> None:
    head = head_of((b"Transfer-Encoding", b"chunked"), method="POST", framing=Framing.CHUNKED)
    assert written(with_body(head, 0, None), head) == [b"Host: api.example.com", b"Content-Length: 0"]


def test_a_type_without_a_slash_is_one_of_applications() -> None:
    """RFC 7515 section 4.1.10."""
    head = head_of(method="POST", length=9)
    assert b"Content-Type: application/json" in written(with_body(head, 5, "json"), head)


@pytest.mark.parametrize(
    "said",
    [
        "text/plain;charset=utf-8",
        "text/plain ; a=b;\tc=d ;; ; e=f;",
        'multipart/mixed; boundary="a b\\"c;/"',
        "application/vnd.a+json; v=1.0",
        'json; a=""',
    ],
)
def test_a_media_type_is_told_as_it_was_written(said: str) -> None:
    full = said if "/" in said else f"application/{said}"
    head = head_of(method="POST", length=9)
    assert f"Content-Type: {full}".encode() in written(with_body(head, 5, said), head)


@pytest.mark.parametrize(
    "said",
    [
        "",
        "foo bar",
        "/x",
        "x/",
        "a/b/c",
        "a /b",
        "text/plain; charset",
        "text/plain; charset=",
        "text/plain; a b=c",
        "text/plain; a = b",
        "text/plain; =b",
        'text/plain; a="b',
        'text/plain; a="b"c',
        "text/plain, text/html",
        "text/plain" + "; " * 400 + '"',
        "text/plain" + ";a=b " * 150 + "=",
    ],
)
def test_what_is_no_media_type_is_not_told(said: str) -> None:
    """RFC 9110 section 8.3.1."""
    head = head_of(method="POST", length=9)
    assert not [line for line in written(with_body(head, 5, said), head) if b"Content-Type" in line]


def test_nominating_the_type_does_not_take_it_away() -> None:
    head = head_of((b"Connection", b"content-type"), method="POST", length=9)
    assert b"Content-Type: text/plain" in written(with_body(head, 5, "text/plain"), head)


def test_a_request_without_a_body_has_nothing_that_speaks_of_one() -> None:
    head = head_of((b"Transfer-Encoding", b"chunked"), *ABOUT_BODY, framing=Framing.CHUNKED)
    assert written(without_body(head), head) == [b"Host: api.example.com"]


def test_what_was_permitted_stays_as_it_was() -> None:
    head = head_of((b"Range", b"bytes=0-1"), method="POST", length=9)
    with_body(asking_for_all(head), 5, "json")
    assert head.fields.one(b"range") == b"bytes=0-1"
    assert (head.framing, head.content_length) == (Framing.LENGTH, 9)
