"""What the checkpoints say of each writer, kept small: there may be millions of them."""

from array import array
from collections.abc import Iterable, Iterator
from collections.abc import Set as AbstractSet
from itertools import pairwise

from gateway.audit.checkpoint import Statement
from gateway.crypto import HEAD_BYTES
from gateway.ports import Dropped


class _Column:
    __slots__ = ("heads", "numbers", "seqs")

    def __init__(self) -> None:
        self.seqs = array("q")
        self.numbers = array("q")
        self.heads = bytearray()


class Marks:
    """How far each writer had come, by the checkpoints that say so."""

    def __init__(self) -> None:
        self._columns: dict[str, _Column] = {}
        self._dropped: dict[str, dict[int, bytes]] = {}

    @property
    def writers(self) -> AbstractSet[str]:
        """Whom any checkpoint names."""
        return self._columns.keys() | self._dropped.keys()

    @property
    def has_dropped(self) -> bool:
        """Whether anything was removed on purpose."""
        return bool(self._dropped)

    def add(self, statement: Statement) -> None:
        """Take what one checkpoint says."""
        for mark in statement.marks:
            column = self._columns.get(mark.writer)
            if column is None:
                column = self._columns[mark.writer] = _Column()
            column.seqs.append(mark.seq)
            column.numbers.append(statement.number)
            column.heads += mark.head
        for one in statement.dropped:
            self._dropped.setdefault(one.writer, {})[one.upto] = one.head

    def of(self, writer: str) -> Iterator[tuple[int, bytes, int]]:
        """Give a writer's marks in the order of its records: number, head, number of the checkpoint."""
        column = self._columns.get(writer)
        if column is None:
            return
        order: Iterable[int] = range(len(column.seqs))
        if any(seq > following for seq, following in pairwise(column.seqs)):
            # A checkpoint was overtaken on its way by one that says more.
            order = sorted(order, key=column.seqs.__getitem__)
        for index in order:
            head = bytes(column.heads[index * HEAD_BYTES : (index + 1) * HEAD_BYTES])
            yield column.seqs[index], head, column.numbers[index]

    def knows(self, writer: str) -> bool:
        """Say whether any checkpoint names a writer."""
        return writer in self._columns or writer in self._dropped

    def last(self, writer: str) -> int:
        """Return up to which record a writer is vouched for by any checkpoint; 0 for none."""
        column = self._columns.get(writer)
        return 0 if column is None else max(column.seqs)

    def newest(self, writer: str, *, upto: int) -> int:
        """Return up to which record a writer is vouched for by the checkpoints up to one; 0 for none."""
        column = self._columns.get(writer)
        if column is None:
            return 0
        signed: Iterable[tuple[int, int]] = zip(column.seqs, column.numbers, strict=True)
        return max((seq for seq, number in signed if number <= upto), default=0)

    def dropped(self, writer: str) -> tuple[Dropped, ...]:
        """Return what was removed of a writer on purpose, in the order of its records."""
        found = sorted(self._dropped.get(writer, {}).items())
        return tuple(Dropped(writer=writer, upto=upto, head=head) for upto, head in found)
