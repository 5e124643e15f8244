"""What the database and the spool both have: it must be the same."""

from asyncio import to_thread
from collections.abc import Iterator

from gateway.audit.findings import Findings
from gateway.ports import Damage, Run


class Overlap:
    """One writer's log, read beside what was shipped of it, as far as that goes."""

    def __init__(self, log: Iterator[Run | Damage], findings: Findings) -> None:
        self.damages: list[Damage] = []
        """What was found to be wrong with the log where the database was compared with it."""
        self._log = log
        self._findings = findings
        self._run: Run | None = None
        self._differs = False

    async def next(self) -> Run | Damage | None:
        """Return what comes next in the log, None at its end. Raise `OSError`."""
        run, self._run = self._run, None
        return await to_thread(next, self._log, None) if run is None else run

    async def compare(self, shipped: Run) -> None:
        """Compare records of the database, which come in order, with the log. Raise `OSError`."""
        while (own := await self._current()) is not None and own.first <= shipped.last:
            if not self._differs:
                self._look(own, shipped)
            if own.last > shipped.last:
                return
            self._run = None

    async def _current(self) -> Run | None:
        while self._run is None:
            item = await self.next()
            if isinstance(item, Damage):
                self._findings.damage(item)
                self.damages.append(item)
            elif item is None:
                return None
            else:
                self._run = item
        return self._run

    def _look(self, own: Run, shipped: Run) -> None:
        first = max(own.first, shipped.first)
        pairs = zip(own.bodies[first - own.first :], shipped.bodies[first - shipped.first :], strict=False)
        seq = next((seq for seq, (body, other) in enumerate(pairs, first) if body != other), None)
        if seq is not None:
            # One that was put in between moves all others: the first says all there is to say.
            self._differs = True
            why = "not the same in the database and in the spool"
            self._findings.about(
                own.writer, seq, seq, place=f"audit_chunks and spool/{own.writer}", problem=why
            )
