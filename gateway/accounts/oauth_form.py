"""Form bodies as OAuth has them (RFC 6749 appendix B), read in exactly one way or not at all."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import unquote_to_bytes

MOST_PARAMETERS = 100
REPEATABLE = frozenset({"audience", "resource"})
"""Parameters that may occur more than once (RFC 8693 section 2.1, RFC 8707 section 2)."""
_BAD_ESCAPE = re.compile(rb"%(?![0-9A-Fa-f]{2})")


class FormFlaw(ValueError):
    """The body is not one form. The text is meant for the caller, and holds nothing out of it."""


@dataclass(frozen=True, slots=True)
class Form:
    """The parameters of a request. What was sent without a value was not sent (RFC 6749 section 3.2)."""

    values: Mapping[str, tuple[str, ...]] = field(default_factory=dict, repr=False)

    def one(self, name: str) -> str | None:
        """Return the value of a parameter that may not be repeated; None: it was not sent."""
        values = self.values.get(name)
        return None if values is None else values[0]

    def all(self, name: str) -> tuple[str, ...]:
        """Return every value of a parameter that may be repeated, in order."""
        return self.values.get(name, ())


def read_form(body: bytes) -> Form:
    """Return the parameters of an `application/x-www-form-urlencoded` body. Raise `FormFlaw`.

    A parameter that occurs twice is a flaw, whatever it is: two readers may choose differently.
    """
    values: dict[str, tuple[str, ...]] = {}
    pairs = [pair for pair in body.split(b"&") if pair]
    if len(pairs) > MOST_PARAMETERS:
        raise FormFlaw(f"the body has more than {MOST_PARAMETERS} parameters")
    for pair in pairs:
        raw_name, _, raw_value = pair.partition(b"=")
        name, value = form_decoded(raw_name), form_decoded(raw_value)
        if name in values and name not in REPEATABLE:
            raise FormFlaw("a parameter occurs more than once")
        values[name] = (*values.get(name, ()), value)
    sent = {name: tuple(filter(None, each)) for name, each in values.items()}
    return Form({name: each for name, each in sent.items() if each})


def form_decoded(text: bytes) -> str:
    """Return what a name or a value stands for. Raise `FormFlaw`."""
    if _BAD_ESCAPE.search(text) is not None:
        raise FormFlaw("a percent sign is not followed by two hexadecimal digits")
    try:
        return unquote_to_bytes(text.replace(b"+", b" ")).decode()
    except UnicodeDecodeError:
        raise FormFlaw("a parameter is not UTF-8") from None
