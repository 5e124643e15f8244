"""Records that nothing vouches for are named by writer, with their times, and not without bounds."""

from support.proofs import run_of

from gateway.audit.doubts import BEHIND, STRANGER, UNCHAINED, WAITING, Doubts, Stretch

A = "aaaaaaaa-0000-4000-8000-000000000001"


def _stretch(writer: str = A, *, since: str = "2026", chained: bool = True) -> Stretch:
    return Stretch(writer=writer, first=1, last=1, chained=chained, records=1, since=since)


def test_a_stretch_has_the_times_of_its_first_and_last_records_that_have_one() -> None:
    stretch = Stretch(writer=A, first=3, last=3, chained=True)
    stretch.add(run_of(A, 2, bodies=[b"", b""]), after=1)
    assert (stretch.last, stretch.records, stretch.since, stretch.until) == (2, 1, "", "")
    stretch.add(run_of(A, 4, first=3), after=3)
    stretch.add(run_of(A, 1, first=9, bodies=[b""]), after=0)
    assert (stretch.first, stretch.last, stretch.records) == (3, 9, 5)
    assert stretch.since == "2026-11-21T14:00:00.000004Z"
    assert stretch.until == "2026-11-21T14:00:00.000006Z"


def test_it_is_said_why_nothing_vouches_for_them() -> None:
    doubts = Doubts()
    doubts.add([_stretch(since="3"), _stretch(since="4", chained=False)], known=True, here=False)
    doubts.add([_stretch(since="2")], known=False, here=True)
    doubts.add([_stretch(since="9")], known=False, here=False)
    assert [one.why for one in doubts.all()] == [STRANGER, WAITING, BEHIND, UNCHAINED]


def test_those_of_unknown_writers_are_kept_before_all_others() -> None:
    doubts = Doubts()
    for number in range(30):
        doubts.add([_stretch(f"known {number}", since=f"{number:02}")], known=True, here=True)
    doubts.add([_stretch("unknown", since="99")], known=False, here=False)
    assert doubts.count == 31
    assert [one.stretch.writer for one in doubts.all()] == ["unknown", *(f"known {n}" for n in range(19))]
