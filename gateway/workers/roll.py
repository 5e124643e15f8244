"""What is known of every worker: written by the supervisor as lines, read by the operators' process."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson

_SILENT: Final = 3.0
"""Seconds without a word, after which a worker counts as one that cannot answer."""
_STUCK: Final = 15.0
"""Seconds without a word, after which a worker counts as one that never will."""


def entry_line(name: str, *, pid: int | None, fault: str | None, standing: bytes | None) -> bytes:
    """Return the line on how a worker stands; `standing` is its own last line, `fault` why it has none."""
    head = orjson.dumps({"worker": name, "pid": pid, "fault": fault})[:-1]
    return head + b',"standing":' + (standing or b"null") + b"}"


def metrics_line(name: str, pid: int | None, metrics: bytes) -> bytes:
    """Return the line that says what the process of a worker has counted; `metrics` is JSON."""
    return (
        b'{"worker":' + orjson.dumps(name) + b',"of":' + orjson.dumps(pid) + b',"metrics":' + metrics + b"}"
    )


def departed_line(metrics: bytes, last: Mapping[str, int]) -> bytes:
    """Return the line that says what all processes had counted that have ended; `last` is by worker the last
    of them. In one line, so that at no moment a process is counted twice, or not at all."""
    return b'{"departed":' + metrics + b',"last":' + orjson.dumps(dict(last)) + b"}"


def endings_line(endings: Mapping[str, int]) -> bytes:
    """Return the line that says how many workers ended without being told to, by how they ended."""
    return orjson.dumps({"endings": dict(endings)})


def draining_line() -> bytes:
    """Return the line that says that the whole is shutting down."""
    return b'{"draining":true}'


@dataclass(slots=True)
class _Entry:
    pid: int | None
    fault: str | None
    standing: Mapping[str, Any] | None
    heard: float


class Roll:
    """The operators' process's knowledge of the workers."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.draining = False
        """Whether the whole is shutting down."""
        self.endings: dict[str, int] = {}
        """How many workers ended without being told to, by how they ended."""
        self._clock = clock
        self._entries: dict[str, _Entry] = {}
        self._metrics: dict[str, tuple[int | None, Any]] = {}
        self._departed: Any = None
        self._last: Mapping[str, int] = {}
        self.is_whole = False
        """Whether everything has been told that a new operators' process is told at first."""

    def hear(self, line: bytes) -> None:
        """Take a line of the supervisor."""
        match orjson.loads(line):
            case {"worker": str(name), "of": pid, "metrics": state}:
                self._metrics[name] = pid, state
            case {"worker": str(name), "pid": pid, "fault": fault, "standing": standing}:
                self._entries[name] = _Entry(pid, fault, standing, self._clock())
            case {"departed": state, "last": dict(last)}:
                self._departed, self._last = state, last
            case {"endings": dict(endings)}:
                self.endings, self.is_whole = endings, True
            case {"draining": True}:
                self.draining = True
            case other:
                raise ValueError(f"not a line of the roll: {list(other)}")

    def reports(self) -> dict[str, tuple[int, Mapping[str, object]] | str]:
        """Return by worker what it said last for `/readyz`, or why it cannot be asked."""
        return {name: self._report(entry) for name, entry in self._entries.items()}

    @property
    def running(self) -> int:
        """How many workers have a process."""
        return sum(entry.pid is not None for entry in self._entries.values())

    def details(self) -> dict[str, dict[str, object]]:
        """Return by worker its process, its connections, and the requests that it answers just now."""
        return {
            name: {
                "pid": entry.pid,
                "connections": (entry.standing or {}).get("open", 0),
                "in_flight": (entry.standing or {}).get("in_flight", 0),
            }
            for name, entry in self._entries.items()
        }

    def metrics(self) -> list[Any]:
        """Return the states of metrics: one for each worker, and one for all processes that have ended."""
        running = [state for name, (pid, state) in self._metrics.items() if self._last.get(name) != pid]
        return [*running, *([self._departed] if self._departed is not None else [])]

    @property
    def is_stuck(self) -> bool:
        """Whether there are workers that could answer, and none of them has been heard of for long."""
        heard = [entry.heard for entry in self._entries.values() if entry.fault is None and entry.standing]
        return bool(heard) and self._clock() - max(heard) > _STUCK

    def _report(self, entry: _Entry) -> tuple[int, Mapping[str, object]] | str:
        if entry.fault is not None:
            return entry.fault
        if entry.standing is None:
            return "is starting"
        silent = self._clock() - entry.heard
        if silent > _SILENT:
            return f"has not been heard of for {silent:.0f} s"
        return entry.standing["status"], entry.standing["body"]
