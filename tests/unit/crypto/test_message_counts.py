"""Counting what several threads encrypt at once."""

import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

from gateway.crypto.message_counts import MessageCounts


class Yielding(str):
    """A name at which other threads have their turn whenever it is looked up."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        return super().__eq__(other)

    def __hash__(self) -> int:
        time.sleep(0)
        return super().__hash__()


def test_what_was_counted_is_taken_once() -> None:
    counts = MessageCounts()
    for version in (1, 2, 2):
        counts.add("reports", version)
    assert counts.take() == {("reports", 1): 1, ("reports", 2): 2}
    assert counts.take() == {}


def test_no_count_is_lost_or_doubled_although_threads_count_while_others_take() -> None:
    counts = MessageCounts()
    taken: Counter[tuple[str, int]] = Counter()

    def add() -> None:
        for _ in range(100):
            counts.add(Yielding("reports"), 1)

    with ThreadPoolExecutor(4) as threads:
        working = [threads.submit(add) for _ in range(4)]
        while not all(each.done() for each in working):
            taken.update(counts.take())
    taken.update(counts.take())
    assert taken == {("reports", 1): 400}
