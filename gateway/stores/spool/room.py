"""A writer's directory and its lock. The lock says that the writer lives."""

import fcntl
import os
from pathlib import Path
from typing import Final
from uuid import UUID

from gateway.stores.spool.segment import SUFFIX

_QUARANTINE: Final = "quarantine"


def lock(directory: Path) -> int | None:
    """Lock a writer's directory and return the descriptor that holds the lock; None when somebody has it, or
    when the directory is gone. The lock ends with the descriptor, so also with the process. Raise
    `OSError`."""
    try:
        # Where a link leads is nothing that may be cleared away.
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # Between opening and locking, the last holder may have removed the directory.
        if os.stat(directory).st_ino == os.fstat(descriptor).st_ino:  # noqa: PTH116 - symmetric with fstat
            return descriptor
    except (BlockingIOError, FileNotFoundError):
        pass
    except BaseException:
        os.close(descriptor)
        raise
    os.close(descriptor)
    return None


def writers_in(directory: Path) -> list[str]:
    """Return the ids of the writers that have a directory here."""
    try:
        names = os.listdir(directory)  # noqa: PTH208 - names are wanted, not paths
    except FileNotFoundError:
        return []
    return sorted(name for name in names if _is_id(name))


def segments_in(directory: Path) -> list[int]:
    """Return the first numbers of a writer's segments, ascending; empty when the directory is gone."""
    try:
        names = os.listdir(directory)  # noqa: PTH208
    except (FileNotFoundError, NotADirectoryError):
        return []
    stems = (name.removesuffix(SUFFIX) for name in names if name.endswith(SUFFIX))
    return sorted(int(stem) for stem in stems if stem.isascii() and stem.isdigit())


def quarantined(spool: Path, writer: str, number: int) -> Path:
    """Return the file for a record that cannot be shipped."""
    return spool / _QUARANTINE / f"{writer}-{number}.json"


def hand_over(descriptor: int, directory: Path) -> None:
    """Give a new file or directory to whom the directory around it belongs, when root has made it: a command
    that an operator runs as root leaves records that the gateway, which is another user, has to ship."""
    if os.geteuid() == 0:
        around = directory.stat()
        os.fchown(descriptor, around.st_uid, around.st_gid)


def sync_directory(directory: Path) -> None:
    """Make the names in a directory survive a loss of power."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _is_id(name: str) -> bool:
    try:
        return str(UUID(name)) == name
    except ValueError:
        return False
