"""One writer's log as a spool would hand it over: chained, with what it says of persons sealed beside it."""

from collections.abc import Mapping, Sequence
from uuid import uuid4

import orjson
from support.auditing import SEALER

from gateway.crypto import PersonalPart, beginning, link, seal_parts
from gateway.ports import Run

NAMES_KEY = b"the key of names, as in the tests"


class WrittenLog:
    """Gives the records of one writer as runs, each going on where the one before ended."""

    def __init__(self, writer: str | None = None, *, last: int = 0) -> None:
        self.writer = str(uuid4()) if writer is None else writer
        self.last = last
        self.head = beginning(self.writer)

    def run(self, *bodies: bytes, parts: Mapping[int, Sequence[PersonalPart]] | None = None) -> Run:
        """Return a run of the next records; `parts`: what they say of persons, by their place in the run."""
        before, heads = self.head, []
        for number, body in enumerate(bodies, self.last + 1):
            self.head = link(self.head, number, body)
            heads.append(self.head)
        first, self.last = self.last + 1, self.last + len(bodies)
        beside = parts or {}
        return Run(
            writer=self.writer,
            first=first,
            bodies=bodies,
            before=before,
            heads=tuple(heads),
            personal=tuple(
                seal_parts(SEALER, beside[index]) if index in beside else b"" for index in range(len(bodies))
            ),
        )

    def of_persons(self, *records: tuple[Mapping[str, object], Sequence[PersonalPart]]) -> Run:
        """Return a run of records, each with the parts that it commits to."""
        bodies = [committed(fields, parts) for fields, parts in records]
        return self.run(*bodies, parts={index: parts for index, (_, parts) in enumerate(records) if parts})


def committed(fields: Mapping[str, object], parts: Sequence[PersonalPart]) -> bytes:
    """Return a record with what it has in place of what it says of persons."""
    personal = {part.subject: part.commitment for part in parts}
    return orjson.dumps({**fields, "personal": personal} if personal else dict(fields))
