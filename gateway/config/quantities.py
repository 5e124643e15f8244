"""How much and how long, as the files write it: durations, sizes, shares, rates and days."""

import re
from dataclasses import dataclass
from datetime import date

from gateway.config.problem import text_of, wrong
from gateway.config.words import nearest
from gateway.limits import parse_rate

_SECONDS = {"ms": 0.001, "s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
_LIKELY_UNIT = {
    **dict.fromkeys(("m", "mins", "minute", "minutes"), "min"),
    **dict.fromkeys(("sec", "secs", "second", "seconds"), "s"),
    **dict.fromkeys(("hr", "hrs", "hour", "hours"), "h"),
    **dict.fromkeys(("day", "days"), "d"),
    **dict.fromkeys(("msec", "millis", "milliseconds"), "ms"),
}
_BYTES = {"B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}
_LIKELY_SIZE = {
    **dict.fromkeys(("b", "byte", "bytes"), "B"),
    **dict.fromkeys(("k", "kb", "kib"), "KiB"),
    **dict.fromkeys(("m", "mb", "mib"), "MiB"),
    **dict.fromkeys(("g", "gb", "gib"), "GiB"),
}
_NUMBER_UNIT = re.compile(r"([0-9]{1,12})([A-Za-z]+)")
_LOOSE_NUMBER_UNIT = re.compile(r"\s*([0-9]{1,12})\s*([A-Za-z]*)\s*")
_PERCENT = re.compile(r"([0-9]{1,3})%")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_ALL = 100
_LARGEST_QUOTA = 10**9
_LONGEST = 100 * 366 * 86400.0
LARGEST_HELD = 16 * 1024 * 1024
"""Bytes of a body that may be in memory as a whole: one that is encrypted or decrypted."""


@dataclass(frozen=True, slots=True)
class Rate:
    """`120/min`: so many in a window of this length; `window_us` is None for a calendar month."""

    quota: int
    window_us: int | None


@dataclass(frozen=True, slots=True)
class Size:
    """Bytes; None: unlimited."""

    bytes: int | None


def read_duration(value: object) -> float:
    """Return seconds, more than none."""
    seconds = read_duration_or_zero(value)
    if seconds == 0:
        raise wrong("is no time at all", "write at least 1ms")
    return seconds


def read_duration_or_zero(value: object) -> float:
    """Return seconds."""
    if isinstance(value, int) and not isinstance(value, bool):
        raise wrong("has no unit", f"write {value}s, or use ms, min, h or d", echoes=True)
    text = text_of(value, "10s")
    found = _NUMBER_UNIT.fullmatch(text)
    if found is None or found[2] not in _SECONDS:
        loose = _LOOSE_NUMBER_UNIT.fullmatch(text)
        unit = None if loose is None else _LIKELY_UNIT.get(loose[2].lower(), loose[2])
        if loose is not None and not unit:
            raise wrong("has no unit", f"write {loose[1]}s, or use ms, min, h or d", echoes=True)
        if loose is not None and unit in _SECONDS:
            raise wrong("is not a duration", f"write {loose[1]}{unit}", echoes=True)
        raise wrong("is not a duration", "write a number and a unit: 500ms, 10s, 15min, 2h or 7d")
    seconds = int(found[1]) * _SECONDS[found[2]]
    if seconds > _LONGEST:
        raise wrong("is longer than a hundred years", "write a shorter time")
    return seconds


def read_size(value: object) -> Size:
    """Return a number of bytes, or unlimited."""
    if isinstance(value, int) and not isinstance(value, bool):
        raise wrong("has no unit", f"write {value}B, or use KiB, MiB or GiB", echoes=True)
    text = text_of(value, "10MiB")
    if text == "unlimited":
        return Size(None)
    found = _NUMBER_UNIT.fullmatch(text)
    if found is None or found[2] not in _BYTES:
        loose = _LOOSE_NUMBER_UNIT.fullmatch(text)
        unit = None if loose is None else _LIKELY_SIZE.get(loose[2].lower())
        if loose is not None and unit is not None:
            raise wrong("is not a size", f"write {loose[1]}{unit}", echoes=True)
        close = nearest(text, ["unlimited"])
        raise wrong("is not a size", f"write {close}" if close else "write 512KiB, 10MiB, 2GiB or unlimited")
    return Size(int(found[1]) * _BYTES[found[2]])


def read_held_size(value: object) -> int:
    """Return how many bytes a body may have that is in memory as a whole."""
    size = read_size(value).bytes
    if size is None or size > LARGEST_HELD:
        raise wrong("is too much: such a body is in memory as a whole", "write at most 16MiB")
    if size == 0:
        raise wrong("is no size at all", "write at least 1B")
    return size


def read_percent(value: object) -> float:
    """Return a share between 0 and 1."""
    if isinstance(value, int) and not isinstance(value, bool):
        raise wrong("is not a percentage", f"write {value}%", echoes=True)
    if isinstance(value, float) and 0 < value <= 1:
        raise wrong("is not a percentage", f"write {value:.0%}", echoes=True)
    found = _PERCENT.fullmatch(text_of(value, "20%"))
    if found is None or int(found[1]) > _ALL:
        raise wrong("is not a percentage", "write 0% to 100%")
    return int(found[1]) / 100


def read_rate(value: object) -> Rate:
    """Return how many in which time."""
    if isinstance(value, int) and not isinstance(value, bool):
        raise wrong("has no time", f"write {value}/min, or use s, h or d", echoes=True)
    text = text_of(value, "120/min")
    quota, _, window = text.partition("/")
    if window == "month" and quota.isascii() and quota.isdigit() and 0 < int(quota[:12]) < _LARGEST_QUOTA:
        return Rate(int(quota), None)
    try:
        return Rate(*parse_rate(text))
    except ValueError as flaw:
        # The words of the one place that reads rates, without the value that they begin with.
        problem, _, advice = str(flaw).removeprefix(f'"{text}"').lstrip(": ").partition(": ")
        raise wrong(problem, advice or None, echoes=True) from None


def read_date(value: object) -> date:
    """Return a day."""
    text = text_of(value, "2026-12-31")
    try:
        if _DATE.fullmatch(text):
            return date.fromisoformat(text)
    except ValueError:
        pass
    raise wrong("is not a date", "write year, month and day: 2026-12-31")
