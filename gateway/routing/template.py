"""The path of a route: literal segments, `{param}`, and `**` as the last one. No regular expressions."""

import re
from dataclasses import dataclass

from gateway.routing.segment import Unreadable, decode_segment

MOST_SEGMENTS = 64
"""Longer paths match nothing, so that no request costs more than this many steps."""

_PARAM = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")
_NEVER = {
    "?": "the query is no part of the path",
    "#": "a request with `#` is refused",
    ";": "a request with `;` is refused",
    "\\": "a request with a backslash is refused",
}


@dataclass(frozen=True, slots=True)
class Template:
    """A path template, taken apart."""

    steps: tuple[str | None, ...]
    """A literal, decoded; None for a parameter."""
    params: tuple[str, ...]
    """Names of the parameters, in order."""
    is_open: bool
    """Whether `**` follows the steps."""


def read_template(text: str) -> Template:
    """Return a path template, taken apart. Raise `ValueError` that says what to write instead.

    Literals may be written as they are or percent-encoded: both are compared with the decoded segment.
    """
    if not text.startswith("/"):
        raise ValueError(f'a path begins with "/": write "/{text}"')
    for character, why in _NEVER.items():
        if character in text:
            raise ValueError(f'"{character}" never matches: {why}')
    segments = text[1:].split("/")
    if len(segments) > MOST_SEGMENTS:
        raise ValueError(f"a path has at most {MOST_SEGMENTS} segments, this one has {len(segments)}")
    is_open = segments[-1] == "**"
    if is_open:
        segments.pop()
    steps: list[str | None] = []
    params: list[str] = []
    for position, segment in enumerate(segments):
        if not segment and (is_open or position < len(segments) - 1):
            raise ValueError('"//" never matches: a request with an empty segment is refused')
        param = _PARAM.fullmatch(segment)
        if param is None:
            steps.append(_literal(segment))
            continue
        if param[1] in params:
            raise ValueError(f'"{{{param[1]}}}" occurs twice: give each parameter its own name')
        params.append(param[1])
        steps.append(None)
    return Template(tuple(steps), tuple(params), is_open)


def template_params(template: str) -> tuple[str, ...]:
    """Return the names of a template's parameters, in order. Raise `ValueError` for a bad template."""
    return read_template(template).params


def _literal(segment: str) -> str:
    if segment == "**":
        raise ValueError('"**" stands for the rest of the path, so it is the last segment')
    if "*" in segment:
        raise ValueError(f'"{segment}": write {{name}} for one segment, "**" at the end for the rest')
    if "{" in segment or "}" in segment:
        raise ValueError(f'"{segment}": a parameter is a whole segment, {{name}}, of letters, digits and "_"')
    try:
        return decode_segment(segment)
    except Unreadable as flaw:
        raise ValueError(f'"{segment}" never matches: it contains {flaw}') from None
