"""Checking the trail and ending what is old: done, and recorded."""

from collections.abc import Sequence

from support.proofs import SIGNER, SIGNERS, Hands, Installation, dropped, run_of

from gateway.audit import Copy, Disposal, Notary, Verifier
from gateway.model import ANONYMOUS, Event, EventKind
from gateway.operations import prune_trail, verify_trail
from gateway.ports import AuditUnavailable, Dropped

A = "aaaaaaaa-0000-4000-8000-000000000001"


class Told:
    def __init__(self, *, full: bool = False) -> None:
        self.events: list[Event] = []
        self._full = full

    async def event(self, event: Event) -> None:
        if self._full:
            raise AuditUnavailable("the disk is full")
        self.events.append(event)


def _verifier(there: Installation) -> Verifier:
    return Verifier(there, there.logs(), there.checkpoints, [SIGNER.key])


async def test_checking_is_recorded_with_what_was_found() -> None:
    there, told = Installation(), Told()
    there.ship(run_of(A, 5))
    there.cursors[A] = 6
    verdict, unrecorded = await verify_trail(_verifier(there), told, copies=[], operator=ANONYMOUS)
    assert (verdict.found, unrecorded) == (1, None)
    (event,) = told.events
    assert event.kind is EventKind.AUDIT_READ
    assert event.attributes == {"command": "verify", "records": 5, "findings": 1}


async def test_a_trail_is_checked_although_that_cannot_be_recorded() -> None:
    there = Installation()
    verdict, unrecorded = await verify_trail(
        _verifier(there), Told(full=True), copies=[Copy("copy.txt", [])], operator=ANONYMOUS
    )
    assert verdict.found == 0
    assert unrecorded == "the disk is full"


async def test_ending_what_is_old_is_recorded_with_who_did_it() -> None:
    class Days:
        async def expired(self, before: int) -> Sequence[Dropped]:
            return [dropped(run_of(A, 5), 3)]

        async def drop(self, before: int, *, signed: Sequence[Dropped]) -> int:
            return 2

    there, told, clock = Installation(), Told(), Hands()
    disposal = Disposal(Days(), Notary(there.checkpoints, SIGNERS, clock), told, clock)
    assert await prune_trail(disposal, keep=86400.0, operator=ANONYMOUS) == 2
    (event,) = told.events
    assert (event.kind, event.actor) == (EventKind.AUDIT_GAP, ANONYMOUS)
