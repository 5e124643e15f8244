"""OAuth from outside: clients with a secret get tokens by themselves, everybody renews, revokes and looks at them."""

import base64
import json
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from flows_identity import (
    AUTH,
    OAUTH,
    PASSWORD,
    POLICIES,
    UPSTREAMS,
    claims_of,
    dies,
    events,
    is_dead,
    post,
    slug,
    tries,
)
from support.gateway import Gateway, Reply, running_gateway

FORM = "application/x-www-form-urlencoded"


@pytest.fixture(scope="module")
def gateway(service: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with running_gateway(
        tmp_path_factory.mktemp("oauth"),
        policies=POLICIES,
        upstreams=UPSTREAMS,
        environ={"TEST_SERVICE": service, "GATEWAY_PUBLIC_URL": "https://id.example.com"},
    ) as running:
        running.create_user("paula", PASSWORD, "reader")
        yield running


class Machine:
    """A client with a secret."""

    def __init__(self, gateway: Gateway, name: str, *roles: str) -> None:
        flags = [word for role in roles for word in ("--role", role)]
        made = gateway.run("clients", "create", name, *flags, "--format", "json")
        assert made.returncode == 0, made.stderr
        self.gateway = gateway
        told = json.loads(made.stdout)
        self.id: str = told["id"]
        self.secret: str = told["secret"]

    @property
    def basic(self) -> dict[str, str]:
        return basic(self.id, self.secret)

    def ask(self, **form: str) -> Reply:
        return send(self.gateway, "token", {"grant_type": "client_credentials", **form}, self.basic)

    def token(self, **form: str) -> str:
        reply = self.ask(**form)
        assert reply.status == 200, reply.body
        access: str = reply.json["access_token"]
        return access


def basic(name: str, secret: str) -> dict[str, str]:
    pair = f"{quote(name, safe='')}:{quote(secret, safe='')}"
    return {"Authorization": "Basic " + base64.b64encode(pair.encode()).decode()}


def send(
    gateway: Gateway,
    endpoint: str,
    form: Mapping[str, str] | str,
    headers: Mapping[str, str] | None = None,
) -> Reply:
    text = form if isinstance(form, str) else urlencode(form)
    return gateway.request(
        "POST", OAUTH + endpoint, body=text.encode(), headers={"Content-Type": FORM, **(headers or {})}
    )


def error(reply: Reply, status: int) -> str:
    """Return the code of an error, which has the form of RFC 6749 section 5.2."""
    assert reply.status == status, reply.body
    assert reply.headers["Content-Type"].startswith("application/json")
    assert reply.headers["Cache-Control"] == "no-store"
    assert set(reply.json) <= {"error", "error_description", "error_uri"}
    described = reply.json.get("error_description", "")
    assert all(" " <= letter <= "~" and letter not in '"\\' for letter in described)
    code: str = reply.json["error"]
    return code


@pytest.fixture(scope="module")
def robot(gateway: Gateway) -> Machine:
    return Machine(gateway, "robot", "writer")


@pytest.fixture(scope="module")
def inspector(gateway: Gateway) -> Machine:
    return Machine(gateway, "inspector", "inspector")


def test_a_client_gets_a_token_and_no_refresh_token(robot: Machine) -> None:
    reply = robot.ask()
    assert reply.status == 200
    assert (reply.headers["Cache-Control"], reply.headers["Pragma"]) == ("no-store", "no-cache")
    assert set(reply.json) == {"access_token", "token_type", "expires_in", "scope"}
    assert reply.json["token_type"].lower() == "bearer"
    assert reply.json["scope"].split() == ["things:read", "things:write"]
    claims = claims_of(reply.json["access_token"])
    assert claims["sub"] == claims["client_id"] == robot.id
    assert robot.id.startswith("cli_")
    assert claims["iss"] == "https://id.example.com"
    assert robot.gateway.request("POST", "/orders", token=reply.json["access_token"], body={}).status != 403


def test_the_principal_of_a_client_is_recorded(robot: Machine) -> None:
    robot.gateway.request("GET", "/orders", token=robot.token())
    record = robot.gateway.audit("--actor", robot.id, "--kind", "decision", "--limit", "1")[0]
    assert record["actor"]["kind"] == "client"
    assert record["route"] == "orders"
    assert events(robot.gateway, "token.issued")
    assert events(robot.gateway, "client.created")


def test_a_client_may_say_who_it_is_in_the_form(robot: Machine) -> None:
    form = {"grant_type": "client_credentials", "client_id": robot.id, "client_secret": robot.secret}
    assert send(robot.gateway, "token", form).status == 200
    assert error(send(robot.gateway, "token", {**form, "client_secret": "wrong"}), 401) == "invalid_client"
    both = send(robot.gateway, "token", form, robot.basic)
    assert error(both, 400) == "invalid_request"


def test_a_client_that_is_not_one_is_told_so_by_its_own_method(robot: Machine) -> None:
    form = {"grant_type": "client_credentials"}
    wrong = send(robot.gateway, "token", form, basic(robot.id, "wrong"))
    unknown = send(robot.gateway, "token", form, basic("cli_unknown", "wrong"))
    for reply in (wrong, unknown):
        assert error(reply, 401) == "invalid_client"
        assert reply.headers["WWW-Authenticate"].startswith("Basic")
    assert wrong.body == unknown.body
    assert error(send(robot.gateway, "token", form), 401) == "invalid_client"
    malformed = send(robot.gateway, "token", form, {"Authorization": "Basic nonsense"})
    assert error(malformed, 401) == "invalid_client"


def test_a_scope_only_narrows(robot: Machine) -> None:
    narrow = robot.token(scope="things:read")
    assert robot.gateway.request("GET", "/orders", token=narrow).status == 200
    refused = robot.gateway.request("POST", "/orders", token=narrow, body={})
    assert (refused.status, slug(refused)) == (403, "insufficient-scope")
    # More than it may have is given in part, and said (RFC 6749 section 3.3), or refused.
    partly = robot.ask(scope="things:read gateway:users")
    assert partly.status == 400 or partly.json["scope"] == "things:read"
    assert error(robot.ask(scope="no:such"), 400) == "invalid_scope"
    # An empty value counts as none (RFC 6749 section 3.2).
    assert robot.ask(scope="").json["scope"].split() == ["things:read", "things:write"]


@pytest.mark.parametrize(
    ("form", "code"),
    [
        ({}, "invalid_request"),
        ({"grant_type": ""}, "invalid_request"),
        ({"grant_type": "password"}, "unsupported_grant_type"),
        ({"grant_type": "authorization_code", "code": "x"}, "unsupported_grant_type"),
        ("grant_type=client_credentials&grant_type=client_credentials", "invalid_request"),
        ("grant_type=client_credentials&scope=things:read&scope=things:write", "invalid_request"),
        ({"grant_type": "refresh_token"}, "invalid_request"),
        ({"grant_type": "refresh_token", "refresh_token": "gwr_nonsense"}, "invalid_grant"),
    ],
)
def test_every_mistake_has_its_code(robot: Machine, form: Mapping[str, str] | str, code: str) -> None:
    assert error(send(robot.gateway, "token", form, robot.basic), 400) == code


def test_unknown_parameters_are_ignored(robot: Machine) -> None:
    assert robot.ask(x_audience="x", hint="y").status == 200


def test_the_token_endpoint_takes_a_form_by_post_only(robot: Machine) -> None:
    as_json = robot.gateway.request(
        "POST", OAUTH + "token", body={"grant_type": "client_credentials"}, headers=robot.basic
    )
    assert as_json.status in {400, 415}
    got = robot.gateway.request("GET", OAUTH + "token?grant_type=client_credentials", headers=robot.basic)
    assert (got.status, got.headers["Allow"]) == (405, "POST")
    in_query = send(robot.gateway, "token?grant_type=client_credentials", {}, robot.basic)
    assert error(in_query, 400) == "invalid_request"


def test_everybody_renews_with_the_public_client(gateway: Gateway) -> None:
    first = tries(gateway, "paula", PASSWORD).json
    form = {"grant_type": "refresh_token", "refresh_token": first["refresh_token"], "client_id": "gateway"}
    second = send(gateway, "token", form)
    assert second.status == 200, second.body
    assert second.json["refresh_token"] != first["refresh_token"]
    assert not is_dead(gateway, second.json["access_token"])
    same = send(gateway, "token", form)
    assert same.json["refresh_token"] == second.json["refresh_token"]
    narrowed = send(
        gateway, "token", {**form, "refresh_token": second.json["refresh_token"], "scope": "things:read"}
    )
    assert narrowed.status == 200
    third = narrowed.json["refresh_token"]
    wider = send(gateway, "token", {**form, "refresh_token": third, "scope": "things:write"})
    assert error(wider, 400) == "invalid_scope"
    assert send(gateway, "token", {**form, "refresh_token": third}).status == 200
    assert error(send(gateway, "token", form), 400) == "invalid_grant"
    dies(gateway, second.json["access_token"])


def test_who_renews_must_be_whom_the_token_was_given_to(gateway: Gateway, robot: Machine) -> None:
    tokens = tries(gateway, "paula", PASSWORD).json
    form = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}
    assert error(send(gateway, "token", form, robot.basic), 400) == "invalid_grant"
    assert send(gateway, "token", {**form, "client_id": "gateway"}).status == 200


def test_a_login_by_a_client_with_a_secret_is_renewed_by_that_client_only_and_not_rotated(
    gateway: Gateway, robot: Machine, inspector: Machine
) -> None:
    reply = gateway.request(
        "POST", AUTH + "login", body={"username": "paula", "password": PASSWORD}, headers=robot.basic
    )
    assert reply.status == 200, reply.body
    tokens = reply.json
    assert claims_of(tokens["access_token"])["client_id"] == robot.id
    assert claims_of(tokens["access_token"])["sub"].startswith("usr_")
    form = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}
    for headers, more in [({}, {"client_id": "gateway"}), (inspector.basic, {})]:
        assert error(send(gateway, "token", {**form, **more}, headers), 400) == "invalid_grant"
    assert post(gateway, "refresh", {"refresh_token": tokens["refresh_token"]}).status == 401
    for _ in range(3):
        renewed = send(gateway, "token", form, robot.basic)
        assert renewed.status == 200
        assert renewed.json.get("refresh_token", tokens["refresh_token"]) == tokens["refresh_token"]
        assert not is_dead(gateway, renewed.json["access_token"])
    wrong = gateway.request(
        "POST",
        AUTH + "login",
        body={"username": "paula", "password": PASSWORD},
        headers=basic(robot.id, "wrong"),
    )
    assert wrong.status == 401


def test_a_token_is_looked_at_by_who_may(gateway: Gateway, robot: Machine, inspector: Machine) -> None:
    token = robot.token()
    looked = send(gateway, "introspect", {"token": token}, inspector.basic)
    assert looked.status == 200, looked.body
    assert looked.headers["Cache-Control"] == "no-store"
    told = looked.json
    assert (told["active"], told["sub"], told["client_id"]) == (True, robot.id, robot.id)
    assert told["scope"].split() == ["things:read", "things:write"]
    assert {"exp", "iat", "iss", "token_type"} <= told.keys()
    users = tries(gateway, "paula", PASSWORD).json
    told = send(gateway, "introspect", {"token": users["access_token"]}, inspector.basic).json
    assert told["active"] is True
    assert told["sub"].startswith("usr_")


@pytest.mark.parametrize("token", ["nonsense", "a.b.c", "gwr_nonsense", "gwk_nonsense"])
def test_what_is_no_token_is_inactive_and_nothing_else(inspector: Machine, token: str) -> None:
    looked = send(inspector.gateway, "introspect", {"token": token}, inspector.basic)
    assert (looked.status, looked.json) == (200, {"active": False})


def test_looking_needs_a_right_of_its_own(gateway: Gateway, robot: Machine, inspector: Machine) -> None:
    other = inspector.token()
    assert error(send(gateway, "introspect", {"token": other}), 401) == "invalid_client"
    # Without the right, and of somebody else: as if it were nothing.
    stranger = send(gateway, "introspect", {"token": other}, robot.basic)
    assert stranger.status in {200, 403}
    assert stranger.status == 403 or stranger.json == {"active": False}
    assert error(send(gateway, "introspect", {}, inspector.basic), 400) == "invalid_request"


def test_a_revoked_token_is_dead_at_once(gateway: Gateway, robot: Machine, inspector: Machine) -> None:
    token, other = robot.token(), robot.token()
    assert not is_dead(gateway, token)
    done = send(gateway, "revoke", {"token": token, "token_type_hint": "refresh_token"}, robot.basic)
    assert done.status == 200
    dies(gateway, token)
    assert send(gateway, "introspect", {"token": token}, inspector.basic).json == {"active": False}
    assert not is_dead(gateway, other)
    assert send(gateway, "revoke", {"token": token}, robot.basic).status == 200
    assert events(gateway, "token.revoked")


def test_revoking_a_refresh_token_ends_its_session(gateway: Gateway) -> None:
    tokens = tries(gateway, "paula", PASSWORD).json
    form = {"token": tokens["refresh_token"], "client_id": "gateway", "token_type_hint": "access_token"}
    assert send(gateway, "revoke", form).status == 200
    dies(gateway, tokens["access_token"])
    assert post(gateway, "refresh", {"refresh_token": tokens["refresh_token"]}).status == 401


def test_nobody_revokes_for_others(gateway: Gateway, robot: Machine, inspector: Machine) -> None:
    token = robot.token()
    assert send(gateway, "revoke", {"token": "nonsense"}, inspector.basic).status == 200
    other = send(gateway, "revoke", {"token": token}, inspector.basic)
    assert other.status in {200, 400}
    assert error(send(gateway, "revoke", {"token": token}), 401) == "invalid_client"
    assert not is_dead(gateway, token)


def test_a_client_gets_another_secret_and_keeps_the_old_one_for_a_while(gateway: Gateway) -> None:
    machine = Machine(gateway, "rotated", "reader")
    old = machine.secret
    turned = gateway.run("clients", "rotate", machine.id, "--overlap", "1h", "--format", "json")
    assert turned.returncode == 0, turned.stderr
    machine.secret = json.loads(turned.stdout)["secret"]
    assert machine.secret != old
    form = {"grant_type": "client_credentials"}
    for secret in (old, machine.secret):
        assert send(gateway, "token", form, basic(machine.id, secret)).status == 200
    turned = gateway.run("clients", "rotate", machine.id, "--overlap", "0s", "--format", "json")
    newest = json.loads(turned.stdout)["secret"]
    for secret, status in [(old, 401), (machine.secret, 401), (newest, 200)]:
        assert send(gateway, "token", form, basic(machine.id, secret)).status == status
    assert events(gateway, "client.rotated")


def test_a_revoked_client_is_nobody_and_its_tokens_are_dead(gateway: Gateway) -> None:
    machine = Machine(gateway, "dismissed", "reader")
    token = machine.token()
    assert not is_dead(gateway, token)
    assert gateway.run("clients", "revoke", machine.id).returncode == 0
    dies(gateway, token)
    assert error(machine.ask(), 401) == "invalid_client"
    listed = json.loads(gateway.run("clients", "list", "--format", "json").stdout)
    assert machine.secret not in json.dumps(listed)
    assert machine.id in {one["id"] for one in listed}
    missing = gateway.run("clients", "revoke", "cli_nothing")
    assert missing.returncode == 1
    assert "Traceback" not in missing.stderr
    assert events(gateway, "client.revoked")


def test_the_metadata_is_found_where_clients_look(gateway: Gateway) -> None:
    server = gateway.request("GET", "/.well-known/oauth-authorization-server")
    assert server.status == 200
    assert server.headers["Content-Type"].startswith("application/json")
    told: dict[str, Any] = server.json
    assert told["issuer"] == "https://id.example.com"
    assert told["token_endpoint"] == "https://id.example.com/gateway/v1/oauth/token"
    assert told["revocation_endpoint"].endswith("/gateway/v1/oauth/revoke")
    assert told["introspection_endpoint"].endswith("/gateway/v1/oauth/introspect")
    assert told["jwks_uri"] == "https://id.example.com/.well-known/jwks.json"
    assert {"client_credentials", "refresh_token"} <= set(told["grant_types_supported"])
    assert {"client_secret_basic", "client_secret_post", "none"} <= set(
        told["token_endpoint_auth_methods_supported"]
    )
    resource = gateway.request("GET", "/.well-known/oauth-protected-resource")
    assert resource.status == 200
    assert resource.json["resource"] == "https://id.example.com"
    assert resource.json["authorization_servers"] == ["https://id.example.com"]


def test_neither_secret_nor_token_is_recorded(robot: Machine) -> None:
    token = robot.token()
    send(robot.gateway, "introspect", {"token": token}, robot.basic)
    send(
        robot.gateway,
        "token",
        {"grant_type": "client_credentials"},
        basic(robot.id, "a secret that is wrong"),
    )
    send(robot.gateway, f"token?client_secret={robot.secret}", {}, robot.basic)
    told = json.dumps(robot.gateway.audit()) + "\n".join(robot.gateway.lines)
    for secret in (robot.secret, "a secret that is wrong", token, token.rpartition(".")[2]):
        assert secret not in told
