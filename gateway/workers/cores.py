"""How many cores this process may use."""

import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

_CGROUP = Path("/sys/fs/cgroup")
_OWN = Path("/proc/self/cgroup")


def usable_cores(cgroup: Path = _CGROUP, own: Path = _OWN) -> int:
    """Return the cores that the process may run on, no more than the quotas of its control groups pay for.

    A container with two cores of a machine with sixty-four has two, and so has a systemd service with
    `CPUQuota=200%`. `cgroup` is where control groups are mounted, `own` says which of them are those of this
    process (cgroups(7)). At least 1.
    """
    cores = len(os.sched_getaffinity(0))
    quotas = [
        quota
        for controllers, path in _memberships(own)
        for group in (path, *path.parents)
        if (quota := _quota(cgroup, controllers, group)) is not None
    ]
    return max(1, min(cores, *map(round, quotas))) if quotas else cores


def _memberships(own: Path) -> Iterator[tuple[str, PurePosixPath]]:
    """Give the controllers and the path, relative to the mount, of each group that this process is in."""
    try:
        lines = own.read_text().splitlines()
    except OSError:
        lines = ["0::/", "1:cpu:/"]
    for line in lines:
        _, controllers, path = line.split(":", 2)
        yield controllers, PurePosixPath(path.lstrip("/"))


def _quota(cgroup: Path, controllers: str, group: PurePosixPath) -> float | None:
    """Return the cores that a control group pays for, None when it does not limit them, or is not to be seen
    from here."""
    try:
        if not controllers:
            amount, period = (cgroup / group / "cpu.max").read_text().split()
        elif "cpu" in controllers.split(","):
            older = cgroup / "cpu" / group
            amount = (older / "cpu.cfs_quota_us").read_text().strip()
            period = (older / "cpu.cfs_period_us").read_text().strip()
        else:
            return None
        return None if amount in {"max", "-1"} else int(amount) / int(period)
    except (OSError, ValueError, ZeroDivisionError):
        return None
