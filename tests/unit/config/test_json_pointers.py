"""JSON pointers: read, written, and whether two of them could mean the same."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic_core import PydanticCustomError

from gateway.config.json_pointers import overlap, read_pointer, write_pointer

STEPS = st.lists(
    st.one_of(st.sampled_from(["*", "0", "10"]), st.text(max_size=5).map("x{}".format)),
    min_size=1,
    max_size=4,
).map(tuple)


@given(STEPS)
def test_a_pointer_is_read_as_it_was_written(steps: tuple[str, ...]) -> None:
    assert read_pointer(write_pointer(steps)) == steps


@pytest.mark.parametrize(
    ("text", "steps"),
    [
        ("/a~1b", ("a/b",)),
        ("/m~0n", ("m~n",)),
        ("/~01", ("~1",)),
        ("/items/*/pan", ("items", "*", "pan")),
        ("/0", ("0",)),
        ("/10/a-b/0x/-1/a*", ("10", "a-b", "0x", "-1", "a*")),
    ],
)
def test_escapes_are_read_once(text: str, steps: tuple[str, ...]) -> None:
    """RFC 6901 section 4: first ~1, then ~0."""
    assert read_pointer(text) == steps


@pytest.mark.parametrize("text", ["", "a", "$.a", "#/a", "/a~", "/a~2", "/~", "/a" * 33, 5, None, ["/a"]])
def test_what_is_no_pointer_is_refused(text: object) -> None:
    with pytest.raises(PydanticCustomError):
        read_pointer(text)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("/**/number", "a step **"),
        ("/items/-", "a step -"),
        ("/items/01/pan", "a number with a zero before it"),
        ("/00", "a number with a zero before it"),
        ("/", "an empty step"),
        ("/card/", "an empty step"),
        ("//card", "an empty step"),
    ],
)
def test_a_step_that_looks_like_something_else_is_refused(text: str, problem: str) -> None:
    with pytest.raises(PydanticCustomError, match=problem.replace("*", r"\*")):
        read_pointer(text)


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("/a", "/a", True),
        ("/a", "/a/b", True),
        ("/a/b", "/a/c", False),
        ("/a/*", "/a/b", True),
        ("/*/b", "/a/b", True),
        ("/*/b", "/a/c", False),
        ("/*", "/a/b/c", True),
        ("/a", "/ab", False),
    ],
)
def test_pointers_overlap_when_one_value_lies_in_the_other(one: str, other: str, expected: bool) -> None:
    first, second = read_pointer(one), read_pointer(other)
    assert overlap(first, second) is overlap(second, first) is expected
