"""A rate as the policy writes it: `120/min`, `5/15min`, `50/s`."""

import re

_RATE = re.compile(r"([0-9]{1,10})/([0-9]{0,6})(s|min|h|d)")
_SECONDS = {"s": 1, "min": 60, "h": 3600, "d": 86400}
_LIKELY = {
    "sec": "s", "second": "s", "m": "min", "minute": "min", "hr": "h", "hour": "h", "day": "d"
}  # fmt: skip
_LIKELY_RATE = re.compile(r"\s*([0-9]+)\s*(?:/|per)\s*([0-9]*)\s*([a-zA-Z]+)\s*")
_LARGEST_QUOTA = 1_000_000_000
_LONGEST_WINDOW = 366 * 86400


def parse_rate(text: str) -> tuple[int, int]:
    """Return the quota and the window in microseconds of `N/W`, W = `[n]s|min|h|d`.

    Raise `ValueError` that says what to write.
    """
    found = _RATE.fullmatch(text)
    if found is None:
        raise ValueError(f'"{text}" is not a rate: {_advice(text)}')
    quota = int(found[1])
    window = int(found[2] or 1) * _SECONDS[found[3]]
    if not 0 < quota <= _LARGEST_QUOTA:
        raise ValueError(f'"{text}" allows {quota}: write a number from 1 to {_LARGEST_QUOTA}')
    if not 0 < window <= _LONGEST_WINDOW:
        raise ValueError(f'"{text}": the window is from 1s to 366d')
    return quota, window * 1_000_000


def _advice(text: str) -> str:
    likely = _LIKELY_RATE.fullmatch(text)
    if likely is not None:
        number, length, unit = likely.groups()
        unit = unit.lower()
        if len(unit) > len("ms"):
            unit = unit.removesuffix("s")
        unit = _LIKELY.get(unit, unit)
        if unit in _SECONDS:
            return f'write "{number}/{length}{unit}"'
    return 'write how many in which time, as "120/min": the time is s, min, h or d, or several as in "15min"'
