"""The gateway's own users, as the policy writes it."""

from typing import ClassVar, Literal

from pydantic import Field

from gateway.config.documents.base import Document
from gateway.config.documents.fields import Duration, DurationOrZero, Name
from gateway.config.documents.limits import LimitDocument


class PasswordDocument(Document):
    """What a password must be."""

    noun: ClassVar[str] = "the password rules"

    min_length: int = Field(
        default=12, ge=8, le=128, description="Least number of characters. Default 12.", examples=[12]
    )
    reject_common: bool = Field(
        default=False,
        description="Refuse passwords that are in a list of common ones, or little more than the name of the "
        "account. Default false.",
    )


class TokensDocument(Document):
    """How long things last."""

    noun: ClassVar[str] = "the token rules"

    access: Duration = Field(default=600.0, description="Life of an access token, at most 1d. Default 10min.")
    refresh_idle: Duration = Field(
        default=7 * 86400.0, description="A session ends after so long without a refresh. Default 7d."
    )
    refresh_absolute: Duration = Field(
        default=30 * 86400.0, description="A session ends after so long in any case. Default 30d."
    )
    reuse_grace: DurationOrZero = Field(
        default=10.0,
        description="How long the refresh token before the newest is still answered, at most 1min. "
        "Default 10s.",
    )


class BlockDocument(Document):
    """When an address is shut out."""

    noun: ClassVar[str] = "the block rules"

    failures: int = Field(ge=1, description="After so many failed logins", examples=[20])
    within: Duration = Field(description="within this time", examples=["5min"])
    for_: Duration = Field(
        alias="for", description="the address is blocked for this long;", examples=["15min"]
    )
    factor: int = Field(default=1, ge=1, le=100, description="each further block lasts so many times longer,")
    max: Duration | None = Field(default=None, description="but never longer than this. Default 365d.")


class LoginDocument(Document):
    """Who may try to log in, and how often."""

    noun: ClassVar[str] = "the login rules"

    networks: list[Name] | None = Field(
        default=None, min_length=1, description="Tokens may be obtained only from these networks."
    )
    limits: list[LimitDocument] | None = Field(
        default=None, min_length=1, description="How often a login may be tried."
    )
    block: BlockDocument | None = Field(default=None, description="When an address is blocked.")


class AccountsDocument(Document):
    """The gateway's own users. Left out, there are none."""

    noun: ClassVar[str] = "the account rules"

    registration: Literal["open", "invite", "closed"] = Field(
        default="closed", description="Who may make an account: anybody, the invited, nobody. Default closed."
    )
    default_roles: list[Name] = Field(default=[], description="Roles of a new account. Default none.")
    email_verification: Literal["required", "off"] = Field(
        default="off", description="Whether an address must be confirmed before the first login. Default off."
    )
    password: PasswordDocument = Field(default=PasswordDocument(), description="What a password must be.")
    tokens: TokensDocument = Field(default=TokensDocument(), description="How long tokens and sessions last.")
    login: LoginDocument = Field(default=LoginDocument(), description="Who may try to log in, and how often.")
