"""The request target an upstream gets."""

import pytest
from support.downstream import head_of

from gateway.proxy.target import request_target


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
