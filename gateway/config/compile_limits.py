"""From limits as they are written to limits as they are counted."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from gateway.config.documents import LimitDocument
from gateway.config.places import Path
from gateway.config.quantities import Rate
from gateway.config.source import SourceFile
from gateway.config.unsupported import ADVICE
from gateway.config.words import listed, quoted
from gateway.model import Algorithm, Limit, OnStoreError

_AT_LOGIN = frozenset({"client_ip", "username", "all"})
"""What is known of somebody who is about to log in."""
_LONGEST_REFILL_US = 100 * 366 * 86400 * 1_000_000
"""Times that far away are still exact in every store of counters."""


@dataclass(slots=True)
class LimitCompiler:
    """Compiles all limits of one file; no two of them may have the same id."""

    source: SourceFile
    _ids: dict[str, str] = field(default_factory=dict)
    """Place by id."""

    def compile(
        self, documents: Sequence[LimitDocument], prefix: str, path: Path, *, at_login: bool = False
    ) -> tuple[Limit, ...]:
        """Return the limits of one list; those that are wrong are findings and left out."""
        found = []
        for index, document in enumerate(documents):
            limit = self._one(document, f"{prefix}:{index}", (*path, index), at_login=at_login)
            if limit is not None:
                found.append(limit)
        return tuple(found)

    def _one(self, document: LimitDocument, name: str, path: Path, *, at_login: bool) -> Limit | None:
        report = self.source.report
        if document.id is not None:
            name = document.id
        self._take_id(name, path, is_written=document.id is not None)
        for part in document.per:
            if at_login and part not in _AT_LOGIN:
                report(
                    "E109",
                    (*path, "per"),
                    f"attempts to log in cannot be counted by {part}",
                    "count by username, client_ip or all",
                )
            elif part.startswith("header."):
                report(
                    "W304",
                    (*path, "per"),
                    f"the client chooses {part} freely: another value, another count",
                    "count by principal or client_ip",
                )
            if part == "username" and not at_login:
                report(
                    "E190",
                    (*path, "per"),
                    "not supported yet: counting by username outside of the login",
                    ADVICE,
                )
        if "all" in document.per and len(document.per) > 1:
            report(
                "E127",
                (*path, "per"),
                '"all" counts everything together; the others would have no effect',
                "write one of them",
            )
        rate = self._rate(document, path)
        if rate is None:
            return None
        quota, window_us = rate.quota, rate.window_us
        if window_us is None:
            key = "limit" if document.limit is not None else "rate"
            report(
                "E190",
                (*path, key),
                "not supported yet: a limit by calendar month",
                "write 30d, or remove it",
            )
            return None
        is_gcra = document.rate is not None
        burst = document.burst if is_gcra and document.burst is not None else quota
        if document.cost > burst:
            of = "burst" if is_gcra else "limit"
            report(
                "E124",
                (*path, "cost"),
                f"one request costs {document.cost}, but the {of} is {burst}: nothing would ever be admitted",
                f"lower the cost, or raise the {of}",
            )
        if is_gcra and burst * -(-window_us // quota) > _LONGEST_REFILL_US:
            report(
                "E109",
                (*path, "burst"),
                f"at this rate a burst of {burst} takes more than a hundred years to be available again",
                "lower the burst, or raise the rate",
            )
            return None
        if document.on_store_error is not None:
            on_store_error = OnStoreError(document.on_store_error)
        else:
            on_store_error = OnStoreError.CLOSED if at_login else OnStoreError.LOCAL
        return Limit(
            id=name,
            place=self.source.place(path),
            algorithm=Algorithm.GCRA if is_gcra else Algorithm.WINDOW,
            per=document.per,
            quota=quota,
            window_us=window_us,
            burst=burst,
            cost=document.cost,
            on_store_error=on_store_error,
        )

    def _take_id(self, name: str, path: Path, *, is_written: bool) -> None:
        if name in self._ids:
            self.source.report(
                "E118",
                (*path, "id") if is_written else path,
                f"the limit at {self._ids[name]} has the id {quoted(name)} already",
                "give each limit an id of its own",
            )
        else:
            self._ids[name] = self.source.place(path)

    def _rate(self, document: LimitDocument, path: Path) -> Rate | None:
        """Return the rate of a limit that says exactly one."""
        report = self.source.report
        kinds = {"limit": document.limit, "rate": document.rate, "in_flight": document.in_flight}
        written = [kind for kind, value in kinds.items() if value is not None]
        lost = [kind for kind in kinds if self.source.is_lost((*path, kind))]
        if len(written) + len(lost) > 1:
            report(
                "E127",
                (*path, (written + lost)[1]),
                f"a limit is one of {listed(kinds)}, not several",
                "write a second limit",
                key=True,
            )
            return None
        if not written:
            if not lost:
                report("E102", path, "a limit does not say how much", "add limit: 120/min")
            return None
        if document.burst is not None and document.rate is None:
            report(
                "E127",
                (*path, "burst"),
                '"burst" belongs to "rate"',
                f"write rate: instead of {written[0]}:",
                key=True,
            )
        if document.rate is not None and document.burst is None and not self.source.is_lost((*path, "burst")):
            report(
                "E102",
                (*path, "rate"),
                '"rate" lacks "burst": how many may come at once',
                "add burst: 10",
                key=True,
            )
        return document.limit or document.rate
