"""Connections on their way to a worker belong to exactly one process at every moment."""

import socket
from collections.abc import Iterator

import pytest

from gateway.workers.hand import DRAINING, LEAVING, NO_MORE, ONE, TOLD, Hand
from gateway.workers.spread import Spread, is_slow


@pytest.fixture
def hand() -> Iterator[Hand]:
    made = Hand()
    yield made
    made.close()


def pair() -> tuple[socket.socket, socket.socket]:
    return socket.socketpair()


def taken(hand: Hand) -> socket.socket | None:
    """Take as a worker does, without telling."""
    try:
        message, descriptors, _, _ = socket.recv_fds(hand.theirs, 1, 1)
    except BlockingIOError:
        return None
    return socket.socket(fileno=descriptors[0]) if message == ONE else None


def told(hand: Hand, *, took: int, ended: int = 0, mood: int = 0) -> None:
    hand.theirs.send(TOLD.pack(took, ended, mood))
    hand.hear()


def test_a_connection_reaches_the_worker_and_our_copy_is_closed(hand: Hand) -> None:
    client, ours = pair()
    assert hand.give(ours)
    assert ours.fileno() == -1
    theirs = taken(hand)
    assert theirs is not None
    with client, theirs:
        theirs.sendall(b"hello")
        assert client.recv(10) == b"hello"


def test_what_the_worker_has_not_taken_comes_back_and_it_never_sees_it(hand: Hand) -> None:
    clients = []
    for number in range(3):
        client, ours = pair()
        clients.append(client)
        client.sendall(str(number).encode())
        hand.give(ours)
    first = taken(hand)
    assert first is not None
    told(hand, took=1)
    back = hand.take_back()
    assert [one.recv(10) for one in (first, *back)] == [b"0", b"1", b"2"]
    assert taken(hand) is None
    assert (hand.open, hand.waiting) == (1, 0)
    assert hand.waiting_since is None
    for one in (first, *back, *clients):
        one.close()


def test_open_connections_are_those_given_and_not_ended(hand: Hand) -> None:
    clients = []
    for _ in range(5):
        client, ours = pair()
        clients.append(client)
        hand.give(ours)
    assert (hand.open, hand.waiting, hand.waiting_since is None) == (5, 5, False)
    told(hand, took=3, ended=1)
    assert (hand.open, hand.waiting) == (4, 2)
    told(hand, took=5, ended=5)
    assert (hand.open, hand.waiting, hand.waiting_since is None) == (0, 0, True)
    for one in clients:
        one.close()


def test_only_the_newest_word_of_a_worker_counts(hand: Hand) -> None:
    client, ours = pair()
    hand.give(ours)
    hand.theirs.send(TOLD.pack(0, 0, DRAINING))
    hand.theirs.send(TOLD.pack(1, 1, LEAVING))
    hand.hear()
    assert (hand.open, hand.mood, hand.can_take) == (0, LEAVING, False)
    client.close()


def test_after_the_last_word_nothing_is_given(hand: Hand) -> None:
    hand.say_no_more()
    assert not hand.can_take
    assert hand.theirs.recv(1) == NO_MORE


def test_a_worker_that_takes_nothing_is_given_no_more_than_so_many(hand: Hand) -> None:
    clients = []
    while hand.can_take:
        client, ours = pair()
        clients.append(client)
        assert hand.give(ours)
    assert hand.waiting == 128
    back = hand.take_back()
    assert len(back) == 128
    for one in (*clients, *back):
        one.close()


def test_connections_that_nobody_took_end_with_the_worker(hand: Hand) -> None:
    client, ours = pair()
    hand.give(ours)
    hand.close()
    assert client.recv(10) == b""
    client.close()


def test_a_message_without_a_connection_is_not_counted_twice(hand: Hand) -> None:
    client, ours = pair()
    hand.give(ours)
    hand.say_no_more()
    back = hand.take_back()
    assert len(back) == 1
    assert hand.waiting == 0
    for one in (client, *back):
        one.close()


class TestSpread:
    @pytest.fixture
    def hands(self) -> Iterator[list[Hand]]:
        made = [Hand() for _ in range(4)]
        yield made
        for one in made:
            one.close()

    def give(self, spread: Spread, hands: list[Hand], now: float = 0.0) -> int:
        chosen = spread.choose(hands, now)
        assert chosen is not None
        client, ours = pair()
        chosen.give(ours)
        client.close()
        told(chosen, took=chosen.open + chosen._ended, ended=chosen._ended)
        return hands.index(chosen)

    def test_equal_workers_take_turns(self, hands: list[Hand]) -> None:
        spread = Spread()
        assert [self.give(spread, hands) for _ in range(8)] == [0, 1, 2, 3, 0, 1, 2, 3]

    def test_a_worker_with_fewer_connections_comes_first(self, hands: list[Hand]) -> None:
        spread = Spread()
        for _ in range(40):
            self.give(spread, hands)
        told(hands[2], took=10, ended=6)
        assert [self.give(spread, hands) for _ in range(6)] == [2] * 6
        assert sorted(self.give(spread, hands) for _ in range(4)) == [0, 1, 2, 3]

    def test_short_connections_take_turns_too(self, hands: list[Hand]) -> None:
        spread = Spread()
        turns = []
        for _ in range(8):
            turns.append(number := self.give(spread, hands))
            hand = hands[number]
            told(hand, took=hand._given, ended=hand._given)
        assert turns == [0, 1, 2, 3, 0, 1, 2, 3]

    def test_a_worker_that_does_not_take_is_passed_over(self, hands: list[Hand]) -> None:
        spread = Spread()
        client, ours = pair()
        hands[1].give(ours)
        since = hands[1].waiting_since
        assert since is not None
        assert not is_slow(hands[1], since + 0.05)
        assert is_slow(hands[1], since + 0.2)
        assert {self.give(spread, hands, since + 0.2) for _ in range(40)} == {0, 2, 3}
        client.close()

    def test_a_worker_that_connections_were_taken_back_from_is_passed_over_until_it_is_heard_of(
        self, hands: list[Hand]
    ) -> None:
        spread = Spread()
        hands[1].is_stuck = True
        assert {self.give(spread, hands) for _ in range(40)} == {0, 2, 3}
        told(hands[1], took=0)
        assert self.give(spread, hands) == 1

    def test_one_that_is_slow_is_better_than_none(self, hands: list[Hand]) -> None:
        client, ours = pair()
        hands[1].give(ours)
        since = hands[1].waiting_since
        assert since is not None
        assert Spread().choose([hands[1]], since + 1) is hands[1]
        client.close()

    def test_a_draining_worker_is_given_only_what_nobody_else_takes(self, hands: list[Hand]) -> None:
        spread = Spread()
        told(hands[0], took=0, mood=DRAINING)
        assert {self.give(spread, hands) for _ in range(20)} == {1, 2, 3}
        for one in hands[1:]:
            told(one, took=one._given, mood=LEAVING)
        assert spread.choose(hands, 0.0) is hands[0]
        told(hands[0], took=0, mood=LEAVING)
        assert spread.choose(hands, 0.0) is None

    def test_nobody_there_means_nobody(self) -> None:
        assert Spread().choose([], 0.0) is None


def test_descriptors_are_not_inherited_by_programs(hand: Hand) -> None:
    client, ours = pair()
    hand.give(ours)
    (back,) = hand.take_back()
    assert not back.get_inheritable()
    for one in (client, back):
        one.close()
