"""Which of several targets gets a request, and when an upstream is left alone."""

from support.conformance import OK, Conversation, request, response


def test_several_targets_take_turns(talk: Conversation) -> None:
    """nginx upstream.t, HAProxy balance roundrobin."""
    names = [talk.routed(request(b"GET /turns/x HTTP/1.1")) for _ in range(6)]
    assert sorted(names) == ["turns"] * 3 + ["turns_2"] * 3
    assert names[0] != names[1]


def test_the_target_with_fewer_requests_gets_the_next(talk: Conversation) -> None:
    """HAProxy balance leastconn, Envoy LEAST_REQUEST."""
    first = talk.client().send(request(b"GET /calm/x HTTP/1.1"))
    busy = talk.called("calm", "calm_2")
    (idle,) = {"calm", "calm_2"} - {busy}
    upstream, _ = talk.upstream(busy).request()
    for _ in range(3):
        assert talk.routed(request(b"GET /calm/x HTTP/1.1")) == idle
    upstream.send(OK)
    assert first.message().status == 200


def test_the_same_caller_gets_the_same_target(talk: Conversation) -> None:
    """HAProxy balance hdr, Envoy RING_HASH."""
    found = {
        key: {talk.routed(request(b"GET /hashed/x HTTP/1.1", b"X-Key: %d" % key)) for _ in range(2)}
        for key in range(32)
    }
    assert all(len(names) == 1 for names in found.values())
    assert len(set().union(*found.values())) == 2


def test_a_target_that_fails_again_and_again_is_left_out(talk: Conversation) -> None:
    """Envoy outlier detection."""
    failing = "ejecting"
    errors = 0
    for _ in range(4):
        client = talk.client().send(request(b"GET /ejecting/x HTTP/1.1"))
        name = talk.called("ejecting", "ejecting_2")
        upstream, _ = talk.upstream(name).request()
        errors += name == failing
        upstream.send(
            response(
                b"Connection: close", start=b"HTTP/1.1 500 Oh" if name == failing else b"HTTP/1.1 200 OK"
            )
        )
        client.message()
    assert errors == 2
    assert {talk.routed(request(b"GET /ejecting/x HTTP/1.1")) for _ in range(4)} == {"ejecting_2"}


def test_an_upstream_that_fails_too_often_is_left_alone_and_tried_again(talk: Conversation) -> None:
    """Envoy, Polly: circuit breaker."""
    for _ in range(2):
        assert (
            talk.answered(
                response(start=b"HTTP/1.1 500 Oh"), b"GET /breaking/x HTTP/1.1", at="breaking"
            ).status
            == 500
        )
    answer = talk.client().send(request(b"GET /breaking/x HTTP/1.1")).message()
    assert answer.status == 503
    assert int(answer.values("retry-after")[0]) >= 1
    assert talk.upstream("breaking").connections() == 2
    client = talk.client()
    while True:
        client.send(request(b"GET /breaking/x HTTP/1.1"))
        if talk.first(client, talk.upstream("breaking")) is not client:
            break
        assert client.message().status == 503
    probe, _ = talk.upstream("breaking").request()
    probe.send(OK)
    assert client.message().status == 200
    probe.finish()
    assert talk.routed(request(b"GET /breaking/x HTTP/1.1")) == "breaking"


def test_more_requests_at_once_than_allowed_are_refused(talk: Conversation) -> None:
    """Envoy circuit_breakers max_requests."""
    first = talk.client().send(request(b"GET /narrow/x HTTP/1.1"))
    upstream, _ = talk.upstream("narrow").request()
    answer = talk.client().send(request(b"GET /narrow/x HTTP/1.1")).message()
    assert answer.status == 503
    assert int(answer.values("retry-after")[0]) >= 1
    upstream.send(OK)
    assert first.message().status == 200
    upstream.finish()
    assert talk.routed(request(b"GET /narrow/x HTTP/1.1")) == "narrow"
