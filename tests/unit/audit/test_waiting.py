"""What waits is found page by page, in order, and each page reads little more than itself."""

from collections.abc import Iterator, Sequence

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.proofs import run_of

from gateway.audit import waiting as module
from gateway.audit.places import place_of
from gateway.audit.waiting import Opening, Waiting
from gateway.crypto import MasterSecret, Sealer
from gateway.ports import AuditQuery, Place, Run, StoredRecord

A = "aaaaaaaa-0000-4000-8000-000000000001"
B = "bbbbbbbb-0000-4000-8000-000000000002"
SEALER = Sealer(MasterSecret(b"s" * 32))
SIZE = 10


class Logs:
    """Logs in memory, read in portions."""

    def __init__(self, *runs: Run) -> None:
        self.runs = {run.writer: run for run in runs}
        self.read_so_far = 0

    def writers(self) -> Sequence[str]:
        return list(self.runs)

    def read(self, writer: str, *, after: int) -> Iterator[Run]:
        run = self.runs[writer]
        for start in range(max(0, after + 1 - run.first), len(run.bodies), SIZE):
            part = run.part(start, min(start + SIZE, len(run.bodies)))
            self.read_so_far += len(part.bodies)
            yield part


@pytest.fixture(autouse=True)
def _small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_BLOCK", SIZE)


def _log(writer: str, times: Sequence[int]) -> Run:
    bodies = [orjson.dumps({"time": f"2026-01-01T00:00:{time:09}Z"}) for time in times]
    return run_of(writer, len(bodies), bodies=bodies)


def _first(waiting: Waiting, query: AuditQuery, **acked: int) -> list[StoredRecord]:
    return waiting.first({A: acked.get("a", 0), B: acked.get("b", 0)}, query, Opening(SEALER))


@pytest.mark.parametrize("oldest_first", [True, False])
def test_a_page_of_a_large_backlog_reads_little_more_than_the_page(*, oldest_first: bool) -> None:
    logs = Logs(_log(A, range(0, 4000, 2)), _log(B, range(1, 4000, 2)))
    waiting = Waiting(logs)
    beyond: Place | None = None
    pages = 0
    while page := _first(waiting, AuditQuery(oldest_first=oldest_first, beyond=beyond, limit=40)):
        # All of it is seen once.
        assert logs.read_so_far <= (4000 if not pages else 0) + 40 + 6 * SIZE
        logs.read_so_far = 0
        beyond, pages = place_of(page[-1]), pages + 1
    assert pages == 100


def test_what_comes_later_is_all_that_is_looked_at_again() -> None:
    logs = Logs(_log(A, range(1000)), _log(B, range(1000)))
    waiting = Waiting(logs)
    assert waiting.ends({A: 0, B: 0}) == {A: 1000, B: 1000}
    logs.read_so_far = 0
    logs.runs[A] = _log(A, range(1005))
    assert waiting.ends({A: 0, B: 999}) == {A: 1005, B: 1000}
    assert waiting.ends({A: 1005, B: 2000}) == {A: 1005, B: 2000}
    assert logs.read_so_far == 5
    since = AuditQuery(since="2026-01-01T00:00:000001003Z")
    assert [one.seq for one in _first(waiting, since)] == [1005, 1004]
    until = AuditQuery(until="2026-01-01T00:00:000000002Z", oldest_first=True)
    assert [(one.writer, one.seq) for one in _first(waiting, until)] == [(A, 1), (B, 1), (A, 2), (B, 2)]


@given(
    times=st.lists(st.lists(st.integers(0, 60), max_size=70), min_size=2, max_size=2),
    acked=st.lists(st.integers(0, 80), min_size=2, max_size=2),
    size=st.integers(1, 30),
    oldest_first=st.booleans(),
)
def test_clocks_that_jump_and_records_that_are_shipped_change_nothing_of_the_order(
    times: list[list[int]], acked: list[int], size: int, *, oldest_first: bool
) -> None:
    runs = [_log(writer, one) for writer, one in zip((A, B), times, strict=True) if one]
    logs = Logs(*runs)
    for writer in (A, B):
        logs.runs.setdefault(
            writer, Run(writer=writer, first=1, bodies=(), before=b"", heads=(), personal=())
        )
    waiting = Waiting(logs)
    every = sorted(
        (
            place_of(StoredRecord(writer=run.writer, seq=seq, body=body))
            for run in runs
            for seq, body in enumerate(run.bodies, 1)
            if seq > acked[run.writer == B]
        ),
        reverse=not oldest_first,
    )
    found: list[Place] = []
    beyond: Place | None = None
    while True:
        query = AuditQuery(oldest_first=oldest_first, beyond=beyond, limit=size)
        page = _first(waiting, query, a=acked[0], b=acked[1])
        assert len(page) == min(size, len(every) - len(found))
        if not page:
            break
        found += map(place_of, page)
        beyond = found[-1]
    assert found == every
