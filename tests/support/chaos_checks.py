"""What must hold when it is over: each check returns what is wrong, in words."""

import contextlib
import os
import re
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from support.chaos_load import Account
from support.chaos_requests import UNREAD
from support.chaos_stage import Stage
from support.gateway import Gateway

_Found = TypeVar("_Found")
_MOST_LATE = 0.05
"""Share of the uploads that a client may be too late with because the machine is busy."""
_GAUGES = re.compile(
    r"gateway_(requests_in_flight|client_connections|upstream_connections|upstream_waiting_requests)\b"
)
_BAD_LINES = re.compile(
    r"Traceback|never retrieved|never awaited|was destroyed|unclosed|ResourceWarning"
    r'|"level": ?"(error|critical)"'
)


@dataclass(slots=True)
class Watched:
    """The resident memory of all processes of a gateway, in MiB, by seconds since the beginning."""

    pids: list[int]
    began: float = field(default_factory=time.monotonic)
    curve: list[tuple[float, float]] = field(default_factory=list)

    def look(self) -> None:
        """Note how much it is now."""
        pages = sum(int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in self.pids)
        self.curve.append((time.monotonic() - self.began, pages * os.sysconf("SC_PAGE_SIZE") / 2**20))

    def between(self, first: float, last: float) -> list[float]:
        """Return what was noted between two moments."""
        return [size for at, size in self.curve if first <= at <= last]

    def __str__(self) -> str:
        step = max(1, len(self.curve) // 12)
        return ", ".join(f"{at:.0f} s: {size:.0f}" for at, size in self.curve[::step])


def processes_of(gateway: Gateway) -> list[int]:
    """Return the supervisor, or the only process, and its workers."""
    children = Path(f"/proc/{gateway.pid}/task/{gateway.pid}/children").read_text()
    return [gateway.pid, *map(int, children.split())]


def in_use(gateway: Gateway) -> dict[str, str]:
    """Return by series everything that must be zero when nobody asks."""
    text = gateway.request("GET", "/metrics", port=gateway.admin_port).body.decode()
    series = (line.rpartition(" ") for line in text.splitlines())
    return {name: value for name, _, value in series if _GAUGES.match(name) and float(value)}


def open_files(pids: list[int]) -> "Counter[str]":
    """Return by kind what processes have open, but for their database, whose connections are made as needed."""
    found: Counter[str] = Counter()
    for directory in (Path(f"/proc/{pid}/fd") for pid in pids):
        for one in directory.iterdir():
            with contextlib.suppress(OSError):  # closed since it was listed
                found[one.readlink().name.partition(":")[0]] += 1
    return Counter({name: count for name, count in found.items() if not name.startswith("gateway.db")})


def left_behind(gateway: Gateway, watched: Watched, files: "Counter[str]") -> Iterator[str]:
    """Nothing is in use, and no more is open than before."""
    if still := _settled(lambda: in_use(gateway)):
        yield f"still in use: {still}"
    if more := _settled(lambda: open_files(watched.pids) - files):
        yield f"more open files than before: {dict(more)}"


def _settled(look: Callable[[], _Found], *, within: float = 10.0) -> _Found:
    deadline = time.monotonic() + within
    while (found := look()) and time.monotonic() < deadline:
        time.sleep(0.05)
    return found


def unfair(account: Account) -> Iterator[str]:
    """What clients were told is right, and they were given their time."""
    yield from account.wrongs
    meant = [one for one in account.asked.values() if one.framing != "none" and not one.is_late]
    late = [one.path for one in meant if account.ends[one.path] == "request-timeout"]
    if len(late) > 1 + _MOST_LATE * len(meant):
        yield f"{len(late)} of {len(meant)} uploads were too late: {late[:10]}"


def misdelivered(behind: Stage, account: Account) -> Iterator[str]:
    """No request reached a service twice, or changed, and every whole answer came from a service."""
    arrived = behind.arrived()
    for mark, times in arrived.items():
        if mark.endswith(" wrong"):
            yield f"changed on its way: {account.asked[mark.split()[0]]}"
        elif times > account.asked[mark].may_arrive:
            yield f"arrived {times} times: {account.asked[mark]}"
    for one in account.asked.values():
        if account.ends[one.path] == "whole" and not arrived[one.mark]:
            yield f"answered by nobody: {one}"


def complaints(gateway: Gateway) -> Iterator[str]:
    """The gateway has nothing to say about itself."""
    return (line for line in gateway.lines if _BAD_LINES.search(line))


def unrecorded(gateway: Gateway, account: Account) -> Iterator[str]:
    """Every request is recorded once, and every permit has one completion that says what the client saw."""
    decisions, completions = defaultdict(list), defaultdict(list)
    for record in gateway.audit():
        if record["kind"] == "decision":
            decisions[record["path"]].append(record)
        elif record["kind"] == "completion":
            completions[record["path"]].append(record)
    for path, end in account.ends.items():
        made, ended = decisions.pop(path, []), completions.pop(path, [])
        allowed = [one for one in made if one["decision"] == "allow"]
        if len(made) != 1 and (made or end not in {"left", "unanswered"}):
            yield f"{path}: {end}: {len(made)} decisions"
        elif len(ended) != len(allowed):
            yield f"{path}: {end}: {len(allowed)} permits, {len(ended)} completions"
        elif ended:
            outcome, reason = ended[0]["outcome"], ended[0]["reason"]
            if outcome not in _outcomes(end, path) or (_is_slug(end) and end != reason):
                yield f"{path}: {end}: recorded as {outcome}, {reason}"
    yield from (f"recorded, and asked by nobody: {path}" for path in decisions.keys() | completions.keys())


def _outcomes(end: str, path: str) -> set[str]:
    """Return how the end that a client saw may be recorded."""
    behaviour = path.split("/")[2]
    if end in {"whole", "tunnel whole"} and behaviour != "ws_reset":
        # Who has an early answer may go before the request is complete.
        return {"complete", "client_left"} if behaviour in UNREAD else {"complete"}
    if end == "cut":
        return {"upstream_failed", "cut", "client_left"}
    return (
        {"upstream_failed", "cut"} if _is_slug(end) else {"complete", "upstream_failed", "cut", "client_left"}
    )


def _is_slug(end: str) -> bool:
    return "-" in end or end == "overloaded"
