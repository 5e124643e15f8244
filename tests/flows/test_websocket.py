"""WebSocket with a real client and a real server: through the gateway everything is as it is without it."""

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from support.gateway import Gateway, eventually, running_gateway
from support.raw import Raw
from support.websocket_servers import RawAnswers, WebsocketUpstream, raw_answers, reset, websocket_upstream
from websockets.exceptions import ConnectionClosed, ConnectionClosedError, ConnectionClosedOK, InvalidStatus
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Origin, Subprotocol

POLICIES = """\
version: 1
scopes: {feed:read: Listen}
roles: {listener: {scopes: [feed:read]}}
authenticators:
  gateway: {kind: gateway_jwt}
accounts:
  registration: closed
defaults: {authn: [gateway]}
routes:
  - {id: ws, match: {methods: [GET], path: /ws/**}, upstream: ws, authn: public, because: For tests, websocket: true}
  - {id: raw, match: {methods: [GET], path: /raw/**}, upstream: raw, authn: public, because: For tests, websocket: true}
  - {id: hasty, match: {methods: [GET], path: /hasty/**}, upstream: hasty, authn: public, because: For tests, websocket: true}
  - {id: own, match: {methods: [GET], path: /own/**}, upstream: ws, require: [feed:read], websocket: {origins: ["https://app.example.com"]}}
  - {id: plain, match: {methods: [GET, POST], path: /plain/**}, upstream: ws, authn: public, because: For tests}
"""
UPSTREAMS = """\
version: 1
defaults: {forward: {identity: headers}}
upstreams:
  ws: {targets: [{url: "http://127.0.0.1:${env:WS_PORT}"}]}
  raw: {targets: [{url: "http://127.0.0.1:${env:RAW_PORT}"}]}
  hasty: {targets: [{url: "http://127.0.0.1:${env:WS_PORT}"}], timeouts: {idle: 400ms}}
"""
KEY = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="
ACCEPTED = b"HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\r\n"


@pytest.fixture(scope="module")
def upstream() -> Iterator[WebsocketUpstream]:
    with websocket_upstream() as running:
        yield running


@pytest.fixture(scope="module")
def raw() -> Iterator[RawAnswers]:
    with raw_answers() as running:
        yield running


@pytest.fixture(scope="module")
def through(
    upstream: WebsocketUpstream, raw: RawAnswers, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Gateway]:
    """A gateway before both, with one user."""
    with running_gateway(
        tmp_path_factory.mktemp("websocket"),
        policies=POLICIES,
        upstreams=UPSTREAMS,
        environ={"WS_PORT": str(upstream.port), "RAW_PORT": str(raw.port)},
    ) as running:
        running.create_user("lisa", "a listener's password", "listener")
        yield running


@pytest.fixture(params=["direct", "through"])
def base(request: pytest.FixtureRequest, upstream: WebsocketUpstream) -> str:
    """The address of the real server: its own, and the gateway's. What holds for one holds for the other."""
    if request.param == "direct":
        return f"ws://127.0.0.1:{upstream.port}/ws"
    gateway: Gateway = request.getfixturevalue("through")
    return f"ws://127.0.0.1:{gateway.port}/ws"


def opened(url: str, **options: Any) -> ClientConnection:
    """Connect, with no proxy and no limit of the client's own."""
    usual = {"proxy": None, "max_size": None, "ping_interval": None, "close_timeout": 3}
    client: ClientConnection = connect(url, **{**usual, **options})
    return client


def requests(gateway: Gateway) -> list[dict[str, Any]]:
    """Return what the access log says so far."""
    return [json.loads(line) for line in list(gateway.lines) if '"event":"request"' in line]


def head(path: str, *lines: str, version: str = "1.1", method: str = "GET") -> bytes:
    """Return a handshake; lines replace those of the same name."""
    given = {line.partition(":")[0].lower() for line in lines}
    usual = ("Host: gw", "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", KEY)
    kept = [line for line in usual if line.partition(":")[0].lower() not in given]
    return "\r\n".join([f"{method} {path} HTTP/{version}", *kept, *lines, "", ""]).encode()


@pytest.mark.parametrize("compression", [None, "deflate"])
@pytest.mark.parametrize(
    "message",
    ["", "text", "grüße ☃", b"", bytes(range(256)), b"x" * 125, b"x" * 126, b"x" * 65_535, b"x" * 65_536],
    ids=lambda message: f"{type(message).__name__} of {len(message)}",
)
def test_messages_pass_whole(base: str, message: str | bytes, compression: str | None) -> None:
    with opened(f"{base}/echo", compression=compression) as client:
        client.send(message)
        assert client.recv() == message


@pytest.mark.parametrize("size", [2**20 + 1, 2**24])
def test_large_frames_pass_both_ways(base: str, size: int) -> None:
    message = bytes(range(256)) * (size // 256) + b"!"
    with opened(f"{base}/echo", compression=None) as client:
        client.send(message)
        assert client.recv(timeout=20) == message


def test_compression_is_agreed_between_the_ends(base: str) -> None:
    with opened(f"{base}/echo") as client:
        assert client.response is not None
        assert "permessage-deflate" in client.response.headers["Sec-WebSocket-Extensions"]
        client.send("a" * 100_000)
        assert client.recv() == "a" * 100_000
    with opened(f"{base}/echo", compression=None) as client:
        assert client.response is not None
        assert "Sec-WebSocket-Extensions" not in client.response.headers


def test_fragments_stay_fragments_both_ways(base: str) -> None:
    with opened(f"{base}/fragments") as client:
        for number in range(3):
            assert list(client.recv_streaming()) == [f"{number}a", f"{number}b", f"{number}c", ""]
    with opened(f"{base}/echo") as client:
        client.send(iter(["one ", "two ", "three"]))
        assert client.recv() == "one two three"


def test_a_control_frame_between_two_fragments_passes_at_once(base: str) -> None:
    with opened(f"{base}/echo") as client:

        def parts() -> Iterator[str]:
            yield "before "
            assert client.ping(b"between").wait(5)
            yield "after"

        client.send(parts())
        assert client.recv() == "before after"


def test_pings_are_answered_by_the_other_end(base: str, upstream: WebsocketUpstream) -> None:
    with opened(f"{base}/echo") as client:
        assert client.ping(b"with a payload").wait(5)
    with opened(f"{base}/ping") as client:
        assert upstream.pongs.get(timeout=5) < 5


def test_many_messages_keep_their_order(base: str) -> None:
    with opened(f"{base}/many") as client:
        assert [int(message) for message in client] == list(range(2000))


@pytest.mark.parametrize(
    ("offered", "chosen"),
    [((), None), (("chat",), "chat"), (("x", "superchat", "chat"), "chat"), (("x",), None)],
)
def test_the_upstream_chooses_the_subprotocol(
    base: str, offered: tuple[str, ...], chosen: str | None
) -> None:
    names = [Subprotocol(name) for name in offered]
    with opened(f"{base}/echo", subprotocols=names or None) as client:
        assert client.subprotocol == chosen


@pytest.mark.parametrize("code", [1000, 1001, 1003, 1008, 1011, 3000, 4999])
def test_close_codes_and_reasons_pass_to_the_client(base: str, code: int) -> None:
    with opened(f"{base}/close?code={code}&reason=because+%C3%BC") as client:
        with pytest.raises(ConnectionClosed) as caught:
            client.recv(timeout=5)
        assert caught.value.rcvd is not None
        assert (caught.value.rcvd.code, caught.value.rcvd.reason) == (code, "because ü")


@pytest.mark.parametrize("code", [1000, 1001, 3000, 4999])
def test_close_codes_and_reasons_pass_to_the_upstream(
    base: str, code: int, upstream: WebsocketUpstream
) -> None:
    with opened(f"{base}/wait") as client:
        assert client.recv() == "here"
        client.close(code, "done, thanks")
        assert upstream.endings.get(timeout=5) == (code, "done, thanks")
        # The upstream's answer has come, too: an end in good order.
        with pytest.raises(ConnectionClosed) as caught:
            client.recv()
        assert caught.value.rcvd is not None
        assert caught.value.rcvd.code == code


def test_an_upstream_that_vanishes_is_no_proper_end_for_the_client(base: str) -> None:
    with opened(f"{base}/drop") as client:
        client.send("go")
        with pytest.raises(ConnectionClosedError) as caught:
            client.recv(timeout=5)
        assert caught.value.rcvd is None


def test_a_client_that_vanishes_is_no_proper_end_for_the_upstream(
    base: str, upstream: WebsocketUpstream
) -> None:
    with opened(f"{base}/wait") as client:
        assert client.recv() == "here"
        reset(client.socket)
        assert upstream.endings.get(timeout=5) is None


@pytest.mark.parametrize("status", [200, 403, 404, 503])
def test_a_refusal_of_the_upstream_passes_whole(base: str, status: int) -> None:
    with pytest.raises(InvalidStatus) as caught:
        opened(f"{base}/refuse-{status}")
    response = caught.value.response
    assert (response.status_code, response.body) == (status, b"refused")
    assert response.headers["X-From"] == "upstream"
    assert response.headers.get("Upgrade") is None


def test_path_query_and_fields_of_the_handshake_reach_the_upstream(through: Gateway) -> None:
    url = f"ws://127.0.0.1:{through.port}/ws/a%20b/seen?q=%2Fx&empty=&q=2"
    fields = {"X-Custom": "yes", "X-Gateway-Subject": "mallory", "Cookie": "a=1"}
    with opened(url, origin=Origin("https://page.example"), additional_headers=fields) as client:
        seen = json.loads(client.recv())
    assert seen["path"] == "/ws/a%20b/seen?q=%2Fx&empty=&q=2"
    names = [name.lower() for name, _ in seen["fields"]]
    values = {name.lower(): value for name, value in seen["fields"]}
    assert values["origin"] == "https://page.example"
    assert values["host"] == f"127.0.0.1:{through.port}"
    assert (values["x-custom"], values["cookie"]) == ("yes", "a=1")
    assert (values["connection"].lower(), values["upgrade"].lower()) == ("upgrade", "websocket")
    assert {"x-request-id", "x-forwarded-for", "via"} <= set(names)
    assert "x-gateway-subject" not in names
    assert all(names.count(name) == 1 for name in ("connection", "upgrade", "sec-websocket-key"))


def test_the_same_decision_as_for_any_request_comes_first(through: Gateway) -> None:
    url = f"ws://127.0.0.1:{through.port}/own/seen"
    with pytest.raises(InvalidStatus) as caught:
        opened(url)
    assert caught.value.response.status_code == 401
    assert "WWW-Authenticate" in caught.value.response.headers
    token = through.login("lisa", "a listener's password")["access_token"]
    fields = {"Authorization": f"Bearer {token}"}
    for origin in (None, Origin("https://app.example.com")):
        with opened(url, origin=origin, additional_headers=fields) as client:
            values = {name.lower(): value for name, value in json.loads(client.recv())["fields"]}
            assert values["x-gateway-subject"].startswith("usr_")
            assert "authorization" not in values
    with pytest.raises(InvalidStatus) as caught:
        opened(url, origin=Origin("https://evil.example"), additional_headers=fields)
    assert caught.value.response.status_code == 403


def test_a_connection_is_recorded_with_its_status_its_bytes_and_how_it_ended(through: Gateway) -> None:
    with opened(f"ws://127.0.0.1:{through.port}/ws/echo", compression=None) as client:
        assert client.response is not None
        request_id = client.response.headers["X-Request-Id"]
        client.send(b"x" * 1000)
        client.recv()
    line = eventually(
        lambda: next((line for line in requests(through) if line["request_id"] == request_id), None)
    )
    assert (line["status"], line["outcome"], line["reason"]) == (101, "complete", "ok")
    # 1000 bytes in a frame of 4 and a mask of 4, and a close frame with a code; the same without masks.
    assert (line["bytes_in"], line["bytes_out"]) == (1000 + 8 + 8, 1000 + 4 + 4)


def test_a_quiet_connection_ends_and_a_ping_keeps_it(through: Gateway) -> None:
    with opened(f"ws://127.0.0.1:{through.port}/hasty/echo") as client:
        for _ in range(4):
            time.sleep(0.2)
            assert client.ping().wait(5)
        begun = time.monotonic()
        with pytest.raises(ConnectionClosedOK) as caught:
            client.recv(timeout=5)
        assert 0.3 < time.monotonic() - begun < 2
        assert caught.value.rcvd is not None
        assert caught.value.rcvd.code == 1001


def test_a_client_may_end_its_sending_and_hear_the_rest(through: Gateway, raw: RawAnswers) -> None:
    raw.answers["half"] = ACCEPTED
    with Raw(through.port) as client:
        client.send(head("/raw/half") + b"sent with the head")
        reply = client.reply()
        assert reply is not None
        assert reply.status == 101
        client.send(b", and sent later")
        client.half_close()
        assert client.rest() == b"sent with the head, and sent later"


def test_what_the_upstream_sends_with_its_answer_arrives(through: Gateway, raw: RawAnswers) -> None:
    raw.answers["eager"] = ACCEPTED + b"early bytes"
    with Raw(through.port) as client:
        client.send(head("/raw/eager"))
        reply = client.reply()
        assert reply is not None
        assert reply.header("connection") == "Upgrade"
        assert reply.header("upgrade") == "websocket"
        assert client.until(b"early bytes") == b"early bytes"


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 101 X\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
        b"HTTP/1.1 101 X\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: wrong\r\n\r\n",
        ACCEPTED.replace(b"Connection: Upgrade\r\n", b""),
        ACCEPTED.replace(b"Upgrade: websocket", b"Upgrade: h2c"),
        ACCEPTED.replace(b"\r\n\r\n", b"\r\nSec-WebSocket-Protocol: chat\r\n\r\n"),
        ACCEPTED.replace(b"\r\n\r\n", b"\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n"),
    ],
    ids=["no accept", "wrong accept", "no connection", "h2c", "a subprotocol", "an extension"],
)
def test_a_101_that_is_none_is_a_bad_gateway(through: Gateway, raw: RawAnswers, answer: bytes) -> None:
    raw.answers["liar"] = answer
    with Raw(through.port) as client:
        client.send(head("/raw/liar"))
        reply = client.reply()
        assert reply is not None
        assert reply.status == 502
        assert b"upstream-protocol-error" in reply.body
        assert client.is_closed()


SMUGGLED = b"GET /plain/smuggled HTTP/1.1\r\nHost: gw\r\n\r\n"


@pytest.mark.parametrize("cut", ["one piece", "behind the head", "each byte"])
@pytest.mark.parametrize(
    ("handshake", "statuses"),
    [
        (head("/plain/refuse-200", "Upgrade: h2c"), {200}),
        (head("/plain/refuse-200", "Upgrade: foo/1"), {200}),
        (head("/plain/refuse-200", version="1.0"), {200}),
        (head("/plain/echo"), {426}),
        (head("/plain/echo", "Upgrade: websocket, h2c"), {426}),
        (head("/own/echo"), {401}),
        (head("/ws/echo", "Sec-WebSocket-Version: 12"), {426}),
        (head("/ws/echo", "Sec-WebSocket-Key: short"), {400}),
        (head("/ws/echo", "Upgrade: websocket, h2c"), {400}),
        (head("/ws/refuse-403"), {403}),
        (head("/raw/never"), {502}),
    ],
    ids=[
        "h2c",
        "foo",
        "1.0",
        "elsewhere",
        "elsewhere, a list",
        "nobody",
        "version",
        "key",
        "a list",
        "refused",
        "broken",
    ],
)
def test_what_comes_behind_an_upgrade_that_is_not_made_is_never_a_request(
    through: Gateway, raw: RawAnswers, handshake: bytes, statuses: set[int], cut: str
) -> None:
    raw.answers["never"] = b"nothing of the sort\r\n\r\n"
    before = len(requests(through))
    text = handshake + SMUGGLED
    with Raw(through.port) as client:
        if cut == "one piece":
            client.send(text)
        elif cut == "behind the head":
            client.send_split([handshake, SMUGGLED])
        else:
            client.send_split([text[at : at + 1] for at in range(len(text))], pause=0.0002)
        received = client.rest()
    assert int(received.split(b" ", 2)[1]) in statuses
    assert received.count(b"HTTP/1.1 ") == 1
    assert b"onnection: close" in received
    assert eventually(lambda: len(requests(through)) > before)
    assert not any(line["path"] == "/plain/smuggled" for line in requests(through))


def test_another_version_is_told_which_one_is_spoken(through: Gateway) -> None:
    with Raw(through.port) as client:
        client.send(head("/ws/echo", "Sec-WebSocket-Version: 8"))
        reply = client.reply()
        assert reply is not None
        assert reply.status == 426
        assert reply.header("sec-websocket-version") == "13"
        assert reply.header("upgrade") == "websocket"
    with Raw(through.port) as client:
        client.send(head("/plain/echo"))
        reply = client.reply()
        assert reply is not None
        assert reply.status == 426
        assert reply.header("sec-websocket-version") is None


def test_a_handshake_with_a_body_is_malformed(through: Gateway) -> None:
    for line in ("Content-Length: 3", "Transfer-Encoding: chunked"):
        with Raw(through.port) as client:
            client.send(head("/ws/echo", line) + b"abc")
            reply = client.reply()
            assert reply is not None
            assert reply.status == 400
            assert client.is_closed()


def test_a_drain_tells_both_ends_that_the_gateway_goes_away(
    upstream: WebsocketUpstream, raw: RawAnswers, tmp_path_factory: pytest.TempPathFactory
) -> None:
    environ = {"WS_PORT": str(upstream.port), "RAW_PORT": str(raw.port), "GATEWAY_DRAIN_TIMEOUT": "1s"}
    with (
        running_gateway(
            tmp_path_factory.mktemp("drained"), policies=POLICIES, upstreams=UPSTREAMS, environ=environ
        ) as leaving,
        opened(f"ws://127.0.0.1:{leaving.port}/ws/wait") as client,
    ):
        assert client.recv() == "here"
        begun = time.monotonic()
        assert leaving.stop() == 0
        assert time.monotonic() - begun < 5
        with pytest.raises(ConnectionClosedOK) as caught:
            client.recv(timeout=1)
        assert caught.value.rcvd is not None
        assert caught.value.rcvd.code == 1001
        assert upstream.endings.get(timeout=5) == (1001, "")
