"""`policies.yaml`: who may, and how often."""

from typing import Annotated, ClassVar

from pydantic import Field

from gateway.config.documents.access import (
    AuthenticatorDocument,
    GrantDocument,
    RoleDocument,
    ScheduleDocument,
)
from gateway.config.documents.accounts import AccountsDocument
from gateway.config.documents.base import Document
from gateway.config.documents.fields import Authn, Name, NetworkRange, RecordedField, ScopeName, Text
from gateway.config.documents.limits import LimitDocument
from gateway.config.documents.pages import CorsDocument
from gateway.config.documents.routes import DenyDocument, RouteDocument


class PolicyDefaultsDocument(Document):
    """What holds unless a route says otherwise."""

    noun: ClassVar[str] = "the defaults"

    authn: Authn | None = Field(
        default=None, description="Authenticators that routes ask.", examples=["[gateway]"]
    )
    limits: list[LimitDocument] = Field(
        default=[], description="Limits of every route, and of the gateway's own endpoints."
    )
    cors: CorsDocument | None = Field(default=None, description="Which web pages may call.")


class MaskDocument(Document):
    """What the audit trail does not show in full."""

    noun: ClassVar[str] = "the mask"

    fields: list[RecordedField] = Field(
        min_length=1,
        description="Parts of a request: query.NAME, header.NAME, claims.NAME, client.cert.NAME, client.ip.",
        examples=["[query.token]"],
    )
    visible: int = Field(
        default=0,
        ge=0,
        le=64,
        description="How many characters are shown before the asterisks; of a value that has no more, none.",
    )


class AuditDocument(Document):
    """How the audit trail is written."""

    noun: ClassVar[str] = "the audit rules"

    mask: MaskDocument | None = Field(default=None, description="What is not shown in full.")
    hash: Annotated[list[RecordedField], Field(min_length=1)] | None = Field(
        default=None,
        description="What is shown only as a keyed hash, by which equal values are found.",
        examples=["[claims.email]"],
    )


class CryptoDocument(Document):
    """Encrypting and decrypting at the gateway's own endpoints."""

    noun: ClassVar[str] = "the encryption rules"

    limits: list[LimitDocument] = Field(
        default=[],
        description=(
            "How many values may be encrypted, decrypted or sealed anew, besides the default limits: each "
            "value of a call counts."
        ),
        examples=["[{limit: 5/min, per: principal}]"],
    )


class PoliciesDocument(Document):
    """Who may, and how often."""

    noun: ClassVar[str] = "the policies file"

    version: int = Field(
        description="Version of this format: 1.", examples=[1], json_schema_extra={"const": 1}
    )
    networks: dict[Name, list[NetworkRange]] = Field(default={}, description="Names for ranges of addresses.")
    schedules: dict[Name, ScheduleDocument] = Field(default={}, description="Names for hours of a week.")
    scopes: dict[ScopeName, Text] = Field(
        default={},
        description="The vocabulary: every scope with a sentence. A scope that is not listed is a typo.",
    )
    roles: dict[Name, RoleDocument] = Field(default={}, description="What callers may do.")
    authenticators: dict[Name, AuthenticatorDocument] = Field(
        default={}, description="How callers prove who they are."
    )
    grants: list[GrantDocument] = Field(
        default=[], description="Roles of callers from outside, by what their token or certificate says."
    )
    accounts: AccountsDocument | None = Field(
        default=None, description="The gateway's own users. Left out, there are none."
    )
    defaults: PolicyDefaultsDocument = Field(
        default=PolicyDefaultsDocument(), description="What holds unless a route says otherwise."
    )
    deny: list[DenyDocument] = Field(default=[], description="Rules that refuse, before anything can allow.")
    audit: AuditDocument = Field(default=AuditDocument(), description="How the audit trail is written.")
    crypto: CryptoDocument = Field(
        default=CryptoDocument(),
        description="Encrypting and decrypting at the gateway's own endpoints.",
    )
    routes: list[RouteDocument] = Field(default=[], description="What is forwarded, and what it must prove.")
