"""What the page for clients shows in JavaScript does what the page says."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.gateway import Gateway, running_gateway
from support.node import FOLDER
from support.own_server import free_port
from support.pasted import blocks_of

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "clients.md").read_text()
POLICIES = """\
version: 1
scopes: {"orders:read": See orders}
roles: {customer: {scopes: ["orders:read"]}}
authenticators: {gateway: {kind: gateway_jwt}}
accounts: {registration: closed}
defaults: {authn: [gateway]}
routes:
  - {id: orders, match: {methods: [GET], path: /orders}, upstream: service, require: ["orders:read"]}
"""
UPSTREAMS = """\
version: 1
upstreams:
  service: {targets: [{url: "http://${env:TEST_SERVICE}"}]}
"""
PASSWORD = "three paper boats"
BROWSER = """\
const kept = new Map([["tokens", JSON.stringify({refresh_token: "REFRESH", expires_at: 0})]]);
globalThis.localStorage = {
  getItem: (name) => kept.get(name) ?? null,
  setItem: (name, value) => kept.set(name, value),
  removeItem: (name) => kept.delete(name),
};
let before = Promise.resolve();
const locks = {request: (_, work) => (before = before.then(work, work))};
Object.defineProperty(globalThis, "navigator", {value: {locks}, configurable: true});
"""
"""What the page's script uses of a browser, for all of its tabs."""


@pytest.fixture(scope="module")
def gateway(service: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway that is where it says it is, with the user alice."""
    port = free_port()
    with running_gateway(
        tmp_path_factory.mktemp("page"),
        policies=POLICIES,
        upstreams=UPSTREAMS,
        environ={
            "TEST_SERVICE": service,
            "GATEWAY_LISTEN": f"127.0.0.1:{port}",
            "GATEWAY_PUBLIC_URL": f"http://127.0.0.1:{port}",
        },
    ) as running:
        running.create_user("alice", PASSWORD, "customer")
        yield running


def shown(language: str) -> str:
    """Return the only block of the page in a language."""
    (text,) = [block.text for block in blocks_of(PAGE) if block.language == language]
    return text


def run(script: str) -> str:
    """Return what a module prints that may import the packages of this folder."""
    done = subprocess.run(
        ["node", "--input-type=module"],
        cwd=FOLDER,
        input=script,
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.usefixtures("node")
def test_openid_client_as_the_page_has_it(gateway: Gateway) -> None:
    made = json.loads(
        gateway.run("clients", "create", "job", "--role", "customer", "--format", "json").stdout
    )
    script = shown("mjs").replace("https://api.example.com", gateway.url)
    script = script.replace("CLIENT_ID", made["id"]).replace("CLIENT_SECRET", made["secret"])
    # The page's gateway has TLS.
    script = script.replace(
        'algorithm: "oauth2"', 'algorithm: "oauth2", execute: [oauth.allowInsecureRequests]'
    )
    assert run(script) == "200\n"


@pytest.mark.usefixtures("node")
def test_tabs_that_take_turns_as_the_page_has_it_refresh_once(gateway: Gateway) -> None:
    refresh = gateway.login("alice", PASSWORD)["refresh_token"]
    script = BROWSER.replace("REFRESH", refresh) + shown("js").replace("http://localhost:8000", gateway.url)
    script += "console.log(new Set(await Promise.all(Array.from({length: 5}, accessToken))).size);\n"
    script += "console.log(await accessToken());\n"
    number, token = run(script).split()
    assert number == "1"
    assert gateway.request("GET", "/orders", token=token).status == 200
    assert len([record for record in gateway.audit() if record["action"] == "auth.refresh"]) == 1
