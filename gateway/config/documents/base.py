"""What every part of the two files has in common."""

from dataclasses import dataclass
from typing import ClassVar

from pydantic import BaseModel, ConfigDict


class Document(BaseModel):
    """A mapping as it is written. Unknown keys are findings; no kind of value is taken for another."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, protected_namespaces=())

    noun: ClassVar[str]
    """What findings call it: `a route`."""


@dataclass(frozen=True, slots=True)
class NotYet:
    """Marks a key that the grammar knows and the gateway cannot enforce yet."""

    what: str
    """What is not supported, as a noun: `a second factor`."""
    values: tuple[object, ...] = ()
    """Only these values or types, also as entries of a list; none: any."""
