"""Which route a request is for: the most specific host that has the path, then the most specific path.

The routes of `/match/`: for `api.match.test` one segment (`bare`); for `*.match.test` everything (`renamed`); for any
host `/match/literal` (`plain`), `/match/literal/` (`brief`), one segment (`small`) and everything (`few`).
"""

import pytest
from support.conformance import Conversation, request


def get(target: str, host: str = "any.test", method: str = "GET") -> bytes:
    return request(f"{method} {target} HTTP/1.1".encode(), f"Host: {host}".encode())


@pytest.mark.parametrize(
    ("target", "upstream"),
    [
        pytest.param("/match/literal", "plain", id="a literal before a parameter"),
        pytest.param("/match/thing", "small", id="a parameter before the rest"),
        pytest.param("/match/a/b", "few", id="the rest"),
        pytest.param("/match/a/b/", "few", id="the rest with a slash at the end"),
        pytest.param("/match/", "few", id="the rest may be empty"),
        pytest.param("/match/literal/", "brief", id="a slash at the end is another path"),
        pytest.param("/match/thing/", "few", id="a parameter is one segment"),
        pytest.param("/match/literal/b", "few", id="a literal is the whole segment"),
        pytest.param("/match/Literal", "small", id="case matters"),
        pytest.param("/match/literal?x=/match/thing", "plain", id="a query does not matter"),
    ],
)
def test_the_most_specific_path_wins(talk: Conversation, target: str, upstream: str) -> None:
    """Envoy, Traefik and Go ServeMux precedence."""
    assert talk.routed(get(target)) == upstream


@pytest.mark.parametrize(
    ("host", "target", "upstream"),
    [
        pytest.param("api.match.test", "/match/literal", "bare", id="an exact host before a better path"),
        pytest.param("api.match.test", "/match/a/b", "renamed", id="the next host when one lacks the path"),
        pytest.param("www.match.test", "/match/literal", "renamed", id="a suffix before any host"),
        pytest.param("match.test", "/match/literal", "plain", id="a suffix is not its own host"),
        pytest.param("evilmatch.test", "/match/literal", "plain", id="a suffix begins at a dot"),
        pytest.param("API.Match.TEST", "/match/literal", "bare", id="case does not matter"),
        pytest.param("api.match.test:8443", "/match/literal", "bare", id="a port does not matter"),
        pytest.param("api.match.test.", "/match/literal", "bare", id="a trailing dot does not matter"),
        pytest.param("api.match.test.:80", "/match/literal", "bare", id="both"),
        pytest.param("api.match.test.evil", "/match/literal", "plain", id="a longer name is another"),
    ],
)
def test_the_most_specific_host_that_has_the_path_wins(
    talk: Conversation, host: str, target: str, upstream: str
) -> None:
    """Envoy virtual hosts; RFC 9110 4.2.3."""
    assert talk.routed(get(target, host)) == upstream


@pytest.mark.parametrize("path", ["/match/%6citeral", "/match/l%69ter%61l", "/%6Datch/literal"])
def test_segments_are_decoded_for_matching_and_forwarded_as_they_came(talk: Conversation, path: str) -> None:
    """RFC 3986 6.2.2.2."""
    client = talk.client().send(get(path))
    upstream, seen = talk.upstream().request()
    upstream.send(b"HTTP/1.1 204 No Content\r\n\r\n")
    assert seen.target == path.encode()
    assert client.message().status == 204


@pytest.mark.parametrize("target", ["/match", "/nowhere", "/plain", "/Plain/x", "/plainx", "/plain%20/x"])
def test_a_path_without_a_route_is_not_found(talk: Conversation, target: str) -> None:
    """RFC 9110 15.5.5."""
    answer = talk.refused(get(target))
    assert (answer.status, answer.slug) == (404, "no-route")


@pytest.mark.parametrize("host", ["other.test", "only.test.evil", "x.only.test"])
def test_a_route_of_one_host_is_not_found_on_another(talk: Conversation, host: str) -> None:
    """RFC 9110 7.4."""
    assert talk.refused(get("/host-only", host)).status == 404


def test_a_request_without_host_finds_only_routes_of_any_host(talk: Conversation) -> None:
    """RFC 9112 3.2."""
    assert talk.refused(b"GET /host-only HTTP/1.0\r\n\r\n").status == 404
    assert talk.routed(b"GET /host-only HTTP/1.0\r\nHost: only.test\r\n\r\n") == "plain"
    assert talk.routed(b"GET /match/literal HTTP/1.0\r\n\r\n") == "plain"


def test_a_path_with_another_method_is_405_and_says_which_are_allowed(talk: Conversation) -> None:
    """RFC 9110 15.5.6."""
    answer = talk.refused(get("/plain/few-methods", method="DELETE"))
    assert (answer.status, answer.slug) == (405, "method-not-allowed")
    (allowed,) = answer.values("allow")
    assert sorted(allowed.replace(b" ", b"").split(b",")) == [b"GET", b"HEAD", b"PUT"]


def test_a_method_is_never_searched_for_on_a_less_specific_route(talk: Conversation) -> None:
    """Contrast: Go ServeMux falls back to a more general pattern."""
    assert talk.refused(get("/match/literal", "api.match.test", "POST")).status == 405
    assert talk.refused(get("/match/thing", method="POST")).status == 405
    assert talk.refused(get("/plain/few-methods", method="POST")).status == 405


def test_get_includes_head(talk: Conversation) -> None:
    """RFC 9110 9.3.2."""
    assert talk.routed(get("/plain/few-methods", method="HEAD")) == "plain"


def test_a_path_and_a_method_are_told_before_credentials_are_asked_for(talk: Conversation) -> None:
    """RFC 9110 15.5.2: a 401 is about a target resource, which must exist."""
    assert talk.refused(get("/nowhere")).status == 404
    assert talk.refused(get("/plain/members", method="DELETE")).status == 405
    assert talk.refused(get("/plain/members")).status == 401


def test_what_is_the_gateways_own_is_never_forwarded(talk: Conversation) -> None:
    """RFC 8615; Kubernetes API server: reserved prefixes."""
    assert talk.refused(get("/gateway/v1", "api.match.test")).status == 200
    assert talk.refused(get("/.well-known/jwks.json")).status == 200
    assert talk.refused(get("/gateway/nowhere")).status == 404


def test_a_route_for_a_well_known_path_wins_over_the_gateways_own(talk: Conversation) -> None:
    """RFC 8615."""
    assert talk.routed(get("/.well-known/oauth-protected-resource")) == "plain"
