"""What the account endpoints take."""

import pytest

from gateway.accounts import AccountRefusal, LoginBody, LogoutBody, RefreshBody, RegisterBody
from gateway.accounts.bodies import Body
from gateway.model import Reason

REGISTER = {"username": "ada", "email": "ada@example.com", "password": "correct horse"}


def mistakes(kind: type[Body], value: dict[str, object]) -> dict[str, str]:
    refused = kind.read(value)
    assert isinstance(refused, AccountRefusal)
    assert refused.reason is Reason.INVALID_REQUEST
    return {error["field"]: error["message"] for error in refused.errors}


def test_a_good_body_is_taken_as_it_is() -> None:
    body = RegisterBody.read(REGISTER)
    assert isinstance(body, RegisterBody)
    assert (body.username, body.email, body.password) == ("ada", "ada@example.com", "correct horse")
    login = LoginBody.read({"username": " ada ", "password": " p "})
    assert isinstance(login, LoginBody)
    assert (login.username, login.password) == (" ada ", " p ")


def test_all_sessions_are_meant_only_when_it_is_said() -> None:
    for value, everything in (({}, False), ({"all": False}, False), ({"all": True}, True)):
        body = LogoutBody.read(value)
        assert isinstance(body, LogoutBody)
        assert body.all is everything


@pytest.mark.parametrize(
    "name",
    [
        "roles",
        "role",
        "id",
        "epoch",
        "verified_at",
        "is_admin",
        "password_hash",
        "scope",
        "Username",
        "__class__",
    ],
)
def test_nobody_assigns_themselves_what_is_not_asked_for(name: str) -> None:
    assert mistakes(RegisterBody, {**REGISTER, name: ["admin"]}) == {name: "is not known here; leave it out"}


def test_an_invitation_or_a_second_factor_is_not_quietly_ignored() -> None:
    assert "invite" in mistakes(RegisterBody, {**REGISTER, "invite": "x"})
    assert "otp" in mistakes(LoginBody, {"username": "ada", "password": "x", "otp": "123456"})


def test_all_mistakes_come_at_once() -> None:
    assert mistakes(RegisterBody, {"username": 7, "password": "x" * 1025, "admin": True}) == {
        "username": "must be a string",
        "email": "is required",
        "password": "may have at most 1024 characters",
        "admin": "is not known here; leave it out",
    }


@pytest.mark.parametrize("value", [None, 1, 1.5, True, ["x"], {"$ne": ""}])
def test_nothing_is_turned_into_a_string(value: object) -> None:
    assert mistakes(LoginBody, {"username": value, "password": "x"}) == {"username": "must be a string"}


@pytest.mark.parametrize("value", ["true", 1, 0, "yes", None, []])
def test_nothing_is_turned_into_a_truth_value(value: object) -> None:
    assert mistakes(LogoutBody, {"all": value}) == {"all": "must be true or false"}


def test_half_a_surrogate_pair_is_a_mistake() -> None:
    assert mistakes(LoginBody, {"username": "\ud800", "password": "x"}) == {
        "username": "must be valid Unicode"
    }


def test_no_message_repeats_what_was_sent() -> None:
    refused = RegisterBody.read(
        {**REGISTER, "username": 5, "password": "hunter2" * 200, "email": {"hunter2": 1}}
    )
    assert "hunter2" not in repr(refused)


def test_no_representation_shows_a_credential() -> None:
    assert "correct horse" not in repr(RegisterBody.read(REGISTER))
    assert "hunter2" not in repr(LoginBody.read({"username": "ada", "password": "hunter2"}))
    assert "gwr_" not in repr(RefreshBody.read({"refresh_token": "gwr_secret"}))


def test_a_body_cannot_be_changed_after_it_was_checked() -> None:
    body = LogoutBody.read({})
    with pytest.raises(ValueError, match="frozen"):
        body.all = True  # type: ignore[union-attr] # this is what is tried
