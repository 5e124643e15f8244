"""Who there is, and how they prove it: networks, schedules, roles, authenticators, grants."""

from typing import Annotated, ClassVar, Literal

from pydantic import Discriminator, Field, PlainValidator, Tag, WithJsonSchema

from gateway.config.documents.base import Document
from gateway.config.documents.fields import (
    AnyText,
    ConditionTree,
    HeaderName,
    Issuer,
    Keys,
    Name,
    ScopePattern,
    SignatureAlgorithm,
    Text,
    TokenType,
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

    kind: Literal["jwt"] = Field(description="Access tokens of another issuer.")
    issuer: Issuer = Field(
        description="What the token's `iss` must be, to the letter.", examples=["https://login.example.com"]
    )
    audience: list[Text] = Field(
        min_length=1, description="One of these must be in the token's `aud`.", examples=["[orders-api]"]
    )
    jwks: Keys | None = Field(
        default=None,
        description="`auto` finds the issuer's keys through its metadata; or the address of its keys.",
        examples=["auto"],
    )
    secret: AnyText | None = Field(
        default=None,
        repr=False,
        description="Instead of `jwks`, for HS256: `${file:/path}` or `${env:NAME}`, which gives at least 32 "
        "bytes.",
        examples=['"${file:/run/secrets/issuer}"'],
    )
    accept_typ: list[TokenType] = Field(
        default=["at+jwt"],
        min_length=1,
        description="Values of the token's `typ`; a token without counts as `JWT`. Default at+jwt (RFC "
        "9068); many issuers write JWT.",
        examples=["[at+jwt, JWT]"],
    )
    algorithms: list[SignatureAlgorithm] | None = Field(
        default=None,
        min_length=1,
        description="How tokens may be signed. A key without `alg` is for the first that suits its kind. "
        "Default RS256 and ES256, with a secret HS256.",
        examples=["[ES256]"],
    )


class MtlsDocument(Document):
    """Client certificates."""

    noun: ClassVar[str] = "an authenticator"

    kind: Literal["mtls"] = Field(
        description="Certificates of clients, which the listener asks for where GATEWAY_TLS_CLIENT_CA is set."
    )
    subject: Literal["san_uri", "san_dns", "san_email", "subject", "fingerprint"] = Field(
        description="Which part of the certificate names the principal: an alternative name of one kind, the "
        "distinguished name, or the SHA-256 of the whole.",
        examples=["san_uri"],
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
