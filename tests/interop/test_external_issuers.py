"""Tokens of a certified issuer, and services that verify with libraries of others whom the gateway speaks of."""

import json
import threading
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jwt
import pytest
from support.dpop import ProofKey
from support.gateway import Gateway, Reply, eventually, running_gateway
from support.node import Node, Serving

PUBLIC = "https://gateway.example.com"
SECRET = "a secret between the machine and its issuer"
POLICIES = """\
version: 1
scopes: {things:read: See things}
roles: {reader: {scopes: [things:read]}}
authenticators:
  gateway: {kind: gateway_jwt}
  corporate: {kind: jwt, issuer: "ISSUER", audience: [orders-api], jwks: auto}
grants:
  - {role: reader, from: [corporate], when: {claims.groups: {has: helpdesk}}}
accounts: {registration: open, default_roles: [reader]}
defaults: {authn: [gateway, corporate]}
routes:
  - {id: echo, match: {methods: [GET], path: /echo}, upstream: service, require: [things:read]}
"""
UPSTREAMS = """\
version: 1
upstreams: {service: {targets: [{url: "http://${env:TEST_SERVICE}"}]}}
"""


class Issuer:
    """A running provider, and its machine."""

    def __init__(self, serving: Serving) -> None:
        self.serving = serving
        self.url: str = serving.told["url"]

    def token(self, proof: Callable[[str], str] | None = None) -> str:
        """Return a new access token; `proof` makes a DPoP proof for the address of the token endpoint."""
        form = {
            "grant_type": "client_credentials",
            "client_id": "machine",
            "client_secret": SECRET,
            "scope": "orders",
            "resource": "https://orders.example",
        }
        request = urllib.request.Request(f"{self.url}/token", urllib.parse.urlencode(form).encode())
        if proof is not None:
            request.add_header("DPoP", proof(f"{self.url}/token"))
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                return str(json.load(answer)["access_token"])
        except urllib.error.HTTPError as error:
            with error:
                raise AssertionError(f"{error.code} {error.read()!r} {self.serving.lines}") from None

    def rotate(self) -> str:
        """Have it sign with a new key, and return its name."""
        before = len(self.serving.lines)
        self.serving.say("rotate")
        eventually(lambda: len(self.serving.lines) > before)
        return self.serving.lines[before]


@pytest.fixture(scope="module", params=["ES256", "RS256"])
def issuer(request: pytest.FixtureRequest, node: Node) -> Iterator[Issuer]:
    with node.serving("oidc_issuer.mjs", request.param, SECRET) as serving:
        yield Issuer(serving)


@pytest.fixture(scope="module")
def gateway(issuer: Issuer, service: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with running_gateway(
        tmp_path_factory.mktemp("gateway"),
        policies=POLICIES.replace("ISSUER", issuer.url),
        upstreams=UPSTREAMS,
        environ={"TEST_SERVICE": service, "GATEWAY_PUBLIC_URL": PUBLIC},
    ) as running:
        yield running


def assertion(reply: Reply) -> str:
    assert reply.status == 200, reply.body
    fields = {name.lower(): value for name, value in reply.json["headers"]}
    return str(fields["x-gateway-assertion"])


def test_a_machine_gets_in_with_a_token_of_its_issuer(gateway: Gateway, issuer: Issuer) -> None:
    token = issuer.token()
    reply = gateway.request("GET", "/echo", token=token)
    claims = jwt.decode(assertion(reply), options={"verify_signature": False})
    assert claims["sub"] == f"{issuer.url}|machine"
    assert claims["roles"] == ["reader"]
    header, payload, signature = token.split(".")
    assert gateway.request("GET", "/echo", token=f"{header}.{payload}.{signature[:-8]}AAAAAAAA").status == 401


def test_no_request_fails_while_the_issuer_changes_its_key(gateway: Gateway, issuer: Issuer) -> None:
    found: list[tuple[int, str]] = []
    stop = threading.Event()

    def ask() -> None:
        while not stop.is_set():
            token = issuer.token()
            found.append(
                (gateway.request("GET", "/echo", token=token).status, jwt.get_unverified_header(token)["kid"])
            )

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        eventually(lambda: len(found) > 10, within=20)
        new = issuer.rotate()
        eventually(lambda: sum(kid == new for _, kid in found) > 10, within=20)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert {status for status, _ in found} == {200}
    assert len({kid for _, kid in found}) == 2


def test_a_token_that_the_issuer_has_bound_to_a_key_needs_a_proof_by_it(
    gateway: Gateway, issuer: Issuer
) -> None:
    key = ProofKey()
    token = issuer.token(lambda url: key.proof("POST", url))
    assert gateway.request("GET", "/echo", token=token).status == 401
    proof = key.proof("GET", f"{gateway.url}/echo", token=token)
    fields = {"Authorization": f"DPoP {token}", "DPoP": proof}
    assert gateway.request("GET", "/echo", headers=fields).status == 200
    assert gateway.request("GET", "/echo", headers=fields).status == 401, "the proof was used"


@pytest.fixture(scope="module")
def said(gateway: Gateway, issuer: Issuer) -> str:
    """An assertion as the service got it."""
    return assertion(gateway.request("GET", "/echo", token=issuer.token()))


def test_jose_verifies_what_the_service_is_told(
    gateway: Gateway, issuer: Issuer, node: Node, said: str
) -> None:
    keys = f"{gateway.url}/.well-known/jwks.json"
    verified: dict[str, Any] = node("verify_assertion.mjs", keys, PUBLIC, "service", given=said)
    assert verified["payload"]["sub"] == f"{issuer.url}|machine"
    assert verified["header"]["alg"] == "ES256"
    with pytest.raises(AssertionError, match='unexpected "aud" claim value'):
        node("verify_assertion.mjs", keys, PUBLIC, "another", given=said)


def test_pyjwt_verifies_what_the_service_is_told(
    gateway: Gateway, issuer: Issuer, said: str, tmp_path: Path
) -> None:
    keys = jwt.PyJWKClient(f"{gateway.url}/.well-known/jwks.json")
    verified = jwt.decode_complete(
        said,
        keys.get_signing_key_from_jwt(said),
        algorithms=["ES256"],
        audience="service",
        issuer=PUBLIC,
        options={"require": ["exp", "iat", "sub", "aud", "iss"]},
    )
    assert verified["header"]["typ"] == "gw-assertion+jwt"
    assert verified["payload"]["sub"] == f"{issuer.url}|machine"
    # An assertion opens nothing here.
    assert gateway.request("GET", "/echo", token=said).status == 401
