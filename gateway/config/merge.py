"""What holds for an upstream: its own words, else those of `defaults`, else what is built in."""

from typing import TypeVar

T = TypeVar("T")


def first(written: T | None, default: T | None, built_in: T) -> T:
    """Return the first of the three that is there."""
    if written is not None:
        return written
    return built_in if default is None else default
