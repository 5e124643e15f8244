"""Why a value does not fit, in words that a tired person understands, and what to write instead."""

from collections.abc import Callable, Mapping
from typing import cast

from pydantic_core import ErrorDetails

from gateway.config.places import Origin, Path
from gateway.config.problem import PROBLEM
from gateway.config.source import SourceFile
from gateway.config.words import did_you_mean, kind_of, listed, printable, quoted

Explanation = tuple[str, str, str | None]
"""Code, message, and what to write instead."""

_TRUE_OR_FALSE = {
    "yes": "true",
    "on": "true",
    "no": "false",
    "off": "false",
    "true": "true",
    "false": "false",
}


def explain(source: SourceFile, path: Path, error: ErrorDetails, *, is_key: bool) -> Explanation:
    """Return what is wrong with the value at a path. A value from outside of the file is never repeated."""
    written = str(path[-1]) if is_key else source.written(path)
    is_ours = source.origin(path) is Origin.WRITTEN
    context: Mapping[str, object] = error.get("ctx") or {}
    if error["type"] == PROBLEM:
        subject = "this" if written is None else quoted(written)
        suggestion = cast("str | None", context["suggestion"])
        if not is_ours:
            subject = f"the value of {subject}"
            if context["echoes"]:
                suggestion = None
        return str(context["code"]), f"{subject} {context['problem']}", suggestion
    value = error["input"]
    found = kind_of(value, written) if is_ours or written is None else f"the value of {quoted(written)}"
    kind = error["type"]
    if kind in _KINDS and path[-1:] == ("mfa",) and value is True:
        return "E100", f"a mapping is expected, found {found}", "write mfa: {max_age: 10min}"
    if kind in _KINDS:
        message, advise = _KINDS[kind]
        return "E100", f"{message}, found {found}", advise(value, written if is_ours else None)
    match kind:
        case "union_tag_not_found" if isinstance(value, dict):
            return "E102", 'an authenticator lacks "kind"', "add kind: gateway_jwt"
        case "union_tag_not_found":
            return "E100", f"a mapping is expected, found {found}", "write {kind: gateway_jwt}"
        case "union_tag_invalid":
            kinds = [word.strip("' ") for word in str(context["expected_tags"]).split(",")]
            tag = str(context["tag"])
            return "E109", f"there is no kind {quoted(tag)}", did_you_mean(tag, kinds)
        case "literal_error":
            words = str(context["expected"]).replace(" or ", ", ").replace("'", "").split(", ")
            if value in words:
                return "E109", f"{found} is not possible here", f"write {value}, without quotes"
            advice = f"write {listed(words[:-1])} or {words[-1]}" if len(words) > 1 else f"write {words[0]}"
            return (
                "E109",
                f"{found} is not possible here",
                (did_you_mean(value, words, otherwise=advice) if isinstance(value, str) else advice),
            )
        case "too_short":
            # What a grant asks for cannot be left out.
            is_grant = path[:1] == ("grants",) and path[-1:] == ("when",)
            advice = (
                "write {claims.groups: {has: support}}"
                if is_grant
                else "write at least one entry, or remove the key"
            )
            return "E113", "this must not be empty", advice
        case "greater_than_equal":
            return "E109", f"{found} is too small", f"the least is {context['ge']}"
        case "less_than_equal":
            return "E109", f"{found} is too large", f"the most is {context['le']}"
        case _:
            return "E109", f"{found} cannot be used: {error['msg']}", None


def _for_number(value: object, written: str | None) -> str:
    bare = isinstance(value, str) and written is not None and written.isdigit()
    return f"write {written}, without quotes" if bare else "write digits alone"


def _for_flag(value: object, _written: str | None) -> str:
    word = _TRUE_OR_FALSE.get(str(value).lower())
    return f"write {word}" if word else "write true or false"


def _for_list(_value: object, written: str | None) -> str:
    return f"write [{printable(written)}]" if written else "begin each entry on a line of its own with a dash"


def _for_mapping(value: object, _written: str | None) -> str:
    advice = "write names, each with a colon and a value"
    return f"{advice}; no dashes" if isinstance(value, list) else advice


_NUMBER = ("a whole number is expected", _for_number)
_FLAG = ("true or false is expected", _for_flag)
_MAPPING = ("a mapping is expected", _for_mapping)
_KINDS: Mapping[str, tuple[str, Callable[[object, str | None], str | None]]] = {
    "int_type": _NUMBER,
    "int_parsing": _NUMBER,
    "int_from_float": _NUMBER,
    "bool_type": _FLAG,
    "bool_parsing": _FLAG,
    "list_type": ("a list is expected", _for_list),
    "dict_type": _MAPPING,
    "model_type": _MAPPING,
    "model_attributes_type": _MAPPING,
}
