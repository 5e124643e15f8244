"""Who there is, and how they prove it: networks, schedules, roles, authenticators, grants."""

from typing import Annotated, ClassVar, Literal

from pydantic import Discriminator, Field, PlainValidator, Tag, WithJsonSchema

from gateway.config.documents.base import Document, NotYet
from gateway.config.documents.fields import (
    AnyText,
    ConditionTree,
    HeaderName,
    Name,
    ScopePattern,
    Text,
    WebAddress,
)
from gateway.config.documents.limits import LimitDocument
from gateway.config.problem import text_of


def _days(value: object) -> list[str]:
    return [text_of(each, "mon-fri") for each in (value if isinstance(value, list) else [value])]


class ScheduleDocument(Document):
    """Hours of a week."""

    noun: ClassVar[str] = "a schedule"

    days: Annotated[
        list[str],
        PlainValidator(_days),
        WithJsonSchema({"oneOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}),
    ] = Field(description="`mon-fri`, `sat`, or a list of these.", examples=["mon-fri"])
    from_: AnyText = Field(alias="from", description="First minute, `08:00`.", examples=['"08:00"'])
    to: AnyText = Field(
        description="The minute after the last, `18:00`; may pass midnight.", examples=['"18:00"']
    )
    timezone: AnyText = Field(description="A name such as `Europe/Berlin`.", examples=["Europe/Berlin"])


class RoleDocument(Document):
    """What its holders may do."""

    noun: ClassVar[str] = "a role"

    scopes: list[ScopePattern] = Field(
        default=[],
        description='Scopes, or wildcards for several: `"orders:*"`, `"*"` for all that are declared.',
    )
    inherits: list[Name] = Field(
        default=[], description="Roles whose scopes its holders have as well, but not their limits."
    )
    limits: list[LimitDocument] = Field(
        default=[], description="Limits instead of the default ones per principal."
    )


class GatewayJwtDocument(Document):
    """Tokens of this gateway."""

    noun: ClassVar[str] = "an authenticator"

    kind: Literal["gateway_jwt"] = Field(description="Access tokens that this gateway issues.")


class ApiKeyDocument(Document):
    """Keys of machines."""

    noun: ClassVar[str] = "an authenticator"

    kind: Literal["api_key"] = Field(description="API keys that this gateway issues.")
    header: HeaderName = Field(
        default="x-api-key", description="The field that carries the key. Default x-api-key."
    )


class JwtDocument(Document):
    """Tokens of somebody else."""

    noun: ClassVar[str] = "an authenticator"

    kind: Annotated[Literal["jwt"], NotYet("tokens of other issuers", ("jwt",))] = Field(
        description="Tokens of another issuer."
    )
    issuer: WebAddress = Field(
        description="What the token's `iss` must be.", examples=["https://login.example.com"]
    )
    audience: list[Text] = Field(
        min_length=1, description="One of these must be in the token's `aud`.", examples=["[orders-api]"]
    )
    jwks: Annotated[AnyText | None, WithJsonSchema({"type": "string"})] = Field(
        default=None, description="`auto` finds the keys through the issuer; or their address."
    )
    secret: AnyText | None = Field(
        default=None, repr=False, description="Instead of `jwks`, for HS256: at least 32 bytes."
    )
    accept_typ: list[Text] = Field(default=[], description="Values of the token's `typ`.")
    algorithms: list[Text] = Field(default=[], description="Signature algorithms.")


class MtlsDocument(Document):
    """Client certificates."""

    noun: ClassVar[str] = "an authenticator"

    kind: Annotated[Literal["mtls"], NotYet("client certificates", ("mtls",))] = Field(
        description="Certificates of clients."
    )
    subject: Name = Field(
        description="Which part of the certificate names the principal.", examples=["san_uri"]
    )


def _kind(value: object) -> str | None:
    kind = value.get("kind") if isinstance(value, dict) else None
    return kind if isinstance(kind, str) else None


AuthenticatorDocument = Annotated[
    Annotated[GatewayJwtDocument, Tag("gateway_jwt")]
    | Annotated[ApiKeyDocument, Tag("api_key")]
    | Annotated[JwtDocument, Tag("jwt")]
    | Annotated[MtlsDocument, Tag("mtls")],
    Discriminator(_kind),
]


class GrantDocument(Document):
    """From the claims of an external principal to a role."""

    noun: ClassVar[str] = "a grant"

    role: Name = Field(description="The role that is given.", examples=["support"])
    from_: list[Name] = Field(
        alias="from",
        min_length=1,
        description="Authenticators whose principals are meant.",
        examples=["[corporate]"],
    )
    when: ConditionTree = Field(description="What must hold of the principal.")
