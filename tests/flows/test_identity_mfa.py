"""The second factor from outside: an app is enrolled, asked for, cannot be replayed, and can be lost."""

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from flows_identity import (
    AUTH,
    PASSWORD,
    POLICIES,
    UPSTREAMS,
    claims_of,
    code,
    events,
    post,
    slug,
    tries,
)
from support.gateway import Gateway, Reply, running_gateway


@pytest.fixture(scope="module")
def gateway(service: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with running_gateway(
        tmp_path_factory.mktemp("mfa"),
        policies=POLICIES.replace("max_age: 10min", "max_age: 3s"),
        upstreams=UPSTREAMS,
        environ={"TEST_SERVICE": service},
    ) as running:
        yield running


class Somebody:
    """An account whose owner has an app."""

    def __init__(self, gateway: Gateway, name: str) -> None:
        self.gateway = gateway
        self.name = name
        gateway.create_user(name, PASSWORD, "reader")
        self.token = tries(gateway, name, PASSWORD).json["access_token"]
        begun = post(gateway, "mfa/totp", {"password": PASSWORD}, token=self.token)
        assert begun.status in {200, 201}, begun.body
        self.secret = begun.json["secret"]
        assert self.secret in begun.json["otpauth_uri"]
        self._step = -1
        confirmed = post(gateway, "mfa/totp/confirm", {"otp": self.code()}, token=self.token)
        assert confirmed.status == 200, confirmed.body
        self.recovery: list[str] = confirmed.json["recovery_codes"]

    def code(self) -> str:
        """The next code that has not been shown: at most three, without waiting for another half minute."""
        shown = code(self.secret, steps=self._step)
        self._step += 1
        return shown

    def login(self, **more: str) -> Reply:
        return tries(self.gateway, self.name, PASSWORD, **more)


def test_an_app_is_enrolled_and_asked_for(gateway: Gateway) -> None:
    dora = Somebody(gateway, "dora")
    assert len(dora.recovery) == 10
    without = dora.login()
    assert (without.status, slug(without)) == (401, "mfa-required")
    assert "WWW-Authenticate" in without.headers
    wrong = dora.login(otp="000000")
    assert (wrong.status, slug(wrong)) == (401, "credentials-invalid")
    used = dora.code()
    right = dora.login(otp=used)
    assert right.status == 200
    assert {"otp", "pwd"} <= set(claims_of(right.json["access_token"])["amr"])
    replayed = dora.login(otp=used)
    assert (replayed.status, slug(replayed)) == (401, "credentials-invalid")
    assert events(gateway, "mfa.enrolled")


def test_who_does_not_know_the_password_does_not_learn_of_the_app(gateway: Gateway) -> None:
    dora = Somebody(gateway, "dorian")
    reply = tries(gateway, dora.name, "a wrong password, long enough", otp=dora.code())
    assert (reply.status, slug(reply)) == (401, "credentials-invalid")


def test_enrolling_asks_for_the_password_again_and_is_nothing_until_it_is_confirmed(gateway: Gateway) -> None:
    gateway.create_user("edgar", PASSWORD, "reader")
    token = tries(gateway, "edgar", PASSWORD).json["access_token"]
    wrong = post(gateway, "mfa/totp", {"password": "a wrong password, long enough"}, token=token)
    assert (wrong.status, slug(wrong)) == (401, "credentials-invalid")
    assert post(gateway, "mfa/totp", {"password": PASSWORD}).status == 401
    assert post(gateway, "mfa/totp", {"password": PASSWORD}, token=token).status in {200, 201}
    assert post(gateway, "mfa/totp/confirm", {"otp": "000000"}, token=token).status in {400, 401}
    assert tries(gateway, "edgar", PASSWORD).status == 200


def test_a_recovery_code_stands_in_for_the_app_once(gateway: Gateway) -> None:
    dora = Somebody(gateway, "dagny")
    assert dora.login(otp=dora.recovery[0]).status == 200
    assert dora.login(otp=dora.recovery[0]).status == 401
    token = dora.login(otp=dora.recovery[1]).json["access_token"]
    renewed = post(gateway, "mfa/recovery-codes", {"otp": dora.code()}, token=token)
    assert renewed.status == 200, renewed.body
    fresh = renewed.json["recovery_codes"]
    assert not set(fresh) & set(dora.recovery)
    assert dora.login(otp=dora.recovery[2]).status == 401
    assert dora.login(otp=fresh[0]).status == 200


def test_the_app_is_removed_with_password_and_code(gateway: Gateway) -> None:
    dora = Somebody(gateway, "dilan")
    token = dora.login(otp=dora.code()).json["access_token"]

    def remove(body: dict[str, Any]) -> Reply:
        return gateway.request("DELETE", AUTH + "mfa/totp", token=token, body=body)

    assert remove({"password": PASSWORD}).status == 400
    assert remove({"password": "a wrong password, long enough", "otp": dora.recovery[0]}).status == 401
    assert remove({"password": PASSWORD, "otp": "000000"}).status == 401
    done = remove({"password": PASSWORD, "otp": dora.recovery[1]})
    assert done.status == 204, done.body
    assert dora.login().status == 200
    assert events(gateway, "mfa.removed")


def test_a_route_that_asks_for_it_challenges_who_has_not_proved_it_lately(gateway: Gateway) -> None:
    dora = Somebody(gateway, "dunja")
    old = gateway.request("GET", "/users/guarded", token=dora.token)
    assert (old.status, slug(old)) == (401, "mfa-required")
    challenge = old.headers["WWW-Authenticate"]
    assert 'error="insufficient_user_authentication"' in challenge
    assert "max_age=3" in challenge.replace('"', "")
    assert gateway.request("GET", "/orders", token=dora.token).status == 200
    token = dora.login(otp=dora.code()).json["access_token"]
    assert gateway.request("GET", "/users/guarded", token=token).status != 401
    time.sleep(3.2)
    late = gateway.request("GET", "/users/guarded", token=token)
    assert (late.status, slug(late)) == (401, "mfa-required")
    refused = gateway.request("GET", "/users/guarded")
    assert slug(refused) == "credentials-missing"


def test_a_key_never_proves_a_second_factor(gateway: Gateway) -> None:
    Somebody(gateway, "detlef")
    made = gateway.run("keys", "create", "probe", "--user", "detlef", "--format", "json")
    reply = gateway.request("GET", "/users/guarded", headers={"X-Api-Key": json.loads(made.stdout)["key"]})
    assert (reply.status, slug(reply)) == (401, "mfa-required")


def test_a_refreshed_session_keeps_when_it_was_proved(gateway: Gateway) -> None:
    dora = Somebody(gateway, "doreen")
    pair = dora.login(otp=dora.code()).json
    renewed = post(gateway, "refresh", {"refresh_token": pair["refresh_token"]}).json
    before, after = claims_of(pair["access_token"]), claims_of(renewed["access_token"])
    assert sorted(after["amr"]) == sorted(before["amr"])
    assert {"otp", "pwd"} <= set(after["amr"])
    assert after["auth_time"] == before["auth_time"]


def test_neither_secret_nor_code_is_recorded(gateway: Gateway) -> None:
    dora = Somebody(gateway, "dag")
    used = dora.code()
    dora.login(otp=used)
    dora.login(otp=dora.recovery[0])
    trail = json.dumps(gateway.audit()) + "\n".join(gateway.lines)
    for secret in (dora.secret, dora.recovery[0]):
        assert secret not in trail
