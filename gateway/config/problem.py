"""What is wrong with one value, in words that never repeat the value.

It may come from the environment or from a secret file. Whoever reports the problem puts in front of it what
is written in the file.
"""

from pydantic_core import PydanticCustomError

from gateway.config.words import kind_of

_KINDS = {bool: "true or false", list: "a list", dict: "a mapping"}
PROBLEM = "gateway"
"""Type of the validation errors that are made here."""


def wrong(
    problem: str, suggestion: str | None = None, *, code: str = "E109", echoes: bool = False
) -> PydanticCustomError:
    """Return the error that says `<the value> <problem>`, with what to write instead.

    `echoes` says that the suggestion is made from the value.
    """
    context = {"problem": problem, "suggestion": suggestion, "code": code, "echoes": echoes}
    return PydanticCustomError(PROBLEM, "{problem}", context)


def text_of(value: object, example: str) -> str:
    """Return a value that must be text; a number without a unit is a common slip."""
    if isinstance(value, str):
        return value
    if isinstance(value, int | float) and not isinstance(value, bool):
        raise wrong(
            "is a number, but text is needed", f'put it in quotes: "{value}"', code="E100", echoes=True
        )
    raise wrong(
        f"is {_KINDS.get(type(value), kind_of(value))}, but text is needed",
        f"write it as {example}",
        code="E100",
    )
