"""Programs that are started for a measurement, and ended with it."""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from bench.load import BenchError

START_SECONDS = 30
_END_SECONDS = 20


@contextmanager
def running(
    command: Sequence[str],
    *,
    folder: Path,
    environment: Mapping[str, str] | None = None,
    user: int | None = None,
    is_up: Callable[[], bool],
    end: signal.Signals = signal.SIGTERM,
) -> Iterator[int]:
    """Run a program until the block ends, and give its process id once it is up.

    What it prints goes to `output` in the folder. `user` is the id of a user and of a group, for root only.
    Raise `BenchError` when it does not come up.
    """
    output = folder / "output"
    with (
        output.open("wb") as file,
        subprocess.Popen(
            command,
            env=dict(os.environ if environment is None else environment),
            stdout=file,
            stderr=file,
            stdin=subprocess.DEVNULL,
            cwd=None if user is None else folder,
            user=user,
            group=user,
            extra_groups=None if user is None else (),
        ) as process,
    ):
        try:
            deadline = time.monotonic() + START_SECONDS
            while not is_up():
                if time.monotonic() > deadline or process.poll() is not None:
                    text = output.read_text(errors="replace")[-2000:]
                    raise BenchError(f"{' '.join(command[:3])} did not start:\n{text}")
                time.sleep(0.05)
            yield process.pid
        finally:
            process.send_signal(end)
            try:
                process.wait(timeout=_END_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()


def listens(port: int) -> bool:
    """Say whether somebody accepts connections on a port of loopback."""
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


def free_port() -> int:
    """Return a port of loopback that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])
