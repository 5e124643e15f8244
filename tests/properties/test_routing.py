"""Laws of routing: one reading of a path, and the most specific route, against naive references."""

import re
from random import Random
from typing import NamedTuple
from urllib.parse import quote, unquote

from hypothesis import assume, example, given
from hypothesis import strategies as st

from gateway.routing import Ambiguous, Match, MethodMismatch, RouteClash, RouteTrie, TargetParts, read_target

VISIBLE = st.characters(min_codepoint=0x21, max_codepoint=0x7E)
PIECES = st.sampled_from(
    [
        *[
            "/",
            "//",
            ".",
            "..",
            "a",
            "b.c",
            "25",
            "~",
            "*",
            "{x}",
            "\\",
            ";",
            "#",
            "?",
            "%",
            "%2e",
            "%2E",
            "%2f",
            "%5C",
            "%25",
            "%41",
            "%c3%a9",
            "%ff",
            "%00",
            "%3b",
            "..%3b",
            "%23",
            "%e2%80%a8",
            "%c2%85",
        ],
        *" \t\n\x7fé",
    ]
)
TARGETS = st.one_of(
    st.lists(PIECES, max_size=12).map(lambda pieces: "/" + "".join(pieces)),
    st.text(VISIBLE, max_size=30).map(lambda text: "/" + text),
    st.text(max_size=20),
)


@given(TARGETS)
def test_what_is_accepted_decodes_once_and_encodes_to_an_equivalent_path(target: str) -> None:
    found = read_target(target)
    if isinstance(found, Ambiguous):
        return
    path, query, segments, oddities = found
    assert target == (path if query is None else f"{path}?{query}")
    assert path.startswith("/")
    assert tuple(unquote(part, errors="strict") for part in path[1:].split("/")) == segments
    if oddities:
        return
    again = read_target("/" + "/".join(quote(segment, safe="") for segment in segments))
    assert isinstance(again, TargetParts)
    assert again.segments == segments


def strictly_refused(target: str) -> bool:
    """Say whether a target is ambiguous to whoever takes no spelling for ordinary, step by step."""
    if any(not "!" <= character <= "~" for character in target) or "#" in target:
        return True
    path = target.partition("?")[0]
    if not path.startswith("/") or any(bad in path for bad in ("//", ";", "\\")):
        return True
    if any(bad in path.lower() for bad in ("%2f", "%5c")):
        return True
    for raw in path.split("/"):
        if any(not is_escape(raw[at : at + 3]) for at, character in enumerate(raw) if character == "%"):
            return True
        try:
            segment = unquote(raw, errors="strict")
        except UnicodeDecodeError:
            return True
        # Some servers cut a segment at its first semicolon, and then look for dots.
        if segment.partition(";")[0] in {".", ".."}:
            return True
        if any(is_escape(segment[at : at + 3]) for at in range(len(segment))):
            return True
        if any(ord(character) < 0x20 or 0x7F <= ord(character) < 0xA0 for character in segment):
            return True
    return False


def is_escape(text: str) -> bool:
    return len(text) == 3 and text[0] == "%" and all(digit in "0123456789abcdefABCDEF" for digit in text[1:])


@example("/..%3b")
@given(TARGETS)
def test_where_no_spelling_is_allowed_everything_ambiguous_is_refused_and_nothing_else(target: str) -> None:
    found = read_target(target)
    refused = isinstance(found, Ambiguous) or bool(found.oddities)
    assert refused == strictly_refused(target)


@given(TARGETS)
def test_what_is_accepted_holds_nothing_that_another_parser_reads_differently(target: str) -> None:
    found = read_target(target)
    if isinstance(found, Ambiguous):
        return
    path, query, segments, oddities = found
    assert all("!" <= character <= "~" for character in target)
    assert "#" not in target
    seen = {
        name
        for name, spellings in {
            "double_slash": ["//"],
            "semicolon": [";"],
            "backslash": ["\\", "%5c"],
            "encoded_slash": ["%2f"],
        }.items()
        if any(text in path.lower() for text in spellings)
    }
    assert oddities == seen
    for position, segment in enumerate(segments):
        assert segment not in {".", ".."}
        assert segment or position == len(segments) - 1 or "double_slash" in oddities
        # Also to whoever takes an encoded separator for a separator after all.
        assert not {".", ".."} & set(re.split(r"[/\\]", segment))
        assert not is_escape(segment[:3])
        assert unquote(segment) == segment
        assert not any(ord(character) < 0x20 or 0x7F <= ord(character) < 0xA0 for character in segment)
    assert (query is None) == ("?" not in target)


HOSTILE = st.sampled_from(
    [
        *[
            "//",
            ";",
            "#",
            "\\",
            "/./",
            "/../",
            "/%2e/",
            "/.%2E/",
            "%2f",
            "%2F",
            "%5c",
            "%252f",
            "%2541",
            "%ff",
            "%c0%ae",
            "%00",
            "%0a",
            "%7f",
            "%c2%80",
            "%",
            "%4",
            "%zz",
        ],
        *" \t\r\n\x00\x7fé\u2028",
    ]
)


@given(st.text("abcXYZ019-._~", max_size=8), HOSTILE, st.text("abcXYZ019-._~", max_size=8))
def test_a_hostile_path_is_refused_wherever_the_hostile_part_is(
    before: str, hostile: str, after: str
) -> None:
    # A digit after a cut escape would make it whole.
    assume(hostile not in {"%", "%4"} or not after[:1].isalnum())
    found = read_target(f"/{before}{hostile}{after}")
    assert isinstance(found, Ambiguous) or found.oddities


class Rule(NamedTuple):
    host: str | None
    method: str
    template: str


SEGMENTS = ["a", "b", "", "{x}", "{y}"]
TEMPLATES = st.builds(
    lambda parts, end: "/" + "/".join([*parts, *end]),
    st.lists(st.sampled_from(["a", "b", "{x}", "{y}"]), max_size=3, unique=True),
    st.sampled_from([["a"], [""], ["**"], ["{z}"]]),
)
RULES = st.lists(
    st.builds(
        Rule,
        st.sampled_from([None, "h.e.com", "*.e.com", "*.com", "e.com"]),
        st.sampled_from(["GET", "PUT"]),
        TEMPLATES,
    ),
    max_size=12,
)
REQUESTS = st.tuples(
    st.sampled_from([None, "h.e.com", "x.e.com", "e.com", "y.com", "com", "other"]),
    st.lists(st.sampled_from(["a", "b", "c", ""]), min_size=1, max_size=5).map(tuple),
    st.sampled_from(["GET", "HEAD", "PUT"]),
)


def host_rank(pattern: str | None, host: str | None) -> int | None:
    if pattern is None:
        return 0
    if host is None:
        return None
    if pattern.startswith("*."):
        return len(pattern) if host.endswith(pattern[1:]) else None
    return 1000 if host == pattern else None


def path_rank(template: str, segments: tuple[str, ...]) -> tuple[int, ...] | None:
    """Return how specific a template is at each segment; None when it does not match."""
    steps = template[1:].split("/")
    rank: list[int] = []
    for position, segment in enumerate(segments):
        if position >= len(steps):
            return None
        step = steps[position]
        if step == "**":
            return (*rank, 0)
        if step.startswith("{"):
            if not segment:
                return None
            rank.append(1)
        elif step == segment:
            rank.append(2)
        else:
            return None
    return tuple(rank) if len(steps) == len(segments) else None


@given(RULES, REQUESTS, st.randoms(use_true_random=False))
def test_the_trie_finds_what_a_naive_reference_finds_in_any_order_of_routes(
    rules: list[Rule], request: tuple[str | None, tuple[str, ...], str], shuffler: Random
) -> None:
    host, segments, method = request
    shuffled = list(rules)
    shuffler.shuffle(shuffled)
    routes: RouteTrie[Rule] = RouteTrie()
    kept: list[Rule] = []
    for rule in shuffled:
        try:
            routes.add(rule.host, [rule.method], rule.template, rule)
        except RouteClash:
            continue
        kept.append(rule)
    candidates = [
        ((by_host, by_path), rule)
        for rule in kept
        if (by_host := host_rank(rule.host, host)) is not None
        and (by_path := path_rank(rule.template, segments)) is not None
    ]
    found = routes.match(host, segments, method)
    if not candidates:
        assert found is None
        return
    best = max(rank for rank, _ in candidates)
    winners = {rule.method: rule for rank, rule in candidates if rank == best}
    wanted = winners.get("GET" if method == "HEAD" else method)
    if wanted is None:
        allowed = {*winners, "HEAD"} if "GET" in winners else set(winners)
        assert found == MethodMismatch(tuple(sorted(allowed)))
        return
    assert isinstance(found, Match)
    assert found.value == wanted
    names = wanted.template[1:].split("/")
    assert found.params == {
        name[1:-1]: segment for name, segment in zip(names, segments, strict=False) if name.startswith("{")
    }
