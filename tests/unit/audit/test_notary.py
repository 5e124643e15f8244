"""Checkpoints: when there is one, what it says, and that each follows the one before."""

from dataclasses import replace

import pytest
from support.proofs import SIGNER, SIGNERS, Hands, KeptCheckpoints, dropped, run_of

from gateway.audit import Notary
from gateway.audit.checkpoint import Mark, Statement, digest
from gateway.crypto import open_note
from gateway.ports import Checkpoint, StoreUnavailable

A = "aaaaaaaa-0000-4000-8000-000000000001"
B = "bbbbbbbb-0000-4000-8000-000000000002"


@pytest.fixture
def clock() -> Hands:
    return Hands()


@pytest.fixture
def kept() -> KeptCheckpoints:
    return KeptCheckpoints()


@pytest.fixture
def notary(kept: KeptCheckpoints, clock: Hands) -> Notary:
    return Notary(kept, SIGNERS, clock)


def _said(checkpoint: Checkpoint) -> Statement:
    statement = Statement.parse(open_note(checkpoint.note, [SIGNER.key]))
    assert (statement.number, statement.time) == (checkpoint.number, checkpoint.at)
    return statement


async def test_ten_seconds_after_the_last_one_records_are_signed_for(
    notary: Notary, kept: KeptCheckpoints, clock: Hands
) -> None:
    await notary.sign()
    kept.rows.clear()
    run = run_of(A, 12)
    notary.shipped(run.part(0, 5))
    clock.time += 9.9
    await notary.look()
    assert kept.rows == []
    assert notary.owes(A)
    notary.shipped(run.part(5, 12))
    clock.time += 0.2
    await notary.look()
    (row,) = kept.rows
    assert _said(row).marks == (Mark(A, 12, run.heads[-1]),)
    assert _said(row).previous is None
    assert not notary.owes(A)
    assert notary.signed == 2


async def test_the_first_records_of_a_process_do_not_wait(notary: Notary, kept: KeptCheckpoints) -> None:
    notary.shipped(run_of(A, 1))
    await notary.look()
    assert len(kept.rows) == 1


async def test_ten_thousand_records_do_not_wait(notary: Notary, kept: KeptCheckpoints) -> None:
    await notary.sign()
    kept.rows.clear()
    run = run_of(A, 10_000)
    notary.shipped(run.part(0, 9_999))
    await notary.look()
    assert kept.rows == []
    notary.shipped(run.part(9_999, 10_000))
    await notary.look()
    assert len(kept.rows) == 1


async def test_what_takes_much_room_in_the_spool_does_not_wait(kept: KeptCheckpoints, clock: Hands) -> None:
    run = run_of(A, 3, bodies=[b"x" * 600, b"y" * 300, b"z" * 100])
    run = replace(run, personal=(b"", b"p" * 99, b"p"))
    notary = Notary(kept, SIGNERS, clock, portion=1100)
    for _ in range(2):
        await notary.sign()
        kept.rows.clear()
        notary.shipped(run.part(0, 2))
        await notary.look()
        assert kept.rows == []
        notary.shipped(run.part(2, 3))
        await notary.look()
        assert len(kept.rows) == 1


async def test_each_names_the_one_before_and_only_who_has_moved(
    notary: Notary, kept: KeptCheckpoints
) -> None:
    run, other = run_of(A, 4), run_of(B, 2)
    notary.shipped(run.part(0, 2))
    await notary.sign()
    notary.shipped(other)
    await notary.sign()
    notary.shipped(run.part(2, 4))
    await notary.sign()
    said = [_said(row) for row in kept.rows]
    assert [one.number for one in said] == [1, 2, 3]
    assert [[mark.writer for mark in one.marks] for one in said] == [[A], [B], [A]]
    assert [one.previous for one in said] == [None, digest(kept.rows[0].note), digest(kept.rows[1].note)]


async def test_one_that_another_process_was_quicker_with_is_signed_again(
    notary: Notary, kept: KeptCheckpoints, clock: Hands
) -> None:
    elsewhere = KeptCheckpoints()
    await Notary(elsewhere, SIGNERS, clock).sign()
    kept.quicker = elsewhere.rows
    notary.shipped(run_of(A, 1))
    await notary.sign()
    assert [row.number for row in kept.rows] == [1, 2]
    assert _said(kept.rows[1]).previous == digest(kept.rows[0].note)


async def test_an_idle_installation_signs_once_a_minute(
    notary: Notary, kept: KeptCheckpoints, clock: Hands
) -> None:
    for _ in range(300):
        clock.time += 1
        await notary.look()
    assert len(kept.rows) == 5


async def test_many_idle_processes_sign_once_a_minute_together(kept: KeptCheckpoints, clock: Hands) -> None:
    processes = [Notary(kept, SIGNERS, clock) for _ in range(4)]
    for _ in range(600):
        clock.time += 0.5
        for one in processes:
            await one.look()
    assert 4 <= len(kept.rows) <= 6


async def test_a_time_that_nobody_can_read_or_that_is_still_to_come_does_not_stop_signing(
    notary: Notary, kept: KeptCheckpoints, clock: Hands
) -> None:
    for at in ("gibberish", "2999-01-01T00:00:00.000000Z"):
        kept.rows.append(Checkpoint(number=len(kept.rows) + 1, at=at, note="x"))
        clock.time += 61
        before = len(kept.rows)
        await notary.look()
        assert len(kept.rows) == before + 1


async def test_what_could_not_be_signed_for_is_signed_for_later(
    notary: Notary, kept: KeptCheckpoints, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(checkpoint: Checkpoint) -> bool:
        raise StoreUnavailable("away")

    run = run_of(A, 3)
    notary.shipped(run)
    with monkeypatch.context() as patch:
        patch.setattr(kept, "add", away)
        with pytest.raises(StoreUnavailable):
            await notary.sign()
    assert notary.owes(A)
    await notary.sign()
    assert _said(kept.rows[0]).marks[0].seq == 3


async def test_what_is_shipped_while_it_is_signed_is_not_signed_for(
    notary: Notary, kept: KeptCheckpoints, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = run_of(A, 4)
    add = kept.add

    async def slow(checkpoint: Checkpoint) -> bool:
        notary.shipped(run.part(2, 4))
        return await add(checkpoint)

    notary.shipped(run.part(0, 2))
    with monkeypatch.context() as patch:
        patch.setattr(kept, "add", slow)
        await notary.sign()
    assert _said(kept.rows[0]).marks[0].seq == 2
    assert notary.owes(A)


async def test_what_is_removed_on_purpose_is_signed_for(notary: Notary, kept: KeptCheckpoints) -> None:
    run = run_of(A, 4)
    await notary.sign([dropped(run, 3)])
    assert _said(kept.rows[0]).dropped == (dropped(run, 3),)
