"""Schedules: hours of the week in the time zone of the people they are for."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache
from zoneinfo import ZoneInfo, available_timezones

from gateway.policy.nearest import nearest

_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_TIME = re.compile(r"([01][0-9]|2[0-4]):([0-5][0-9])")
_DAY_MINUTES = 24 * 60


@dataclass(frozen=True, slots=True)
class Schedule:
    """Hours of some days of the week, by the clock on the wall of a time zone.

    Hours that pass midnight belong to the day on which they begin. When clocks are put back, an hour that
    occurs twice counts twice; one that is left out does not occur.
    """

    days: frozenset[int]
    """Monday is 0."""
    start: int
    """Minutes since midnight."""
    end: int
    """Exclusive; not after `start`: on the next day."""
    zone: tzinfo

    @classmethod
    def parse(cls, days: str | Sequence[str], start: str, end: str, timezone: str) -> "Schedule":
        """Return a schedule from what the policy says: `mon-fri` or a list, `08:00`, `18:00`, a time zone.

        Raise `ValueError` that says what to write.
        """
        first, last = _minutes(start), _minutes(end)
        if first == _DAY_MINUTES:
            raise ValueError('a day begins at "00:00"')
        if first == last:
            raise ValueError(
                f'from {start} to {end} is no time at all: for a whole day write "00:00" to "24:00"'
            )
        return cls(_days(days), first, last, _zone(timezone))

    def covers(self, now: float) -> bool:
        """Say whether a moment, in seconds since the epoch, is within the schedule."""
        # Everything that a schedule depends on happens on a full minute.
        return _covers(self, int(now // 60))


@lru_cache(maxsize=256)
def _covers(schedule: Schedule, minute: int) -> bool:
    local = datetime.fromtimestamp(minute * 60, schedule.zone)
    time = local.hour * 60 + local.minute
    if schedule.start < schedule.end:
        return schedule.start <= time < schedule.end and local.weekday() in schedule.days
    if time >= schedule.start:
        return local.weekday() in schedule.days
    return time < schedule.end and (local - timedelta(days=1)).weekday() in schedule.days


def _minutes(text: str) -> int:
    found = _TIME.fullmatch(text)
    minutes = int(found[1]) * 60 + int(found[2]) if found is not None else _DAY_MINUTES + 1
    if minutes > _DAY_MINUTES:
        raise ValueError(f'"{text}" is not a time of day: write hours and minutes, "08:00" to "24:00"')
    return minutes


def _days(written: str | Sequence[str]) -> frozenset[int]:
    texts = [written] if isinstance(written, str) else written
    days: set[int] = set()
    for text in texts:
        first, _, last = text.partition("-")
        begin, end = _day(first, text), _day(last or first, text)
        # `fri-mon` goes over the end of the week.
        days.update((begin + step) % 7 for step in range((end - begin) % 7 + 1))
    if not days:
        raise ValueError('a schedule has at least one day: write "mon-fri" or [sat, sun]')
    return frozenset(days)


def _day(name: str, text: str) -> int:
    if name in _DAYS:
        return _DAYS.index(name)
    likely = name.strip().lower()[:3]
    hint = f', did you mean "{likely}"?' if likely in _DAYS else ""
    raise ValueError(f'"{text}" is not a day or a range of days{hint}: write mon, tue, ... sun, or "mon-fri"')


def _zone(name: str) -> tzinfo:
    if name == "UTC":
        # Known even where no time zone database is installed.
        return UTC
    try:
        return ZoneInfo(name)
    except (ValueError, OSError, KeyError):
        known = available_timezones()
        if not known:
            raise ValueError(
                f'time zone "{name}" cannot be found: there is no time zone database here; '
                "install the package tzdata, or write UTC"
            ) from None
        likely = nearest(name, known)
        hint = f'did you mean "{likely}"?' if likely else 'write a name such as "Europe/Berlin" or "UTC"'
        raise ValueError(f'"{name}" is not a time zone: {hint}') from None
