"""The JSON bodies that the account endpoints take. Unknown members are errors: nobody assigns a role to
themselves, and a typing error is not taken for consent to a default.
"""

from collections.abc import Mapping
from typing import Annotated, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StrictBool,
    StringConstraints,
    ValidationError,
    ValidationInfo,
)
from pydantic_core import PydanticCustomError

from gateway.accounts.names import fault_in_email, fault_in_username
from gateway.accounts.outcome import AccountRefusal
from gateway.accounts.password_rules import fault_in_password
from gateway.accounts.passwords import MAX_CHARACTERS
from gateway.accounts.rules import AccountRules
from gateway.model import Reason

_CONTENT = "content"
"""Type of a mistake whose message says by itself what is wrong."""
_MOST_ERRORS = 100
"""Mistakes in one body that are told."""


def body_fault(fault: str) -> PydanticCustomError:
    """Return what a validator of a body raises: what is wrong, without the value."""
    return PydanticCustomError(_CONTENT, "{fault}", {"fault": fault})


def _without(fault: str | None, value: str) -> str:
    """Return a value that nothing is wrong with."""
    if fault is not None:
        raise body_fault(fault)
    return value


def _by_the_rules(password: str, info: ValidationInfo) -> str:
    """Return a new password that the rules allow, as far as the body tells whose it is to be."""
    rules = info.context
    if not isinstance(rules, AccountRules):
        return password
    fault = fault_in_password(
        password,
        info.data.get("username", ""),
        info.data.get("email", ""),
        min_length=rules.password_min_length,
        rejects_common=rules.rejects_common,
    )
    return _without(fault, password)


_Name = Annotated[str, StringConstraints(strict=True, max_length=320)]
_NewName = Annotated[_Name, AfterValidator(lambda name: _without(fault_in_username(name), name))]
_Address = Annotated[_Name, AfterValidator(lambda address: _without(fault_in_email(address), address))]
_Password = Annotated[str, StringConstraints(strict=True, max_length=MAX_CHARACTERS), Field(repr=False)]
_NewPassword = Annotated[_Password, AfterValidator(_by_the_rules), Field(repr=False)]
_Factor = Annotated[str, StringConstraints(strict=True, max_length=64)]
"""A code of an authenticator app, or a recovery code."""
_Otp = Annotated[_Factor, Field(repr=False)]
_Code = Annotated[str, StringConstraints(strict=True, max_length=512)]
# Anybody's token fits, so that one of another kind is told from what is no token at all.
_Token = Annotated[str, StringConstraints(strict=True, max_length=8192), Field(repr=False)]


class Body(BaseModel):
    """A JSON object with these members and no others."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    @classmethod
    def read(cls, value: Mapping[str, object], rules: AccountRules | None = None) -> Self | AccountRefusal:
        """Return the body, or its mistakes, all at once; `rules` are what a new password has to keep."""
        try:
            return cls.model_validate(dict(value), context=rules)
        except ValidationError as error:
            errors = tuple(
                {
                    "field": ".".join(map(str, item["loc"])),
                    "message": _message(item["type"], item.get("ctx")),
                }
                for item in error.errors(include_url=False, include_input=False)[:_MOST_ERRORS]
            )
            return AccountRefusal(reason=Reason.INVALID_REQUEST, errors=errors)


class RegisterBody(Body):
    """`POST /gateway/v1/auth/register`."""

    username: _NewName
    email: _Address
    password: _NewPassword
    invite: Annotated[_Code | None, Field(repr=False)] = None


class EmailBody(Body):
    """`POST /gateway/v1/auth/email/resend`, `POST /gateway/v1/auth/password/forgot`."""

    email: _Address


class VerifyBody(Body):
    """`POST /gateway/v1/auth/email/verify`; `token` is that of the link in a mail."""

    token: _Token


class PasswordBody(Body):
    """`POST /gateway/v1/auth/password`."""

    current_password: _Password
    new_password: _NewPassword


class ResetBody(Body):
    """`POST /gateway/v1/auth/password/reset`; `token` is that of the link in a mail."""

    token: _Token
    new_password: _NewPassword


class LoginBody(Body):
    """`POST /gateway/v1/auth/login`; `username` may be the e-mail address."""

    username: _Name
    password: _Password
    otp: _Factor | None = Field(default=None, repr=False)


class RefreshBody(Body):
    """`POST /gateway/v1/auth/refresh`."""

    refresh_token: _Token


class LogoutBody(Body):
    """`POST /gateway/v1/auth/logout`; `all` ends every session of the account."""

    all: StrictBool = False


class EnrolBody(Body):
    """`POST /gateway/v1/auth/mfa/totp`."""

    password: _Password


class OtpBody(Body):
    """`POST /gateway/v1/auth/mfa/totp/confirm`, `.../totp/verify` and `.../mfa/recovery-codes`."""

    otp: _Otp


class RemoveFactorBody(Body):
    """`DELETE /gateway/v1/auth/mfa/totp`."""

    password: _Password
    otp: _Otp


def _message(kind: str, context: Mapping[str, object] | None) -> str:
    """Return what is wrong, without the value: it may be a password in the wrong place."""
    match kind:
        case _ if kind == _CONTENT:
            return str((context or {}).get("fault"))
        case "missing":
            return "is required"
        case "extra_forbidden":
            return "is not known here; leave it out"
        case "string_type":
            return "must be a string"
        case "string_too_long":
            return f"may have at most {(context or {}).get('max_length')} characters"
        case "string_unicode":
            return "must be valid Unicode"
        case "bool_type":
            return "must be true or false"
        case "list_type":
            return "must be a list"
        case "too_short":
            return "must not be empty"
        case "too_long":
            return f"may have at most {(context or {}).get('max_length')} entries"
        case "model_type":
            return "must be an object"
        case _:
            return "is not valid"
