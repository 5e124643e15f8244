"""Whether what is to be removed because it is old was already there when it should have been.

What a database says of the age of its records is not proved. The checkpoints are: one that vouches for
records has seen them. So whoever can write to the database cannot have young records removed as old ones.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Final

from gateway.audit.checkpoint import Statement, StatementFlaw
from gateway.crypto import NoteBroken, NoteKey, open_note
from gateway.ports import Checkpoint, Checkpoints, Dropped

_AT_ONCE: Final = 500
_WRITER: Final = "writer "
_ID: Final = slice(len(_WRITER), len(_WRITER) + 36)


async def younger(
    checkpoints: Checkpoints, keys: Sequence[NoteKey], wanted: Sequence[Dropped], *, limit: str
) -> frozenset[str]:
    """Return those writers whose records are to be removed although the checkpoints since a time (RFC 3339)
    vouch for some of them, and those before it not for all. Raise `StoreUnavailable`.

    Records that no checkpoint vouches for, or none since then, are nobody's proof.
    """
    open_ends = {one.writer: one.upto for one in wanted}
    if not open_ends:
        return frozenset()
    number = await _last_before(checkpoints, limit)
    doubtful: set[str] = set()
    async for checkpoint in _backwards(checkpoints, number):
        for writer, seq in _marks(checkpoint, keys, open_ends, before=limit).items():
            if seq < open_ends.pop(writer):
                doubtful.add(writer)
        if not open_ends:
            break
    doubtful |= open_ends.keys()
    found: set[str] = set()
    while doubtful and (page := await checkpoints.after(number, limit=_AT_ONCE)):
        number = page[-1].number
        for checkpoint in page:
            late = _marks(checkpoint, keys, dict.fromkeys(doubtful, 0)).keys()
            found |= late
            doubtful -= late
    return frozenset(found)


async def _last_before(checkpoints: Checkpoints, limit: str) -> int:
    """Return the number of the last checkpoint before a time, as far as their times go up; 0 for none."""
    newest = await checkpoints.newest()
    low, high = 0, 0 if newest is None else newest.number
    while low < high:
        middle = (low + high + 1) // 2
        found = await checkpoints.after(middle - 1, limit=1)
        if found and found[0].at < limit:
            low = middle
        else:
            high = middle - 1
    return low


async def _backwards(checkpoints: Checkpoints, number: int) -> AsyncIterator[Checkpoint]:
    """Give the checkpoints up to one, the last first."""
    while number > 0:
        begin = max(0, number - _AT_ONCE)
        page = await checkpoints.after(begin, limit=_AT_ONCE)
        for checkpoint in reversed(page):
            if checkpoint.number <= number:
                yield checkpoint
        number = begin


def _marks(
    checkpoint: Checkpoint, keys: Sequence[NoteKey], writers: Mapping[str, int], *, before: str = "~"
) -> Mapping[str, int]:
    """Return how far a checkpoint vouches for some writers; nothing when it is not ours, or not from before a
    time."""
    # Few speak of them, and checking a signature takes a hundred times as long as this.
    lines = checkpoint.note.split("\n")
    if not any(line.startswith(_WRITER) and line[_ID] in writers for line in lines):
        return {}
    try:
        statement = Statement.parse(open_note(checkpoint.note, keys))
    except (NoteBroken, StatementFlaw):
        return {}
    if statement.time >= before:
        return {}
    return {mark.writer: mark.seq for mark in statement.marks if mark.writer in writers}
