"""Durations as commands take them: a number with a unit."""

import re

from gateway.cli.refusals import complain

_DURATION = re.compile(r"(0|[1-9]\d{0,8})(s|min|h|d)", re.ASCII)
_SECONDS = {"s": 1, "min": 60, "h": 3600, "d": 86400}


def seconds_of(text: str) -> float | None:
    """Return the seconds that `90s`, `5min`, `12h` or `7d` stands for; None when the text is no duration."""
    match = _DURATION.fullmatch(text)
    return None if match is None else float(int(match[1]) * _SECONDS[match[2]])


def read_duration(option: str, text: str, *, example: str, may_be_nothing: bool = False) -> float | None:
    """Return the seconds that an option stands for; None after saying what is wrong with it."""
    seconds = seconds_of(text)
    if seconds is None:
        complain(f"{option}: {text!r} is not a duration; write a number with a unit, as in {example}")
    elif not seconds and not may_be_nothing:
        complain(f"{option}: {text!r} must be more than nothing, as in {example}")
        return None
    return seconds
