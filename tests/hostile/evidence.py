"""All that is known of one shot, for those who judge it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hostile.recorder import Asked
from hostile.sending import Shot

Record = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """All that is known of one shot."""

    shot: Shot
    by_proxy: Sequence[bytes] | None = None
    """The hops that a trusted proxy named, when it came through one."""
    decisions: Sequence[Record]
    """In the order in which they were made."""
    completions: Mapping[str, Record]
    """By request id."""
    asked: Sequence[Asked]
    """Requests whose `X-Forwarded-For` or id is the shot's."""
    wrongs: Sequence[str]
    secrets: Sequence[bytes]
    preceded: bool = False
    """Whether the first of them is of a harmless request in front."""
