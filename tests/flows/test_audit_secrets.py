"""Secrets sent everywhere, rightly and wrongly: none of them is in the database, the spool, the logs, what is sent
on, or what the gateway answers."""

import base64
import json
import secrets
from pathlib import Path

import pytest
from flows_gateway import POLICIES, UPSTREAMS
from support.audited import FIRST_SQLITE, AuditedGateway, Kind, audited
from support.gateway import eventually
from support.leaks import disguises, found_in, leaks
from support.raw import Raw
from support.witness import running_witness

SECRETIVE = UPSTREAMS.replace(
    "forward: {identity: headers}",
    'forward: {identity: headers, set_request_headers: {x-upstream-token: "${env:TEST_UPSTREAM_TOKEN}"}}',
)


class Canaries:
    """Texts that occur nowhere else, by what they are used as."""

    def __init__(self) -> None:
        self.by_use: dict[str, str] = {}

    def __call__(self, use: str) -> str:
        """Return a new one."""
        self.by_use[use] = f"CanarY{secrets.token_hex(9)}"
        return self.by_use[use]

    def take(self, use: str, text: str) -> str:
        """Count a text among them that the gateway has made."""
        self.by_use[use] = text
        return text

    def told(self, found: list[tuple[str, str]]) -> list[tuple[str, str]]:
        """Return what was found, by use."""
        uses = {text: use for use, text in self.by_use.items()}
        return sorted({(uses[text], where) for text, where in found})


@pytest.fixture
def canary() -> Canaries:
    return Canaries()


def raw(gateway: AuditedGateway, *requests: str) -> bytes:
    """Send bytes as they are, each on a connection of its own; return all that was answered."""
    answers = b""
    for request in requests:
        with Raw(gateway.port, timeout=15) as connection:
            connection.send(request.replace("\n", "\r\n").encode("latin-1"))
            answers += connection.rest()
    return answers


def sent_in_requests(gateway: AuditedGateway, canary: Canaries, token: str) -> bytes:
    """Put secrets wherever a request has room for them; return what was answered."""
    basic = base64.b64encode(f"rita:{canary('basic')}".encode()).decode()
    path, bearer = "/open/x", f"Authorization: Bearer {token}\n"
    close = "Host: localhost\nConnection: close\n"
    heads = [
        f"GET /orders HTTP/1.1\n{close}Authorization: Bearer {canary('bearer')}\n",
        f"GET /orders HTTP/1.1\n{close}Authorization: Basic {basic}\n",
        f"GET /orders HTTP/1.1\n{close}Authorization: {canary('authorization')}\n",
        f"GET /orders HTTP/1.1\n{close}Authorization: Bearer {canary('one')}\nAuthorization: Bearer {canary('two')}\n",
        f"GET /orders HTTP/1.1\n{close}X-Api-Key: {canary('api key')}\n",
        f"GET /orders HTTP/1.1\n{close}X-Api-Key: gw_key_{canary('key like')}\n",
        f"GET /orders HTTP/1.1\n{close}{bearer}X-Api-Key: {canary('second credential')}\n",
        f"GET {path} HTTP/1.1\n{close}Cookie: session={canary('cookie')}; {canary('cookie name')}=1\n",
        f"GET {path} HTTP/1.1\n{close}Proxy-Authorization: Basic {canary('proxy')}\n",
        f"GET {path} HTTP/1.1\n{close}Referer: http://x/?t={canary('referer')}\n",
        f"GET {path} HTTP/1.1\n{close}X-Request-Id: {canary('request id')}\ntraceparent: {canary('trace')}\n",
        f"GET {path} HTTP/1.1\n{close}X-{canary('field name')}: 1\nForwarded: for={canary('forwarded')}\n",
        f"GET {path}?token={canary('query')}&a={canary('query too')}#{canary('fragment')} HTTP/1.1\n{close}",
        f"GET {path}?token={canary('query again')}&token={canary('and again')} HTTP/1.1\n{close}",
        f"GET {path}?x%5b1%5d=1;t={canary('semicolon')} HTTP/1.1\n{close}",
        f"GET /nowhere?code={canary('code')} HTTP/1.1\n{close}",
        f"GET /a%2fb?code={canary('refused path')} HTTP/1.1\n{close}",
        f"GET http://u:{canary('userinfo')}@localhost/open HTTP/1.1\n{close}",
        # What no parser takes: aiohttp would log the line, and send it back.
        f"GET /orders HTTP/1.1\n{close}Authorization : Bearer {canary('space before colon')}\n",
        f"GET /orders HTTP/1.1\n{close}Authorization: Bearer {canary('nul')}\0\n",
        f"GET /orders HTTP/1.1\n{close} Authorization: {canary('folded')}\n",
        f"GET /orders?x={canary('bad version')} HTTP/9.9\n{close}",
        f"GET  /orders?x={canary('two spaces')} HTTP/1.1\n{close}{canary('no colon')}\n",
        f"{canary('method')} /orders HTTP/1.1\n{close}",
        f"GET /orders HTTP/1.1\n{close}Content-Length: {canary('length')}\n",
        f"GET /orders HTTP/1.1\n{close}Transfer-Encoding: {canary('coding')}\n",
        f"GET /open HTTP/1.1\n{close}Expect: {canary('expect')}\n",
        (
            f"GET /open HTTP/1.1\n{close}Connection: Upgrade\nUpgrade: websocket\nSec-WebSocket-Version: 13\n"
            f"Sec-WebSocket-Protocol: bearer.{canary('subprotocol')}\nSec-WebSocket-Key: {canary('websocket key')}\n"
        ),
        f"GET /orders HTTP/1.1\n{close}Authorization: Bearer {'x' * 40_000}{canary('too long')}\n",
    ]
    bodies = [
        ("POST", "/open/x", canary("body")),
        ("POST", "/orders", canary("refused body")),
        (
            "POST",
            "/gateway/v1/auth/login",
            json.dumps({"username": "rita", "password": canary("wrong password")}),
        ),
        (
            "POST",
            "/gateway/v1/auth/login",
            json.dumps({"username": "nobody", "password": canary("of nobody")}),
        ),
        ("POST", "/gateway/v1/auth/login", '{"username": "rita", "password": ' + canary("not JSON")),
        ("POST", "/gateway/v1/auth/login", json.dumps({"username": "rita", "passwort": canary("misspelt")})),
        (
            "POST",
            "/gateway/v1/auth/login",
            json.dumps({"username": "rita", "password": [canary("wrong type")]}),
        ),
        ("POST", "/gateway/v1/auth/refresh", json.dumps({"refresh_token": canary("no refresh token")})),
        ("POST", "/gateway/v1/auth/register", json.dumps({"username": "x", "password": canary("weak")})),
        (
            "POST",
            "/gateway/v1/auth/password",
            json.dumps({"current_password": canary("current"), "new_password": canary("new")}),
        ),
    ]
    heads = [head + "\n" for head in heads]
    heads += [
        f"{method} {target} HTTP/1.1\n{close}Content-Type: application/json\nContent-Length: {len(body)}\n\n{body}"
        for method, target, body in bodies
    ]
    heads.append(
        f"POST {path} HTTP/1.1\n{close}Transfer-Encoding: chunked\n\n5;{canary('extension')}\nhello\n0\nT: {canary('trailer')}\n\n"
    )
    return raw(gateway, *heads)


def used_rightly(gateway: AuditedGateway, canary: Canaries) -> str:
    """Have real credentials made and used; return an access token."""
    password, other = canary("password"), canary("changed password")
    gateway.create_user("rita", password, "reader")
    tokens = gateway.login("rita", password)
    canary.take("access token", tokens["access_token"])
    canary.take("its signature", tokens["access_token"].rpartition(".")[2])
    canary.take("refresh token", tokens["refresh_token"])
    made = json.loads(gateway.run("keys", "create", "ci", "--user", "rita", "--format", "json").stdout)
    key = canary.take("made key", made["key"])
    assert gateway.request("GET", "/orders", headers={"X-Api-Key": key}).status == 200
    refreshed = gateway.request(
        "POST", "/gateway/v1/auth/refresh", body={"refresh_token": tokens["refresh_token"]}
    )
    canary.take("next refresh token", refreshed.json["refresh_token"])
    changed = gateway.request(
        "POST",
        "/gateway/v1/auth/password",
        token=refreshed.json["access_token"],
        body={"current_password": password, "new_password": other},
    )
    assert changed.status in {204, 404}
    registered = gateway.request(
        "POST",
        "/gateway/v1/auth/register",
        body={"username": "newcomer", "email": "n@example.com", "password": canary("registered password")},
    )
    assert registered.status in {201, 202}
    again = gateway.login("rita", other if changed.status == 204 else password)["access_token"]
    return canary.take("second access token", again)


@pytest.mark.parametrize("kind", FIRST_SQLITE)
def test_no_secret_that_anybody_sends_is_kept_said_or_passed_on(
    tmp_path: Path, kind: Kind, canary: Canaries
) -> None:
    outlet, checkpoints = tmp_path / "sent" / "audit.jsonl", tmp_path / "sent" / "checkpoints"
    outlet.parent.mkdir()
    with (
        running_witness() as witness,
        audited(
            tmp_path / "own",
            policies=POLICIES,
            upstreams=SECRETIVE,
            database=kind,
            environ={
                "TEST_SERVICE": witness.address,
                "TEST_UPSTREAM_TOKEN": canary("secret of an upstream"),
                "GATEWAY_SECRET": canary("master secret") + "0" * 32,
                "GATEWAY_LOG_LEVEL": "debug",
                "GATEWAY_AUDIT_SINKS": f"file:{outlet} stdout:?as=cef",
                "GATEWAY_AUDIT_CHECKPOINTS": f"file:{checkpoints}",
            },
        ) as gateway,
    ):
        token = used_rightly(gateway, canary)
        answered = sent_in_requests(gateway, canary, token)
        last = gateway.request("GET", "/nowhere").headers["X-Request-Id"]
        eventually(lambda: outlet.exists() and last in outlet.read_text(), within=10.0)
        # Everything once while it is still in the spool, and once when it is shipped.
        assert canary.told(leaks(gateway, canary.by_use.values(), outlet.parent)) == []
        assert gateway.stop() == 0
        assert canary.told(leaks(gateway, canary.by_use.values(), outlet.parent)) == []
        shown = [
            gateway.run("audit", "export", "--as", form).stdout
            for form in ("jsonl", "csv", "ocsf", "ecs", "cef")
        ]
        shown.append(gateway.run("audit", "list", "--limit", "1000").stdout)
        assert all(text.count("\n") > 50 for text in shown)
        found = [(one, "export") for text in shown for one in found_in(text.encode(), canary.by_use.values())]
        assert canary.told(found) == []
        assert canary.told([(one, "answer") for one in found_in(answered, canary.by_use.values())]) == []


def test_what_looks_for_secrets_would_find_them() -> None:
    import zlib

    canary = "CanarY0123456789abcdef"
    for before in (b"", b"a", b"ab"):
        text = before + canary.encode() + b"xyz"
        assert found_in(text, [canary])
        assert found_in(base64.b64encode(text), [canary])
        assert found_in(b"\0\0" + zlib.compress(text, 1), [canary])
    assert found_in(canary.encode().hex().encode(), [canary])
    assert not found_in(b"CanarY", [canary])
    assert len(set(disguises(canary))) == 6
