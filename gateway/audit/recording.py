"""How the records of requests are written, as one configuration says."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Redaction:
    """What is not shown in full. Fields are `query.NAME`, `header.NAME` (lower-case), `claims.NAME` and
    `client.ip`; `header.user-agent` is the record's `user_agent`, `client.ip` its `source_ip`."""

    masked: frozenset[str] = frozenset()
    """Shown as their first characters and asterisks."""
    visible: int = 0
    """How many characters that is."""
    hashed: frozenset[str] = frozenset()
    """Shown as a keyed hash, by which equal values are found."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """The configuration that a request was decided by, as far as its record is concerned."""

    revision: str
    redaction: Redaction = field(default=Redaction())
