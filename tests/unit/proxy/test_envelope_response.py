"""Which responses can be encrypted, and what their heads say then."""

import pytest
from unit.proxy.enveloped import KEY, LARGEST, Ring, opened_by_client

from gateway.config import ResponseEncryption
from gateway.crypto import Recipients
from gateway.model import Framing, Line
from gateway.proxy.envelope_response import ResponseSealing
from gateway.proxy.json_fields import NotReplaceable
from gateway.proxy.response import ResponseHead

JSON: Line = (b"Content-Type", b"application/json")
NUMBER = ("card", "number")


@pytest.fixture
async def ring() -> Ring:
    return await Ring.open()


def sealing_with(*fields: tuple[str, ...], largest: int = LARGEST) -> ResponseSealing:
    return ResponseSealing(ResponseEncryption(key=KEY, largest=largest, fields=fields))


def answer_of(*lines: Line, status: int = 200, framing: Framing = Framing.LENGTH) -> ResponseHead:
    return ResponseHead(status, b"OK", list(lines), framing, frozenset())


@pytest.mark.parametrize(
    ("lines", "status", "flaw"),
    [
        ([], 206, "part of a representation"),
        ([(b"content-range", b"bytes 0-1/2")], 200, "part of a representation"),
        ([(b"Content-Range", b"bytes */2")], 416, "part of a representation"),
        ([(b"Content-Type", b"Multipart/ByteRanges; boundary=x")], 200, "several parts"),
        ([(b"Content-Type", b"text/event-stream")], 200, "stream of events"),
        ([(b"content-type", b"TEXT/Event-Stream ;charset=utf-8")], 200, "stream of events"),
        ([(b"Content-Encoding", b"gzip")], 200, "compressed"),
        ([(b"Content-Encoding", b"identity"), (b"content-encoding", b"br")], 200, "compressed"),
        ([(b"Content-Encoding", b"identity, gzip")], 200, "compressed"),
        ([(b"Content-Length", b"1048577")], 200, "more than 1048576 bytes"),
        ([JSON, (b"Content-Type", b"text/html")], 200, "two media types"),
    ],
)
async def test_a_response_that_is_not_a_whole_representation_cannot_be_encrypted(
    ring: Ring, lines: list[Line], status: int, flaw: str
) -> None:
    found = sealing_with().flaw_of(answer_of(*lines, status=status))
    assert found is not None
    assert flaw in found


@pytest.mark.parametrize(
    "lines",
    [
        [],
        [(b"Content-Length", b"1048576")],
        [(b"Content-Encoding", b"identity")],
        [(b"Content-Encoding", b"")],
        [JSON, JSON],
        [(b"Content-Type", b"text/event-streams")],
    ],
)
@pytest.mark.parametrize("status", [200, 201, 301, 404, 500])
async def test_any_other_response_can(ring: Ring, lines: list[Line], status: int) -> None:
    assert sealing_with().flaw_of(answer_of(*lines, status=status)) is None


@pytest.mark.parametrize(
    "media", [b"application/json", b"Application/JSON; charset=utf-8", b"application/problem+json"]
)
async def test_fields_are_those_of_json(ring: Ring, media: bytes) -> None:
    assert sealing_with(NUMBER).flaw_of(answer_of((b"Content-Type", media))) is None


@pytest.mark.parametrize("media", [b"text/html", b"text/json", b"application/jsonp", b"", b"json"])
async def test_what_is_not_json_has_no_fields(ring: Ring, media: bytes) -> None:
    assert sealing_with(NUMBER).flaw_of(answer_of((b"Content-Type", media))) is not None


async def test_what_has_no_type_is_not_json_unless_it_is_nothing(ring: Ring) -> None:
    assert sealing_with(NUMBER).flaw_of(answer_of((b"Content-Length", b"2"))) is not None
    nothing = answer_of((b"Content-Length", b"0"))
    sealing = sealing_with(NUMBER)
    assert sealing.flaw_of(nothing) is None
    assert sealing.seal(ring.key, nothing, b"") == b""
    unknown = answer_of(framing=Framing.CHUNKED)
    assert sealing.flaw_of(unknown) is None
    assert sealing.seal(ring.key, unknown, b"") == b""
    with pytest.raises(NotReplaceable):
        sealing.seal(ring.key, unknown, b"{}")


async def test_a_body_becomes_a_message_that_says_what_it_was(ring: Ring) -> None:
    sealing = sealing_with()
    answer = answer_of((b"Content-Type", b"text/plain; charset=utf-8"))
    assert sealing.flaw_of(answer) is None
    opened = await ring.keys.unseal(KEY, sealing.seal(ring.key, answer, b"plain"))
    assert (opened.plaintext, opened.content_type) == (b"plain", "text/plain; charset=utf-8")


async def test_a_body_is_encrypted_for_the_client_alone(ring: Ring) -> None:
    key = await Recipients(ring.clients).find("cli_batch")
    assert key is not None
    sealing = ResponseSealing(ResponseEncryption(key=None, largest=LARGEST))
    assert opened_by_client(sealing.seal(key, answer_of(), b"plain")) == b"plain"


async def test_fields_become_objects_with_a_message_each(ring: Ring) -> None:
    sealing = sealing_with(NUMBER)
    assert sealing.flaw_of(answer_of(JSON)) is None
    sealed = sealing.seal(ring.key, answer_of(JSON), b'{"card": {"number": "4711", "brand": 1.10}}')
    head, message, rest = sealed.partition(b'{"$enc":"')[0], sealed.split(b'"')[7], sealed.split(b'"', 8)[8]
    assert (head, rest) == (b'{"card": {"number": ', b'}, "brand": 1.10}}')
    opened = await ring.keys.unseal(KEY, message)
    assert (opened.plaintext, opened.content_type) == (b'"4711"', "application/json")


UNTRUE: list[Line] = [
    (b"ETag", b'"x"'),
    (b"last-modified", b"x"),
    (b"Content-MD5", b"x"),
    (b"Digest", b"x"),
    (b"Content-Digest", b"x"),
    (b"Repr-Digest", b"x"),
    (b"Accept-Ranges", b"bytes"),
    (b"Trailer", b"x"),
    (b"Content-Encoding", b"identity"),
    (b"Content-Length", b"5"),
]


async def test_a_head_says_nothing_that_is_true_of_the_plaintext_alone(ring: Ring) -> None:
    sealing = sealing_with()
    lines = [JSON, *UNTRUE, (b"X-A", b"b"), (b"Cache-Control", b"max-age=5")]
    assert sealing.lines(lines, b"sealed") == [
        (b"X-A", b"b"),
        (b"Cache-Control", b"max-age=5"),
        (b"Content-Type", b"application/jose"),
        (b"Content-Length", b"6"),
    ]


async def test_a_document_with_encrypted_fields_keeps_its_type(ring: Ring) -> None:
    sealing = sealing_with(NUMBER)
    assert sealing.flaw_of(answer_of(JSON)) is None
    assert sealing.lines([JSON, *UNTRUE], b"{} ") == [JSON, (b"Content-Length", b"3")]


async def test_a_head_without_a_body_keeps_its_type_and_has_no_length(ring: Ring) -> None:
    assert sealing_with().lines([JSON, *UNTRUE], None) == [JSON]


async def test_what_is_for_one_client_is_stored_by_nobody(ring: Ring) -> None:
    sealing = ResponseSealing(ResponseEncryption(key=None, largest=LARGEST))
    lines = sealing.lines([(b"cache-control", b"public, max-age=5")], b"x")
    assert [value for name, value in lines if name.lower() == b"cache-control"] == [b"no-store"]


async def test_nothing_is_encrypted_too_but_for_a_205(ring: Ring) -> None:
    """RFC 9110 section 15.3.6: a 205 has no content."""
    sealing = sealing_with()
    assert await ring.opened(sealing.seal(ring.key, answer_of(status=201), b"")) == b""
    reset = answer_of(JSON, status=205)
    assert sealing.seal(ring.key, reset, b"") == b""
    assert sealing.lines([JSON], b"") == [JSON, (b"Content-Length", b"0")]


async def test_what_takes_long_is_not_called_quick(ring: Ring) -> None:
    whole, fields, each = sealing_with(), sealing_with(NUMBER), sealing_with(("*", "pan"))
    assert [one.is_quick(b"x" * 1024) for one in (whole, fields, each)] == [True, True, True]
    assert [one.is_quick(b"x" * 65_536) for one in (whole, fields, each)] == [True, True, False]
    assert [one.is_quick(b"x" * 262_145) for one in (whole, fields, each)] == [False, False, False]
    for_client = ResponseSealing(ResponseEncryption(key=None, largest=LARGEST, fields=(NUMBER,)))
    assert not for_client.is_quick(b"x")
