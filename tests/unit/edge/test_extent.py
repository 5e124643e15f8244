"""How far a body reaches in what has come, and how much of it need not be body."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.edge import extent
from gateway.edge.extent import Chunked, Counted

BEHIND = b"GET /next HTTP/1.1\r\n\r\n"


@st.composite
def chunked_bodies(draw: st.DrawFn) -> bytes:
    chunks = draw(st.lists(st.tuples(st.binary(min_size=1, max_size=40), st.sampled_from([b"", b";a=b"]))))
    trailers = draw(st.lists(st.sampled_from([b"X-A: 1\r\n", b"Authorization: Bearer x\r\n"]), max_size=3))
    body = b"".join(b"%x%b\r\n%b\r\n" % (len(data), extension, data) for data, extension in chunks)
    return body + b"0\r\n" + b"".join(trailers) + b"\r\n"


@given(body=chunked_bodies(), cuts=st.sets(st.integers(0, 400), max_size=8))
def test_a_chunked_body_ends_where_it_ends_however_it_is_cut(body: bytes, cuts: set[int]) -> None:
    wire = body + BEHIND
    at = [0, *sorted(cut for cut in cuts if cut < len(wire)), len(wire)]
    followed = Chunked()
    reached = 0
    for start, end in pairwise(at):
        assert followed.is_over == (start >= len(body))
        reached += followed.reach(wire[start:end])
    assert (reached, followed.is_over) == (len(body), True)
    assert not followed.is_padded


@given(body=st.binary(max_size=60), behind=st.binary(max_size=20), cut=st.integers(0, 80))
def test_a_counted_body_ends_with_its_last_byte(body: bytes, behind: bytes, cut: int) -> None:
    wire = body + behind
    followed = Counted(len(body))
    reached = followed.reach(wire[:cut]) + followed.reach(wire[cut:])
    assert (reached, followed.is_over, followed.is_padded) == (len(body), True, False)


@pytest.mark.parametrize("line", [b"\r\n", b"x\r\n", b";a\r\n", b"--1\r\n"])
def test_what_is_no_size_is_said(line: bytes) -> None:
    with pytest.raises(ValueError, match="invalid literal"):
        Chunked().reach(line)


def test_what_is_no_body_is_too_much_at_a_bound() -> None:
    followed = Chunked()
    followed.reach(b"5;" + b"x" * (extent._FREE - 2))
    assert not followed.is_padded
    followed.reach(b"x")
    assert followed.is_padded


def test_an_honest_past_is_no_credit() -> None:
    followed = Chunked()
    followed.reach(b"ffff\r\n" + b"x" * 0xFFFF + b"\r\n")
    followed.reach(b"1;" + b"x" * extent._FREE)
    assert followed.is_padded


@given(st.lists(st.tuples(st.integers(1, 5_000), st.integers(0, 12)), max_size=30), st.integers(1, 70_000))
def test_chunks_with_short_extensions_are_never_too_much(chunks: list[tuple[int, int]], piece: int) -> None:
    wire = b"".join(b"%x;%b\r\n%b\r\n" % (size, b"e" * extension, b"x" * size) for size, extension in chunks)
    followed = Chunked()
    for at in range(0, len(wire), piece):
        followed.reach(wire[at : at + piece])
        assert not followed.is_padded
