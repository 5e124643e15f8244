"""One line per request, from the same values as the audit record.

Written for the hot path: lines are collected and handed to a thread of their own a few times a second, so
that a slow reader of our stdout never holds up a request. When it stays slow, lines are dropped and counted;
the audit trail is the record, this is only the log.
"""

import json
import os
import time
from collections import deque
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from select import PIPE_BUF
from threading import Event, Thread

import orjson

from gateway.model import Completion, Permit, Reason, Refusal, RequestHead, status_of

_MOST_WAITING = 50_000
"""Lines kept for a slow reader."""
_PATH = 512
"""Characters of a path that a line shows."""


class AccessLog:
    """The request lines of one process. `enabled` is false above log level `info`."""

    def __init__(
        self, *, enabled: bool, as_json: bool, descriptor: int | None = None, worker: int | None = None
    ) -> None:
        """`worker` is the number that the lines of one process among several carry."""
        self.hide_address: Callable[[str], str] | None = None
        """How the address of a client is shown; None: in full."""
        self.enabled = enabled
        self.dropped = 0
        self._as_json = as_json
        self._descriptor = 1 if descriptor is None else descriptor
        self._own: dict[str, object] = {} if worker is None else {"worker": worker}
        self._longest = 0 if worker is None else PIPE_BUF
        self._lines: deque[bytes] = deque()
        self._stop = Event()
        self._thread: Thread | None = None

    def start(self) -> None:
        """Begin to write."""
        if self.enabled and self._thread is None:
            self._thread = Thread(target=self._write, name="access-log", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Write what is left, waiting two seconds at the most for a reader that does not read."""
        if self._thread is not None:
            self._stop.set()
            self._thread.join(2.0)
            self._thread = None

    def completed(self, permit: Permit, completion: Completion) -> None:
        """Log an exchange with an upstream."""
        if self.enabled:
            self._line(
                permit.head,
                status=completion.status,
                duration_ms=completion.duration_ms,
                actor=permit.principal.id or None,
                route=permit.route.id,
                reason=completion.reason,
                outcome=completion.outcome,
                bytes_in=completion.bytes_in,
                bytes_out=completion.bytes_out,
            )

    def refused(self, refusal: Refusal) -> None:
        """Log a refused request."""
        if self.enabled and refusal.head is not None:
            self._line(
                refusal.head,
                status=status_of(refusal.reason),
                duration_ms=None,
                actor=refusal.principal.id if refusal.principal is not None else None,
                route=refusal.route.id if refusal.route is not None else None,
                reason=refusal.reason,
                rule=refusal.rule,
            )

    def answered(
        self, head: RequestHead, *, route: str, status: int, actor: str | None, reason: Reason
    ) -> None:
        """Log an answer of one of the gateway's own endpoints."""
        if self.enabled:
            # Another clock's seconds, which may be set back in between.
            took = max(0.0, time.time() - head.received)
            self._line(
                head,
                status=status,
                duration_ms=round(took * 1000, 3),
                actor=actor,
                route=route,
                reason=reason,
            )

    def _line(self, head: RequestHead, **fields: object) -> None:
        if len(self._lines) >= _MOST_WAITING:
            self.dropped += 1
            return
        now = time.time()
        hide = self.hide_address
        line: dict[str, object] = {
            "timestamp": datetime.fromtimestamp(now, UTC).isoformat(timespec="microseconds"),
            "level": "info",
            "event": "request",
            **self._own,
            "request_id": head.id,
            "method": head.method,
            # Without the query: its values may be secrets.
            "path": head.path[:_PATH],
            "host": head.host,
            "source_ip": head.client if hide is None else hide(head.client),
            **fields,
        }
        self._lines.append(self._encode(line))

    def _encode(self, line: dict[str, object]) -> bytes:
        if self._as_json:
            try:
                return orjson.dumps(line) + b"\n"
            except orjson.JSONEncodeError:
                return json.dumps(line, ensure_ascii=True).encode() + b"\n"
        parts = (f"{name}={_plain(value)}" for name, value in line.items() if value is not None)
        return " ".join(parts).encode("ascii", "backslashreplace") + b"\n"

    def _write(self) -> None:
        while True:
            stopping = self._stop.wait(0.1)
            for batch in self._batches():
                self._write_all(batch)
            if stopping:
                return

    def _batches(self) -> Iterator[bytes]:
        """Give what waits: all at once, or, beside other workers, in pieces that the system writes whole.

        Of what is longer, a pipe that is full takes a part, and the lines of others come between. A lock
        would keep them out, and would stay with a worker that is stopped in the middle.
        """
        batch: list[bytes] = []
        size = 0
        for _ in range(len(self._lines)):
            line = self._lines.popleft()
            if self._longest and batch and size + len(line) > self._longest:
                yield b"".join(batch)
                batch, size = [], 0
            batch.append(line)
            size += len(line)
        if batch:
            yield b"".join(batch)

    def _write_all(self, batch: bytes) -> None:
        while batch:
            try:
                batch = batch[os.write(self._descriptor, batch) :]
            except OSError:
                # Nobody reads our output any more; that is no reason to stop serving.
                self.dropped += batch.count(b"\n")
                break


def _plain(value: object) -> str:
    """Return a value as it may stand on a terminal: what a client wrote must not move its cursor."""
    text = str(value)
    return text if text.isprintable() else json.dumps(text)
