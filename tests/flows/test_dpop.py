"""Tokens that are bound to a client's key (RFC 9449): what a thief of one cannot do with it."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import pytest
from flows_gateway import POLICIES, UPSTREAMS
from support.dpop import ProofKey
from support.gateway import Gateway, Reply, running_gateway

AUTH = "/gateway/v1/auth"
PASSWORD = "a reader's password"
KEY_WANTED = "Send a DPoP proof by the key that this session is bound to."


@pytest.fixture(scope="module")
def gateway(service: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway with one user."""
    with running_gateway(
        tmp_path_factory.mktemp("dpop"),
        policies=POLICIES,
        upstreams=UPSTREAMS,
        environ={"TEST_SERVICE": service},
    ) as running:
        running.create_user("rita", PASSWORD, "reader")
        yield running


class Holder:
    """A client with a key, and the tokens that are bound to it."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway, self.key = gateway, ProofKey()
        reply = self.post(f"{AUTH}/login", {"username": "rita", "password": PASSWORD})
        assert (reply.status, reply.json["token_type"]) == (200, "DPoP"), reply.body
        self.tokens: dict[str, Any] = reply.json

    @property
    def token(self) -> str:
        """The access token."""
        token: str = self.tokens["access_token"]
        return token

    def post(self, path: str, body: object, key: ProofKey | None = None) -> Reply:
        """Send a body with a proof."""
        proof = (key or self.key).proof("POST", self.gateway.url + path)
        return self.gateway.request("POST", path, body=body, headers={"DPoP": proof})

    def proof(self, method: str = "GET", path: str = "/orders", **claims: Any) -> str:
        """A proof for one request with the token."""
        return self.key.proof(method, self.gateway.url + path, token=self.token, **claims)

    def ask(
        self, proof: str | None, *, path: str = "/orders", method: str = "GET", scheme: str = "DPoP"
    ) -> Reply:
        """Send a request with the token and this proof."""
        headers = {"Authorization": f"{scheme} {self.token}"} | ({} if proof is None else {"DPoP": proof})
        return self.gateway.request(method, path, headers=headers)


@pytest.fixture(scope="module")
def holder(gateway: Gateway) -> Holder:
    return Holder(gateway)


def challenge_of(reply: Reply) -> str:
    assert reply.status == 401, reply.body
    return reply.headers["WWW-Authenticate"]


def test_the_holder_of_the_key_gets_through_everywhere(holder: Holder) -> None:
    assert holder.ask(holder.proof()).status == 200
    assert holder.ask(holder.proof(), scheme="dpop").status == 200
    assert holder.ask(holder.proof(path=f"{AUTH}/me"), path=f"{AUTH}/me").status == 200


def test_the_service_sees_neither_token_nor_proof(holder: Holder) -> None:
    reply = holder.ask(holder.proof(path="/echo/x"), path="/echo/x")
    assert reply.status == 200
    text = reply.body.decode()
    assert holder.token not in text
    assert "dpop" not in text.lower()


def test_a_stolen_token_is_worth_nothing_without_the_key(holder: Holder) -> None:
    as_bearer = challenge_of(holder.ask(None, scheme="Bearer"))
    assert as_bearer.startswith('DPoP realm="gateway", error="invalid_token", algs="')
    assert 'error="invalid_dpop_proof"' in challenge_of(holder.ask(None))
    thief = ProofKey().proof("GET", f"{holder.gateway.url}/orders", token=holder.token)
    assert 'error="invalid_dpop_proof"' in challenge_of(holder.ask(thief))
    with_both = holder.ask(holder.proof(), scheme="Bearer")
    assert 'error="invalid_token"' in challenge_of(with_both)


def test_a_stolen_proof_is_worth_nothing_for_anything_else(holder: Holder) -> None:
    used = holder.proof()
    assert holder.ask(used).status == 200
    for reply in (
        holder.ask(used),
        holder.ask(holder.proof(path="/orders/1")),
        holder.ask(holder.proof("POST")),
        holder.ask(holder.proof(htu="https://elsewhere.example/orders")),
        holder.ask(holder.proof(iat=1_562_262_616)),
        holder.ask(holder.key.proof("GET", f"{holder.gateway.url}/orders")),
    ):
        assert 'error="invalid_dpop_proof"' in challenge_of(reply)


def test_a_token_that_is_not_bound_is_no_token_of_this_scheme(gateway: Gateway, holder: Holder) -> None:
    bearer: str = gateway.login("rita", PASSWORD)["access_token"]
    proof = holder.key.proof("GET", f"{gateway.url}/orders", token=bearer)
    headers = {"Authorization": f"DPoP {bearer}", "DPoP": proof}
    for _ in range(2):
        reply = gateway.request("GET", "/orders", headers=headers)
        assert 'error="invalid_token"' in challenge_of(reply)
    assert gateway.request("GET", "/orders", token=bearer).status == 200


def test_two_proofs_are_none(holder: Holder) -> None:
    headers = {"Authorization": f"DPoP {holder.token}", "DPoP": f"{holder.proof()}, {holder.proof()}"}
    assert 'error="invalid_dpop_proof"' in challenge_of(
        holder.gateway.request("GET", "/orders", headers=headers)
    )


def test_a_session_goes_on_with_its_key_only(holder: Holder) -> None:
    body = {"refresh_token": holder.tokens["refresh_token"]}
    for reply in (
        holder.gateway.request("POST", f"{AUTH}/refresh", body=body),
        holder.post(f"{AUTH}/refresh", body, key=ProofKey()),
    ):
        assert 'error="invalid_dpop_proof"' in challenge_of(reply)
        assert reply.json["detail"] == KEY_WANTED
    renewed = holder.post(f"{AUTH}/refresh", body)
    assert (renewed.status, renewed.json["token_type"]) == (200, "DPoP"), renewed.body
    holder.tokens = renewed.json
    assert holder.ask(holder.proof()).status == 200


def test_the_token_endpoint_says_that_a_proof_is_wanted(gateway: Gateway, holder: Holder) -> None:
    form = urlencode(
        {
            "grant_type": "refresh_token",
            "client_id": "gateway",
            "refresh_token": holder.tokens["refresh_token"],
        }
    ).encode()
    path = "/gateway/v1/oauth/token"
    thief = ProofKey().proof("POST", gateway.url + path)
    for proof in ({}, {"DPoP": thief}):
        headers = {"Content-Type": "application/x-www-form-urlencoded", **proof}
        reply = gateway.request("POST", path, body=form, headers=headers)
        assert (reply.status, reply.json) == (
            400,
            {"error": "invalid_dpop_proof", "error_description": KEY_WANTED},
        )


def test_a_session_is_bound_to_the_first_key_that_is_proved_beside_its_token(holder: Holder) -> None:
    """RFC 9449 section 5: what a public client is given for a proof is of no use without its key."""
    login = {"username": "rita", "password": PASSWORD}
    free = holder.gateway.request("POST", f"{AUTH}/login", body=login).json
    assert free["token_type"] == "Bearer"
    bound = holder.post(f"{AUTH}/refresh", {"refresh_token": free["refresh_token"]})
    assert (bound.status, bound.json["token_type"]) == (200, "DPoP"), bound.body
    body = {"refresh_token": bound.json["refresh_token"]}
    assert holder.gateway.request("POST", f"{AUTH}/refresh", body=body).status == 401
    assert holder.post(f"{AUTH}/refresh", body, key=ProofKey()).status == 401
    assert holder.post(f"{AUTH}/refresh", body).status == 200


def test_a_bad_proof_begins_no_session(gateway: Gateway) -> None:
    key = ProofKey()
    body = {"username": "rita", "password": PASSWORD}
    for proof in ("nonsense", key.proof("GET", f"{gateway.url}{AUTH}/login")):
        reply = gateway.request("POST", f"{AUTH}/login", body=body, headers={"DPoP": proof})
        assert reply.status in {400, 401}, reply.body
        assert "access_token" not in reply.json
