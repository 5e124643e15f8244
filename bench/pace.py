"""Requests at an even pace, whatever became of those before: what a service looks like to people who do not
wait for each other. `python -m bench.pace` is one such crowd, in a process of its own; it prints JSON.
"""

import asyncio
import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final, cast

import uvloop

from bench.load import BenchError

CONNECTIONS: Final = 256
"""Beyond which a request is not sent, because so many wait for their answer."""
_PATIENCE: Final = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Crowd:
    """What is sent, and how often."""

    port: int
    kind: str
    """`asking`: a GET of `path`; `guessing`: a login with a wrong password, from an address of its own and
    with a name of its own; `hammering`: the same, all from one address."""
    per_second: int
    seconds: float
    path: str = "/orders"
    lines: tuple[str, ...] = ()
    """Further header lines."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Paced:
    """What became of it. Latencies are milliseconds, from the moment at which the request was due."""

    p50: float
    p99: float
    longest: float
    statuses: Mapping[int, int] = field(default_factory=dict)
    """How many answers had which status; 0: none came, or it was not sent."""


class _Connection(asyncio.Protocol):
    """One connection with one request at a time; answers have a length."""

    def __init__(self, idle: Callable[["_Connection"], None]) -> None:
        self._idle = idle
        self._buffer = b""
        self._answered: Callable[[int], None] | None = None
        self._transport: asyncio.Transport | None = None

    def ask(self, request: bytes, answered: Callable[[int], None]) -> None:
        """Send a request; `answered` is called with the status of the answer, 0 when none comes."""
        self._answered = answered
        assert self._transport is not None
        self._transport.write(request)

    # What the event loop calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport."""
        # The transports of uvloop do not descend from asyncio's.
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Read an answer."""
        self._buffer += data
        head, end, body = self._buffer.partition(b"\r\n\r\n")
        if not end:
            return
        length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
        if len(body) < length:
            return
        self._buffer = body[length:]
        self._end(int(head[9:12]))
        self._idle(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - the loop's signature
        """Take the end of the connection."""
        self._end(0)

    def _end(self, status: int) -> None:
        answered, self._answered = self._answered, None
        if answered is not None:
            answered(status)


async def pace(crowd: Crowd) -> Paced:
    """Send the requests and wait for their answers. Raise `BenchError` when none came."""
    loop = asyncio.get_running_loop()
    idle: list[_Connection] = []
    took: list[float] = []
    statuses: Counter[int] = Counter()
    opened = 0
    left = asyncio.Semaphore(0)

    def take(due: float) -> Callable[[int], None]:
        def answered(status: int) -> None:
            statuses[status] += 1
            took.append((time.perf_counter() - due) * 1000)
            left.release()

        return answered

    async def open_and_ask(request: bytes, answered: Callable[[int], None]) -> None:
        try:
            _, connection = await loop.create_connection(
                lambda: _Connection(idle.append), "127.0.0.1", crowd.port
            )
        except OSError:
            answered(0)
        else:
            connection.ask(request, answered)

    total = round(crowd.per_second * crowd.seconds)
    begun = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for number, request in zip(range(total), _requests(crowd), strict=False):
            due = begun + number / crowd.per_second
            if (early := due - time.perf_counter()) > 0:
                await asyncio.sleep(early)
            if idle:
                idle.pop().ask(request, take(due))
            elif opened < CONNECTIONS:
                opened += 1
                group.create_task(open_and_ask(request, take(due)))
            else:
                statuses[0] += 1
                left.release()
        async with asyncio.timeout(_PATIENCE):
            for _ in range(total):
                await left.acquire()
    took.sort()
    if not took:
        raise BenchError("nothing was answered")
    return Paced(
        p50=took[len(took) // 2],
        p99=took[int(len(took) * 0.99)],
        longest=took[-1],
        statuses=dict(statuses),
    )


@contextmanager
def beside(crowd: Crowd) -> Iterator[Callable[[], Paced]]:
    """Have a crowd in a process of its own; what is given waits for its end."""
    command = [sys.executable, "-m", "bench.pace"]
    root = Path(__file__).parents[1]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=root
    ) as process:
        assert process.stdin is not None
        process.stdin.write(json.dumps(asdict(crowd)))
        process.stdin.close()

        def ended() -> Paced:
            assert process.stdout is not None
            text = process.stdout.read()
            if not text:
                raise BenchError(f"a crowd of {crowd.kind} failed")
            said = json.loads(text)
            return Paced(**{**said, "statuses": {int(key): n for key, n in said["statuses"].items()}})

        try:
            yield ended
        finally:
            process.kill()


def _requests(crowd: Crowd) -> Iterator[bytes]:
    lines = "".join(f"{line}\r\n" for line in crowd.lines)
    begun = f"Host: 127.0.0.1:{crowd.port}\r\n{lines}"
    if crowd.kind == "asking":
        request = f"GET {crowd.path} HTTP/1.1\r\n{begun}\r\n".encode()
        while True:
            yield request
    number = time.time_ns() % 1_000_000
    while True:
        number += 1
        own = f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"
        address = "198.18.0.1" if crowd.kind == "hammering" else own
        body = json.dumps({"username": f"nobody-{number}", "password": "a password that is wrong"})
        yield (
            f"POST /gateway/v1/auth/login HTTP/1.1\r\n{begun}X-Forwarded-For: {address}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}"
        ).encode()


def main() -> int:
    """Be the crowd that standard input describes."""
    said = json.loads(sys.stdin.read())
    crowd = Crowd(**{**said, "lines": tuple(said["lines"])})
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        print(json.dumps(asdict(runner.run(pace(crowd)))))
    return 0


if __name__ == "__main__":
    sys.exit(main())
