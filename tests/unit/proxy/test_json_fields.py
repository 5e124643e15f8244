"""Values inside JSON documents are replaced, and nothing else changes: not a byte."""

import json
import sys
from collections.abc import Sequence

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.proxy.json_fields import MOST_ENTRIES, MOST_VALUES, NotReplaceable, Steps, replace_values

NAMES = st.sampled_from(
    ["a", "b", "*", "", "0", "1", "é", "a/b", "~", '"', "\\", "\n", "\U0001f600", "\u2028"]
)
SPACES = st.text(" \t\r\n", max_size=2)
NUMBERS = st.sampled_from(
    ["0", "-0", "1.10", "1e400", "-1E-400", "123456789012345678901234567890", "0.1e+1", "9" * 5000]
)
STEPS = st.lists(
    st.lists(st.one_of(NAMES, st.just("*")), min_size=1, max_size=3).map(tuple), min_size=1, max_size=3
)


class Members(list[tuple[str, object]]):
    """The members of an object, also those that have the same name."""


def is_name(step: str) -> bool:
    return step != "*" and not step.isdigit()


def is_a_list_where_a_member_is_named(value: object, steps: Steps) -> bool:
    """Say whether a document has an entry on the way of a pointer where that names a member."""
    if not steps:
        return False
    if isinstance(value, Members):
        below = [each for name, each in value if steps[0] in (name, "*")]
    elif isinstance(value, list):
        if value and is_name(steps[0]):
            return True
        below = [each for number, each in enumerate(value) if steps[0] in (str(number), "*")]
    else:
        return False
    return any(is_a_list_where_a_member_is_named(each, steps[1:]) for each in below)


def _escaped(draw: st.DrawFn, text: str) -> str:
    """Return a JSON string: each character as itself, or in one of the ways in which it may be escaped."""
    shown = []
    for character in text:
        units = character.encode("utf-16-be")
        coded = "".join(f"\\u{units[at : at + 2].hex()}" for at in range(0, len(units), 2))
        ways = [coded, coded.upper().replace("\\U", "\\u")]
        if character >= " " and character not in '"\\':
            ways.append(character)
        shown.append(draw(st.sampled_from(ways)))
    return f'"{"".join(shown)}"'


@st.composite
def _document(draw: st.DrawFn) -> tuple[str, list[Steps], str]:
    """Return a document, pointers, and what is to come of it when values go into pointed brackets."""
    pointers: list[Steps] = []
    for steps in draw(STEPS):
        if not any(all(a == b or "*" in (a, b) for a, b in zip(steps, p, strict=False)) for p in pointers):
            pointers.append(steps)

    def space() -> str:
        return draw(SPACES)

    def value(left: Sequence[Steps] | None, depth: int) -> tuple[str, str]:
        """Return the text of a value, and what comes of it below the pointers that are left."""
        kind = draw(st.integers(0, 5 if depth < 3 else 3))
        if left is not None and any(not steps for steps in left):
            text, _ = value(None, depth)
            return text, f"<{text}>"
        if kind == 0:
            text = draw(NUMBERS)
        elif kind == 1:
            text = draw(st.sampled_from(["null", "true", "false", "[]", "{}", '"\\ud800"']))
        elif kind in {2, 3}:
            text = _escaped(draw, draw(st.text(st.characters(exclude_categories=["Cs"]), max_size=4)))
        else:
            # A list where a pointer names a member is refused, which is tried elsewhere.
            is_object = kind == 5 or any(is_name(steps[0]) for steps in left or ())
            return collection(left, depth, is_object=is_object)
        return text, text

    def collection(left: Sequence[Steps] | None, depth: int, *, is_object: bool) -> tuple[str, str]:
        texts, expected = [], []
        for number in range(draw(st.integers(0, 3))):
            name = draw(NAMES) if is_object else str(number)
            below = None if left is None else [steps[1:] for steps in left if steps[0] in (name, "*")]
            before, behind = space(), space()
            if is_object:
                before += f"{_escaped(draw, name)}{space()}:{space()}"
            text, come = value(below, depth + 1)
            texts.append(f"{before}{text}{behind}")
            expected.append(f"{before}{come}{behind}")
        opening, end = "{}" if is_object else "[]"
        inside = space() if not texts else ""
        return (
            f"{opening}{inside}{','.join(texts)}{end}",
            f"{opening}{inside}{','.join(expected)}{end}",
        )

    text, expected = value(pointers, 0)
    before, behind = space(), space()
    return f"{before}{text}{behind}", pointers, f"{before}{expected}{behind}"


def bracketed(value: bytes) -> bytes:
    return b"<" + value + b">"


@given(_document())
def test_values_at_pointers_are_replaced_and_every_other_byte_stays(
    case: tuple[str, list[Steps], str],
) -> None:
    text, pointers, expected = case
    assert replace_values(text.encode(), pointers, bracketed) == expected.encode()


@given(
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.text(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
        max_leaves=10,
    ),
    st.lists(NAMES, min_size=1, max_size=3).map(tuple),
)
@example({"a": [{"b": 1}, {"b": 2}]}, ("a", "*", "b"))
def test_it_is_what_replacing_in_the_parsed_document_gives(document: object, steps: Steps) -> None:
    def replaced(value: object, steps: Steps) -> object:
        if not steps:
            return {"$enc": json.dumps(value)}
        if isinstance(value, dict):
            return {n: replaced(v, steps[1:]) if steps[0] in (n, "*") else v for n, v in value.items()}
        if isinstance(value, list):
            return [replaced(v, steps[1:]) if steps[0] in (str(n), "*") else v for n, v in enumerate(value)]
        return value

    def enveloped(text: bytes) -> bytes:
        return json.dumps({"$enc": text.decode()}).encode()

    text = json.dumps(document)
    if is_a_list_where_a_member_is_named(json.loads(text, object_pairs_hook=Members), steps):
        with pytest.raises(NotReplaceable):
            replace_values(text.encode(), [steps], enveloped)
        return
    assert json.loads(replace_values(text.encode(), [steps], enveloped)) == replaced(document, steps)


@given(st.binary(max_size=40) | st.text('{}[],:"01.eE- ntfaul\\\n', max_size=20).map(str.encode), STEPS)
def test_what_another_strict_reader_refuses_is_refused(document: bytes, pointers: list[Steps]) -> None:
    """RFC 8259; the readers agree on which texts are JSON, whichever pointers there are."""
    try:
        value = json.loads(document.decode("utf-8"), parse_constant=_refuse, object_pairs_hook=Members)
        is_json = not document.startswith(b"\xef\xbb\xbf")
    except (ValueError, RecursionError):
        value, is_json = None, False
    if is_json and not is_a_list_where_a_member_is_named(value, pointers[0]):
        replace_values(document, pointers[:1], bracketed)
    else:
        with pytest.raises(NotReplaceable):
            replace_values(document, pointers[:1], bracketed)


def _refuse(name: str) -> object:
    raise ValueError(name)


def test_every_occurrence_of_a_name_is_meant_however_it_is_written() -> None:
    text = rb'{"card":{"number":1,"number":2},"c\u0061rd":{"numb\u0065r":3},"Card":{"number":4}}'
    assert replace_values(text, [("card", "number")], lambda _: b"#") == (
        rb'{"card":{"number":#,"number":#},"c\u0061rd":{"numb\u0065r":#},"Card":{"number":4}}'
    )


def test_what_is_replaced_gets_the_text_of_the_value_alone() -> None:
    seen: list[bytes] = []

    def keep(value: bytes) -> bytes:
        seen.append(value)
        return value

    replace_values(b'{"a" : [ 1 , {"b":2} ] , "c" : "x" }', [("a",), ("c",)], keep)
    assert seen == [b'[ 1 , {"b":2} ]', b'"x"']


@pytest.mark.parametrize(
    ("document", "steps", "named"),
    [
        (b'[{"card":{"number":1}}]', ("card", "number"), "/card/number"),
        (b'{"card":[{"number":1}]}', ("card", "number"), "/card/number"),
        (b'{"card":{},"card":[1]}', ("card", "number"), "/card/number"),
        (b'{"items":[{"pan":1},[{"pan":1}]]}', ("items", "*", "pan"), "/items/*/pan"),
        (b'{"items":[[1]]}', ("items", "0", "pan"), "/items/0/pan"),
        (b'{"a":[0]}', ("a", "b/c~"), "/a/b~1c~0"),
        (b"[1,2]", ("01",), "/01"),
        (b"[1,2]", ("-",), "/-"),
        (b"[1,2]", ("",), "/"),
        (b"[1]", ("١",), "/١"),
    ],
)
def test_a_list_where_a_pointer_names_a_member_is_refused(document: bytes, steps: Steps, named: str) -> None:
    """Somebody made many of what was one: its values would be in the clear."""
    with pytest.raises(NotReplaceable) as caught:
        replace_values(document, [steps, ("beside",), ("other", "number")], bracketed)
    assert str(caught.value) == f"the response has a list where {named} names a member"
    assert caught.value.__cause__ is caught.value.__context__ is None


@pytest.mark.parametrize("value", [b"null", b"1", b'"x"', b"true", b"[]", b"[ ]", b"{}"])
def test_where_there_is_nothing_that_could_have_members_nothing_is_replaced(value: bytes) -> None:
    document = b'{"card":%b}' % value
    assert replace_values(document, [("card", "number")], bracketed) == document
    assert replace_values(value, [("card", "number")], bracketed) == value


def test_entries_of_lists_are_meant_by_their_number_and_names_may_be_numbers() -> None:
    assert replace_values(b'[1,[2,3],{"1":4}]', [("1", "0"), ("2", "1")], bracketed) == (
        b'[1,[<2>,3],{"1":<4>}]'
    )
    assert replace_values(b"[1]", [("7",)], bracketed) == b"[1]"


@pytest.mark.parametrize("entry", [b"1", b"1.5", b'{"a":"b"}'])
def test_other_threads_get_their_turn_while_a_long_document_is_skipped(entry: bytes) -> None:
    """They do where a function that is written in Python is called, and not inside of the scanner."""
    turns = 0

    def count(_frame: object, event: str, _argument: object) -> None:
        nonlocal turns
        turns += event == "call"

    document = b'{"beside":[%b],"secret":1}' % b",".join([entry] * 1000)
    before = sys.getprofile()
    sys.setprofile(count)
    try:
        replace_values(document, [("secret",)], bracketed)
    finally:
        sys.setprofile(before)
    assert turns >= 1000


@pytest.mark.parametrize("depth", [5_000, 200_000])
@pytest.mark.parametrize("pointer", [("a",), ("*",), ("b", "*", "0", "7")])
def test_a_document_that_is_nested_too_deeply_is_refused(depth: int, pointer: Steps) -> None:
    with pytest.raises(NotReplaceable, match="nested too deeply"):
        replace_values(b'{"b":%b}' % (b"[" * depth + b"]" * depth), [pointer], bracketed)


def test_there_may_be_so_many_values_and_no_more() -> None:
    values = b"[" + b",".join([b"1"] * MOST_VALUES) + b"]"
    assert replace_values(values, [("*",)], lambda _: b"").count(b",") == MOST_VALUES - 1
    with pytest.raises(NotReplaceable, match="10000 values to encrypt"):
        replace_values(values.replace(b"[", b"[1,"), [("*",)], bracketed)


def test_there_may_be_so_many_entries_where_values_could_be_and_no_more() -> None:
    entries = b"[" + b",".join([b"1"] * MOST_ENTRIES) + b"]"
    assert replace_values(entries, [("*", "pan")], bracketed) == entries
    with pytest.raises(NotReplaceable, match="100000 entries"):
        replace_values(entries.replace(b"[", b"[1,"), [("*", "pan")], bracketed)
    assert replace_values(b'{"a":%b}' % entries, [("b",)], bracketed), "what lies beside is not counted"


@pytest.mark.parametrize(
    ("document", "flaw"),
    [
        (b"", "is not JSON"),
        (b'{"secret":1}x', "more than one"),
        (b'{"secret"}', "is not JSON"),
        (b'{"secret":NaN}', "is not JSON"),
        (b'{"secret":"\xff"}', "is not UTF-8"),
        (b'\xef\xbb\xbf{"secret":1}', "is not JSON"),
        ('{"secret":1}'.encode("utf-16"), "is not UTF-8"),
    ],
)
def test_what_is_said_of_a_flaw_holds_nothing_of_the_document(document: bytes, flaw: str) -> None:
    with pytest.raises(NotReplaceable, match=flaw) as caught:
        replace_values(document, [("secret",)], bracketed)
    assert "secret" not in str(caught.value)
    assert caught.value.__cause__ is caught.value.__context__ is None
