"""The request target an upstream gets."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.downstream import head_of

from gateway.config import Rewrite
from gateway.proxy.target import Rewriter, request_target
from gateway.routing import TargetParts, read_target


@pytest.mark.parametrize(
    "target",
    ["/", "/a%2Fb/%c3%a9", "/a/../b/./c//d", "/q?", "/q?a=1&a=2&=3&b=%zz", "//double", "/;p=1,'()!@:+*~"],
)
def test_it_is_the_one_that_was_decided_on(target: str) -> None:
    assert request_target(head_of(target=target)) == target.encode()


@pytest.mark.parametrize(
    "target",
    ["", "*", "admin", "http://x/", "/a b", "/a\r\nX: y", "/a\n", "/a#b", "/é", "/a\x00", "/a\x7f", "/a\t"],
)
def test_what_the_edge_should_have_refused_goes_no_further(target: str) -> None:
    with pytest.raises(ValueError, match="origin-form"):
        request_target(head_of(target=target))


def rewritten(target: str, *, strip: str = "", add: str = "") -> str:
    parts = read_target(target)
    assert isinstance(parts, TargetParts)
    head = replace(head_of(target=target), segments=parts.segments)
    return request_target(head, Rewriter(Rewrite(strip_prefix=strip, add_prefix=add))).decode()


@pytest.mark.parametrize(
    ("target", "strip", "add", "arrives"),
    [
        ("/reports/x", "/reports", "", "/x"),
        ("/reports", "/reports", "", "/"),
        ("/reports/", "/reports", "", "/"),
        ("/reports?a=/reports/", "/reports", "", "/?a=/reports/"),
        ("/reports/?", "/reports", "", "/?"),
        ("/reportsx", "/reports", "", "/reportsx"),
        ("/reportsx/y", "/reports", "", "/reportsx/y"),
        ("/Reports/x", "/reports", "", "/Reports/x"),
        ("/x/reports/y", "/reports", "", "/x/reports/y"),
        ("/reports/reports/x", "/reports", "", "/reports/x"),
        ("/a/b/c", "/a/b", "", "/c"),
        ("/a/b", "/a/b", "", "/"),
        ("/a/bc", "/a/b", "", "/a/bc"),
        ("/a", "/a/b", "", "/a"),
        ("/x?q", "", "/api", "/api/x?q"),
        ("/", "", "/api", "/api/"),
        ("/v1/x", "/v1", "/api/v2", "/api/v2/x"),
        ("/v1", "/v1", "/api", "/api"),
        ("/v1/", "/v1", "/api", "/api/"),
        ("/v1x", "/v1", "/api", "/api/v1x"),
        ("/%72eports/%78?a=%2f", "/reports", "", "/%78?a=%2f"),
        ("/b%C3%BCcher/x", "/b\u00fccher", "", "/x"),
        ("/b%c3%bccher/x", "/b%C3%BCcher", "", "/x"),
    ],
)
def test_a_prefix_is_taken_off_by_whole_segments_and_another_put_on(
    target: str, strip: str, add: str, arrives: str
) -> None:
    assert rewritten(target, strip=strip, add=add) == arrives


def test_the_asterisk_of_options_is_no_path() -> None:
    with pytest.raises(ValueError, match="origin-form"):
        request_target(head_of(target="*"), Rewriter(Rewrite(add_prefix="/api")))


_SEGMENT = st.text("ab%.~", min_size=1, max_size=3).map(
    lambda text: text.replace("%", "%61").replace(".", "c")
)


@given(st.lists(_SEGMENT, min_size=1, max_size=4), st.lists(_SEGMENT, min_size=1, max_size=2))
def test_stripping_undoes_adding_whatever_the_path(path: list[str], prefix: list[str]) -> None:
    there = "/" + "/".join(path)
    front = "/" + "/".join(prefix)
    assert rewritten(rewritten(there, add=front), strip=front) == there
