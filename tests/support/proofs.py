"""A small installation in memory: writers, what was shipped, what is in the spool, checkpoints; all of it may
be tampered with. What the real stores find within their own rows is found here in the same way."""

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import orjson

from gateway.crypto import NoteSigner, NoteSigners, Roots, beginning, link
from gateway.ports import Checkpoint, Damage, Dropped, Run, Withheld


class Hands:
    """A clock whose hands are turned by the test."""

    def __init__(self) -> None:
        self.time = 1_790_000_000.0

    def now(self) -> float:
        return self.time

    def monotonic(self) -> float:
        return self.time


class KeptCheckpoints:
    """Checkpoints as a table has them."""

    def __init__(self) -> None:
        self.rows: list[Checkpoint] = []
        self.quicker: list[Checkpoint] = []
        """What another process adds right before we do."""

    async def newest(self) -> Checkpoint | None:
        return self.rows[-1] if self.rows else None

    async def add(self, checkpoint: Checkpoint) -> bool:
        if self.quicker:
            self.rows.append(self.quicker.pop())
        if any(row.number == checkpoint.number for row in self.rows):
            return False
        self.rows.append(checkpoint)
        return True

    async def after(self, number: int, *, limit: int) -> Sequence[Checkpoint]:
        return sorted((row for row in self.rows if row.number > number), key=lambda row: row.number)[:limit]


ROOTS = Roots({1: bytes(32)})
_KEYS = ROOTS.keys_for("audit-checkpoints")
SIGNERS = NoteSigners("gateway-audit", _KEYS)
SIGNER = NoteSigner("gateway-audit", _KEYS[1])


def body_of(n: int, **fields: object) -> bytes:
    time = f"2026-11-21T14:00:00.{n:06d}Z"
    return orjson.dumps({"time": time, "kind": "event", "action": "audit.read", "n": n, **fields})


def run_of(
    writer: str, count: int, *, first: int = 1, before: bytes | None = None, bodies: Sequence[bytes] = ()
) -> Run:
    """Return records as their writer has written them."""
    texts = tuple(bodies) or tuple(body_of(number) for number in range(first, first + count))
    head = beginning(writer) if before is None else before
    start, heads = head, []
    for number, body in enumerate(texts, first):
        head = link(head, number, body)
        heads.append(head)
    return Run(
        writer=writer,
        first=first,
        bodies=texts,
        before=start,
        heads=tuple(heads),
        personal=(b"",) * len(texts),
    )


def portions(run: Run, size: int) -> list[Run]:
    return [run.part(start, min(start + size, len(run.bodies))) for start in range(0, len(run.bodies), size)]


Item = Run | Withheld | Damage


@dataclass
class Installation:
    """What there is to be checked."""

    shipped: dict[str, list[Item]] = field(default_factory=dict)
    spool: dict[str, list[Run | Damage]] = field(default_factory=dict)
    cursors: dict[str, int] = field(default_factory=dict)
    gone: dict[str, float] = field(default_factory=dict)
    aside: dict[tuple[str, int], bytes] = field(default_factory=dict)
    checkpoints: KeptCheckpoints = field(default_factory=KeptCheckpoints)

    def ship(self, run: Run, size: int = 4) -> None:
        self.shipped.setdefault(run.writer, []).extend(portions(run, size))
        self.cursors[run.writer] = run.last

    def write(self, run: Run, size: int = 3) -> None:
        self.spool.setdefault(run.writer, []).extend(portions(run, size))

    def logs(self) -> "Logs":
        return Logs(self)

    async def writers(self) -> Mapping[str, int]:
        return dict(self.cursors)

    async def examine(self, writer: str, *, after: int = 0) -> AsyncIterator[Item]:
        for item in list(self.shipped.get(writer, ())):
            if isinstance(item, Run):
                for one in _examined(item, f"audit_chunks, key {item.first}"):
                    if not isinstance(one, Run) or one.last > after:
                        yield one
            elif not isinstance(item, Withheld) or item.seq > after:
                yield item

    async def erased(self) -> Mapping[str, float]:
        return dict(self.gone)


class Logs:
    """The spool of the installation, to be checked."""

    def __init__(self, installation: Installation) -> None:
        self._of = installation

    def writers(self) -> Sequence[str]:
        return list(self._of.spool)

    def examine(self, writer: str) -> Iterator[Run | Damage]:
        for item in list(self._of.spool.get(writer, ())):
            yield from _examined(item, f"spool/{writer}") if isinstance(item, Run) else [item]

    def withheld(self, writer: str, seq: int) -> bytes | None:
        return self._of.aside.get((writer, seq))


def _examined(run: Run, place: str) -> Iterator[Run | Damage]:
    """Give the records up to the first that is not what its head says, and what comes behind that."""
    if not run.heads:
        yield run
        return
    head = run.before
    for index, (body, kept) in enumerate(zip(run.bodies, run.heads, strict=True)):
        head = link(head, run.first + index, body)
        if head != kept:
            if index:
                yield run.part(0, index)
            yield Damage(
                writer=run.writer,
                first=run.first + index,
                last=run.last,
                place=place,
                problem="the record was changed",
                head=run.heads[-1],
            )
            return
    yield run


def changed(run: Run, seq: int, body: bytes = b'{"changed":true}') -> Run:
    """Return a run in which one record has another text, and the same heads."""
    index = seq - run.first
    return replace(run, bodies=(*run.bodies[:index], body, *run.bodies[index + 1 :]))


def dropped(run: Run, upto: int) -> Dropped:
    return Dropped(writer=run.writer, upto=upto, head=run.heads[upto - run.first])
