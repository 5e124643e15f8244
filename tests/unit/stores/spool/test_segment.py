"""What a segment says of itself."""

from struct import pack
from zlib import crc32

import pytest
from support.spool_logs import WRITER

from gateway.stores.spool.frame import Frames
from gateway.stores.spool.segment import (
    HEADER_SIZE,
    Header,
    UnknownFormatError,
    form_of,
    header,
    name_of,
    read_header,
)
from gateway.stores.spool.unchained import UnchainedFrames

HEAD = bytes(range(32))


def _header() -> bytes:
    return header(WRITER, first=9, acknowledged=7, before=HEAD)


def _first_form() -> bytes:
    head = pack("<8sI16sQQ", b"GWSPOOL\n", 1, WRITER.bytes, 9, 7)
    return head + pack("<I", crc32(head))


def test_a_header_is_read_back() -> None:
    assert len(_header()) == HEADER_SIZE
    assert read_header(_header(), WRITER) == Header(first=9, acknowledged=7, before=HEAD)


def test_the_header_of_the_first_version_has_no_head() -> None:
    expected = Header(first=9, acknowledged=7, before=None, version=1)
    assert read_header(_first_form(), WRITER) == expected
    assert read_header(_first_form() + b"a frame follows, and is no part of it", WRITER) == expected


@pytest.mark.parametrize("data", [_header(), _first_form()], ids=["today", "first form"])
def test_a_damaged_header_is_not_believed(data: bytes) -> None:
    for place in range(len(data)):
        for bit in range(8):
            damaged = bytearray(data)
            damaged[place] ^= 1 << bit
            try:
                assert read_header(bytes(damaged), WRITER) is None
            except UnknownFormatError:
                assert 8 <= place < 12


@pytest.mark.parametrize("data", [_header(), _first_form()], ids=["today", "first form"])
def test_a_header_that_is_cut_short_or_of_another_writer_is_none(data: bytes) -> None:
    assert all(read_header(data[:size], WRITER) is None for size in range(len(data)))
    assert read_header(data, type(WRITER)(int=1)) is None


def test_a_newer_format_is_said_to_be_one() -> None:
    data = bytearray(_header())
    data[8] = 3
    with pytest.raises(UnknownFormatError, match="spool format 3 is newer than 2"):
        read_header(bytes(data), WRITER)


def test_each_version_has_its_form() -> None:
    assert isinstance(form_of(2, WRITER), Frames)
    assert isinstance(form_of(1, WRITER), UnchainedFrames)
    assert form_of(1, WRITER).header_size == len(_first_form())
    assert form_of(2, WRITER).header_size == len(_header())


def test_names_sort_as_numbers_do() -> None:
    assert name_of(9) < name_of(10) < name_of(2**39)
