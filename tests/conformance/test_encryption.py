"""Routes that encrypt and decrypt, byte by byte: what crosses the gateway, and what never does."""

import base64
import json
import re
import time
from collections.abc import Callable, Iterator, Mapping

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given, settings
from hypothesis import strategies as st
from joserfc import jwe
from joserfc.jwe import JWERegistry
from joserfc.jwk import OctKey
from support.conformance import OK, Conversation, Message, Upstream, Wire, request, response
from support.gateway import Gateway, eventually

SECRET = b"the plaintext that nobody may see"
MATERIAL = bytes(range(32))
JSON = b"Content-Type: application/json"
CHUNKED = b"Transfer-Encoding: chunked"
GET = b"GET /plain/sealed HTTP/1.1"
POST = b"POST /plain/opened HTTP/1.1"
SHORT = 1024
"""Bytes that the route `sealed-short` encrypts at most, and the route `opened-small` takes."""


def b64(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def sealed(plaintext: bytes, **more: str) -> bytes:
    """Return a message to the gateway, made by hand."""
    header = b64(json.dumps({"alg": "dir", "enc": "A256GCM", "kid": "conformance:v1", **more}).encode())
    text = AESGCM(MATERIAL).encrypt(b"twelve bytes", plaintext, header)
    return b".".join([header, b"", b64(b"twelve bytes"), b64(text[:-16]), b64(text[-16:])])


def opened(message: bytes) -> tuple[Mapping[str, object], bytes]:
    """Return header and plaintext of a message of the gateway, read by a library of others."""
    registry = JWERegistry(algorithms=["dir", "A256GCM"])
    registry.max_ciphertext_length = 1 << 25
    found = jwe.decrypt_compact(message, OctKey.import_key(MATERIAL), registry=registry)
    assert found.plaintext is not None
    return found.headers(), found.plaintext


def posted(body: bytes, *lines: bytes, start: bytes = POST) -> bytes:
    """Return a request with a body of known length."""
    return request(start, b"Content-Length: %d" % len(body), *lines, body=body)


@pytest.fixture(scope="module", autouse=True)
def _key(gateway: Gateway) -> None:
    """Make the key, and have the gateway learn of it."""
    jwk = json.dumps({"kty": "oct", "k": b64(MATERIAL).decode()})
    done = gateway.run("crypto-keys", "create", "conformance", "--jwk-file", "-", stdin=jwk)
    assert done.returncode == 0, done.stderr
    with Conversation(("127.0.0.1", gateway.port), {}) as talk:
        # A ciphertext of a key that is not known makes the gateway look.
        assert talk.client().send(posted(b"gw:v1:" + b"A" * 38)).message().status == 400


@pytest.fixture(autouse=True)
def _nowhere(gateway: Gateway) -> Iterator[None]:
    """The plaintext is in nothing that the gateway says, whatever the test is about."""
    yield
    assert not [line for line in gateway.lines if SECRET.decode() in line]


# Responses.


@pytest.mark.parametrize(
    "answer",
    [
        response(JSON, body=SECRET),
        b"HTTP/1.1 200 OK\r\n"
        + JSON
        + b"\r\n"
        + CHUNKED
        + b"\r\n\r\n4\r\nthe \r\n1d\r\n"
        + SECRET[4:]
        + b"\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + JSON + b"\r\n\r\n" + SECRET,
        b"HTTP/1.0 200 OK\r\n" + JSON + b"\r\n\r\n" + SECRET,
    ],
)
def test_a_response_is_encrypted_however_it_is_framed(talk: Conversation, answer: bytes) -> None:
    """RFC 7516 section 3.1, RFC 7518 section 4.5."""
    received = talk.answered(answer, GET, ends=True)
    header, plaintext = opened(received.body)
    assert plaintext == SECRET
    assert list(header.items()) == [
        ("alg", "dir"),
        ("enc", "A256GCM"),
        ("kid", "conformance:v1"),
        ("cty", "application/json"),
    ]
    assert received.values("content-type") == [b"application/jose"]
    assert received.values("content-length") == [b"%d" % len(received.raw_body)]
    assert not received.is_chunked


@pytest.mark.parametrize("version", [b"1.0", b"1.1"])
def test_each_version_of_http_gets_a_length(talk: Conversation, version: bytes) -> None:
    """RFC 9112 section 6.3: no body that ends with its connection."""
    client = talk.client().send(b"GET /plain/sealed HTTP/%b\r\nHost: gw.test\r\n\r\n" % version)
    upstream, _ = talk.upstream().request()
    upstream.send(b"HTTP/1.1 200 OK\r\n\r\n" + SECRET).half_close()
    received = client.message()
    assert received.values("content-length") == [b"%d" % len(received.body)]
    assert opened(received.body)[1] == SECRET
    if version == b"1.0":
        assert client.has_ended()


def test_a_response_that_comes_byte_by_byte_is_the_same(talk: Conversation) -> None:
    client = talk.client().send(request(GET))
    upstream, _ = talk.upstream().request()
    upstream.send_slowly(response(JSON, body=SECRET))
    assert opened(client.message().body)[1] == SECRET


def test_both_connections_are_used_again(talk: Conversation) -> None:
    """RFC 9112 section 9.3."""
    client = talk.client()
    upstream = None
    for number in range(3):
        client.send(request(GET))
        if upstream is None:
            upstream = talk.upstream().accept()
        upstream.message()
        upstream.send(response(body=SECRET + b"%d" % number))
        assert opened(client.message().body)[1] == SECRET + b"%d" % number
    assert talk.upstream().connections() == 1


def test_requests_that_were_sent_ahead_are_answered_in_order(talk: Conversation) -> None:
    """RFC 9112 section 9.3.2."""
    client = talk.client().send(request(GET) * 2 + request(b"GET /plain/x HTTP/1.1"))
    upstream = talk.upstream().accept()
    for body in (b"one", b"two", b"three"):
        upstream.message()
        upstream.send(response(body=body))
    assert [opened(client.message().body)[1] for _ in range(2)] == [b"one", b"two"]
    assert client.message().body == b"three"


def test_what_a_client_asks_for_is_the_whole_of_it_as_it_is(talk: Conversation) -> None:
    """RFC 9110 sections 12.5.3 and 14.2."""
    lines = (b"Range: bytes=0-1", b'If-Range: "x"', b"Accept-Encoding: gzip", b"TE: trailers", b"range: x")
    seen = talk.forwarded(GET, *lines, b"Connection: TE, accept-encoding")
    assert seen.values("accept-encoding") == [b"identity"]
    assert not {"range", "if-range", "te", "connection"} & set(seen.names())


def test_a_response_to_head_has_neither_body_nor_length(talk: Conversation) -> None:
    """RFC 9110 section 8.6: the length would have to be that of the response to a GET."""
    client = talk.client().send(request(b"HEAD /plain/sealed HTTP/1.1") + request(b"GET /plain/x HTTP/1.1"))
    upstream = talk.upstream().accept()
    upstream.message()
    upstream.send(b'HTTP/1.1 200 OK\r\nContent-Length: 33\r\nETag: "x"\r\nX-A: b\r\n\r\n')
    received = client.message(bodyless=True)
    assert (received.status, received.values("x-a")) == (200, [b"b"])
    assert received.values("content-length") == received.values("etag") == []
    upstream.message()
    upstream.send(OK)
    assert client.message().body == b"ok"


@pytest.mark.parametrize("status", [b"204 No Content", b"304 Not Modified"])
def test_a_response_that_has_no_body_gets_none(talk: Conversation, status: bytes) -> None:
    """RFC 9110 sections 15.3.5 and 15.4.5."""
    client = talk.client().send(request(GET) + request(b"GET /plain/x HTTP/1.1"))
    upstream = talk.upstream().accept()
    upstream.message()
    upstream.send(b'HTTP/1.1 %b\r\nETag: "x"\r\nX-A: b\r\n\r\n' % status)
    received = client.message()
    assert (received.start, received.values("x-a")) == (b"HTTP/1.1 " + status, [b"b"])
    assert received.values("content-length") == received.values("etag") == []
    upstream.message()
    upstream.send(OK)
    assert client.message().body == b"ok"


def test_what_comes_behind_the_body_does_not(talk: Conversation) -> None:
    """RFC 9110 section 6.5: a trailer may hold a digest of the plaintext."""
    answer = b"HTTP/1.1 200 OK\r\nTrailer: X-Sum\r\n" + CHUNKED + b"\r\n\r\n1\r\nx\r\n0\r\nX-Sum: 1\r\n\r\n"
    received = talk.answered(answer, GET)
    assert opened(received.body)[1] == b"x"
    assert received.trailers == ()
    assert received.values("trailer") == received.values("x-sum") == []


def test_interim_responses_pass(talk: Conversation) -> None:
    """RFC 9110 section 15.2."""
    client = talk.client().send(request(GET))
    upstream, _ = talk.upstream().request()
    upstream.send(b'HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nETag: "digest"\r\n\r\n')
    hints = client.message()
    assert (hints.status, hints.values("link"), hints.values("etag")) == (103, [b"</a>"], [])
    upstream.send(response(body=SECRET))
    assert opened(client.message().body)[1] == SECRET


def test_a_client_that_waits_to_be_asked_for_its_body_is_asked(talk: Conversation) -> None:
    """RFC 9110 section 10.1.1."""
    client = talk.client().send(
        request(b"POST /plain/sealed HTTP/1.1", b"Content-Length: 3", b"Expect: 100-continue")
    )
    upstream = talk.upstream().accept()
    upstream.until(b"\r\n\r\n")
    upstream.send(b"HTTP/1.1 100 Continue\r\n\r\n")
    assert client.message().status == 100
    client.send(b"xyz")
    assert upstream.exactly(3) == b"xyz"
    upstream.send(response(body=SECRET))
    assert opened(client.message().body)[1] == SECRET


def test_an_error_that_is_asked_about_again_is_not_encrypted(talk: Conversation) -> None:
    """RFC 9110 section 9.2.2."""
    client = talk.client().send(request(b"GET /asking/sealed HTTP/1.1"))
    first, _ = talk.upstream("asking").request()
    first.send(response(b"Connection: close", start=b"HTTP/1.1 503 Oh", body=b"first"))
    second, _ = talk.upstream("asking").request()
    second.send(response(body=SECRET))
    assert opened(client.message().body)[1] == SECRET


REFUSED = {
    "a part": response(b"Content-Range: bytes 0-32/99", start=b"HTTP/1.1 206 Partial Content", body=SECRET),
    "a part by its range": response(b"Content-Range: bytes 0-32/99", body=SECRET),
    "parts": response(b"Content-Type: multipart/byteranges; boundary=x", body=SECRET),
    "events": response(b"Content-Type: text/event-stream", body=SECRET),
    "endless events": b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
    + CHUNKED
    + b"\r\n\r\n21\r\n"
    + SECRET
    + b"\r\n",
    "compressed": response(b"Content-Encoding: gzip", body=SECRET),
    "too long": response(body=SECRET * 32),
    "too long as it comes": b"HTTP/1.1 200 OK\r\n"
    + CHUNKED
    + b"\r\n\r\n"
    + (b"21\r\n" + SECRET + b"\r\n") * 32,
    "too long as far as it came": b"HTTP/1.1 200 OK\r\n\r\n" + SECRET * 32,
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_cannot_be_encrypted_is_a_502_and_nothing_of_it_is_sent(
    talk: Conversation, gateway: Gateway, kind: str
) -> None:
    """RFC 9110 section 15.6.3."""
    client = talk.client().send(request(b"GET /plain/sealed-short HTTP/1.1"))
    upstream, _ = talk.upstream().request()
    upstream.send(REFUSED[kind])
    received = client.message()
    assert (received.status, received.slug) == (502, "response-not-encryptable")
    assert b"detail" not in received.body
    assert SECRET not in received.raw_body
    (id_,) = received.values("x-request-id")

    def completed() -> list[dict[str, object]]:
        records = gateway.audit("--request-id", id_.decode())
        assert SECRET.decode() not in json.dumps(records)
        return [record for record in records if record["kind"] == "completion"]

    (record,) = eventually(completed, within=20)
    assert (record["status"], record["reason"]) == (502, "response-not-encryptable")
    client.send(request(b"GET /nowhere HTTP/1.1"))
    assert client.message().status == 404, "the client is not cut"


@pytest.mark.parametrize(
    "body",
    [b'{"card": {"number": "%b"}' % SECRET, b'{"card": "\xff"}', b'"%b" 1' % SECRET, b"[" * 100_000],
)
def test_fields_of_what_is_no_json_are_a_502(talk: Conversation, body: bytes) -> None:
    """RFC 8259."""
    received = talk.answered(response(JSON, body=body), b"GET /plain/sealed-fields HTTP/1.1")
    assert (received.status, received.slug) == (502, "response-not-encryptable")
    assert SECRET not in received.raw_body


def test_a_list_where_an_object_was_expected_is_a_502(talk: Conversation) -> None:
    body = b'[{"card": {"number": "%b"}}]' % SECRET
    received = talk.answered(response(JSON, body=body), b"GET /plain/sealed-fields HTTP/1.1")
    assert (received.status, received.slug) == (502, "response-not-encryptable")
    assert SECRET not in received.raw_body


def test_fields_are_encrypted_and_not_a_byte_besides(talk: Conversation) -> None:
    """RFC 6901."""
    body = b'{ "card":{"number":"%b","brand":1.10},"items":[{"pan":1e400},{ }] }\r\n' % SECRET
    received = talk.answered(response(JSON, body=body), b"GET /plain/sealed-fields HTTP/1.1")
    assert SECRET not in received.raw_body
    values = []

    def found(match: "re.Match[bytes]") -> bytes:
        header, plaintext = opened(match[1])
        assert header["cty"] == "application/json"
        values.append(plaintext)
        return plaintext

    assert re.sub(rb'\{"\$enc":"([^"]+)"\}', found, received.body) == body
    assert values == [b'"%b"' % SECRET, b"1e400"]
    assert received.values("content-type") == [b"application/json"]
    assert received.values("content-length") == [b"%d" % len(received.body)]


@pytest.mark.parametrize(
    "answer",
    [
        response(body=SECRET)[:-1],
        b"HTTP/1.1 200 OK\r\n" + CHUNKED + b"\r\n\r\n21\r\n" + SECRET + b"\r\n",
        b"HTTP/1.1 200 OK\r\n" + CHUNKED + b"\r\n\r\n21\r\n" + SECRET + b"xx",
    ],
)
def test_a_response_that_breaks_off_is_a_502_and_nothing_of_it_is_sent(
    talk: Conversation, answer: bytes
) -> None:
    """RFC 9112 section 8."""
    client = talk.client().send(request(GET))
    upstream, _ = talk.upstream().request()
    upstream.send(answer).half_close()
    received = client.message()
    assert (received.status, received.slug) == (502, "upstream-protocol-error")
    assert SECRET not in received.raw_body


def test_a_response_that_stops_coming_is_a_502(talk: Conversation) -> None:
    """RFC 9110 section 15.6.3; the client has been sent nothing, so it gets a proper answer."""
    client = talk.client().send(request(b"GET /hasty/sealed HTTP/1.1"))
    upstream, _ = talk.upstream("hasty").request()
    upstream.send(response(body=SECRET)[:-1])
    received = client.message()
    assert (received.status, received.slug) == (502, "upstream-protocol-error")
    assert upstream.has_ended()


def test_a_byte_now_and_then_keeps_a_response_alive(talk: Conversation) -> None:
    client = talk.client().send(request(b"GET /patient/sealed HTTP/1.1"))
    upstream, _ = talk.upstream("patient").request()
    upstream.send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n")
    for _ in range(4):
        time.sleep(0.15)  # a third of what is allowed, and longer together
        assert client.is_quiet(), "nothing is sent before all of it is here"
        upstream.send(b"x")
    assert opened(client.message().body)[1] == b"xxxx"


@pytest.mark.parametrize("leave", [Wire.close, Wire.reset])
def test_a_client_that_leaves_ends_the_upstreams_exchange(
    talk: Conversation, leave: Callable[[Wire], None]
) -> None:
    client = talk.client().send(request(GET))
    upstream, _ = talk.upstream().request()
    upstream.send(response(body=SECRET)[:-1])
    leave(client)
    assert upstream.has_ended()


def test_a_long_response_reaches_a_slow_client_whole(talk: Conversation) -> None:
    body = SECRET * 100_000
    client = talk.client().send(request(GET))
    upstream, _ = talk.upstream().request()
    upstream.send(response(body=body))
    head = client.until(b"\r\n\r\n")
    second = talk.client().send(request(b"GET /plain/x HTTP/1.1"))
    assert upstream.message().target == b"/plain/x", "the connection does not wait for the client"
    upstream.send(OK)
    assert second.message().body == b"ok"
    (length,) = re.findall(rb"Content-Length: ([0-9]+)", head)
    assert opened(client.exactly(int(length)))[1] == body


def test_a_client_that_stops_reading_is_cut(talk: Conversation) -> None:
    body = SECRET * 400_000
    client = talk.client().send(request(b"GET /hasty/sealed HTTP/1.1"))
    upstream, _ = talk.upstream("hasty").request()
    upstream.send(response(body=body))
    client.until(b"\r\n\r\n")
    time.sleep(0.6)  # three times what is allowed
    assert len(client.rest()) < len(sealed(body))


# Requests.


def untouched(talk: Conversation, data: bytes, client: Wire | None = None) -> Message:
    """Send a request that the gateway refuses, and return the answer: no upstream was asked."""
    answer = (client or talk.client()).send(data).message()
    assert talk.nothing_was_forwarded()
    return answer


def same(answer: Message) -> tuple[object, ...]:
    """Return all of an answer but for the time and the request's id."""
    (id_,) = answer.values("x-request-id")
    lines = [line for line in answer.lines if not line.lower().startswith(b"date:")]
    return answer.start, *(line.replace(id_, b"ID") for line in lines), answer.body.replace(id_, b"ID")


def test_an_upstream_gets_the_plaintext_as_if_it_had_been_sent(talk: Conversation) -> None:
    """RFC 7516 section 4.1.12."""
    lines = (
        b"Content-Type: application/jose",
        b"Content-MD5: x",
        b"Digest: x",
        b"Content-Digest: x",
        b"Repr-Digest: x",
        b"Content-Encoding: gzip",
        b"X-A: b",
    )
    client = talk.client().send(posted(sealed(SECRET, cty="text/plain"), *lines))
    upstream, seen = talk.upstream().request()
    upstream.send(OK)
    assert client.message().body == b"ok"
    assert seen.raw_body == SECRET
    assert seen.values("content-length") == [b"33"]
    assert seen.values("content-type") == [b"text/plain"]
    assert seen.values("x-a") == [b"b"]
    gone = {"content-md5", "digest", "content-digest", "repr-digest", "content-encoding", "transfer-encoding"}
    assert not gone & set(seen.names())


def test_a_request_in_chunks_arrives_with_a_length(talk: Conversation) -> None:
    """RFC 9112 section 7.1."""
    message = sealed(SECRET)
    body = (
        b"5;a=b\r\n"
        + message[:5]
        + b"\r\n%x\r\n" % len(message[5:])
        + message[5:]
        + b"\r\n0\r\nX-T: 1\r\n\r\n"
    )
    seen = talk.forwarded(POST, CHUNKED, body=body)
    assert (seen.raw_body, seen.values("content-length")) == (SECRET, [b"33"])
    assert seen.values("content-type") == seen.values("transfer-encoding") == []


def test_a_request_that_comes_byte_by_byte_is_the_same(talk: Conversation) -> None:
    client = talk.client().send_slowly(posted(sealed(SECRET)))
    upstream, seen = talk.upstream().request()
    upstream.send(OK)
    assert (seen.raw_body, client.message().body) == (SECRET, b"ok")


def test_a_request_of_http_1_0_is_opened(talk: Conversation) -> None:
    message = sealed(SECRET)
    client = talk.client().send(
        b"POST /plain/opened HTTP/1.0\r\nContent-Length: %d\r\nExpect: 100-continue\r\n\r\n" % len(message)
        + message
    )
    upstream, seen = talk.upstream().request()
    upstream.send(OK)
    assert (seen.raw_body, client.message().status) == (SECRET, 200)


def test_no_upstream_is_asked_before_all_of_a_request_has_come(talk: Conversation) -> None:
    message = posted(sealed(SECRET))
    client = talk.client().send(message[:-1])
    time.sleep(0.05)  # a loopback connection would be there by now
    assert not talk.upstream().was_called()
    client.send(message[-1:])
    upstream, seen = talk.upstream().request()
    upstream.send(OK)
    assert seen.raw_body == SECRET


def test_a_client_is_asked_for_what_is_to_be_opened(talk: Conversation) -> None:
    """RFC 9110 section 10.1.1: the expectation ends at the gateway."""
    message = sealed(SECRET)
    client = talk.client().send(request(POST, b"Content-Length: %d" % len(message), b"Expect: 100-continue"))
    assert client.message().status == 100
    client.send(message)
    upstream, seen = talk.upstream().request()
    assert seen.values("expect") == []
    upstream.send(b"HTTP/1.1 100 Continue\r\n\r\n" + OK)
    assert client.message().status == 200, "it is asked once"


@pytest.mark.parametrize("method", [b"GET", b"HEAD", b"DELETE", b"OPTIONS"])
def test_a_request_that_needs_no_body_passes_without_one(talk: Conversation, method: bytes) -> None:
    start = method + b" /plain/opened HTTP/1.1"
    assert talk.forwarded(start).body == b""
    assert talk.forwarded(start, b"Content-Length: 0").values("content-length") == [b"0"]
    empty = talk.forwarded(start, CHUNKED, body=b"0\r\n\r\n")
    assert empty.values("transfer-encoding") == empty.values("content-length") == []


@pytest.mark.parametrize("method", [b"POST", b"PUT", b"PATCH", b"QUERY"])
@pytest.mark.parametrize("framing", [b"Content-Length: 0", CHUNKED, b"X-A: b"])
def test_any_other_request_without_a_body_is_refused(
    talk: Conversation, method: bytes, framing: bytes
) -> None:
    body = b"0\r\n\r\n" if framing == CHUNKED else b""
    answer = untouched(talk, request(method + b" /plain/opened HTTP/1.1", framing, body=body))
    assert (answer.status, answer.slug) == (400, "decryption-failed")


def test_each_flipped_bit_gets_the_same_answer_and_reaches_nobody(talk: Conversation) -> None:
    """RFC 7516 section 11.5: nothing may tell one fault from another."""
    message = sealed(SECRET[:8])
    client = talk.client()
    answers = {same(untouched(talk, posted(b"what is no message"), client))}
    flipped = [
        message[:at] + bytes((message[at] ^ 1 << bit,)) + message[at + 1 :]
        for at in range(len(message))
        for bit in range(8)
    ]
    batch = 50
    for begin in range(0, len(flipped), batch):
        part = flipped[begin : begin + batch]
        client.send(b"".join(map(posted, part)))
        answers |= {same(client.message()) for _ in part}
    assert len(flipped) == 8 * len(message)
    assert len(answers) == 1
    assert b"400" in str(answers).encode()
    assert talk.nothing_was_forwarded()


@settings(max_examples=50)
@given(data=st.data())
def test_whatever_is_done_to_a_message_there_is_one_answer(
    gateway: Gateway, upstream_ends: Mapping[str, Upstream], data: st.DataObject
) -> None:
    message = sealed(SECRET, cty="text/plain")
    at = data.draw(st.integers(0, len(message)))
    cut = data.draw(st.integers(0, 40))
    put = data.draw(st.binary(max_size=8) | st.sampled_from([b".", b"=", b"..", b"\n", b" ", b"A"]))
    changed = message[:at] + put + message[at + cut :]
    if changed in (message, b""):
        return
    with Conversation(("127.0.0.1", gateway.port), upstream_ends) as talk:
        client = talk.client()
        answers = {same(untouched(talk, posted(each), client)) for each in (changed, b"x")}
    assert len(answers) == 1


def test_a_refused_request_leaves_the_connection_as_it_was(talk: Conversation) -> None:
    """RFC 9112 section 9.3: the body has been read to its end."""
    client = talk.client().send(posted(b"no message") + posted(sealed(SECRET)) + posted(b"neither"))
    assert client.message().status == 400
    upstream, seen = talk.upstream().request()
    upstream.send(OK)
    assert (seen.raw_body, client.message().body) == (SECRET, b"ok")
    assert client.message().status == 400


def test_a_client_that_stops_in_the_middle_of_its_body_is_given_up(talk: Conversation) -> None:
    """RFC 9110 section 15.5.9."""
    client = talk.client().send(posted(sealed(SECRET), start=b"POST /hasty/opened HTTP/1.1")[:-1])
    answer = client.message()
    assert (answer.status, answer.slug) == (408, "request-timeout")
    assert client.has_ended()
    assert talk.nothing_was_forwarded()


def test_a_byte_now_and_then_keeps_a_request_alive(talk: Conversation) -> None:
    message = posted(sealed(SECRET), start=b"POST /patient/opened HTTP/1.1")
    client = talk.client().send(message[:-4])
    for byte in message[-4:]:
        time.sleep(0.15)  # a third of what is allowed, and longer together
        client.send(bytes((byte,)))
    upstream, seen = talk.upstream("patient").request()
    upstream.send(OK)
    assert (seen.raw_body, client.message().status) == (SECRET, 200)


@pytest.mark.parametrize("leave", [Wire.close, Wire.reset, Wire.half_close])
def test_a_client_that_leaves_in_the_middle_of_its_body_reaches_nobody(
    talk: Conversation, leave: Callable[[Wire], None]
) -> None:
    client = talk.client().send(posted(sealed(SECRET))[:-1])
    leave(client)
    assert untouched(talk, request(b"GET /nowhere HTTP/1.1")).status == 404


@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_a_request_that_is_too_long_is_not_opened(talk: Conversation, framing: str) -> None:
    """RFC 9110 section 15.5.14."""
    start = b"POST /small/opened HTTP/1.1"
    message = sealed(SECRET * 30)
    assert len(message) > SHORT
    data = posted(message, start=start)
    if framing == "chunked":
        data = request(start, CHUNKED, body=b"%x\r\n%b\r\n0\r\n\r\n" % (len(message), message))
    client = talk.client().send(data)
    answer = client.message()
    assert (answer.status, answer.slug) == (413, "body-too-large")
    assert talk.nothing_was_forwarded()


@pytest.mark.parametrize(
    "body", [b"5\r\nabc\r\n", b"zz\r\n", b"3\r\nabcd\r\n0\r\n\r\n"], ids=["short", "no size", "long"]
)
def test_a_request_whose_framing_is_broken_is_not_opened(talk: Conversation, body: bytes) -> None:
    """RFC 9112 section 7.1."""
    client = talk.client().send(request(POST, CHUNKED, body=body + b"more\r\n\r\n"))
    assert client.message().status == 400
    assert client.has_ended()
    assert talk.nothing_was_forwarded()


def test_a_long_request_arrives_whole(talk: Conversation) -> None:
    body = SECRET * 100_000
    client = talk.client().send(posted(sealed(body)))
    upstream, seen = talk.upstream().request()
    upstream.send(OK)
    assert (seen.raw_body == body, client.message().body) == (True, b"ok")


def test_an_upstream_that_wants_no_body_answers_at_once(talk: Conversation) -> None:
    """RFC 9112 section 9.3."""
    client = talk.client().send(posted(sealed(SECRET * 100_000)))
    upstream = talk.upstream().accept()
    upstream.until(b"\r\n\r\n")
    upstream.send(response(start=b"HTTP/1.1 413 Too Much", body=b"no more"))
    assert client.message().body == b"no more"


def test_both_ways_at_once(talk: Conversation) -> None:
    client = talk.client().send(
        posted(sealed(SECRET, cty="json"), start=b"POST /plain/opened-sealed HTTP/1.1")
    )
    upstream, seen = talk.upstream().request()
    assert seen.values("content-type") == [b"application/json"]
    upstream.send(response(JSON, body=seen.body))
    header, plaintext = opened(client.message().body)
    assert (header["cty"], plaintext) == ("application/json", SECRET)


def test_whoever_leaves_in_the_middle_of_a_body_stands_in_the_trail(
    talk: Conversation, gateway: Gateway
) -> None:
    """RFC 9110 section 15.5.9; the client is not there to be told."""
    before = {record["request_id"] for record in gateway.audit("--kind", "decision", "--limit", "1000")}
    talk.client().send(posted(sealed(SECRET))[:-1]).close()

    def refused() -> list[dict[str, object]]:
        records = gateway.audit("--kind", "decision", "--limit", "20")
        return [one for one in records if one["request_id"] not in before]

    (record,) = eventually(refused)
    assert (record["decision"], record["reason"]) == ("deny", "request-timeout")
    assert talk.nothing_was_forwarded()


def test_who_is_not_let_in_has_nothing_opened_and_nothing_encrypted(talk: Conversation) -> None:
    answer = untouched(talk, request(b"GET /plain/sealed-members HTTP/1.1"))
    assert (answer.status, answer.values("content-type")) == (401, [b"application/problem+json"])


def test_whoever_is_locked_out_meanwhile_gets_nothing_and_reaches_nobody(
    talk: Conversation, gateway: Gateway
) -> None:
    """A response is cut while it is gathered; a request is refused once it has come."""
    token = b"Authorization: Bearer " + talk.account("sealed-recalled").encode()
    client = talk.client().send(request(b"GET /plain/sealed-members HTTP/1.1", token))
    upstream, _ = talk.upstream().request()
    upstream.send(response(body=SECRET)[:-1])
    message = posted(sealed(SECRET), token, start=b"POST /plain/sealed-members HTTP/1.1")
    sender = talk.client().send(message[:-1])
    assert gateway.run("users", "disable", "sealed-recalled").returncode == 0
    assert client.has_ended()
    assert upstream.has_ended()
    sender.send(message[-1:])
    refused = sender.message()
    assert (refused.status, refused.slug) == (401, "credentials-invalid")
    assert talk.upstream().connections() == 1
