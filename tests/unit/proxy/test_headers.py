"""How names of fields are compared, and which of them nobody outside may use."""

import pytest

from gateway.proxy.headers import Known, Patterns, is_claimed, nominated, settable, spelling


@pytest.mark.parametrize("name", [b"X-Real-IP", b"x_real_ip", b"X.Real-Ip", b"x-rEAL_iP"])
def test_every_spelling_is_one_name(name: bytes) -> None:
    assert spelling(name) == b"x-real-ip"


@pytest.mark.parametrize(
    "name",
    [
        b"x-gateway-subject",
        b"x-gateway-",
        b"x-request-id",
        b"forwarded",
        b"x-forwarded-for",
        b"x-forwarded-anything",
        b"x-real-ip",
        b"x-client-ip",
        b"true-client-ip",
        b"cf-connecting-ip",
        b"x-cluster-client-ip",
        b"x-original-url",
        b"x-rewrite-url",
        b"x-original-method",
        b"x-http-method",
        b"x-http-method-override",
        b"x-method-override",
        b"x-envoy-anything",
        b"x-user",
        b"x-user-id",
        b"x-remote-user",
    ],
)
def test_what_speaks_for_the_gateway_or_a_proxy_is_claimed(name: bytes) -> None:
    assert is_claimed(name)


@pytest.mark.parametrize(
    "name", [b"x-users", b"x-gateway", b"x-forward", b"user", b"x-requested-with", b"accept"]
)
def test_what_only_looks_similar_is_not(name: bytes) -> None:
    assert not is_claimed(name)


def test_patterns_match_every_spelling_and_any_rest() -> None:
    patterns = Patterns(["x-internal-*", "server"])
    assert patterns.match(spelling(b"X_Internal.User"))
    assert patterns.match(b"x-internal-")
    assert patterns.match(b"server")
    assert not patterns.match(b"server-timing")
    assert not patterns.match(b"x-intern")
    assert not Patterns([]).match(b"")


@pytest.mark.parametrize(
    ("values", "names"),
    [
        ([], set()),
        ([b"close"], set()),
        ([b""], set()),
        ([b","], set()),
        ([b"X-Hop, cLoSe"], {b"x-hop"}),
        ([b"keep-alive,\tX-A ,, X-B", b"x-c"], {b"x-a", b"x-b", b"x-c"}),
        ([b"Host, Content-Length, X-A"], {b"x-a"}),
    ],
)
def test_connection_options_are_read_from_all_lines(values: list[bytes], names: set[bytes]) -> None:
    assert nominated(values) == names


def test_what_is_known_about_names_stays_bounded() -> None:
    known = Known()
    for number in range(10_000):
        known.learn(b"x-%d" % number, 1)
    assert known.learn(b"x" * 8000, 1) == 1
    assert len(known) <= 1024
    assert all(len(name) <= 64 for name in known)


@pytest.mark.parametrize("name", ["connection", "Transfer_Encoding", "content-length", "upgrade", "TE"])
def test_a_field_that_frames_the_message_cannot_be_set(name: str) -> None:
    with pytest.raises(ValueError, match="cannot be set"):
        settable([(name, "x")])


def test_set_lines_keep_their_case() -> None:
    assert settable([("X-Region", "eu é")]) == ((b"X-Region", "eu é".encode()),)
