"""Checking the trail: nothing is wrong with a whole one, and each way to tamper with one is named."""

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.proofs import (
    SIGNER,
    SIGNERS,
    Hands,
    Installation,
    body_of,
    changed,
    dropped,
    portions,
    run_of,
)

from gateway.audit import Copy, Finding, Notary, Verdict, Verifier
from gateway.audit.checkpoint import Statement, digest
from gateway.crypto import NoteSigner, open_note
from gateway.ports import Checkpoint, Damage, Run, Withheld

A = "aaaaaaaa-0000-4000-8000-000000000001"
B = "bbbbbbbb-0000-4000-8000-000000000002"
C = "cccccccc-0000-4000-8000-000000000003"
NEWER = NoteSigner("gateway-audit", b"n" * 32)


@pytest.fixture
def there() -> Installation:
    return Installation()


async def _sign(there: Installation, *runs: Run, drop: Sequence[tuple[Run, int]] = ()) -> None:
    notary = Notary(there.checkpoints, SIGNERS, Hands())
    for run in runs:
        notary.shipped(run)
    await notary.sign([dropped(run, upto) for run, upto in drop])


async def _check(there: Installation, copy: str | None = None) -> Verdict:
    verifier = Verifier(there, there.logs(), there.checkpoints, [SIGNER.key])
    copies = [] if copy is None else [Copy("copy.txt", copy.splitlines(keepends=True))]
    return await verifier.verify(*copies)


def _stretches(verdict: Verdict) -> list[tuple[str | None, int | None, int | None]]:
    return [(finding.writer, finding.first, finding.last) for finding in verdict.findings]


async def _whole(there: Installation, count: int = 12) -> Run:
    run = run_of(A, count)
    there.ship(run)
    await _sign(there, run)
    return run


def _copy(there: Installation) -> str:
    return "\n".join(row.note for row in there.checkpoints.rows)


async def test_a_trail_that_nobody_touched_is_whole_and_proved_up_to_the_last_checkpoint(
    there: Installation,
) -> None:
    run = run_of(A, 20)
    there.ship(run.part(0, 15))
    await _sign(there, run.part(0, 8))
    await _sign(there, run.part(8, 12))
    there.write(run.part(10, 20))
    other = run_of(B, 3)
    there.write(other)
    verdict = await _check(there)
    assert verdict.findings == ()
    assert verdict.found == 0
    assert (verdict.records, verdict.writers, verdict.checkpoints) == (23, 2, 2)
    assert verdict.reach is not None
    assert (verdict.reach.number, verdict.reach.place) == (2, "the database")
    assert verdict.unproven == 8 + 3


async def test_what_nothing_vouches_for_is_named_by_writer(there: Installation) -> None:
    run, waiting, stranger = run_of(A, 9), run_of(B, 3), run_of(C, 2)
    there.ship(run)
    await _sign(there, run.part(0, 5))
    there.write(waiting)
    there.ship(stranger)
    verdict = await _check(there)
    assert (verdict.found, verdict.doubted, verdict.unproven) == (0, 3, 9)
    assert [
        (one.stretch.writer, one.stretch.first, one.stretch.last, one.stretch.records, one.why)
        for one in verdict.doubts
    ] == [
        (C, 1, 2, 2, "no checkpoint knows this writer, and its log is not on this machine"),
        (B, 1, 3, 3, "no checkpoint knows this writer yet; its log is on this machine"),
        (A, 6, 9, 4, "no checkpoint that counts as proof reaches so far"),
    ]
    last = verdict.doubts[-1].stretch
    assert (last.since, last.until) == ("2026-11-21T14:00:00.000006Z", "2026-11-21T14:00:00.000009Z")


async def test_what_is_proved_by_the_copy_alone_is_no_stranger(there: Installation) -> None:
    run = run_of(A, 4)
    there.ship(run)
    await _sign(there, run)
    assert (await _check(there)).doubts == ()
    verdict = await _check(there, "")
    assert [one.why for one in verdict.doubts] == ["no checkpoint that counts as proof reaches so far"]


async def test_an_empty_trail_is_whole_and_proves_nothing(there: Installation) -> None:
    verdict = await _check(there)
    assert (verdict.found, verdict.records, verdict.reach, verdict.unproven) == (0, 0, None, 0)


async def test_without_a_checkpoint_everything_is_unproven(there: Installation) -> None:
    there.ship(run_of(A, 5))
    verdict = await _check(there)
    assert (verdict.found, verdict.reach, verdict.unproven) == (0, None, 5)


async def test_numbers_that_were_given_out_and_never_written_are_no_finding(there: Installation) -> None:
    first = run_of(A, 4)
    there.ship(first)
    there.ship(run_of(A, 4, first=8, before=first.heads[-1]))
    late = run_of(B, 2, first=3)
    there.ship(late)
    await _sign(there, late)
    assert (await _check(there)).findings == ()


async def test_a_record_that_was_changed_is_named(there: Installation) -> None:
    run = await _whole(there)
    there.shipped[A][1] = changed(run.part(4, 8), 6)
    verdict = await _check(there)
    assert verdict.findings == (
        Finding(place="audit_chunks, key 5", problem="the record was changed", writer=A, first=6, last=8),
    )


async def test_a_record_that_was_changed_with_its_chunks_chain_made_anew_is_named(
    there: Installation,
) -> None:
    run = await _whole(there)
    forged = [*run.bodies[4:6], b'{"forged":1}', run.bodies[7]]
    there.shipped[A][1] = run_of(A, 4, first=5, before=run.heads[3], bodies=forged)
    verdict = await _check(there)
    assert _stretches(verdict) == [(A, 9, 9)]
    assert "the chain does not lead here" in verdict.findings[0].problem


async def test_a_chain_that_was_made_anew_to_the_end_is_not_what_the_checkpoints_vouch_for(
    there: Installation,
) -> None:
    run = run_of(A, 12)
    await _sign(there, run.part(0, 3))
    await _sign(there, run.part(3, 9))
    await _sign(there, run.part(9, 12))
    forged = run_of(A, 12, bodies=[*run.bodies[:5], b'{"forged":1}', *run.bodies[6:]])
    there.ship(forged)
    verdict = await _check(there)
    assert _stretches(verdict) == [(A, 4, 9)]
    assert verdict.findings[0].place == "checkpoint 2"


@pytest.mark.parametrize("portion", [0, 1, 2])
async def test_records_that_were_removed_are_named(there: Installation, portion: int) -> None:
    await _whole(there)
    removed = there.shipped[A].pop(portion)
    assert isinstance(removed, Run)
    verdict = await _check(there)
    assert _stretches(verdict) == [(A, removed.first, removed.last)]
    assert "missing" in verdict.findings[0].problem


async def test_one_record_that_was_cut_out_is_named(there: Installation) -> None:
    run = await _whole(there)
    there.shipped[A][1:2] = [run.part(4, 6), run.part(7, 8)]
    assert _stretches(await _check(there)) == [(A, 7, 7)]


async def test_an_end_that_was_cut_off_is_named_even_when_the_database_does_not_count_it(
    there: Installation,
) -> None:
    await _whole(there)
    there.shipped[A].pop()
    there.cursors[A] = 8
    verdict = await _check(there)
    assert _stretches(verdict) == [(A, 9, 12)]
    assert verdict.findings[0].place == "checkpoint 1"


async def test_an_end_that_was_cut_off_behind_the_last_checkpoint_is_named_by_the_databases_count(
    there: Installation,
) -> None:
    there.ship(run_of(A, 12))
    there.shipped[A].pop()
    verdict = await _check(there)
    assert _stretches(verdict) == [(A, 9, 12)]
    assert verdict.findings[0].place == "audit_chunks"


async def test_records_that_only_the_spool_still_has_were_removed_from_the_database(
    there: Installation,
) -> None:
    run = await _whole(there)
    there.write(run)
    there.shipped[A].pop()
    assert _stretches(await _check(there)) == [(A, 9, 12)]


async def test_a_writer_that_has_vanished_is_named(there: Installation) -> None:
    await _whole(there)
    there.shipped.clear()
    there.cursors.clear()
    assert _stretches(await _check(there)) == [(A, 1, 12)]


async def test_portions_that_were_swapped_are_named(there: Installation) -> None:
    run = await _whole(there)
    one, two, three = portions(run, 4)
    # The rows keep their keys, and have each other's content.
    there.shipped[A] = [one, replace(three, first=5), replace(two, first=9)]
    verdict = await _check(there)
    assert _stretches(verdict)[0] == (A, 5, 8)


async def test_portions_in_another_order_are_named(there: Installation) -> None:
    run = await _whole(there)
    one, two, three = portions(run, 4)
    there.shipped[A] = [one, three, two]
    assert (A, 5, 8) in _stretches(await _check(there))


async def test_records_that_were_put_in_are_named(there: Installation) -> None:
    run = await _whole(there)
    forged = run_of(A, 2, first=13, before=run.heads[-1])
    there.shipped[A].append(forged)
    assert (await _check(there)).unproven == 2
    there.shipped[A] = [*portions(run, 4)[:1], forged, *portions(run, 4)[1:]]
    assert (await _check(there)).found


async def test_records_that_are_there_twice_are_named(there: Installation) -> None:
    run = await _whole(there)
    there.shipped[A].insert(1, run.part(0, 4))
    assert _stretches(await _check(there)) == [(A, 1, 4)]


async def test_records_of_another_writer_are_not_taken_for_ones_own(there: Installation) -> None:
    await _whole(there)
    other = run_of(B, 12)
    there.shipped[A] = [replace(part, writer=A) for part in portions(other, 4)]
    assert _stretches(await _check(there))[0] == (A, 1, 1)


async def test_a_beginning_that_was_cut_off_is_named(there: Installation) -> None:
    await _whole(there)
    there.shipped[A].pop(0)
    assert _stretches(await _check(there)) == [(A, 1, 4)]


async def test_damage_that_a_store_finds_is_a_finding_once(there: Installation) -> None:
    run = await _whole(there)
    damage = Damage(writer=A, first=5, last=8, place="audit_terms", problem="an entry is missing")
    there.shipped[A].insert(2, damage)
    assert (await _check(there)).findings == (
        Finding(writer=A, first=5, last=8, place="audit_terms", problem="an entry is missing"),
    )
    # One that cannot be read explains why its records are missing, and nothing besides.
    there.shipped[A] = [run.part(0, 4), damage]
    assert _stretches(await _check(there)) == [(A, 5, 8), (A, 9, 12)]


async def test_damage_does_not_hide_what_is_missing_beside_it(there: Installation) -> None:
    run = await _whole(there)
    damage = Damage(writer=A, first=5, last=6, place="audit_chunks", problem="it cannot be read")
    there.shipped[A] = [run.part(0, 4), damage, run.part(8, 12)]
    assert _stretches(await _check(there)) == [(A, 5, 6), (A, 7, 8)]


@pytest.mark.parametrize("beside", [None, (1, 4), (5, 8)])
async def test_damage_to_records_does_not_hide_that_what_follows_was_replaced(
    there: Installation, beside: tuple[int, int] | None
) -> None:
    """Without a checkpoint: the chain itself shows it."""
    run = run_of(A, 12)
    there.ship(run)
    there.shipped[A][1] = changed(run.part(4, 8), 6)
    if beside is not None:
        first, last = beside
        index = Damage(writer=A, first=first, last=last, place="audit_terms", problem="an entry is missing")
        there.shipped[A].insert(1 if first == 1 else 2, index)
    found = {(A, 6, 8)} | ({(A, *beside)} if beside else set())
    assert set(_stretches(await _check(there))) == found
    there.shipped[A][-1] = run_of(A, 4, first=9, bodies=[b'{"forged":1}'] * 4)
    assert set(_stretches(await _check(there))) == found | {(A, 9, 9)}


async def test_damage_that_says_too_much_does_not_hide_what_is_behind_it(there: Installation) -> None:
    run = await _whole(there)
    endless = Damage(writer=A, first=5, last=10_000, place="audit_chunks", problem="it cannot be read")
    forged = run_of(A, 4, first=9, before=run.heads[7], bodies=[b'{"forged":1}'] * 4)
    there.shipped[A] = [run.part(0, 4), endless, forged]
    verdict = await _check(there)
    assert _stretches(verdict) == [(A, 5, 10_000), (A, 1, 12)]
    assert "the chain was made anew" in verdict.findings[1].problem


async def test_the_same_record_must_be_in_the_database_and_in_the_spool(there: Installation) -> None:
    run = run_of(A, 12)
    forged = run_of(A, 12, bodies=[*run.bodies[:6], b'{"forged":1}', *run.bodies[7:]])
    there.ship(forged)
    there.write(run)
    verdict = await _check(there)
    assert _stretches(verdict) == [(A, 7, 7)]
    assert verdict.findings[0].problem == "not the same in the database and in the spool"


async def test_a_spool_that_goes_on_from_other_records_is_named(there: Installation) -> None:
    run = run_of(A, 12)
    there.ship(run.part(0, 6))
    forged = run_of(A, 6, bodies=[b'{"forged":1}', *run.bodies[1:6]])
    there.write(run_of(A, 6, first=7, before=forged.heads[-1]))
    assert _stretches(await _check(there)) == [(A, 7, 7)]


async def test_records_that_are_missing_between_the_database_and_the_spool_are_named(
    there: Installation,
) -> None:
    run = run_of(A, 12)
    there.ship(run.part(0, 6))
    there.write(run.part(8, 12))
    assert _stretches(await _check(there)) == [(A, 7, 8)]


async def test_damage_in_the_spool_is_a_finding_also_where_the_database_has_the_records(
    there: Installation,
) -> None:
    run = run_of(A, 12)
    there.ship(run.part(0, 8))
    there.write(changed(run, 5), size=4)
    there.write(run.part(11, 12))
    verdict = await _check(there)
    assert _stretches(verdict) == [(A, 5, 8)]


async def test_damage_in_the_spool_where_the_database_has_nothing_yet_is_named_once(
    there: Installation,
) -> None:
    run = run_of(A, 12)
    there.ship(run.part(0, 4))
    there.write(changed(run.part(0, 8), 6), size=4)
    there.write(run.part(8, 12))
    verdict = await _check(there)
    assert _stretches(verdict) == [(A, 6, 8)]
    assert verdict.records == 4 + 1 + 4


async def test_what_is_shipped_and_cleared_away_meanwhile_is_no_finding(there: Installation) -> None:
    run = run_of(A, 12)
    there.ship(run.part(0, 4))
    there.write(run.part(4, 12), size=2)

    class Moving(Installation):
        async def writers(self) -> dict[str, int]:
            found = dict(self.cursors)
            # Between our looks, the gateway ships six records and gives up their room.
            self.shipped[A].append(run.part(4, 10))
            self.cursors[A] = 10
            self.spool[A] = [run.part(10, 12)]
            return found

    moving = Moving(shipped=there.shipped, spool=there.spool, cursors=there.cursors)
    verdict = await _check(moving)
    assert verdict.findings == ()
    assert verdict.records == 12


async def test_what_is_shipped_after_the_database_was_read_is_read_again(there: Installation) -> None:
    run = run_of(A, 12)
    there.ship(run.part(0, 4))
    installation = there

    class Moving:
        def writers(self) -> list[str]:
            return [A]

        def examine(self, writer: str) -> Iterator[Run | Damage]:
            # It is asked for what comes behind the database, and by then that is there.
            yield run.part(2, 3)
            installation.ship(run.part(4, 10))
            yield run.part(10, 12)

        def withheld(self, writer: str, seq: int) -> None:
            return None

    verdict = await Verifier(there, Moving(), there.checkpoints, [SIGNER.key]).verify()
    assert verdict.findings == ()
    assert verdict.records == 12


async def test_a_record_that_was_put_aside_has_its_place_in_the_chain(there: Installation) -> None:
    run = run_of(A, 9)
    withheld = Withheld(writer=A, seq=5, before=run.heads[3], head=run.heads[4])
    there.ship(run.part(0, 4))
    there.shipped[A] += [withheld, run.part(5, 9)]
    there.cursors[A] = 9
    there.write(run)
    await _sign(there, run)
    there.aside[A, 5] = run.bodies[4]
    verdict = await _check(there)
    assert (verdict.found, verdict.withheld) == (0, 1)
    there.aside[A, 5] = b"{}"
    verdict = await _check(there)
    assert verdict.findings == (
        Finding(
            writer=A,
            first=5,
            last=5,
            place="spool/quarantine",
            problem="the text that was put aside is not what was written",
        ),
    )


async def test_a_place_in_the_chain_that_was_removed_is_named(there: Installation) -> None:
    run = run_of(A, 9)
    there.shipped[A] = [run.part(0, 4), run.part(5, 9)]
    there.cursors[A] = 9
    assert _stretches(await _check(there)) == [(A, 5, 5)]


async def test_a_record_that_was_put_aside_elsewhere_is_believed_when_the_trail_tells_of_it(
    there: Installation,
) -> None:
    run = run_of(A, 5)
    there.ship(run.part(0, 4))
    there.shipped[A].append(Withheld(writer=A, seq=5, before=run.heads[3], head=run.heads[4]))
    there.cursors[A] = 5
    verdict = await _check(there)
    assert _stretches(verdict) == [(A, 5, 5)]
    assert verdict.findings[0].problem.startswith("removed")
    gap = body_of(1, action="audit.gap", attributes={"writer": A, "before": 6, "count": 1})
    there.ship(run_of(B, 1, bodies=[gap]))
    assert (await _check(there)).findings == ()


class TestBeforeTheChain:
    """Records that were shipped before there was a chain."""

    @pytest.fixture
    def old(self) -> Run:
        return replace(run_of(A, 4), before=b"", heads=())

    async def test_they_are_unproven_and_no_finding(self, there: Installation, old: Run) -> None:
        later = run_of(A, 4, first=6)
        there.shipped[A] = [old, later]
        there.cursors[A] = 9
        verdict = await _check(there)
        assert (verdict.found, verdict.unproven, verdict.unchained) == (0, 8, 4)
        await _sign(there, later)
        assert (await _check(there)).unproven == 4
        # A record that could not be stored left no trace at that time.
        there.shipped[B] = [replace(old, writer=B)]
        there.cursors[B] = 5
        assert (await _check(there)).findings == ()

    async def test_the_chain_begins_where_they_end(self, there: Installation, old: Run) -> None:
        run = run_of(A, 8)
        there.shipped[A] = [old, run.part(4, 8)]
        there.cursors[A] = 8
        assert _stretches(await _check(there)) == [(A, 5, 5)]

    async def test_a_chain_that_was_removed_behind_another_is_named(self, there: Installation) -> None:
        await _whole(there)
        one, two, three = there.shipped[A]
        assert isinstance(two, Run)
        there.shipped[A] = [one, replace(two, before=b"", heads=()), three]
        assert (A, 5, 8) in _stretches(await _check(there))

    async def test_a_chain_that_was_removed_where_a_checkpoint_knows_it_is_named(
        self, there: Installation
    ) -> None:
        run = await _whole(there)
        there.shipped[A] = [replace(run, before=b"", heads=())]
        assert _stretches(await _check(there)) == [(A, 1, 12)]


class TestRetention:
    async def test_what_was_removed_on_purpose_is_no_finding(self, there: Installation) -> None:
        run = await _whole(there)
        await _sign(there, drop=[(run, 4)])
        there.shipped[A].pop(0)
        assert (await _check(there)).findings == ()

    async def test_removing_that_was_signed_and_is_not_done_yet_is_no_finding(
        self, there: Installation
    ) -> None:
        run = await _whole(there)
        await _sign(there, drop=[(run, 8)])
        assert (await _check(there)).findings == ()
        there.shipped[A].pop(0)
        assert (await _check(there)).findings == ()

    async def test_a_writer_all_of_which_was_removed_is_no_finding(self, there: Installation) -> None:
        run = await _whole(there)
        await _sign(there, drop=[(run, 12)])
        there.shipped[A].clear()
        assert (await _check(there)).findings == ()
        del there.cursors[A]
        assert (await _check(there)).findings == ()

    async def test_more_than_was_to_be_removed_is_missing(self, there: Installation) -> None:
        run = await _whole(there)
        await _sign(there, drop=[(run, 4)])
        del there.shipped[A][:2]
        assert _stretches(await _check(there)) == [(A, 5, 8)]

    async def test_what_comes_behind_what_was_removed_must_follow_from_it(self, there: Installation) -> None:
        run = run_of(A, 12)
        await _sign(there, drop=[(run, 4)])
        there.ship(run_of(A, 8, first=5, before=bytes(32)))
        assert _stretches(await _check(there)) == [(A, 5, 5)]

    async def test_records_that_are_to_be_removed_must_still_be_what_was_signed(
        self, there: Installation
    ) -> None:
        run = run_of(A, 12)
        await _sign(there, drop=[(run, 4)])
        there.ship(run_of(A, 12, bodies=[b'{"forged":1}', *run.bodies[1:]]))
        assert _stretches(await _check(there)) == [(A, 4, 4)]

    async def test_what_is_removed_while_it_is_checked_is_no_finding(self, there: Installation) -> None:
        run = await _whole(there)

        class Moving(Installation):
            async def writers(self) -> dict[str, int]:
                await _sign(self, drop=[(run, 8)])
                del self.shipped[A][:2]
                return dict(self.cursors)

        moving = Moving(shipped=there.shipped, cursors=there.cursors, checkpoints=there.checkpoints)
        assert (await _check(moving)).findings == ()

    async def test_an_old_writer_without_a_head_may_be_removed_too(self, there: Installation) -> None:
        run = run_of(A, 12)
        unknown = replace(dropped(run, 4), head=bytes(32))
        await Notary(there.checkpoints, SIGNERS, Hands()).sign([unknown])
        there.ship(run.part(4, 12))
        assert (await _check(there)).findings == ()


class TestErasure:
    async def test_a_person_that_was_erased_by_an_operator_is_no_finding(self, there: Installation) -> None:
        told = body_of(1, action="user.deleted", attributes={"user": "usr_1", "erased": True})
        there.ship(run_of(A, 1, bodies=[told]))
        there.gone["usr_1"] = 1_790_000_000.0
        assert (await _check(there)).findings == ()

    @pytest.mark.parametrize(
        "fields",
        [
            {"action": "user.deleted", "attributes": {"user": "usr_1", "erased": False}},
            {"action": "user.deleted", "attributes": {"user": "usr_2", "erased": True}},
            {"action": "user.deleted", "attributes": {"user": "usr_1"}},
            {"action": "user.deleted"},
            {"action": "user.created", "attributes": {"user": "usr_1", "erased": True}},
        ],
    )
    async def test_a_person_of_whom_all_is_gone_and_nobody_erased_it_is_named(
        self, there: Installation, fields: dict[str, object]
    ) -> None:
        there.ship(run_of(A, 1, bodies=[body_of(1, **fields)]))
        there.gone["usr_1"] = 1_790_000_000.0
        (finding,) = (await _check(there)).findings
        assert finding.place == "audit_subjects, usr_1"

    async def test_an_erasure_that_is_not_shipped_yet_counts(self, there: Installation) -> None:
        told = body_of(1, action="user.deleted", attributes={"user": "usr_1", "erased": True})
        there.write(run_of(A, 1, bodies=[told]))
        there.gone["usr_1"] = 1_790_000_000.0
        assert (await _check(there)).findings == ()

    async def test_an_erasure_from_before_what_was_removed_needs_no_record(self, there: Installation) -> None:
        run = await _whole(there)
        await _sign(there, drop=[(run, 4)])
        there.shipped[A].pop(0)
        there.gone["usr_1"] = 1_000_000_000.0
        assert (await _check(there)).findings == ()
        there.gone["usr_1"] = 1_890_000_000.0
        assert (await _check(there)).found == 1


async def test_a_gap_that_the_gateway_recorded_itself_is_said_to_be_one(there: Installation) -> None:
    run = await _whole(there)
    there.shipped[A].pop(1)
    gap = body_of(1, action="audit.gap", attributes={"writer": A, "before": 9, "count": 4})
    there.ship(run_of(B, 1, bodies=[gap]))
    assert run.last == 12
    (finding,) = (await _check(there)).findings
    assert (finding.first, finding.last) == (5, 8)
    assert finding.problem.endswith("the gateway recorded this gap (audit.gap)")


class TestCheckpoints:
    async def _three(self, there: Installation) -> list[Checkpoint]:
        run = run_of(A, 12)
        there.ship(run)
        for part in portions(run, 4):
            await _sign(there, part)
        return there.checkpoints.rows

    async def test_one_that_was_removed_is_named(self, there: Installation) -> None:
        rows = await self._three(there)
        del rows[1]
        (finding,) = (await _check(there)).findings
        assert (finding.place, finding.problem) == ("audit_checkpoints", "checkpoint 2 is not there")

    async def test_the_first_ones_that_were_removed_are_named(self, there: Installation) -> None:
        rows = await self._three(there)
        del rows[:2]
        (finding,) = (await _check(there)).findings
        assert finding.problem == "checkpoints 1 to 2 are not there"

    async def test_the_last_one_that_was_removed_is_named_by_the_copy(self, there: Installation) -> None:
        rows = await self._three(there)
        copy = _copy(there)
        rows.pop()
        there.shipped[A].pop()
        there.cursors[A] = 8
        assert (await _check(there)).findings == ()
        verdict = await _check(there, copy)
        assert [finding.problem for finding in verdict.findings] == [
            "checkpoint 3 is not there, but in copy.txt",
            "missing; checkpoint 3 vouches for them",
        ]
        assert _stretches(verdict)[1] == (A, 9, 12)

    @pytest.mark.parametrize(
        ("tamper", "problem"),
        [
            (lambda note: note.replace(" 8 ", " 7 "), "the signature is not that of its text"),
            (lambda note: note[:-10] + "AAAAAAAA=\n", "the signature is not that of its text"),
            (lambda note: note.replace("gateway-audit ", "somebody "), "no known key has signed it"),
            (lambda note: "", "it is no signed note"),
            (
                lambda note: NoteSigner("gateway-audit", b"x" * 32).sign(note.partition("\n\n")[0] + "\n"),
                "no known key has signed it",
            ),
        ],
    )
    async def test_one_that_was_changed_is_named(
        self, there: Installation, tamper: Callable[[str], str], problem: str
    ) -> None:
        rows = await self._three(there)
        rows[1] = replace(rows[1], note=tamper(rows[1].note))
        verdict = await _check(there)
        assert [(finding.place, finding.problem) for finding in verdict.findings] == [
            ("audit_checkpoints, number 2", f"this checkpoint cannot be trusted: {problem}")
        ]

    async def test_one_that_is_in_anothers_place_is_named(self, there: Installation) -> None:
        rows = await self._three(there)
        rows[1] = replace(rows[1], note=rows[0].note)
        assert (await _check(there)).findings[0].place == "audit_checkpoints, number 2"

    async def test_another_time_in_the_row_is_named(self, there: Installation) -> None:
        rows = await self._three(there)
        rows[0] = replace(rows[0], at="2020-01-01T00:00:00.000000Z")
        (finding,) = (await _check(there)).findings
        assert finding.place == "audit_checkpoints, number 1"

    async def test_one_that_does_not_follow_the_one_before_is_named(self, there: Installation) -> None:
        rows = await self._three(there)
        # Signed with the right key, by a gateway that was given another past.
        rows[1] = replace(rows[1], note=SIGNER.sign(_statement(rows[1]).replace(A, B)))
        there.write(run_of(B, 8))
        problems = [finding.problem for finding in (await _check(there)).findings]
        assert "this checkpoint does not follow the one before it" in problems

    async def test_the_proof_reaches_as_far_as_the_copy_does(self, there: Installation) -> None:
        rows = await self._three(there)
        copy = "\n".join(row.note for row in rows[:2])
        verdict = await _check(there, copy)
        assert verdict.found == 0
        assert verdict.reach is not None
        assert (verdict.reach.number, verdict.reach.place) == (2, "copy.txt")
        assert verdict.unproven == 4

    async def test_an_empty_copy_proves_nothing(self, there: Installation) -> None:
        await self._three(there)
        verdict = await _check(there, "")
        assert (verdict.found, verdict.reach, verdict.unproven) == (0, None, 12)

    async def test_a_copy_may_have_each_more_than_once_and_other_lines_between(
        self, there: Installation
    ) -> None:
        rows = await self._three(there)
        notes = [rows[0].note, rows[1].note, rows[0].note, rows[1].note, rows[2].note]
        assert (await _check(there, "something else\n" + "and more\n\n".join(notes))).found == 0

    async def test_a_copy_may_begin_later(self, there: Installation) -> None:
        rows = await self._three(there)
        verdict = await _check(there, rows[2].note)
        assert (verdict.found, verdict.unproven) == (0, 0)

    async def test_a_copy_may_lack_those_that_another_machine_was_to_send(self, there: Installation) -> None:
        rows = await self._three(there)
        verdict = await _check(there, rows[0].note + rows[2].note)
        assert (verdict.found, verdict.unproven) == (0, 0)
        # The one that follows vouches for it all the same.
        rows[1] = replace(rows[1], note=SIGNER.sign(_statement(rows[1]).replace(" 8 ", " 7 ")))
        assert (await _check(there, rows[0].note + rows[2].note)).found > 0

    async def test_of_several_copies_the_one_that_reaches_farthest_counts(self, there: Installation) -> None:
        rows = await self._three(there)
        copies = [
            Copy(name, row.note.splitlines(keepends=True)) for name, row in zip("abc", rows, strict=True)
        ]
        verifier = Verifier(there, there.logs(), there.checkpoints, [SIGNER.key])
        verdict = await verifier.verify(copies[0], copies[1], Copy("empty", []))
        assert (verdict.found, verdict.unproven) == (0, 4)
        assert verdict.reach is not None
        assert (verdict.reach.number, verdict.reach.place) == (2, "b")

    async def test_a_copy_that_was_changed_is_named(self, there: Installation) -> None:
        rows = await self._three(there)
        changed = rows[0].note + rows[1].note.replace(" 8 ", " 7 ") + rows[2].note
        (finding,) = (await _check(there, changed)).findings
        assert finding.place == "copy.txt, after checkpoint 1"

    async def test_a_copy_vouches_up_to_where_it_was_cut_off(self, there: Installation) -> None:
        await self._three(there)
        verdict = await _check(there, _copy(there)[:-20])
        assert (verdict.found, verdict.unproven) == (0, 4)
        assert verdict.reach is not None
        assert verdict.reach.number == 2

    @given(data=st.data())
    async def test_one_that_a_machine_ended_in_the_middle_of_and_that_came_again_is_no_finding(
        self, data: st.DataObject
    ) -> None:
        there = Installation()
        rows = await self._three(there)
        cut = data.draw(st.integers(0, len(rows[1].note) - 1))
        copy = f"{rows[0].note}\n{rows[1].note[:cut]}\n{rows[1].note}\n{rows[2].note}"
        verdict = await _check(there, copy)
        assert (verdict.found, verdict.unproven) == (0, 0)

    async def test_a_database_that_went_another_way_since_it_was_restored_is_named(
        self, there: Installation
    ) -> None:
        rows = await self._three(there)
        copy = _copy(there)
        rows.pop()
        other = run_of(B, 3)
        there.ship(other)
        await _sign(there, other)
        verdict = await _check(there, copy)
        assert [finding.problem for finding in verdict.findings] == [
            "this checkpoint is another one in copy.txt"
        ]
        # The records that the database lost would be named too.
        there.shipped[A].pop()
        there.cursors[A] = 8
        assert (A, 9, 12) in _stretches(await _check(there, copy))

    async def test_checkpoints_that_came_since_the_database_was_read_are_no_finding(
        self, there: Installation, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        rows = await self._three(there)
        copy = _copy(there)
        late = rows.pop()

        async def after(number: int, *, limit: int) -> Sequence[Checkpoint]:
            found = [row for row in rows if row.number > number]
            if not found and late not in rows:
                rows.append(late)
            return found

        monkeypatch.setattr(there.checkpoints, "after", after)
        assert (await _check(there, copy)).findings == ()

    async def test_any_of_several_keys_will_do(self, there: Installation) -> None:
        await self._three(there)
        old = NoteSigner("gateway-audit", b"o" * 32)
        verifier = Verifier(there, there.logs(), there.checkpoints, [old.key, SIGNER.key])
        assert (await verifier.verify()).found == 0
        verifier = Verifier(there, there.logs(), there.checkpoints, [old.key])
        verdict = await verifier.verify()
        assert (verdict.found, verdict.reach, verdict.unproven) == (3, None, 12)

    async def _signed_by(self, there: Installation, *signers: NoteSigner) -> list[Checkpoint]:
        """Sign three checkpoints, one of each of these, each behind the one before."""
        rows, before = await self._three(there), None
        for place, signer in enumerate(signers):
            statement = replace(Statement.parse(open_note(rows[place].note, [SIGNER.key])), previous=before)
            rows[place] = replace(rows[place], note=signer.sign(statement.text()))
            before = digest(rows[place].note)
        return rows

    async def _by_two_keys(self, there: Installation, copy: str | None = None) -> Verdict:
        verifier = Verifier(there, there.logs(), there.checkpoints, [SIGNER.key, NEWER.key])
        copies = [] if copy is None else [Copy("copy.txt", copy.splitlines(keepends=True))]
        return await verifier.verify(*copies)

    async def test_a_newer_key_follows_an_older_one(self, there: Installation) -> None:
        await self._signed_by(there, SIGNER, NEWER, NEWER)
        verdict = await self._by_two_keys(there, _copy(there))
        assert (verdict.found, verdict.unproven, verdict.checkpoints) == (0, 0, 3)

    async def test_behind_a_newer_key_an_older_one_vouches_for_nothing(self, there: Installation) -> None:
        await self._signed_by(there, SIGNER, NEWER, SIGNER)
        verdict = await self._by_two_keys(there)
        assert [(finding.place, finding.problem) for finding in verdict.findings] == [
            (
                "audit_checkpoints, number 3",
                "this checkpoint cannot be trusted: it is signed with a key that was replaced before",
            )
        ]
        assert verdict.reach is not None
        assert verdict.reach.number == 2

    async def test_that_holds_for_a_copy_too(self, there: Installation) -> None:
        rows = await self._signed_by(there, NEWER, NEWER, SIGNER)
        # The last one of a copy may be half written.
        copy = f"{_copy(there)}\n{rows[0].note}"
        del rows[2]
        verdict = await self._by_two_keys(there, copy)
        assert [(finding.place, finding.problem) for finding in verdict.findings] == [
            (
                "copy.txt, after checkpoint 2",
                "this checkpoint cannot be trusted: it is signed with a key that was replaced before",
            )
        ]


async def test_findings_are_counted_where_there_are_too_many_to_keep(there: Installation) -> None:
    there.shipped[A] = [
        Damage(writer=A, first=n, last=n, place="there", problem="gone") for n in range(1, 1501)
    ]
    there.cursors[A] = 1500
    verdict = await _check(there)
    assert (verdict.found, len(verdict.findings)) == (1500, 1000)


async def test_progress_is_told(there: Installation) -> None:
    await _whole(there)
    told: list[tuple[int, int]] = []
    verifier = Verifier(
        there,
        there.logs(),
        there.checkpoints,
        [SIGNER.key],
        progress=lambda done, whole: told.append((done, whole)),
    )
    await verifier.verify()
    assert told == [(4, 12), (8, 12), (12, 12)]


@given(data=st.data())
async def test_whatever_is_done_to_one_portion_is_found_and_nothing_else_is(data: st.DataObject) -> None:
    there = Installation()
    count = data.draw(st.integers(4, 40), "records")
    size = data.draw(st.integers(1, 9), "portion")
    run = run_of(A, count)
    there.ship(run, size)
    for part in portions(run, data.draw(st.integers(1, 12), "checkpoint")):
        await _sign(there, part)
    assert (await _check(there)).found == 0
    rows = there.shipped[A]
    index = data.draw(st.integers(0, len(rows) - 1), "row")
    row = rows[index]
    assert isinstance(row, Run)
    kind = data.draw(st.sampled_from(["delete", "change", "rewrite", "cut", "again"]), "tampering")
    seq = data.draw(st.integers(row.first, row.last), "record")
    if kind == "delete":
        del rows[index]
    elif kind == "change":
        rows[index] = changed(row, seq)
    elif kind == "rewrite":
        place = seq - row.first
        bodies = [*row.bodies[:place], b'{"forged":1}', *row.bodies[place + 1 :]]
        rows[index] = run_of(A, 0, first=row.first, before=row.before, bodies=bodies)
    elif kind == "cut":
        place = seq - row.first
        parts = [row.part(0, place), row.part(place + 1, len(row.bodies))]
        rows[index : index + 1] = [part for part in parts if part.bodies]
    else:
        rows.insert(data.draw(st.integers(index + 1, len(rows)), "where"), row)
    verdict = await _check(there)
    assert verdict.found >= 1
    assert all(finding.writer == A for finding in verdict.findings)
    # What is named is at the place, or where its consequences are first seen.
    assert any(finding.first is not None and finding.first <= row.last + 1 for finding in verdict.findings)


def _statement(row: Checkpoint) -> str:
    return row.note.partition("\n\n")[0] + "\n"


class Expiring(Installation):
    """One in which all that was shipped of a writer is removed, signed for, as soon as others are examined."""

    async def examine(self, writer: str, *, after: int = 0) -> AsyncIterator[Run | Withheld | Damage]:
        run = run_of(B, 12)
        if self.shipped.get(B):
            await _sign(self, drop=[(run, 12)])
            self.shipped[B] = []
        async for item in super().examine(writer, after=after):
            yield item


@pytest.mark.parametrize("signed", [False, True])
async def test_a_writer_of_whom_all_is_removed_on_purpose_meanwhile_is_no_finding(*, signed: bool) -> None:
    there = Expiring()
    for run in (run_of(A, 3), run_of(B, 12)):
        there.ship(run)
        if signed:
            await _sign(there, run)
    there.cursors[B] = 12 if not signed else 0
    assert (await _check(there)).findings == ()


async def test_a_log_that_is_shipped_and_cleared_away_before_it_is_read_is_read_all_the_same() -> None:
    class Quick(Installation):
        """Its spool is shipped between the first look into the database and that into the spool."""

        async def examine(self, writer: str, *, after: int = 0) -> AsyncIterator[Run | Withheld | Damage]:
            async for item in super().examine(writer, after=after):
                yield item
            for run in self.spool.pop(writer, []):
                assert isinstance(run, Run)
                self.ship(run)

    there = Quick()
    there.gone["usr_1"] = 1_790_000_000.0
    deleted = body_of(2, action="user.deleted", attributes={"user": "usr_1", "erased": True})
    there.write(run_of(A, 3, bodies=[body_of(1), deleted, body_of(3)]))
    verdict = await _check(there)
    assert (verdict.findings, verdict.records) == ((), 3)


@pytest.mark.parametrize("since", [1e300, float("inf"), float("nan"), -1e300])
async def test_a_time_of_an_erasure_that_no_clock_has_shown_is_no_excuse(
    there: Installation, since: float
) -> None:
    run = run_of(A, 12)
    there.ship(run)
    await _sign(there, run, drop=[(run, 4)])
    there.gone["usr_1"] = since
    (finding,) = (await _check(there)).findings
    assert finding.place == "audit_subjects, usr_1"
