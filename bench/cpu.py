"""What a process tree has cost so far, from /proc."""

import os
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


def cpu_seconds(pid: int) -> float:
    """Return the user and system time of a process and its living descendants, in seconds."""
    return sum(sum(map(int, _fields(each)[11:13])) for each in _tree(pid)) / _TICKS


def resident_bytes(pid: int) -> int:
    """Return the memory that a process and its living descendants occupy (shared pages count in each)."""
    return sum(int(_fields(each)[21]) for each in _tree(pid)) * _PAGE


def _fields(pid: int) -> list[str]:
    """Return the fields of /proc/PID/stat from the third on: the second may hold spaces and parentheses."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ["0"] * 50


def _tree(pid: int) -> list[int]:
    parents = {int(path.name): int(_fields(int(path.name))[1]) for path in Path("/proc").glob("[0-9]*")}
    tree = [pid]
    for parent in tree:
        tree += [child for child, its_parent in parents.items() if its_parent == parent]
    return tree
