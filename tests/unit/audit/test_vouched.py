"""What is called old is old when the checkpoints do not say otherwise."""

from collections.abc import Sequence

import pytest
from support.proofs import SIGNER, KeptCheckpoints

from gateway.audit import vouched
from gateway.audit.checkpoint import Mark, Statement
from gateway.audit.vouched import younger
from gateway.crypto import NoteSigner
from gateway.ports import Checkpoint, Dropped

A = "aaaaaaaa-0000-4000-8000-000000000001"
B = "bbbbbbbb-0000-4000-8000-000000000002"
HEAD = bytes(32)


class Counted(KeptCheckpoints):
    """Checkpoints that count how many were asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.given = 0

    async def after(self, number: int, *, limit: int) -> Sequence[Checkpoint]:
        found = await super().after(number, limit=limit)
        self.given += len(found)
        return found


def _time(day: int) -> str:
    return f"2026-01-{day:02}T00:00:00.000000Z"


@pytest.fixture
def kept() -> Counted:
    return Counted()


def _add(kept: Counted, day: int, *marks: tuple[str, int], signer: NoteSigner = SIGNER, at: str = "") -> None:
    number = len(kept.rows) + 1
    statement = Statement(
        number=number,
        time=_time(day),
        previous=None,
        marks=tuple(Mark(writer, seq, HEAD) for writer, seq in marks),
    )
    kept.rows.append(Checkpoint(number=number, at=at or statement.time, note=signer.sign(statement.text())))


async def _younger(kept: Counted, *ends: tuple[str, int]) -> set[str]:
    wanted = [Dropped(writer=writer, upto=upto, head=HEAD) for writer, upto in ends]
    return set(await younger(kept, [SIGNER.key], wanted, limit=_time(10)))


async def test_what_was_signed_for_in_time_is_old(kept: Counted) -> None:
    _add(kept, 3, (A, 5))
    _add(kept, 9, (A, 10), (B, 3))
    _add(kept, 12, (A, 20))
    assert await _younger(kept, (A, 10), (B, 2)) == set()
    assert await _younger(kept, (A, 5)) == set()


async def test_what_was_signed_for_only_later_is_younger(kept: Counted) -> None:
    _add(kept, 9, (A, 10))
    _add(kept, 12, (A, 20), (B, 1))
    assert await _younger(kept, (A, 11), (B, 1)) == {A, B}
    assert await _younger(kept, (A, 5_000_000)) == {A}


async def test_what_nobody_signed_for_proves_nothing(kept: Counted) -> None:
    assert await _younger(kept, (A, 11)) == set()
    assert await _younger(kept) == set()
    # A process that was killed, and whose spool is gone with its machine.
    _add(kept, 9, (A, 10))
    _add(kept, 12, (B, 1))
    assert await _younger(kept, (A, 11)) == set()


async def test_only_what_we_have_signed_counts_and_the_time_in_it(kept: Counted) -> None:
    _add(kept, 8, (A, 100), signer=NoteSigner("gateway-audit", b"x" * 32))
    _add(kept, 12, (A, 100), at=_time(9))
    _add(kept, 13, (A, 101))
    assert await _younger(kept, (A, 100)) == {A}


async def test_of_many_checkpoints_only_those_around_are_read(
    kept: Counted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vouched, "_AT_ONCE", 5)
    for day in range(1, 29):
        for turn in range(50):
            _add(kept, day, (A, 100 * day + turn))
    assert await _younger(kept, (A, 940)) == set()
    assert kept.given < 30
    assert await _younger(kept, (A, 1000)) == {A}
