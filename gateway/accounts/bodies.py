"""The JSON bodies that the account endpoints take. Unknown members are errors: nobody assigns a role to
themselves, and a typing error is not taken for consent to a default.
"""

from collections.abc import Mapping
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StringConstraints, ValidationError

from gateway.accounts.outcome import AccountRefusal
from gateway.accounts.passwords import MAX_CHARACTERS
from gateway.model import Reason

_Name = Annotated[str, StringConstraints(strict=True, max_length=320)]
_Password = Annotated[str, StringConstraints(strict=True, max_length=MAX_CHARACTERS), Field(repr=False)]
_Token = Annotated[str, StringConstraints(strict=True, max_length=512), Field(repr=False)]


_NOT_YET = {("otp",), ("invite",)}
"""Members of the contract that belong to parts which this version does not have."""


class Body(BaseModel):
    """A JSON object with these members and no others."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    @classmethod
    def read(cls, value: Mapping[str, object]) -> Self | AccountRefusal:
        """Return the body, or every mistake in it at once."""
        try:
            return cls.model_validate(dict(value))
        except ValidationError as error:
            errors = tuple(
                {
                    "field": ".".join(map(str, item["loc"])),
                    "message": "is not supported yet; leave it out"
                    if item["loc"] in _NOT_YET and item["type"] == "extra_forbidden"
                    else _message(item["type"], item.get("ctx")),
                }
                for item in error.errors(include_url=False, include_input=False)
            )
            return AccountRefusal(reason=Reason.INVALID_REQUEST, errors=errors)


class RegisterBody(Body):
    """`POST /gateway/v1/auth/register`."""

    username: _Name
    email: _Name
    password: _Password


class LoginBody(Body):
    """`POST /gateway/v1/auth/login`; `username` may be the e-mail address."""

    username: _Name
    password: _Password


class RefreshBody(Body):
    """`POST /gateway/v1/auth/refresh`."""

    refresh_token: _Token


class LogoutBody(Body):
    """`POST /gateway/v1/auth/logout`; `all` ends every session of the account."""

    all: StrictBool = False


def _message(kind: str, context: Mapping[str, object] | None) -> str:
    """Return what is wrong, without the value: it may be a password in the wrong place."""
    match kind:
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
        case _:
            return "is not valid"
