"""What goes on for long ends with the permit that let it begin, within two seconds."""

import contextlib
import json
import threading
import time
from collections.abc import Callable, Iterator

import pytest
from support.gateway import Gateway, eventually, running_gateway
from support.raw import Raw
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect
from websockets.sync.server import ServerConnection, serve

POLICIES = """\
version: 1
authenticators:
  gateway: {kind: gateway_jwt}
  keys: {kind: api_key, header: x-api-key}
accounts: {registration: closed, tokens: {access: 4s, refresh_idle: 7d, refresh_absolute: 30d}}
defaults: {authn: [gateway, keys]}
roles: {caller: {}}
routes:
  - {id: events, match: {methods: [GET], path: /events}, upstream: service, require: authenticated}
  - {id: stream, match: {methods: [GET], path: /stream}, upstream: service, require: authenticated}
  - {id: download, match: {methods: [GET], path: /download}, upstream: service, require: authenticated}
  - {id: chat, match: {methods: [GET], path: /chat}, upstream: chat, require: authenticated, websocket: true}
  - {id: kept, match: {methods: [GET], path: /kept}, upstream: chat, require: authenticated, websocket: true, streams: {on_expiry: keep}}
"""
UPSTREAMS = """\
version: 1
upstreams:
  service: {targets: [{url: "http://${env:TEST_SERVICE}"}]}
  chat: {targets: [{url: "http://${env:TEST_CHAT}"}]}
"""
PASSWORD = "a caller's password"
WITHIN = 2.0
"""Seconds in which a stream ends."""
SLACK = 0.5
"""Seconds for a machine that does other things too."""
LONG = b"?chunks=1000&interval=0.05"
LIVES = 4.0
"""Seconds that an access token lives."""


def _echo(connection: ServerConnection) -> None:
    for message in connection:
        connection.send(message)


@pytest.fixture(scope="module")
def gateway(service: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with serve(_echo, "127.0.0.1", 0) as chat:
        threading.Thread(target=chat.serve_forever, daemon=True).start()
        with running_gateway(
            tmp_path_factory.mktemp("gateway"),
            policies=POLICIES,
            upstreams=UPSTREAMS,
            environ={
                "TEST_SERVICE": service,
                "TEST_CHAT": f"127.0.0.1:{chat.socket.getsockname()[1]}",
                "GATEWAY_DRAIN_TIMEOUT": "1s",
            },
        ) as running:
            running.create_user("carla", PASSWORD, "caller")
            yield running
        chat.shutdown()


class Going:
    """An answer that goes on."""

    def __init__(self, raw: Raw, target: bytes, *lines: str) -> None:
        self._raw = raw
        fields = "".join(f"{line}\r\n" for line in ("Host: localhost", *lines))
        self._raw.send(b"GET " + target + b" HTTP/1.1\r\n" + fields.encode() + b"\r\n")
        reply = self._raw.reply(head_only=True)
        assert reply is not None
        assert reply.status == 200
        self.id = reply.header("x-request-id")

    def still_comes(self) -> bool:
        """Say whether more comes."""
        return bool(self._raw.receive())

    def seconds_to_its_end(self) -> float:
        """Read until it ends, and return how long that took; an end that looks whole is none."""
        begun = time.monotonic()
        assert not self._raw.rest().endswith(b"\r\n0\r\n\r\n")
        return time.monotonic() - begun


Begin = Callable[..., Going]


@pytest.fixture
def begin(gateway: Gateway) -> Iterator[Begin]:
    """Gives what begins an answer that goes on; each has a connection of its own."""
    with contextlib.ExitStack() as connections:
        yield lambda *what: Going(connections.enter_context(Raw(gateway.port)), *what)


def chat(gateway: Gateway, path: str, token: str) -> ClientConnection:
    return connect(
        f"ws://127.0.0.1:{gateway.port}{path}", additional_headers={"Authorization": f"Bearer {token}"}
    )


def answers(connection: ClientConnection) -> bool:
    connection.send("a question")
    return connection.recv(timeout=2) == "a question"


def close_code(connection: ClientConnection) -> int:
    with pytest.raises(ConnectionClosed) as closed:
        connection.recv(timeout=WITHIN)
    assert closed.value.rcvd is not None
    return closed.value.rcvd.code


def bearer(token: str) -> str:
    return f"Authorization: Bearer {token}"


def logout(gateway: Gateway, tokens: dict[str, str]) -> None:
    token = tokens["access_token"]
    assert gateway.request("POST", "/gateway/v1/auth/logout", token=token, body={}).status == 204


def completion(gateway: Gateway, going: Going) -> dict[str, object]:
    def found() -> list[dict[str, object]]:
        return [one for one in gateway.audit("--kind", "completion") if one["request_id"] == going.id]

    (one,) = eventually(found)
    assert isinstance(one, dict)
    return one


@pytest.mark.slow
def test_everything_of_a_session_that_is_ended_ends_and_nothing_else(gateway: Gateway, begin: Begin) -> None:
    tokens, others = (gateway.login("carla", PASSWORD) for _ in range(2))
    mine = bearer(tokens["access_token"])
    events = begin(b"/events" + LONG, mine)
    answer = begin(b"/stream" + LONG, mine)
    stalled = begin(b"/download?bytes=1000000000", mine)
    other = begin(b"/events" + LONG, bearer(others["access_token"]))
    with (
        chat(gateway, "/chat", tokens["access_token"]) as socket,
        chat(gateway, "/kept", tokens["access_token"]) as kept,
    ):
        assert answers(socket)
        assert answers(kept)
        logout(gateway, tokens)
        begun = time.monotonic()
        assert close_code(socket) == 1008
        assert close_code(kept) == 1008
        for going in (events, answer, stalled):
            going.seconds_to_its_end()
        assert time.monotonic() - begun < WITHIN + SLACK
    assert other.still_comes()
    ended = completion(gateway, events)
    assert [ended[name] for name in ("outcome", "reason", "status")] == ["cut", "credentials-invalid", 200]


@pytest.mark.slow
def test_streams_end_when_the_token_expires_and_other_answers_do_not(gateway: Gateway, begin: Begin) -> None:
    token = gateway.login("carla", PASSWORD)["access_token"]
    events = begin(b"/events" + LONG, bearer(token))
    answer = begin(b"/stream" + LONG, bearer(token))
    with chat(gateway, "/chat", token) as socket, chat(gateway, "/kept", token) as kept:
        took = events.seconds_to_its_end()
        assert LIVES - 1.5 < took < LIVES + WITHIN + SLACK
        assert close_code(socket) == 1008
        assert answers(kept)
        assert answer.still_comes()
    assert completion(gateway, events)["reason"] == "credentials-invalid"


@pytest.mark.slow
def test_streams_end_when_the_key_is_revoked_or_expires(gateway: Gateway, begin: Begin) -> None:
    def make(name: str, *more: str) -> tuple[str, Going]:
        made = gateway.run("keys", "create", name, "--user", "carla", "--format", "json", *more)
        assert made.returncode == 0, made.stderr
        return _field(made.stdout, "id"), begin(b"/events" + LONG, f"X-Api-Key: {_field(made.stdout, 'key')}")

    long, of_long = make("long")
    _, of_short = make("short", "--expires", "4s")
    assert of_short.seconds_to_its_end() < 4 + WITHIN
    assert of_long.still_comes()
    assert gateway.run("keys", "revoke", long).returncode == 0
    assert of_long.seconds_to_its_end() < WITHIN + SLACK


def _field(text: str, name: str) -> str:
    value: str = json.loads(text)[name]
    return value


@pytest.mark.slow
def test_what_goes_on_when_the_gateway_stops_is_told_to_go_away(gateway: Gateway) -> None:
    token = gateway.login("carla", PASSWORD)["access_token"]
    with chat(gateway, "/chat", token) as socket:
        assert answers(socket)
        stopped = threading.Thread(target=gateway.stop)
        stopped.start()
        assert close_code(socket) == 1001
        stopped.join()
    gateway.start()
    (ended,) = (
        one
        for one in gateway.audit("--kind", "completion")
        if one["status"] == 101 and one["reason"] == "draining"
    )
    assert ended["outcome"] == "cut"
    assert ended["bytes_in"]
