"""`gateway audit prune`: ends what is old enough, for installations whose gateway may only add records."""

import re
from typing import Final

from gateway.assembly import at_the_command_line
from gateway.audit import Disposal
from gateway.cli.refusals import FAILED, USAGE, complain, run_command
from gateway.operations import operator_at_the_command_line, prune_trail
from gateway.ports import RetentionRefused
from gateway.settings import Settings

_DAY: Final = 86400.0
_DAYS: Final = re.compile(r"([1-9]\d{0,5})d", re.ASCII)


def prune(settings: Settings, *, before: str | None = None) -> int:
    """Remove the days of the trail that are older than a duration, or than `GATEWAY_AUDIT_KEEP`; return the
    exit code. Raise `StartRefused`."""
    keep = settings.audit_keep
    if before is not None:
        days = _DAYS.fullmatch(before)
        if days is None:
            complain(f"--before: {before!r} is no number of days; write it as in 400d")
            return USAGE
        keep = int(days[1]) * _DAY
    if keep is None:
        complain("nothing says how long records are kept: name it, as in --before 400d")
        return USAGE
    return run_command(_prune(settings, keep))


async def _prune(settings: Settings, keep: float) -> int:
    async with at_the_command_line(settings) as stores:
        audit = stores.audit
        disposal = Disposal(audit.retention, audit.notary, audit.events, stores.clock)
        try:
            days = await prune_trail(disposal, keep=keep, operator=operator_at_the_command_line())
        except RetentionRefused as refused:
            complain(str(refused))
            return FAILED
    print("Nothing is old enough." if days == 0 else f"Removed: {days} day{'' if days == 1 else 's'}.")
    return 0
