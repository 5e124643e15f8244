"""Where the bytes of a client are cut is the network's business: the answers are the same."""

import asyncio
from dataclasses import dataclass
from itertools import pairwise
from unittest.mock import patch

import uvloop
from hypothesis import given, settings
from hypothesis import strategies as st
from support.listening import listening

from gateway.edge import connection as connection_file
from gateway.edge import listener as listener_file

# Bytes that a parser with a wrong idea of where it is would take for something else.
BYTES = st.sampled_from([b"\r\n", b"\r\n\r\n", b"0\r\n\r\n", b"GET /no HTTP/1.1\r\n\r\n", b"a", b"x" * 70])
BODIES = st.lists(BYTES, max_size=5)


@dataclass(frozen=True)
class Sent:
    """One request on the wire, and what the door answers to it."""

    wire: bytes
    answer: str
    is_last: bool = False


@st.composite
def requests(draw: st.DrawFn) -> Sent:
    """A well-formed request."""
    target = draw(st.sampled_from(["/a", "/drop", "/longer?q=" + "b" * 90]))
    lines = [b"Host: a"]
    version = b"1.1"
    form = draw(st.sampled_from(["plain", "close", "old", "old kept", "padded", "absolute"]))
    if form == "close":
        lines.append(b"Connection: close")
    elif form.startswith("old"):
        version = b"1.0"
        if form == "old kept":
            lines.append(b"Connection: keep-alive")
    elif form == "padded":
        lines.append(b"X:" + b" " * draw(st.integers(0, 90)) + b"1")
    # The door knows its targets in origin-form only.
    is_last = form in {"close", "old"} or (target == "/drop" and form != "absolute")
    wire_target = "http://a" + target if form == "absolute" else target
    body, framed = b"", b""
    framing = draw(st.sampled_from(["none", "length", "chunked"]))
    if framing == "length":
        body = framed = b"".join(draw(BODIES))
        lines.append(b"Content-Length: %d" % len(body))
    elif framing == "chunked" and version == b"1.1":
        chunks = draw(BODIES)
        body = b"".join(chunks)
        extension = draw(st.sampled_from([b"", b";a=b", b';a="b"']))
        trailers = draw(st.sampled_from([b"", b"T: 1\r\n", b"Cookie: b\r\nX-T: 2\r\n"]))
        framed = b"".join(b"%x%b\r\n%b\r\n" % (len(one), extension, one) for one in chunks)
        framed += b"0%b\r\n%b\r\n" % (extension, trailers)
        lines.append(b"Transfer-Encoding: chunked")
    if framing != "none" and draw(st.booleans()):
        lines.append(b"Expect: 100-continue")
    head = b"%b %b HTTP/%b\r\n%b\r\n\r\n" % (
        b"GET" if framing == "none" else b"POST",
        wire_target.encode(),
        version,
        b"\r\n".join(lines),
    )
    before = b"\r\n" * draw(st.integers(0, 3))
    answer = wire_target + ("" if wire_target == "/drop" else body.decode())
    return Sent(before + head + framed, answer, is_last)


@settings(max_examples=100, deadline=None)
@given(
    sent=st.lists(requests(), min_size=1, max_size=6),
    cuts=st.sets(st.integers(0, 2000), max_size=20),
    is_small=st.booleans(),
)
def test_answers_do_not_depend_on_where_requests_are_cut(
    sent: list[Sent], cuts: set[int], is_small: bool
) -> None:
    wire = b"".join(one.wire for one in sent)
    at = [0, *sorted(cut for cut in cuts if 0 < cut < len(wire)), len(wire)]
    expected: list[str] = []
    for one in sent:
        expected.append(one.answer)
        if one.is_last:
            break

    async def run() -> None:
        async with listening() as server:
            client = await server.connect()
            await client.send_each([wire[start:end] for start, end in pairwise(at)])
            async with asyncio.timeout(2):
                assert [await client.answer() for _ in expected] == expected
                if any(one.is_last for one in sent):
                    assert await client.answer() is None

    # So little that every body is paused, and every request is looked at in pieces.
    ahead, piece = (1, 7) if is_small else (connection_file.READ_AHEAD, connection_file._PIECE)
    with (
        patch.object(listener_file, "READ_AHEAD", ahead),
        patch.object(connection_file, "READ_AHEAD", ahead),
        patch.object(connection_file, "_PIECE", piece),
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        runner.run(run())
