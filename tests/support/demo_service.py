"""The demo's service, as a process of its own."""

import contextlib
import subprocess
import sys
from collections.abc import Iterator


@contextlib.contextmanager
def demo_service() -> Iterator[str]:
    """Run the service for the length of the block; gives `host:port`."""
    with subprocess.Popen(
        [sys.executable, "-m", "gateway.demo.upstream", "--port", "0", "--until-stdin-ends"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        yield process.stdout.readline().strip().rpartition("//")[2]
        process.terminate()
