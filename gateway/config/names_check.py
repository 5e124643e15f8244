"""What checks of names and of other rooms' messages share."""

import re

from gateway.config.places import Path
from gateway.config.source import Names, SourceFile
from gateway.config.words import did_you_mean, quoted

_ADVICE = re.compile(
    r"(?P<problem>.+?)(?:: |, |; )(?P<advice>(?:write|did you mean|give|install) .+)", re.DOTALL
)


def split_advice(text: str) -> tuple[str, str | None]:
    """Return what is wrong, and what to write instead, of a sentence that says both."""
    found = _ADVICE.fullmatch(text)
    return (text, None) if found is None else (found["problem"], found["advice"].replace("?: ", "? "))


def check_names(
    known: Names, names: list[str], path: Path, source: SourceFile, *, code: str, noun: str
) -> bool:
    """Report the names of a list that are not declared, or named twice. Say whether there were none."""
    fine = True
    for index, name in enumerate(names):
        if name not in known:
            fine = False
            source.report(
                code, (*path, index), f"unknown {noun} {quoted(name)}", did_you_mean(name, known.known)
            )
        elif name in names[:index]:
            fine = False
            source.report("E118", (*path, index), f"the {noun} {quoted(name)} is named twice", "name it once")
    return fine
