"""JSON pointers (RFC 6901), as the files write them, with `*` for every entry of an array or object."""

import re
from typing import Final

from gateway.config.problem import text_of, wrong

EVERY = "*"
"""As a step: every entry."""
_EVERY_LEVEL = "**"
_MOST_STEPS = 32
_PADDED: Final = re.compile(r"0[0-9]+")


def read_pointer(value: object) -> tuple[str, ...]:
    """Return the steps of a pointer, at least one. A step that RFC 6901 allows, and that leads nowhere unless
    a member has an odd name, is taken for the mistake that it is in all likelihood."""
    text = text_of(value, "/card/number")
    if not text:
        raise wrong("means the whole document", 'remove "encrypt_fields": all of the body is encrypted then')
    if not text.startswith("/"):
        name = text.removeprefix("$").removeprefix(".").replace(".", "/")
        raise wrong("is not a JSON pointer, which begins with /", f"write /{name}", echoes=True)
    steps = text[1:].split("/")
    if len(steps) > _MOST_STEPS:
        raise wrong(f"has more than {_MOST_STEPS} steps", "name a value that is not nested that deeply")
    return tuple(map(_read_step, steps))


def write_pointer(steps: tuple[str, ...]) -> str:
    """Return a pointer as it is written."""
    return "".join("/" + step.replace("~", "~0").replace("/", "~1") for step in steps)


def overlap(one: tuple[str, ...], other: tuple[str, ...]) -> bool:
    """Say whether one pointer could mean a value that the other means, or one inside of it."""
    return all(a == b or EVERY in (a, b) for a, b in zip(one, other, strict=False))


def _read_step(step: str) -> str:
    literal = step.replace("~0", "").replace("~1", "")
    if "~" in literal:
        raise wrong("holds a ~ that means nothing", "write ~0 for ~, and ~1 for / in a name")
    if not step:
        raise wrong(
            "has an empty step, which is a member without a name",
            "write / before each step, and none at the end; for such a member, name what holds it",
        )
    if step == "-":
        raise wrong("has a step -, which is behind the end of an array", "write * for every entry")
    if step == _EVERY_LEVEL:
        raise wrong("has a step **, which means nothing", "write * for every entry of one level")
    if _PADDED.fullmatch(step):
        raise wrong("has a number with a zero before it, which is no entry of an array", "write it without")
    return step.replace("~1", "/").replace("~0", "~")
