"""The checkpoints, read and checked: numbers, signatures, and that each follows the one before."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from gateway.audit.checkpoint import Statement, StatementFlaw, digest, notes_in
from gateway.audit.findings import Findings
from gateway.audit.marks import Marks
from gateway.crypto import NoteBroken, NoteKey, names_signer, open_note
from gateway.ports import Checkpoint, Checkpoints

_TABLE: Final = "audit_checkpoints"
_AT_ONCE: Final = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """Up to where the trail is vouched for."""

    number: int
    """That of the last checkpoint."""
    time: str
    """When it was signed."""
    place: str
    """Where it is kept."""


class Ledger:
    """Reads the checkpoints of the database, and the copy of them at a second place."""

    def __init__(self, checkpoints: Checkpoints, keys: Sequence[NoteKey], findings: Findings) -> None:
        """`keys` are those that may have signed, the oldest first: behind a newer one, an older one signs
        nothing."""
        self.count = 0
        """Checkpoints read."""
        self.marks = Marks()
        self.reach: Reach | None = None
        """The last checkpoint in the database, None when there is none."""
        self._checkpoints = checkpoints
        self._keys = keys
        self._findings = findings
        self._begins: dict[int, int] = {}
        """The least number of a checkpoint that each key has signed, by its place among the keys."""
        self._number = 0
        self._digest: bytes | None = None
        self._page: dict[int, Checkpoint] = {}

    async def read(self) -> bool:
        """Read those that are new since the last reading; False for none. Raise `StoreUnavailable`."""
        before = self._number
        while page := await self._checkpoints.after(self._number, limit=_AT_ONCE):
            for checkpoint in page:
                self._take(checkpoint)
        return self._number != before

    async def compare(self, lines: Iterable[str], *, place: str) -> Reach | None:
        """Compare with a copy, given line by line; return how far it reaches. Raise `StoreUnavailable`.

        What only the copy has counts as if the database had it. Numbers may be missing in the copy: each
        checkpoint vouches for all before it, and one file has only those that were sent by its machine.
        """
        reach: Reach | None = None
        only_here: list[int] = []
        for note, following in _with_following(notes_in(lines)):
            try:
                statement = self._open(note)
            except (NoteBroken, StatementFlaw) as flaw:
                if following is None or following.startswith(note.rstrip("\n")):
                    # It is being written, or was cut short by the end of a machine and came again.
                    continue
                after = "at its beginning" if reach is None else f"after checkpoint {reach.number}"
                self._findings.add(f"{place}, {after}", f"this checkpoint cannot be trusted: {flaw}")
                continue
            if reach is None or statement.number > reach.number:
                reach = Reach(number=statement.number, time=statement.time, place=place)
            kept = await self._kept(statement.number)
            if kept is None:
                self.marks.add(statement)
                only_here.append(statement.number)
            elif digest(kept.note) != digest(note):
                self.marks.add(statement)
                self._findings.add(
                    f"{_TABLE}, number {statement.number}", f"this checkpoint is another one in {place}"
                )
        for first, last in _stretches(only_here):
            self._findings.add(_TABLE, f"{_numbers(first, last)} not there, but in {place}")
        return reach

    def _take(self, checkpoint: Checkpoint) -> None:
        number, self.count = checkpoint.number, self.count + 1
        place = f"{_TABLE}, number {number}"
        if number != self._number + 1:
            self._findings.add(_TABLE, f"{_numbers(self._number + 1, number - 1)} not there")
            self._digest = None
        self._number = number
        expected, self._digest = self._digest, digest(checkpoint.note)
        try:
            statement = self._open(checkpoint.note)
        except (NoteBroken, StatementFlaw) as flaw:
            self._findings.add(place, f"this checkpoint cannot be trusted: {flaw}")
            self._digest = None
            return
        if statement.number != number or statement.time != checkpoint.at:
            self._findings.add(place, f"the row holds checkpoint {statement.number} of {statement.time}")
        if statement.previous != expected and (expected is not None or number == 1):
            self._findings.add(place, "this checkpoint does not follow the one before it")
        self.reach = Reach(number=number, time=statement.time, place="the database")
        self.marks.add(statement)

    def _open(self, note: str) -> Statement:
        """Return what a note says. Raise `NoteBroken`, `StatementFlaw`."""
        statement = Statement.parse(open_note(note, self._keys))
        place = max(place for place, key in enumerate(self._keys) if names_signer(note, key))
        if any(place < newer and begin < statement.number for newer, begin in self._begins.items()):
            raise StatementFlaw("it is signed with a key that was replaced before")
        self._begins[place] = min(statement.number, self._begins.get(place, statement.number))
        return statement

    async def _kept(self, number: int) -> Checkpoint | None:
        """Return a checkpoint of the database, which is read on if it has gone on."""
        if number > self._number:
            await self.read()
        if number not in self._page:
            page = await self._checkpoints.after(number - 1, limit=_AT_ONCE)
            self._page = {one.number: one for one in page}
        return self._page.get(number)


def _with_following(notes: Iterable[str]) -> Iterable[tuple[str, str | None]]:
    """Give each note with the one that follows it, None behind the last."""
    note: str | None = None
    for following in notes:
        if note is not None:
            yield note, following
        note = following
    if note is not None:
        yield note, None


def _stretches(numbers: Iterable[int]) -> Iterable[tuple[int, int]]:
    """Give the stretches of numbers that follow each other."""
    first = last = None
    for number in sorted(set(numbers)):
        if first is None or last is None:
            first = number
        elif number != last + 1:
            yield first, last
            first = number
        last = number
    if first is not None and last is not None:
        yield first, last


def _numbers(first: int, last: int) -> str:
    return f"checkpoint {first} is" if first == last else f"checkpoints {first} to {last} are"
