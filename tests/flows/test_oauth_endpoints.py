"""The OAuth endpoints byte by byte: what RFC 6749, RFC 7009 and RFC 7662 say of them, and what is done to them."""

import base64
import json
import socket
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlencode

import pytest
from support.gateway import Gateway, Reply, running_gateway

POLICIES = """\
version: 1
scopes:
  things:read: See things
  things:write: Make things
roles:
  reader: {scopes: [things:read]}
  writer: {inherits: [reader], scopes: [things:write]}
  inspector: {scopes: ["gateway:introspect"]}
authenticators:
  gateway: {kind: gateway_jwt}
accounts:
  default_roles: [reader]
defaults:
  authn: [gateway]
  cors: {origins: [https://app.example.com], headers: [authorization, content-type], max_age: 1h}
routes:
  - {id: orders, match: {methods: [GET], path: /orders}, upstream: service, require: [things:read]}
"""
UPSTREAMS = """\
version: 1
upstreams:
  service: {targets: [{url: "http://${env:TEST_SERVICE}"}]}
"""
PREFIX = "/gateway/v1/oauth/"
FORM = "application/x-www-form-urlencoded"
PASSWORD = "a writer's password"
GRANT = {"grant_type": "client_credentials"}
PAGE = "https://app.example.com"


@pytest.fixture(scope="module")
def gateway(service: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway with the users walt, who may write, and inga, who may inspect."""
    with running_gateway(
        tmp_path_factory.mktemp("oauth"),
        policies=POLICIES,
        upstreams=UPSTREAMS,
        environ={"TEST_SERVICE": service},
    ) as running:
        running.create_user("walt", PASSWORD, "writer")
        running.create_user("inga", PASSWORD, "inspector")
        yield running


@pytest.fixture(scope="module")
def client(gateway: Gateway) -> dict[str, Any]:
    """A client that may read, and inspect."""
    return made(gateway, "machine", "reader", "inspector")


@pytest.fixture(scope="module")
def reader(gateway: Gateway) -> dict[str, Any]:
    """Another one, that may only read."""
    return made(gateway, "reader", "reader")


def made(gateway: Gateway, name: str, *roles: str) -> dict[str, Any]:
    flags = [word for role in roles for word in ("--role", role)]
    done = gateway.run("clients", "create", name, *flags, "--format", "json")
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def basic(id_: str | bytes, secret: str | bytes = b"") -> dict[str, str]:
    pair = b":".join(each.encode() if isinstance(each, str) else each for each in (id_, secret))
    return {"Authorization": f"Basic {base64.b64encode(pair).decode()}"}


def of(client: Mapping[str, Any]) -> dict[str, str]:
    return basic(client["id"], client["secret"])


def post(
    gateway: Gateway,
    name: str,
    body: Mapping[str, str] | bytes,
    headers: Mapping[str, str] | None = None,
    *,
    media_type: str = FORM,
    query: str = "",
) -> Reply:
    data = body if isinstance(body, bytes) else urlencode(body).encode()
    return gateway.request(
        "POST", PREFIX + name + query, headers={"Content-Type": media_type, **(headers or {})}, body=data
    )


def token_of(gateway: Gateway, client: Mapping[str, Any], **more: str) -> str:
    reply = post(gateway, "token", {**GRANT, **more}, of(client))
    assert reply.status == 200, reply.body
    token: str = reply.json["access_token"]
    return token


def login_by(gateway: Gateway, client: Mapping[str, Any], name: str = "walt") -> dict[str, Any]:
    reply = gateway.request(
        "POST",
        "/gateway/v1/auth/login",
        headers=of(client),
        body={"username": name, "password": PASSWORD},
    )
    assert reply.status == 200, reply.body
    tokens: dict[str, Any] = reply.json
    return tokens


def is_oauth_error(reply: Reply, status: int, code: str) -> None:
    assert (reply.status, reply.json["error"]) == (status, code), reply.body
    assert set(reply.json) <= {"error", "error_description"}
    description = reply.json.get("error_description", "")
    assert all(" " <= char <= "~" and char not in '"\\' for char in description)
    assert reply.headers["Content-Type"] == "application/json"
    assert (reply.headers["Cache-Control"], reply.headers["Pragma"]) == ("no-store", "no-cache")
    assert "X-Request-Id" in reply.headers
    assert ("WWW-Authenticate" in reply.headers) == (status == 401)


# What a client gets.


def test_an_answer_with_a_token_is_never_stored(gateway: Gateway, client: dict[str, Any]) -> None:
    reply = post(gateway, "token", GRANT, of(client))
    assert reply.status == 200
    assert set(reply.json) == {"access_token", "token_type", "expires_in", "scope"}
    assert (reply.json["token_type"], reply.json["expires_in"]) == ("Bearer", 600)
    assert reply.json["scope"] == "gateway:introspect things:read"
    assert (reply.headers["Cache-Control"], reply.headers["Pragma"]) == ("no-store", "no-cache")


def test_a_token_is_narrowed_to_what_was_asked_for(gateway: Gateway, client: dict[str, Any]) -> None:
    narrow = token_of(gateway, client, scope="things:read")
    wide = token_of(gateway, client)
    assert gateway.request("GET", "/orders", token=narrow).status == 200
    told = {
        name: post(gateway, "introspect", {"token": wide}, {"Authorization": f"Bearer {each}"})
        for name, each in {"narrow": narrow, "wide": wide}.items()
    }
    assert told["wide"].json["active"] is True
    assert told["narrow"].status == 403
    assert told["narrow"].json["error"] == "insufficient_scope"


@pytest.mark.parametrize("scope", ["things:write", "nothing", "gateway:users"])
def test_a_scope_that_the_roles_do_not_give_is_not_to_be_had(
    gateway: Gateway, reader: dict[str, Any], scope: str
) -> None:
    is_oauth_error(post(gateway, "token", {**GRANT, "scope": scope}, of(reader)), 400, "invalid_scope")


@pytest.mark.parametrize("scope", [" ", "a  b", ' "', "a\n", "things:read ", "ä", "a\tb"])
def test_what_is_no_list_of_scopes_is_refused(gateway: Gateway, reader: dict[str, Any], scope: str) -> None:
    is_oauth_error(post(gateway, "token", {**GRANT, "scope": scope}, of(reader)), 400, "invalid_scope")


def test_a_refresh_is_narrowed_for_once_and_keeps_the_whole(gateway: Gateway, reader: dict[str, Any]) -> None:
    tokens = login_by(gateway, reader)
    refresh = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}
    narrow = post(gateway, "token", {**refresh, "scope": "things:read"}, of(reader))
    assert (narrow.status, narrow.json["scope"]) == (200, "things:read")
    whole = post(gateway, "token", refresh, of(reader))
    assert whole.json["scope"] == "things:read things:write"
    assert whole.json["refresh_token"] == tokens["refresh_token"]
    is_oauth_error(post(gateway, "token", {**refresh, "scope": "other"}, of(reader)), 400, "invalid_scope")


@pytest.mark.parametrize("name", ["resource", "audience"])
def test_tokens_are_for_this_gateway_alone(gateway: Gateway, reader: dict[str, Any], name: str) -> None:
    for ours in ("http://localhost:8000", "http://localhost:8000/", "http://localhost:8000/orders"):
        assert post(gateway, "token", {**GRANT, name: ours}, of(reader)).status == 200
    for foreign in (
        "https://elsewhere.example",
        "http://localhost:80000",
        "http://localhost:8000.evil",
        "orders",
    ):
        is_oauth_error(post(gateway, "token", {**GRANT, name: foreign}, of(reader)), 400, "invalid_target")
    both = urlencode([("grant_type", "client_credentials"), (name, "http://localhost:8000"), (name, "urn:x")])
    is_oauth_error(post(gateway, "token", both.encode(), of(reader)), 400, "invalid_target")


def test_what_is_unknown_or_empty_is_passed_over(gateway: Gateway, reader: dict[str, Any]) -> None:
    body = {**GRANT, "scope": "", "resource": "", "client_secret": "", "client_id": reader["id"], "x": "1"}
    assert post(gateway, "token", body, of(reader)).status == 200


# Who asks.


def test_each_way_to_authenticate_works_alone(gateway: Gateway, reader: dict[str, Any]) -> None:
    posted = {"client_id": reader["id"], "client_secret": reader["secret"]}
    assert post(gateway, "token", GRANT, of(reader)).status == 200
    assert post(gateway, "token", {**GRANT, **posted}).status == 200
    assert post(gateway, "token", {**GRANT, "client_id": reader["id"]}, of(reader)).status == 200


def test_two_ways_at_once_are_refused(
    gateway: Gateway, reader: dict[str, Any], client: dict[str, Any]
) -> None:
    posted = {"client_id": reader["id"], "client_secret": reader["secret"]}
    is_oauth_error(post(gateway, "token", {**GRANT, **posted}, of(reader)), 400, "invalid_request")
    is_oauth_error(post(gateway, "token", {**GRANT, **posted}, of(client)), 400, "invalid_request")
    is_oauth_error(
        post(gateway, "token", {**GRANT, "client_id": client["id"]}, of(reader)), 400, "invalid_request"
    )
    bearer = {"Authorization": f"Bearer {token_of(gateway, client)}"}
    is_oauth_error(post(gateway, "introspect", {"token": "x", **posted}, bearer), 400, "invalid_request")


@pytest.mark.parametrize("name", ["token", "revoke", "introspect"])
def test_no_client_and_a_wrong_one_are_one_answer(
    gateway: Gateway, reader: dict[str, Any], client: dict[str, Any], name: str
) -> None:
    replies = [
        post(gateway, name, GRANT),
        post(gateway, name, GRANT, basic(reader["id"], "wrong")),
        post(gateway, name, GRANT, basic(reader["id"])),
        post(gateway, name, GRANT, basic("cli_" + "0" * 32, reader["secret"])),
        post(gateway, name, GRANT, basic(reader["id"], client["secret"])),
        post(gateway, name, GRANT, basic("gateway", "secret")),
        post(gateway, name, {**GRANT, "client_id": reader["id"]}),
        post(gateway, name, {**GRANT, "client_id": reader["id"], "client_secret": "wrong"}),
        post(gateway, name, GRANT, basic(reader["id"] + ":x", reader["secret"])),
        post(gateway, name, GRANT, basic(reader["id"], "%zz")),
        post(gateway, name, GRANT, basic(b"\xff\xfe", b"\xff")),
        post(gateway, name, GRANT, basic(b"a" * 9000, b"b" * 9000)),
        post(gateway, name, GRANT, {"Authorization": "Basic"}),
        post(gateway, name, GRANT, {"Authorization": "Basic %%%"}),
        post(gateway, name, GRANT, {"Authorization": "Digest x"}),
    ]
    for reply in replies:
        is_oauth_error(reply, 401, "invalid_client")
        assert reply.headers["WWW-Authenticate"] == 'Basic realm="gateway"'
    assert len({reply.body for reply in replies}) == 1


def test_the_gateways_own_client_cannot_act_for_itself(gateway: Gateway) -> None:
    reply = post(gateway, "token", {**GRANT, "client_id": "gateway"})
    is_oauth_error(reply, 400, "unauthorized_client")
    is_oauth_error(
        post(gateway, "introspect", {"token": "x", "client_id": "gateway"}), 400, "unauthorized_client"
    )


def test_two_authorization_fields_are_refused(gateway: Gateway, reader: dict[str, Any]) -> None:
    line = f"Authorization: {of(reader)['Authorization']}\r\n"
    body = urlencode(GRANT)
    with socket.create_connection(("127.0.0.1", gateway.port), 10) as connection:
        connection.sendall(
            f"POST {PREFIX}token HTTP/1.1\r\nHost: a\r\n{line}{line}Content-Type: {FORM}\r\n"
            f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n{body}".encode()
        )
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b'"invalid_request"' in answer


# What is sent.


@pytest.mark.parametrize(
    "body",
    [
        b"grant_type=client_credentials&grant_type=client_credentials",
        b"grant_type=client_credentials&grant_type=refresh_token",
        b"grant_type=client_credentials&scope=&scope=things%3Aread",
        b"grant_type=client_credentials&gran%74_type=refresh_token",
        b"grant_type=client_credentials&x=1&x=2",
        b"grant_type=client_credentials&x=%",
        b"grant_type=client_credentials&x=%ff",
        b"grant_type=client_credentials&x=\xff",
        b"grant_type=&scope=things:read",
        b"scope=things:read",
        b"",
        b"&".join(b"p%d=1" % number for number in range(500)),
        b'{"grant_type": "client_credentials"}',
    ],
)
def test_a_form_that_can_be_read_in_two_ways_is_refused(
    gateway: Gateway, reader: dict[str, Any], body: bytes
) -> None:
    is_oauth_error(post(gateway, "token", body, of(reader)), 400, "invalid_request")


@pytest.mark.parametrize(
    "media_type", ["application/json", "text/plain", "multipart/form-data; boundary=x", "", "form"]
)
@pytest.mark.parametrize("name", ["token", "revoke", "introspect"])
def test_what_is_no_form_is_refused(
    gateway: Gateway, reader: dict[str, Any], name: str, media_type: str
) -> None:
    body = json.dumps({**GRANT, "token": "x"}).encode()
    is_oauth_error(post(gateway, name, body, of(reader), media_type=media_type), 400, "invalid_request")


def test_a_form_may_name_its_charset(gateway: Gateway, reader: dict[str, Any]) -> None:
    reply = post(
        gateway, "token", GRANT, of(reader), media_type="Application/X-WWW-Form-URLencoded; charset=UTF-8"
    )
    assert reply.status == 200


def test_a_huge_form_is_not_read(gateway: Gateway, reader: dict[str, Any]) -> None:
    reply = post(gateway, "token", b"grant_type=client_credentials&x=" + b"a" * 70_000, of(reader))
    is_oauth_error(reply, 413, "invalid_request")


@pytest.mark.parametrize("name", ["token", "revoke", "introspect"])
def test_nothing_is_taken_from_the_query(gateway: Gateway, reader: dict[str, Any], name: str) -> None:
    query = "?" + urlencode(
        {"client_id": reader["id"], "client_secret": reader["secret"], "token": "leaked-token"}
    )
    is_oauth_error(post(gateway, name, GRANT, query=query), 400, "invalid_request")
    is_oauth_error(
        post(gateway, name, {**GRANT, "token": "x"}, of(reader), query="?x=1"), 400, "invalid_request"
    )
    trail = json.dumps(gateway.audit())
    assert "leaked-token" not in trail
    assert "leaked-token" not in "\n".join(gateway.lines)
    assert reader["secret"] not in trail


def test_other_methods_are_405(gateway: Gateway) -> None:
    for method in ("GET", "PUT", "DELETE", "HEAD"):
        reply = gateway.request(method, PREFIX + "token")
        assert (reply.status, reply.headers["Allow"]) == (405, "POST")
        if method != "HEAD":
            assert reply.json == {
                "error": "invalid_request",
                "error_description": "This endpoint takes POST.",
            }


@pytest.mark.parametrize(
    "grant_type",
    ["password", "authorization_code", "implicit", "urn:ietf:params:oauth:grant-type:jwt-bearer", "x"],
)
def test_there_are_two_grants_and_no_other(gateway: Gateway, reader: dict[str, Any], grant_type: str) -> None:
    body = {"grant_type": grant_type, "username": "walt", "password": PASSWORD}
    is_oauth_error(post(gateway, "token", body, of(reader)), 400, "unsupported_grant_type")


@pytest.mark.parametrize("token", ["", "x", "gwr_", "gwr_AAAA", "gwr_" + "A" * 40_000])
def test_what_is_no_refresh_token_is_an_invalid_grant(
    gateway: Gateway, reader: dict[str, Any], token: str
) -> None:
    body = {"grant_type": "refresh_token", "refresh_token": token}
    code = "invalid_grant" if token else "invalid_request"
    is_oauth_error(post(gateway, "token", body, of(reader)), 400, code)
    is_oauth_error(post(gateway, "token", {**body, "client_id": "gateway"}), 400, code)


# The end of a token.


def test_revoking_is_the_same_for_what_was_never_there(gateway: Gateway, reader: dict[str, Any]) -> None:
    for token in ("x", "gwr_AAAA", "a.b.c", "gwk_x", "\ud7ff"):
        for hint in ({}, {"token_type_hint": "refresh_token"}, {"token_type_hint": "nonsense"}):
            reply = post(gateway, "revoke", {"token": token, **hint}, of(reader))
            assert (reply.status, reply.body) == (200, b"")
            assert (reply.headers["Cache-Control"], reply.headers["Pragma"]) == ("no-store", "no-cache")
    is_oauth_error(post(gateway, "revoke", {}, of(reader)), 400, "invalid_request")


def test_a_wrong_hint_finds_the_token_all_the_same(gateway: Gateway, reader: dict[str, Any]) -> None:
    access = token_of(gateway, reader)
    body = {"token": access, "token_type_hint": "refresh_token"}
    assert post(gateway, "revoke", body, of(reader)).status == 200
    assert gateway.request("GET", "/orders", token=access).status == 401
    tokens = login_by(gateway, reader)
    body = {"token": tokens["refresh_token"], "token_type_hint": "access_token"}
    assert post(gateway, "revoke", body, of(reader)).status == 200
    assert gateway.request("GET", "/orders", token=tokens["access_token"]).status == 401
    assert post(gateway, "revoke", body, of(reader)).status == 200


def test_one_access_token_ends_without_its_session(gateway: Gateway, reader: dict[str, Any]) -> None:
    tokens = login_by(gateway, reader)
    assert post(gateway, "revoke", {"token": tokens["access_token"]}, of(reader)).status == 200
    assert gateway.request("GET", "/orders", token=tokens["access_token"]).status == 401
    refresh = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}
    again = post(gateway, "token", refresh, of(reader))
    assert gateway.request("GET", "/orders", token=again.json["access_token"]).status == 200


def test_what_is_another_clients_is_not_ended(
    gateway: Gateway, reader: dict[str, Any], client: dict[str, Any]
) -> None:
    tokens, own = login_by(gateway, reader), gateway.login("walt", PASSWORD)
    for token in (tokens["refresh_token"], tokens["access_token"], own["refresh_token"], own["access_token"]):
        is_oauth_error(post(gateway, "revoke", {"token": token}, of(client)), 400, "invalid_grant")
    for token in (tokens["refresh_token"], tokens["access_token"]):
        by_nobody = post(gateway, "revoke", {"token": token, "client_id": "gateway"})
        is_oauth_error(by_nobody, 400, "invalid_grant")
    for pair in (tokens, own):
        assert gateway.request("GET", "/orders", token=pair["access_token"]).status == 200
    by_owner = post(gateway, "revoke", {"token": own["refresh_token"], "client_id": "gateway"})
    assert by_owner.status == 200
    assert gateway.request("GET", "/orders", token=own["access_token"]).status == 401


def test_a_refresh_token_that_is_tried_by_others_stays_good(
    gateway: Gateway, reader: dict[str, Any], client: dict[str, Any]
) -> None:
    tokens = login_by(gateway, reader)
    refresh = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}
    is_oauth_error(post(gateway, "token", refresh, of(client)), 400, "invalid_grant")
    is_oauth_error(post(gateway, "token", {**refresh, "client_id": "gateway"}), 400, "invalid_grant")
    reply = gateway.request(
        "POST", "/gateway/v1/auth/refresh", body={"refresh_token": tokens["refresh_token"]}
    )
    assert reply.status == 401
    assert post(gateway, "token", refresh, of(reader)).status == 200


@pytest.mark.parametrize("name", ["login", "refresh"])
def test_a_client_that_is_wrong_about_itself_is_asked_for_basic(
    gateway: Gateway, reader: dict[str, Any], name: str
) -> None:
    tokens = login_by(gateway, reader)
    body = {
        "login": {"username": "walt", "password": PASSWORD},
        "refresh": {"refresh_token": tokens["refresh_token"]},
    }[name]
    for headers in (basic(reader["id"], "wrong"), basic("cli_unknown", "x"), {"Authorization": "Basic %%%"}):
        reply = gateway.request("POST", f"/gateway/v1/auth/{name}", headers=headers, body=body)
        assert (reply.status, reply.json["type"]) == (401, "urn:gateway:problem:credentials-invalid")
        assert reply.headers["WWW-Authenticate"] == 'Basic realm="gateway"'
    # Who is wrong about anything else is asked for a token.
    wrong = gateway.request("POST", f"/gateway/v1/auth/{name}", body=dict.fromkeys(body, "wrong"))
    assert (wrong.status, wrong.headers["WWW-Authenticate"]) == (401, 'Bearer realm="gateway"')


def test_no_token_is_good_for_what_another_is_for(
    gateway: Gateway, client: dict[str, Any], reader: dict[str, Any]
) -> None:
    session, own = login_by(gateway, reader), gateway.login("walt", PASSWORD)
    machine = token_of(gateway, reader)
    for token in (session["refresh_token"], own["refresh_token"], reader["secret"], f"{machine}="):
        assert gateway.request("GET", "/orders", token=token).status == 401
    for token in (session["access_token"], own["access_token"], machine, reader["secret"]):
        form = {"grant_type": "refresh_token", "refresh_token": token}
        is_oauth_error(post(gateway, "token", form, of(reader)), 400, "invalid_grant")
        is_oauth_error(post(gateway, "token", {**form, "client_id": "gateway"}), 400, "invalid_grant")
    for secret in (machine, session["refresh_token"], client["secret"]):
        is_oauth_error(post(gateway, "token", GRANT, basic(reader["id"], secret)), 401, "invalid_client")
    # Nor is a user a client by the name that the tokens of users bear, nor by an id of theirs.
    subject = post(gateway, "introspect", {"token": own["access_token"]}, of(client)).json["sub"]
    for id_ in (subject, "walt", "gateway"):
        refused = post(gateway, "token", GRANT, basic(id_, PASSWORD))
        is_oauth_error(refused, 401, "invalid_client")


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "me", None),
        ("GET", "sessions", None),
        ("DELETE", "sessions/ses_1", None),
        ("POST", "logout", {}),
        ("POST", "logout", {"all": True}),
        ("POST", "password", {"current_password": "a", "new_password": "a fine new password"}),
        ("POST", "mfa/totp", {"password": PASSWORD}),
        ("POST", "mfa/totp/verify", {"otp": "123456"}),
        ("DELETE", "mfa/totp", {"password": PASSWORD, "otp": "123456"}),
    ],
)
def test_a_machine_is_no_user(
    gateway: Gateway, reader: dict[str, Any], method: str, path: str, body: dict[str, Any] | None
) -> None:
    token = token_of(gateway, reader)
    reply = gateway.request(method, f"/gateway/v1/auth/{path}", token=token, body=body)
    assert reply.status in {400, 401, 403}, reply.body
    assert gateway.request("GET", "/orders", token=token).status == 200


def test_secrets_in_the_wrong_place_are_written_down_nowhere(
    gateway: Gateway, reader: dict[str, Any]
) -> None:
    tokens = login_by(gateway, reader)
    secret, refresh, access = reader["secret"], tokens["refresh_token"], tokens["access_token"]
    for each in (secret, refresh, access):
        for name in ("token", "revoke", "introspect"):
            for field in ("client_id", "scope", "grant_type", "token_type_hint", "resource", each):
                post(gateway, name, {**GRANT, "token": "x", field: each}, of(reader))
                post(gateway, name, {"token": "x", field: each})
            post(gateway, name, GRANT, basic(each, each))
            post(gateway, name, GRANT, {"Authorization": f"Bearer {each}x"})
            post(gateway, name, GRANT, {**of(reader), "DPoP": each})
            post(gateway, name, GRANT, of(reader), query=f"?token={each}&{each}")
        gateway.request("POST", "/gateway/v1/auth/login", body={"username": each, "password": each})
    everything = json.dumps(gateway.audit()) + "\n".join(gateway.lines)
    files = [path.read_bytes() for path in gateway.data_dir.rglob("*") if path.is_file()]
    for each in (secret, refresh, access):
        assert each not in everything
        assert not any(each.encode() in content for content in files)


# What a token is worth.


def test_an_access_token_is_explained_to_who_may_know(
    gateway: Gateway, client: dict[str, Any], reader: dict[str, Any]
) -> None:
    tokens = gateway.login("walt", PASSWORD)
    reply = post(gateway, "introspect", {"token": tokens["access_token"]}, of(client))
    assert (reply.headers["Cache-Control"], reply.headers["Pragma"]) == ("no-store", "no-cache")
    worth = reply.json
    assert worth["active"] is True
    assert (worth["username"], worth["client_id"], worth["token_type"]) == ("walt", "gateway", "Bearer")
    assert worth["scope"] == "things:read things:write"
    assert (worth["roles"], worth["amr"]) == (["writer"], ["pwd"])
    assert worth["exp"] - worth["iat"] == 600
    assert worth["iss"] == worth["aud"] == "http://localhost:8000"
    assert worth["sub"].startswith("usr_")
    machine = post(gateway, "introspect", {"token": token_of(gateway, reader)}, of(client)).json
    assert (machine["sub"], machine["client_id"]) == (reader["id"], reader["id"])
    assert "username" not in machine


def test_the_holder_of_a_token_with_the_scope_may_ask(gateway: Gateway, reader: dict[str, Any]) -> None:
    inga = gateway.login("inga", PASSWORD)["access_token"]
    bearer = {"Authorization": f"Bearer {inga}"}
    assert post(gateway, "introspect", {"token": token_of(gateway, reader)}, bearer).json["active"] is True
    is_oauth_error(post(gateway, "introspect", {}, bearer), 400, "invalid_request")


def test_who_may_not_know_is_told_nothing(gateway: Gateway, reader: dict[str, Any]) -> None:
    access = token_of(gateway, reader)
    is_oauth_error(post(gateway, "introspect", {"token": access}, of(reader)), 403, "insufficient_scope")
    bearer = {"Authorization": f"Bearer {access}"}
    is_oauth_error(post(gateway, "introspect", {"token": access}, bearer), 403, "insufficient_scope")
    bad = post(gateway, "introspect", {"token": access}, {"Authorization": f"Bearer {access}x"})
    assert (bad.status, bad.json["error"]) == (401, "invalid_token")
    assert 'error="invalid_token"' in bad.headers["WWW-Authenticate"]


def test_whatever_is_wrong_with_a_token_it_is_inactive_and_no_more_is_said(
    gateway: Gateway, client: dict[str, Any], reader: dict[str, Any]
) -> None:
    revoked = token_of(gateway, reader)
    post(gateway, "revoke", {"token": revoked}, of(reader))
    ended = login_by(gateway, client)
    post(gateway, "revoke", {"token": ended["refresh_token"]}, of(client))
    head, payload, signature = token_of(gateway, reader).split(".")
    for token in (
        "x",
        "gwr_x",
        revoked,
        ended["access_token"],
        ended["refresh_token"],
        login_by(gateway, reader)["refresh_token"],
        gateway.login("walt", PASSWORD)["refresh_token"],
        f"{head}.{payload}.{signature[:-4]}AAAA",
        f"{head}.{payload}.",
        f"{head}.{payload}.{signature}=",
    ):
        reply = post(gateway, "introspect", {"token": token}, of(client))
        assert (reply.status, reply.json) == (200, {"active": False}), token
        hinted = post(gateway, "introspect", {"token": token, "token_type_hint": "refresh_token"}, of(client))
        assert hinted.json == {"active": False}


def test_a_refresh_token_is_explained_to_its_own_client(gateway: Gateway, client: dict[str, Any]) -> None:
    tokens = login_by(gateway, client)
    worth = post(gateway, "introspect", {"token": tokens["refresh_token"]}, of(client)).json
    assert worth["active"] is True
    assert (worth["client_id"], worth["username"]) == (client["id"], "walt")
    assert worth["scope"] == "things:read things:write"
    assert "token_type" not in worth


# What is said of all this.


def test_the_metadata_of_the_authorization_server(gateway: Gateway) -> None:
    reply = gateway.request("GET", "/.well-known/oauth-authorization-server", headers={"Host": "any.example"})
    assert (reply.status, reply.headers["Content-Type"]) == (200, "application/json")
    assert reply.headers["Cache-Control"] == "public, max-age=300"
    said = reply.json
    assert said["issuer"] == "http://localhost:8000"
    assert said["token_endpoint"] == "http://localhost:8000/gateway/v1/oauth/token"
    assert said["grant_types_supported"] == ["client_credentials", "refresh_token"]
    for endpoint in ("token_endpoint", "revocation_endpoint", "introspection_endpoint", "jwks_uri"):
        path = said[endpoint].removeprefix("http://localhost:8000")
        assert gateway.request("GET", path).status == (200 if endpoint == "jwks_uri" else 405)


def test_the_metadata_of_the_protected_resource(gateway: Gateway) -> None:
    said = gateway.request("GET", "/.well-known/oauth-protected-resource").json
    assert said["resource"] == "http://localhost:8000"
    assert said["authorization_servers"] == ["http://localhost:8000"]
    assert said["bearer_methods_supported"] == ["header"]


@pytest.mark.parametrize(
    "path",
    [
        "/.well-known/oauth-authorization-server/",
        "/.well-known/oauth-authorization-server/x",
        "/.well-known/openid-configuration",
    ],
)
def test_there_is_no_other_metadata(gateway: Gateway, path: str) -> None:
    assert gateway.request("GET", path).status == 404


@pytest.mark.parametrize("token", [None, "x"])
def test_a_challenge_says_where_the_metadata_is(gateway: Gateway, token: str | None) -> None:
    reply = gateway.request("GET", "/orders", token=token)
    assert reply.status == 401
    wanted = 'resource_metadata="http://localhost:8000/.well-known/oauth-protected-resource"'
    assert wanted in reply.headers["WWW-Authenticate"]


def test_pages_that_the_policy_lists_may_call(gateway: Gateway, reader: dict[str, Any]) -> None:
    asked = {
        "Origin": PAGE,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "content-type",
    }
    reply = gateway.request("OPTIONS", PREFIX + "token", headers=asked)
    assert reply.status == 204
    assert reply.headers["Access-Control-Allow-Origin"] == PAGE
    assert reply.headers["Access-Control-Allow-Methods"] == "POST"
    assert reply.headers["Access-Control-Allow-Headers"] == "authorization, content-type"
    assert reply.headers["Access-Control-Max-Age"] == "3600"
    for answer in (
        post(gateway, "token", GRANT, {**of(reader), "Origin": PAGE}),
        post(gateway, "token", GRANT, {"Origin": PAGE}),
        gateway.request("GET", "/.well-known/jwks.json", headers={"Origin": PAGE}),
        gateway.request("GET", "/.well-known/oauth-authorization-server", headers={"Origin": PAGE}),
    ):
        assert answer.headers["Access-Control-Allow-Origin"] == PAGE
        assert "Origin" in answer.headers["Vary"]


def test_other_pages_may_not(gateway: Gateway, reader: dict[str, Any]) -> None:
    other = "https://evil.example"
    asked = {"Origin": other, "Access-Control-Request-Method": "POST"}
    assert gateway.request("OPTIONS", PREFIX + "token", headers=asked).status == 403
    asked = {"Origin": PAGE, "Access-Control-Request-Method": "DELETE"}
    assert gateway.request("OPTIONS", PREFIX + "token", headers=asked).status == 405
    reply = post(gateway, "token", GRANT, {**of(reader), "Origin": other})
    assert reply.status == 200
    assert "Access-Control-Allow-Origin" not in reply.headers
