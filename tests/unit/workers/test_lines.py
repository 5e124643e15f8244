"""Lines between processes: whole, in order, and never waited for."""

import socket
from collections.abc import Iterator

import pytest

from gateway.workers.lines import Inbox, Outbox


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    one, other = socket.socketpair()
    one.settimeout(0.0)
    other.settimeout(0.0)
    yield one, other
    one.close()
    other.close()


def test_lines_come_whole_however_they_are_cut(ends: tuple[socket.socket, socket.socket]) -> None:
    inbox = Inbox(ends[1])
    found: list[bytes] = []
    for byte in b"one\ntwo\n\nthree":
        ends[0].send(bytes([byte]))
        found += inbox.read()
    assert found == [b"one", b"two", b""]
    ends[0].send(b"!\n")
    assert inbox.read() == [b"three!"]


def test_the_last_lines_are_read_before_the_end_is_seen(ends: tuple[socket.socket, socket.socket]) -> None:
    inbox = Inbox(ends[1])
    ends[0].send(b"last\nhalf")
    ends[0].close()
    assert inbox.read() == [b"last"]
    assert inbox.read() == []
    assert inbox.over


def test_of_each_subject_the_newest_is_sent(ends: tuple[socket.socket, socket.socket]) -> None:
    outbox, inbox = Outbox(ends[0]), Inbox(ends[1])
    for number in range(100):
        outbox.put("a", b"a%d" % number)
        outbox.put("b", b"b%d" % number)
    before = outbox.is_empty
    outbox.send()
    assert (before, outbox.is_empty) == (False, True)
    assert inbox.read() == [b"a99", b"b99"]


def test_what_waits_for_a_reader_that_does_not_read_is_bounded(
    ends: tuple[socket.socket, socket.socket],
) -> None:
    outbox, inbox = Outbox(ends[0]), Inbox(ends[1])
    for number in range(2000):
        outbox.put("a", b"%d" % number * 1000)
        outbox.send()
    assert len(outbox._going) + sum(map(len, outbox._waiting.values())) < 10_000
    found: list[bytes] = []
    while not outbox.is_empty:
        found += inbox.read()
        outbox.send()
    found += inbox.read()
    numbers = [int(line[: len(line) // 1000]) for line in found]
    assert numbers == sorted(numbers)
    assert numbers[-1] == 1999
    assert all(line == b"%d" % number * 1000 for line, number in zip(found, numbers, strict=True))


def test_a_reader_that_is_gone_is_no_error(ends: tuple[socket.socket, socket.socket]) -> None:
    ends[1].close()
    outbox = Outbox(ends[0])
    outbox.put("a", b"a")
    outbox.send()
