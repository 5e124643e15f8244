"""The canonical path: what is read, and what is refused."""

import pytest

from gateway.routing import Ambiguous, TargetParts, read_target, spelled, without_userinfo


@pytest.mark.parametrize(
    ("target", "path", "query", "segments"),
    [
        ("/", "/", None, ("",)),
        ("/orders/17", "/orders/17", None, ("orders", "17")),
        ("/orders/", "/orders/", None, ("orders", "")),
        ("/orders?", "/orders", "", ("orders",)),
        ("/?a=//../;%2f%zz\\", "/", "a=//../;%2f%zz\\", ("",)),
        ("/a?b?c", "/a", "b?c", ("a",)),
        ("/a/b%20c/", "/a/b%20c/", None, ("a", "b c", "")),
        ("/caf%C3%A9", "/caf%C3%A9", None, ("café",)),
        ("/a%23b", "/a%23b", None, ("a#b",)),
        ("/a%3Bb%3f", "/a%3Bb%3f", None, ("a;b?",)),
        ("/100%25", "/100%25", None, ("100%",)),
        ("/%61", "/%61", None, ("a",)),
        ("/...", "/...", None, ("...",)),
        ("/.well-known/jwks.json", "/.well-known/jwks.json", None, (".well-known", "jwks.json")),
        ("/a.", "/a.", None, ("a.",)),
        ("/..a", "/..a", None, ("..a",)),
        ('/"<>[]^`{|}', '/"<>[]^`{|}', None, ('"<>[]^`{|}',)),
        ("/a:b@c!$&'()*+,=~_-", "/a:b@c!$&'()*+,=~_-", None, ("a:b@c!$&'()*+,=~_-",)),
        ("/%E2%80%A8", "/%E2%80%A8", None, ("\u2028",)),
        ("/%252", "/%252", None, ("%2",)),
    ],
)
def test_a_target_has_one_reading(
    target: str, path: str, query: str | None, segments: tuple[str, ...]
) -> None:
    assert read_target(target) == TargetParts(path, query, segments)


@pytest.mark.parametrize(
    "target",
    [
        # No path at all.
        "",
        "?a",
        "*",
        "orders",
        "http://a/b",
        "a:80",
        "\\a",
        # Dot segments between separators of any kind.
        "/..;/a",
        "/a/..;b/c",
        "/a%2f..%2fb",
        "/..%2Fa",
        "/a%2f.",
        "/a\\..\\b",
        "/..%5ca",
        "/a/.%2e%5C",
        "//../a",
        "/a;/..",
        # Fragments.
        "/a#b",
        "/a;#",
        "/#",
        "/a?b#c",
        "/public#/../admin",
        # Dot segments.
        "/.",
        "/..",
        "/./a",
        "/../a",
        "/a/.",
        "/a/..",
        "/a/./b",
        "/a/../b",
        "/a/..?b",
        "/a/.?b",
        "/%2e",
        "/%2E%2e/a",
        "/.%2e/a",
        "/a/%2e%2e",
        "/a/..%3b/b",
        "/a/%2e%3Bx=1/b",
        # Encoded twice.
        "/%252e%252e/a",
        "/%25%32%66",
        "/a%252fb",
        "/a;%2541",
        "/a%2525b",
        "/%2561",
        # Malformed.
        "/%",
        "/%2",
        "/%zz",
        "/%%32",
        "/a%2/b",
        "/%u002e",
        "/%-1",
        "/% 1",
        "/a;%",
        # Not UTF-8.
        "/a//%ff",
        "/%ff",
        "/%c0%af",
        "/%c0%ae%c0%ae",
        "/%e2%82",
        "/%ed%a0%80",
        "/%f8%88%80%80%80",
        # Control characters.
        "/a%2f%00",
        "/%00",
        "/a%00.html",
        "/%0d%0aX",
        "/%09",
        "/%1f",
        "/%7f",
        "/%c2%85",
        # Bytes that a request line cannot have.
        "/a b",
        "/a\tb",
        "/a\r\nb",
        "/a\x00",
        "/a\x7f",
        "/é",
        "/\udcff",
        "/a?é",
        "/a?b c",
        "/a?\x00",
        "/a\n",
        "/a?b\n",
        "/\u212a",
    ],
)
def test_what_can_be_read_in_two_ways_is_refused(target: str) -> None:
    found = read_target(target)
    assert isinstance(found, Ambiguous)
    assert found.diagnosis


@pytest.mark.parametrize(
    ("target", "oddities", "segments"),
    [
        ("/a%2fb", {"encoded_slash"}, ("a/b",)),
        ("/a%2Fb/c", {"encoded_slash"}, ("a/b", "c")),
        ("/a%5cb", {"backslash"}, ("a\\b",)),
        ("/a%5Cb?%2f", {"backslash"}, ("a\\b",)),
        ("/a\\b", {"backslash"}, ("a\\b",)),
        ("//", {"double_slash"}, ("", "")),
        ("//a", {"double_slash"}, ("", "a")),
        ("/a//b", {"double_slash"}, ("a", "", "b")),
        ("/a//?b", {"double_slash"}, ("a", "", "")),
        ("/a;b=c/d", {"semicolon"}, ("a;b=c", "d")),
        ("/;/a", {"semicolon"}, (";", "a")),
        ("/a%20;b%2f//%5c", {"semicolon", "encoded_slash", "double_slash", "backslash"}, ("a ;b/", "", "\\")),
        ("/...;a", {"semicolon"}, ("...;a",)),
    ],
)
def test_what_some_take_for_a_separator_is_named_and_an_ordinary_character(
    target: str, oddities: set[str], segments: tuple[str, ...]
) -> None:
    found = read_target(target)
    assert isinstance(found, TargetParts)
    assert (found.oddities, found.segments) == (frozenset(oddities), segments)
    assert found.path == target.partition("?")[0]


def test_oddities_are_told_in_words() -> None:
    assert spelled(frozenset({"backslash", "semicolon"})) == "a `;` and a backslash"


def test_what_may_be_a_password_is_taken_out_of_a_target() -> None:
    assert without_userinfo("http://me:secret@host/a?b") == "http://host/a?b"
    assert without_userinfo("//me:secret@host/a@b") == "//host/a@b"
    assert without_userinfo("/a/b@c?d=//e@f") == "/a/b@c?d=//f"


def test_the_diagnosis_never_repeats_what_was_sent() -> None:
    found = read_target("/secret%0d%0a/../token")
    assert isinstance(found, Ambiguous)
    assert "secret" not in found.diagnosis
    assert "token" not in found.diagnosis


@pytest.mark.timeout(5)
@pytest.mark.parametrize(
    "target", ["/" + "a" * 100_000 + "\n", "/a" * 50_000 + "/..", "/%41" * 50_000, "/" * 100_000]
)
def test_a_long_target_is_read_in_one_pass(target: str) -> None:
    for _ in range(3):
        read_target(target)
