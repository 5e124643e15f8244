"""What goes on ends with the permit that let it begin, whoever its caller is, within two seconds."""

import contextlib
import json
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import jwt
import pytest
from flows_identity import PASSWORD, code, post, tries
from support.gateway import Gateway, eventually, running_gateway
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect
from websockets.sync.server import ServerConnection, serve

POLICIES = """\
version: 1
networks: {outside: [198.51.100.0/24]}
scopes:
  chat:use: Talk
roles:
  talker: {scopes: [chat:use]}
  mute: {}
authenticators:
  gateway: {kind: gateway_jwt}
  keys: {kind: api_key, header: x-api-key}
  corporate: {kind: jwt, issuer: "https://login.example.com", audience: [chat], secret: "${env:TEST_HMAC}", algorithms: [HS256], accept_typ: [at+jwt, JWT]}
grants:
  - {role: talker, from: [corporate], when: {claims.groups: {has: talkers}}}
accounts: {registration: closed, tokens: {access: 10min, refresh_idle: 7d, refresh_absolute: 30d}}
defaults: {authn: [gateway, keys, corporate]}
routes:
  - {id: chat, match: {methods: [GET], path: /chat}, upstream: chat, require: [chat:use], websocket: true}
  - {id: guarded, match: {methods: [GET], path: /guarded}, upstream: chat, require: [chat:use], websocket: true, mfa: {max_age: 4s}}
"""
UPSTREAMS = """\
version: 1
upstreams:
  chat: {targets: [{url: "http://${env:TEST_CHAT}"}]}
"""
SECRET = "a secret that two parties share, of more than 32 bytes"
WITHIN = 2.0
SLACK = 0.5
"""Seconds for a machine that does other things too."""


def _echo(connection: ServerConnection) -> None:
    with contextlib.suppress(ConnectionClosed):
        for message in connection:
            connection.send(message)


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with serve(_echo, "127.0.0.1", 0) as chat:
        threading.Thread(target=chat.serve_forever, daemon=True).start()
        with running_gateway(
            tmp_path_factory.mktemp("streams"),
            policies=POLICIES,
            upstreams=UPSTREAMS,
            environ={
                "TEST_CHAT": f"127.0.0.1:{chat.socket.getsockname()[1]}",
                "TEST_HMAC": SECRET,
                "GATEWAY_TRUSTED_PROXIES": "127.0.0.1/32",
                "GATEWAY_DRAIN_TIMEOUT": "1s",
            },
        ) as running:
            yield running
        chat.shutdown()


class Talk:
    """A WebSocket that goes on."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket

    def goes_on(self) -> bool:
        self._socket.send("a question")
        return self._socket.recv(timeout=2) == "a question"

    def ends(self, *, within: float = WITHIN) -> None:
        begun = time.monotonic()
        with pytest.raises(ConnectionClosed) as closed:
            self._socket.recv(timeout=within + SLACK)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1008
        assert time.monotonic() - begun < within + SLACK


Begin = Callable[..., Talk]


@pytest.fixture
def begin(gateway: Gateway) -> Iterator[Begin]:
    """Gives what opens a WebSocket that answers."""
    with contextlib.ExitStack() as talks:

        def open_one(headers: dict[str, str], *, path: str = "/chat", client: str = "192.0.2.1") -> Talk:
            url = f"ws://127.0.0.1:{gateway.port}{path}"
            fields = {**headers, "X-Forwarded-For": client}
            talk = Talk(talks.enter_context(connect(url, additional_headers=fields, proxy=None)))
            assert talk.goes_on()
            return talk

        yield open_one


def done(gateway: Gateway, *words: str) -> Any:
    ended = gateway.run(*words, "--format", "json")
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout)


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def user(gateway: Gateway, name: str) -> dict[str, str]:
    gateway.create_user(name, PASSWORD, "talker")
    return bearer(tries(gateway, name, PASSWORD).json["access_token"])


def external(*, lives: float = 600, groups: tuple[str, ...] = ("talkers",)) -> dict[str, str]:
    now = int(time.time())
    claims = {
        "iss": "https://login.example.com",
        "aud": "chat",
        "sub": "somebody",
        "iat": now,
        "exp": now + lives,
        "groups": list(groups),
    }
    return bearer(jwt.encode(claims, SECRET, algorithm="HS256", headers={"typ": "at+jwt"}))


def machine(gateway: Gateway, name: str) -> tuple[str, dict[str, str]]:
    made = done(gateway, "clients", "create", name, "--role", "talker")
    reply = gateway.request(
        "POST",
        "/gateway/v1/oauth/token",
        body=f"grant_type=client_credentials&client_id={made['id']}&client_secret={made['secret']}".encode(),
        headers={"Content-Type": "application/x-www-form-urlencoded"},
    )
    assert reply.status == 200, reply.body
    return made["id"], bearer(reply.json["access_token"])


@pytest.mark.slow
@pytest.mark.parametrize(
    "words",
    [("disable",), ("delete",), ("set-roles", "--role", "mute"), ("set-password", "--password-stdin")],
    ids=lambda words: words[0],
)
def test_of_a_user_whose_account_changes(gateway: Gateway, begin: Begin, words: tuple[str, ...]) -> None:
    name = f"user-{words[0]}"
    talk = begin(user(gateway, name))
    other = begin(user(gateway, f"{name}-other"))
    ended = gateway.run("users", words[0], name, *words[1:], stdin="another long password\n")
    assert ended.returncode == 0, ended.stderr
    talk.ends()
    assert other.goes_on()


@pytest.mark.slow
def test_of_a_user_whose_session_ends(gateway: Gateway, begin: Begin) -> None:
    header = user(gateway, "leaver")
    talk = begin(header)
    token = header["Authorization"].removeprefix("Bearer ")
    assert post(gateway, "logout", {}, token=token).status == 204
    talk.ends()


@pytest.mark.slow
def test_of_a_client_that_is_revoked_or_whose_token_is(gateway: Gateway, begin: Begin) -> None:
    id, header = machine(gateway, "dismissed")
    of_client = begin(header)
    made = done(gateway, "clients", "create", "careful", "--role", "talker")
    form = f"client_id={made['id']}&client_secret={made['secret']}"
    as_form = {"Content-Type": "application/x-www-form-urlencoded"}
    given = gateway.request(
        "POST",
        "/gateway/v1/oauth/token",
        body=f"grant_type=client_credentials&{form}".encode(),
        headers=as_form,
    ).json["access_token"]
    of_token = begin(bearer(given))
    done(gateway, "clients", "revoke", id)
    of_client.ends()
    assert of_token.goes_on()
    revoked = gateway.request(
        "POST", "/gateway/v1/oauth/revoke", body=f"token={given}&{form}".encode(), headers=as_form
    )
    assert revoked.status == 200
    of_token.ends()


@pytest.mark.slow
def test_of_a_key_that_is_revoked_or_expires(gateway: Gateway, begin: Begin) -> None:
    gateway.create_user("keyed", PASSWORD, "talker")

    def key(name: str, *flags: str) -> tuple[str, Talk]:
        made = done(gateway, "keys", "create", name, "--user", "keyed", *flags)
        return made["id"], begin({"X-Api-Key": made["key"]})

    id, revoked = key("revoked")
    _, short = key("short", "--expires", "4s")
    short.ends(within=4 + WITHIN)
    assert revoked.goes_on()
    done(gateway, "keys", "revoke", id)
    revoked.ends()


@pytest.mark.slow
@pytest.mark.parametrize("overlap", ["0s", "3s"])
def test_of_a_key_whose_secret_was_replaced(gateway: Gateway, begin: Begin, overlap: str) -> None:
    gateway.create_user(f"turning-{overlap}", PASSWORD, "talker")
    made = done(gateway, "keys", "create", "turned", "--user", f"turning-{overlap}")
    talk = begin({"X-Api-Key": made["key"]})
    turned = done(gateway, "keys", "rotate", made["id"], "--overlap", overlap)
    header = {"X-Api-Key": turned["key"]}
    eventually(lambda: gateway.request("GET", "/chat", headers=header).status != 401, within=1.5)
    fresh = begin(header)
    talk.ends(within=3 + WITHIN)
    assert fresh.goes_on()


@pytest.mark.slow
def test_of_the_key_of_an_owner_who_may_not_any_more(gateway: Gateway, begin: Begin) -> None:
    gateway.create_user("demoted", PASSWORD, "talker")
    made = done(gateway, "keys", "create", "owned", "--user", "demoted")
    talk = begin({"X-Api-Key": made["key"]})
    done(gateway, "users", "set-roles", "demoted", "--role", "mute")
    talk.ends()


@pytest.mark.slow
def test_of_somebody_from_outside_whose_token_expires(gateway: Gateway, begin: Begin) -> None:
    talk = begin(external(lives=4))
    long = begin(external())
    talk.ends(within=4 + WITHIN)
    assert long.goes_on()


@pytest.mark.slow
def test_of_whom_an_operator_blocks(gateway: Gateway, begin: Begin) -> None:
    header = external()
    talk = begin(header, client="203.0.113.77")
    other = begin(header, client="203.0.113.78")
    assert gateway.run("blocks", "add", "203.0.113.77", "--for", "1h").returncode == 0
    talk.ends()
    assert other.goes_on()
    assert gateway.run("blocks", "remove", "203.0.113.77").returncode == 0


@pytest.mark.slow
def test_where_a_second_factor_is_asked_for_when_it_is_too_long_ago(gateway: Gateway, begin: Begin) -> None:
    token = user(gateway, "factored")["Authorization"].removeprefix("Bearer ")
    secret = post(gateway, "mfa/totp", {"password": PASSWORD}, token=token).json["secret"]
    assert post(gateway, "mfa/totp/confirm", {"otp": code(secret, steps=-1)}, token=token).status == 200
    header = bearer(tries(gateway, "factored", PASSWORD, otp=code(secret)).json["access_token"])
    guarded = begin(header, path="/guarded")
    free = begin(header)
    guarded.ends(within=4 + WITHIN)
    assert free.goes_on()


@pytest.mark.slow
def test_of_everybody_whose_token_a_revoked_key_has_signed(gateway: Gateway, begin: Begin) -> None:
    header = user(gateway, "signed")
    talk = begin(header)
    outside = begin(external())
    kid = jwt.get_unverified_header(header["Authorization"].removeprefix("Bearer "))["kid"]
    done(gateway, "signing-keys", "revoke", kid)
    talk.ends()
    assert outside.goes_on()
