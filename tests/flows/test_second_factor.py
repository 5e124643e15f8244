"""Second factors as people use them: an app, recovery codes, and a route that asks for one."""

import base64
import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from flows_gateway import POLICIES, UPSTREAMS
from support.gateway import Gateway, Reply, eventually, running_gateway
from support.phone import Phone

MFA = "/gateway/v1/auth/mfa"
PASSWORD = "correct horse battery"
PAY = """\
  - {id: pay, match: {methods: [GET], path: /echo/pay}, upstream: service, require: authenticated, mfa: {max_age: 10min}}
  - {id: brief, match: {methods: [GET], path: /echo/brief}, upstream: service, require: authenticated, mfa: {max_age: 1s}}
  - {id: known, match: {methods: [GET], path: /echo/known}, upstream: service, require: authenticated, when: {claims.amr: {has: mfa}}}
"""


@pytest.fixture(scope="module")
def gateway(service: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway with routes that ask for a second factor."""
    with running_gateway(
        tmp_path_factory.mktemp("factors"),
        policies=POLICIES + PAY,
        upstreams=UPSTREAMS,
        environ={"TEST_SERVICE": service},
    ) as running:
        yield running


@pytest.fixture(scope="module")
def token(gateway: Gateway) -> str:
    """The access token of somebody without a second factor."""
    return Person(gateway, "fritz").token


class Person:
    """Somebody with an account of their own, logged in."""

    def __init__(self, gateway: Gateway, name: str) -> None:
        self.gateway, self.name = gateway, name
        body = {"username": name, "email": f"{name}@example.com", "password": PASSWORD}
        made = gateway.request("POST", "/gateway/v1/auth/register", body=body)
        assert made.status == 201, made.body
        self.take(gateway.login(name, PASSWORD))

    def take(self, tokens: dict[str, Any]) -> None:
        """Go on with these tokens."""
        self.token: str = tokens["access_token"]
        self.refresh_token: str = tokens["refresh_token"]

    def ask(self, method: str, path: str, body: object = None) -> Reply:
        """Send a request with the access token."""
        return self.gateway.request(method, path, token=self.token, body=body)

    def login(self, **body: object) -> Reply:
        """Try to log in."""
        said = {"username": self.name, "password": PASSWORD, **body}
        return self.gateway.request("POST", "/gateway/v1/auth/login", body=said)

    def refresh(self) -> None:
        """Exchange the refresh token."""
        reply = self.gateway.request(
            "POST", "/gateway/v1/auth/refresh", body={"refresh_token": self.refresh_token}
        )
        assert reply.status == 200, reply.body
        self.take(reply.json)

    def enrol(self) -> tuple[Phone, list[str]]:
        """Go through the enrolment."""
        begun = self.ask("POST", f"{MFA}/totp", {"password": PASSWORD})
        assert begun.status == 200, begun.body
        assert set(begun.json) == {"secret", "otpauth_uri"}
        assert begun.headers["Cache-Control"] == "no-store"
        phone = Phone(begun.json["secret"])
        confirmed = self.ask("POST", f"{MFA}/totp/confirm", {"otp": phone.code()})
        assert confirmed.status == 200, confirmed.body
        codes: list[str] = confirmed.json["recovery_codes"]
        assert len(codes) == 10
        return phone, codes

    def claims(self) -> dict[str, Any]:
        """What the access token says."""
        payload = self.token.split(".")[1]
        found: dict[str, Any] = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        return found


def refused(reply: Reply, status: int, slug: str) -> Reply:
    assert (reply.status, reply.json["type"]) == (status, f"urn:gateway:problem:{slug}"), reply.body
    return reply


def test_from_a_password_to_a_route_that_asks_for_more(gateway: Gateway) -> None:
    anna = Person(gateway, "anna")
    assert anna.claims()["amr"] == ["pwd"]
    asked = refused(anna.ask("GET", "/echo/pay"), 401, "mfa-required")
    assert 'error="insufficient_user_authentication"' in asked.headers["WWW-Authenticate"]
    assert 'max_age="600"' in asked.headers["WWW-Authenticate"]
    assert "/.well-known/oauth-protected-resource" in asked.headers["WWW-Authenticate"]

    phone, _ = anna.enrol()
    refused(anna.ask("GET", "/echo/pay"), 401, "mfa-required")
    anna.refresh()
    assert anna.claims()["amr"] == ["mfa", "otp", "pwd"]
    assert anna.claims()["mfa_time"] == pytest.approx(time.time(), abs=20)
    assert anna.ask("GET", "/echo/pay").status == 200
    assert anna.ask("GET", "/echo/known").status == 200

    challenged = refused(anna.login(), 401, "mfa-required")
    assert challenged.headers["WWW-Authenticate"].startswith("Bearer ")
    refused(anna.login(otp=phone.wrong()), 401, "credentials-invalid")
    code = phone.code()
    again = anna.login(otp=code)
    assert again.status == 200, again.body
    refused(anna.login(otp=code), 401, "credentials-invalid")
    anna.take(again.json)
    assert anna.ask("GET", "/echo/pay").status == 200


def test_a_live_session_steps_up(gateway: Gateway) -> None:
    bert = Person(gateway, "bert")
    phone, _ = bert.enrol()
    bert.refresh()
    eventually(lambda: bert.ask("GET", "/echo/brief").status == 401, what="the factor is too old")
    refused(bert.ask("POST", f"{MFA}/totp/verify", {"otp": phone.wrong()}), 401, "credentials-invalid")
    assert bert.ask("POST", f"{MFA}/totp/verify", {"otp": phone.code()}).status == 204
    bert.refresh()
    assert time.time() - bert.claims()["mfa_time"] < 5


def test_who_has_lost_the_phone_has_the_paper(gateway: Gateway) -> None:
    carla = Person(gateway, "carla")
    _, codes = carla.enrol()
    reply = carla.login(otp=codes[0].upper().replace("-", " "))
    assert reply.status == 200, reply.body
    carla.take(reply.json)
    refused(carla.ask("POST", f"{MFA}/totp/verify", {"otp": codes[0]}), 401, "credentials-invalid")
    renewed = carla.ask("POST", f"{MFA}/recovery-codes", {"otp": codes[1]})
    assert renewed.status == 200
    refused(carla.ask("POST", f"{MFA}/totp/verify", {"otp": codes[2]}), 401, "credentials-invalid")
    removal = {"password": PASSWORD, "otp": renewed.json["recovery_codes"][0]}
    assert carla.ask("DELETE", f"{MFA}/totp", removal).status == 204
    assert carla.login().status == 200


def test_five_guesses_are_all_and_they_count_for_one_session_only(gateway: Gateway) -> None:
    dora = Person(gateway, "dora")
    phone, codes = dora.enrol()
    wrong = phone.wrong()
    for _ in range(5):
        refused(dora.ask("POST", f"{MFA}/totp/verify", {"otp": wrong}), 401, "credentials-invalid")
    limited = refused(dora.ask("POST", f"{MFA}/totp/verify", {"otp": phone.code()}), 429, "rate-exceeded")
    assert int(limited.headers["Retry-After"]) > 200
    assert dora.ask("POST", f"{MFA}/totp/verify", {"otp": codes[0]}).status == 204
    assert dora.login(otp=phone.code()).status == 200


def test_an_operator_takes_away_what_was_lost(gateway: Gateway) -> None:
    emil = Person(gateway, "emil")
    emil.enrol()
    done = gateway.run("users", "reset-mfa", "emil", "--format", "json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["second_factor"] == "removed"
    assert emil.login().status == 200
    again = gateway.run("users", "reset-mfa", "emil")
    assert (again.returncode, again.stderr) == (1, "gateway: The user 'emil' has no second factor.\n")
    assert gateway.run("users", "reset-mfa", "nobody").returncode == 1


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "totp", {}),
        ("POST", "totp", {"password": 7}),
        ("POST", "totp", {"password": PASSWORD, "otp": "1"}),
        ("POST", "totp/confirm", {"otp": 123456}),
        ("POST", "totp/confirm", {"otp": "1" * 65}),
        ("POST", "totp/verify", {"code": "123456"}),
        ("POST", "recovery-codes", {}),
        ("DELETE", "totp", {"otp": "123456"}),
        ("DELETE", "totp", {"password": PASSWORD}),
    ],
)
def test_a_body_says_what_is_wrong_with_it(
    gateway: Gateway, token: str, method: str, path: str, body: object
) -> None:
    reply = gateway.request(method, f"{MFA}/{path}", token=token, body=body)
    refused(reply, 400, "invalid-request")
    assert reply.json["errors"]


def test_nobody_without_a_token_gets_anywhere(gateway: Gateway) -> None:
    for method, path in (
        ("POST", "totp"),
        ("POST", "totp/confirm"),
        ("POST", "totp/verify"),
        ("DELETE", "totp"),
        ("POST", "recovery-codes"),
    ):
        reply = gateway.request(method, f"{MFA}/{path}", body={})
        refused(reply, 401, "credentials-missing")


def test_what_happened_is_on_record_without_a_secret(gateway: Gateway) -> None:
    gina = Person(gateway, "gina")
    begun = gina.ask("POST", f"{MFA}/totp", {"password": PASSWORD}).json
    phone = Phone(begun["secret"])
    code = phone.code()
    codes = gina.ask("POST", f"{MFA}/totp/confirm", {"otp": code}).json["recovery_codes"]
    assert gina.login(otp=codes[0]).status == 200
    assert gina.ask("DELETE", f"{MFA}/totp", {"password": PASSWORD, "otp": codes[1]}).status == 204

    def mine() -> list[dict[str, Any]]:
        return [each for each in gateway.audit() if (each.get("actor") or {}).get("name") == "gina"]

    eventually(lambda: [each for each in mine() if each.get("action") == "mfa.removed"])
    said = {each["action"]: each["attributes"] for each in reversed(mine()) if each["kind"] == "event"}
    assert said["mfa.enrolled"]["factor"] == "totp"
    assert (said["auth.login"]["factor"], said["auth.login"]["recovery_codes_left"]) == ("recovery_code", 9)
    text = json.dumps(gateway.audit()) + "".join(gateway.lines)
    for secret in (begun["secret"], code, *codes):
        assert secret not in text
        assert secret.replace("-", "") not in text
