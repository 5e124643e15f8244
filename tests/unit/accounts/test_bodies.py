"""What the account endpoints take."""

from collections.abc import Mapping
from dataclasses import replace

import pytest
from unit.accounts.house import RULES

from gateway.accounts import (
    AccountRefusal,
    AccountRules,
    EmailBody,
    EnrolBody,
    LoginBody,
    LogoutBody,
    OtpBody,
    PasswordBody,
    RefreshBody,
    RegisterBody,
    RemoveFactorBody,
    ResetBody,
    VerifyBody,
)
from gateway.accounts.bodies import Body
from gateway.model import Reason

REGISTER = {"username": "ada", "email": "ada@example.com", "password": "correct horse"}


def mistakes(
    kind: type[Body], value: Mapping[str, object], rules: AccountRules | None = None
) -> dict[str, str]:
    refused = kind.read(value, rules)
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


def test_an_invitation_may_come_with_an_account() -> None:
    body = RegisterBody.read({**REGISTER, "invite": "gwi_x"})
    assert isinstance(body, RegisterBody)
    assert body.invite == "gwi_x"
    assert "gwi_" not in repr(body)
    assert mistakes(RegisterBody, {**REGISTER, "invite": 7}) == {"invite": "must be a string"}


@pytest.mark.parametrize(
    ("kind", "members"),
    [
        (EmailBody, {"email"}),
        (VerifyBody, {"token"}),
        (PasswordBody, {"current_password", "new_password"}),
        (ResetBody, {"token", "new_password"}),
    ],
)
def test_what_is_sent_about_passwords_and_addresses_is_checked_and_never_shown(
    kind: type[Body], members: set[str]
) -> None:
    assert set(mistakes(kind, {})) == members
    assert set(mistakes(kind, dict.fromkeys(members, 1))) == members
    assert set(mistakes(kind, {**dict.fromkeys(members, "secret@home"), "roles": []})) == {"roles"}
    good = kind.read(dict.fromkeys(members, "secret@home"))
    assert isinstance(good, kind)
    assert kind is EmailBody or "secret" not in repr(good)


@pytest.mark.parametrize(
    ("email", "good"), [("ada@example.com", True), ("nowhere", False), ("a@b\r\nBcc: c@d", False)]
)
def test_an_address_is_looked_at_before_anybody_is_looked_for(email: str, good: bool) -> None:
    assert isinstance(EmailBody.read({"email": email}), EmailBody) is good


def test_a_second_factor_may_come_with_the_password() -> None:
    body = LoginBody.read({"username": "ada", "password": "x", "otp": "123456"})
    assert isinstance(body, LoginBody)
    assert body.otp == "123456"
    assert "123456" not in repr(body)
    assert "otp" in mistakes(LoginBody, {"username": "ada", "password": "x", "otp": 123456})


def test_all_mistakes_come_at_once() -> None:
    assert mistakes(RegisterBody, {"username": 7, "password": "x" * 1025, "admin": True}) == {
        "username": "must be a string",
        "email": "is required",
        "password": "may have at most 1024 characters",
        "admin": "is not known here; leave it out",
    }


def test_mistakes_of_shape_and_of_content_come_at_once() -> None:
    wrong = {"username": "a b", "email": "nowhere", "password": "short", "invite": 7, "roles": []}
    assert mistakes(RegisterBody, wrong, RULES) == {
        "username": "must not contain spaces, control characters or invisible characters",
        "email": "must look like name@example.com",
        "password": "must have at least 12 characters",
        "invite": "must be a string",
        "roles": "is not known here; leave it out",
    }
    assert set(mistakes(ResetBody, {"new_password": "short"}, RULES)) == {"token", "new_password"}
    assert set(mistakes(PasswordBody, {"current_password": 7, "new_password": "short"}, RULES)) == {
        "current_password",
        "new_password",
    }


def test_a_password_is_not_the_name_that_comes_with_it() -> None:
    strict = replace(RULES, rejects_common=True)
    named = {"username": "ada.lovelace", "email": "ada@example.com", "password": "ada.lovelace1"}
    assert set(mistakes(RegisterBody, named, strict)) == {"password"}
    assert isinstance(RegisterBody.read(named, RULES), RegisterBody)


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


def test_a_code_is_text_and_never_shown() -> None:
    assert mistakes(OtpBody, {"otp": 123456}) == {"otp": "must be a string"}
    assert mistakes(OtpBody, {"otp": "1" * 65}) == {"otp": "may have at most 64 characters"}
    assert mistakes(RemoveFactorBody, {"otp": "123456"}) == {"password": "is required"}
    assert mistakes(EnrolBody, {"password": "x", "otp": "1"}) == {"otp": "is not known here; leave it out"}
    kinds: tuple[type[Body], ...] = (OtpBody, RemoveFactorBody, LoginBody)
    for kind in kinds:
        value = {"username": "ada", "password": "secret", "otp": "123456"}
        body = kind.read({name: value[name] for name in kind.model_fields})
        assert isinstance(body, kind)
        assert "123456" not in repr(body)
        assert "secret" not in repr(body)
