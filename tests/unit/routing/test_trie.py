"""Which route wins."""

import time

import pytest

from gateway.routing import Match, MethodMismatch, RouteClash, RouteTrie


def trie(*routes: tuple[str | None, str, str]) -> RouteTrie[str]:
    """Make a trie of (host, methods, template); the value is `host methods template`."""
    made: RouteTrie[str] = RouteTrie()
    for host, methods, template in routes:
        made.add(host, methods.split(), template, f"{host or '-'} {methods} {template}")
    return made


def find(routes: RouteTrie[str], path: str, method: str = "GET", host: str | None = "example.com") -> object:
    found = routes.match(host, tuple(path[1:].split("/")), method)
    return found.value if isinstance(found, Match) else found


def test_a_literal_beats_a_parameter_beats_the_rest_at_each_segment() -> None:
    routes = trie(
        (None, "GET", "/**"),
        (None, "GET", "/orders/**"),
        (None, "GET", "/orders/{id}"),
        (None, "GET", "/orders/export"),
        (None, "GET", "/{kind}/export"),
        (None, "GET", "/orders/{id}/lines"),
    )
    assert find(routes, "/orders/export") == "- GET /orders/export"
    assert find(routes, "/orders/17") == "- GET /orders/{id}"
    assert find(routes, "/users/export") == "- GET /{kind}/export"
    assert find(routes, "/orders/17/lines") == "- GET /orders/{id}/lines"
    assert find(routes, "/orders/17/other") == "- GET /orders/**"
    assert find(routes, "/orders/export/lines") == "- GET /orders/{id}/lines"
    assert find(routes, "/users/17") == "- GET /**"
    assert find(routes, "/orders") == "- GET /**"
    assert find(routes, "/") == "- GET /**"


def test_the_rest_is_everything_below_and_not_the_path_itself() -> None:
    routes = trie((None, "GET", "/x/**"))
    assert find(routes, "/x/") == "- GET /x/**"
    assert find(routes, "/x/a/b/") == "- GET /x/**"
    assert find(routes, "/x") is None
    assert find(routes, "/xy/a") is None


def test_a_slash_at_the_end_makes_another_path() -> None:
    routes = trie((None, "GET", "/x"), (None, "GET", "/y/"), (None, "GET", "/x/{id}"))
    assert find(routes, "/x") == "- GET /x"
    assert find(routes, "/x/") is None
    assert find(routes, "/y") is None
    assert find(routes, "/y/") == "- GET /y/"


def test_a_parameter_is_one_segment_that_is_not_empty() -> None:
    routes = trie((None, "GET", "/{id}"))
    assert find(routes, "/") is None
    assert find(routes, "/a") == "- GET /{id}"
    assert find(routes, "/a/b") is None


def test_paths_are_case_sensitive() -> None:
    assert find(trie((None, "GET", "/Orders")), "/orders") is None


def test_parameters_have_the_names_of_their_own_route() -> None:
    routes = trie((None, "GET", "/a/{x}/b/{y}"), (None, "PUT", "/a/{other}/b/{y}"))
    found = routes.match(None, ("a", "1", "b", "2 3"), "GET")
    assert isinstance(found, Match)
    assert found.params == {"x": "1", "y": "2 3"}
    found = routes.match(None, ("a", "1", "b", "2"), "PUT")
    assert isinstance(found, Match)
    assert found.params == {"other": "1", "y": "2"}


def test_values_of_a_way_that_was_given_up_are_forgotten() -> None:
    routes = trie((None, "GET", "/{a}/{b}/x"), (None, "GET", "/{a}/**"))
    found = routes.match(None, ("1", "2", "y"), "GET")
    assert isinstance(found, Match)
    assert found.params == {"a": "1"}


def test_get_includes_head() -> None:
    routes = trie((None, "GET", "/a"), (None, "HEAD", "/b"), (None, "POST", "/c"))
    assert find(routes, "/a", "HEAD") == "- GET /a"
    assert find(routes, "/b", "GET") == MethodMismatch(("HEAD",))
    assert find(routes, "/c", "HEAD") == MethodMismatch(("POST",))


def test_another_method_is_not_looked_for_elsewhere() -> None:
    routes = trie(
        ("example.com", "GET PUT", "/orders/export"),
        ("example.com", "POST", "/orders/{id}"),
        (None, "POST", "/orders/export"),
        (None, "POST", "/**"),
    )
    assert find(routes, "/orders/export", "POST") == MethodMismatch(("GET", "HEAD", "PUT"))
    assert find(routes, "/orders/17", "POST") == "example.com POST /orders/{id}"
    assert find(routes, "/orders/17", "get") == MethodMismatch(("POST",))


def test_the_most_specific_host_with_a_matching_path_wins() -> None:
    routes = trie(
        ("api.example.com", "GET", "/a"),
        ("*.example.com", "GET", "/a"),
        ("*.example.com", "GET", "/b"),
        ("*.com", "GET", "/c"),
        ("*.com", "GET", "/b"),
        (None, "GET", "/**"),
    )
    assert find(routes, "/a", host="api.example.com") == "api.example.com GET /a"
    assert find(routes, "/b", host="api.example.com") == "*.example.com GET /b"
    assert find(routes, "/c", host="api.example.com") == "*.com GET /c"
    assert find(routes, "/d", host="api.example.com") == "- GET /**"
    assert find(routes, "/a", host="x.y.example.com") == "*.example.com GET /a"
    assert find(routes, "/a", host="example.com") == "- GET /**"
    assert find(routes, "/b", host="example.com") == "*.com GET /b"
    assert find(routes, "/c", host="com") == "- GET /**"
    assert find(routes, "/a", host="evilexample.com") == "- GET /**"
    assert find(routes, "/b", host="evil-example.com") == "*.com GET /b"


def test_without_a_host_only_routes_for_any_host_match() -> None:
    routes = trie(("example.com", "GET", "/a"), (None, "GET", "/b"))
    assert find(routes, "/a", host=None) is None
    assert find(routes, "/b", host=None) == "- GET /b"


def test_an_address_is_a_host() -> None:
    routes = trie(("[2001:db8::1]", "GET", "/a"), ("192.0.2.1", "GET", "/a"))
    assert find(routes, "/a", host="[2001:db8::1]") == "[2001:db8::1] GET /a"
    assert find(routes, "/a", host="192.0.2.1") == "192.0.2.1 GET /a"


@pytest.mark.parametrize(
    ("methods", "template", "clashing"),
    [
        (["GET"], "/orders/{other}", ("GET", "HEAD")),
        (["PUT", "GET"], "/orders/{id}", ("GET", "HEAD")),
        (["HEAD"], "/orders/{id}", ("HEAD",)),
    ],
)
def test_equal_shape_host_and_method_clash_and_nothing_is_added(
    methods: list[str], template: str, clashing: tuple[str, ...]
) -> None:
    routes = trie(("example.com", "GET", "/orders/{id}"))
    with pytest.raises(RouteClash) as caught:
        routes.add("example.com", methods, template, "second")
    assert caught.value.existing == "example.com GET /orders/{id}"
    assert caught.value.methods == clashing
    assert find(routes, "/orders/1", "PUT") == MethodMismatch(("GET", "HEAD"))
    routes.add(None, methods, template, "another host")
    routes.add("example.com", ["DELETE"], template, "another method")


@pytest.mark.parametrize(
    ("host", "says"),
    [
        ("", "is not a host"),
        ("*", "is not a host"),
        ("*.", "is not a host"),
        ("*.*.com", "is not a host"),
        ("a.*.com", "is not a host"),
        ("*example.com", "is not a host"),
        ("http://example.com", "is not a host"),
        ("bücher.example", "is not a host"),
        ("API.example.com", 'write "api.example.com"'),
        ("*.Example.com", r'write "\*\.example\.com"'),
        ("example.com:8080", 'write "example.com"'),
        ("example.com.", 'write "example.com"'),
    ],
)
def test_a_bad_host_says_what_to_write(host: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        RouteTrie[str]().add(host, ["GET"], "/", "x")


def test_a_route_has_a_method() -> None:
    with pytest.raises(ValueError, match="at least one method"):
        RouteTrie[str]().add(None, [], "/", "x")


def test_a_path_of_more_than_64_segments_matches_nothing() -> None:
    routes = trie((None, "GET", "/**"))
    assert find(routes, "/a" * 64) == "- GET /**"
    assert find(routes, "/a" * 65) is None


def test_a_path_with_a_choice_at_every_segment_is_found_quickly() -> None:
    routes: RouteTrie[str] = RouteTrie()
    depth = 10
    for number in range(2**depth):
        steps = [("a" if number >> bit & 1 else "{p" + str(bit) + "}") for bit in range(depth)]
        routes.add(None, ["GET"], "/" + "/".join([*steps, "end"]), str(number))
    began = time.perf_counter()
    assert routes.match(None, (*"a" * depth, "other"), "GET") is None
    # Each of the 2047 nodes is visited once at most.
    assert time.perf_counter() - began < 0.5
