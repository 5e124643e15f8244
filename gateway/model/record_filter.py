"""What is looked for among audit records: terms, all of which a record must meet."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

PERSONAL: Final = frozenset({"actor", "actor.name", "source_ip", "user_agent"})
"""Fields whose values may be kept apart from the record, so that they can be erased. Attributes may too."""
_ATTRIBUTES: Final = "attributes."


class Comparison(StrEnum):
    """How a term compares."""

    IS = "is"
    LIKE = "like"
    """A pattern in which `*` stands for any text."""
    GREATER = ">"
    AT_LEAST = ">="
    LESS = "<"
    AT_MOST = "<="


@dataclass(frozen=True, slots=True, kw_only=True)
class Term:
    """One thing that is asked of a record: that a field has one of some values.

    `actor` is the id or the name of the actor; `actor.kind` and `attributes.NAME` are members. A list has a
    value when one of its items is it. A field that a record does not have meets only what is negated.
    """

    field: str
    values: tuple[str, ...]
    """At least one; numbers are written out."""
    comparison: Comparison = Comparison.IS
    negated: bool = False
    _patterns: tuple[tuple[str, ...], ...] = dataclasses.field(
        init=False, repr=False, compare=False, default=()
    )

    def __post_init__(self) -> None:
        if self.comparison is Comparison.LIKE:
            object.__setattr__(self, "_patterns", tuple(tuple(value.split("*")) for value in self.values))

    @property
    def may_be_personal(self) -> bool:
        """Whether the field's value may be kept apart from the record."""
        return self.field in PERSONAL or self.field.startswith(_ATTRIBUTES)

    def is_met_by(self, record: Mapping[str, object]) -> bool:
        """Say whether a record, read whole, meets the term."""
        return self.negated is not any(self._holds(value) for value in values_of(record, self.field))

    def _holds(self, value: object) -> bool:
        match self.comparison:
            case Comparison.IS:
                return _text(value) in self.values or (
                    isinstance(value, float) and any(_number(text) == value for text in self.values)
                )
            case Comparison.LIKE:
                text = _text(value)
                return any(_is_like(text, parts) for parts in self._patterns)
            case _:
                return self._compares(value)

    def _compares(self, value: object) -> bool:
        if isinstance(value, bool) or not isinstance(value, int | float):
            return False
        bound = _number(self.values[0])
        if bound is None:
            return False
        match self.comparison:
            case Comparison.GREATER:
                return value > bound
            case Comparison.AT_LEAST:
                return value >= bound
            case Comparison.LESS:
                return value < bound
            case _:
                return value <= bound


def values_of(record: Mapping[str, object], field: str) -> list[object]:
    """Return the values that a record has for a field as terms name it; none when it has none."""
    if field == "actor":
        actor = record.get("actor")
        found: list[object] = [actor.get("id"), actor.get("name")] if isinstance(actor, dict) else []
    elif "." in field:
        family, _, name = field.partition(".")
        members = record.get(family)
        found = [members.get(name)] if isinstance(members, dict) else []
    else:
        found = [record.get(field)]
    flat: list[object] = []
    for value in found:
        flat += value if isinstance(value, list) else [value]
    return [value for value in flat if value is not None]


def _is_like(text: str, parts: tuple[str, ...]) -> bool:
    """Say whether a text is the parts with any text between them. Takes time in proportion to the text, which
    a regular expression with many `*` does not."""
    if len(parts) == 1:
        return text == parts[0]
    first, *middle, last = parts
    if len(text) < len(first) + len(last) or not text.startswith(first) or not text.endswith(last):
        return False
    place, end = len(first), len(text) - len(last)
    for part in middle:
        found = text.find(part, place, end)
        if found < 0:
            return False
        place = found + len(part)
    return True


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else str(value)


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
