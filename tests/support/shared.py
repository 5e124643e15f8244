"""What one of the processes that run the tests works out for all of them."""

import fcntl
import json
import os
from collections.abc import Callable
from typing import Any

import pytest


def worked_out_once(name: str, work: Callable[[], Any], temporary: pytest.TempPathFactory) -> Any:
    """Return what `work` returns, as JSON has it; of the processes of one run the first to ask works, the others
    wait for it. What is raised is raised for whoever worked, and the next one tries again."""
    place = temporary.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        # Each process has its own below that of the run.
        place = place.parent
    with (place / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        result = place / f"{name}.json"
        if not result.exists():
            text = json.dumps(work())
            result.write_text(text)
        return json.loads(result.read_text())
