"""Routes, and rules that deny, as the policy writes them."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from gateway.config.documents.base import Document, NotYet
from gateway.config.documents.fields import (
    AnyText,
    Authn,
    ByteSize,
    ConditionTree,
    Day,
    Duration,
    HeaderName,
    HeaderValue,
    HeldSize,
    HostPattern,
    JsonPointer,
    Method,
    Name,
    PathTemplate,
    Require,
    Text,
)
from gateway.config.documents.limits import LimitDocument
from gateway.config.documents.pages import CorsDocument, Websocket


class MatchDocument(Document):
    """Which requests are meant."""

    noun: ClassVar[str] = "a match"

    host: HostPattern | None = Field(
        default=None, description="Exact host or `*.suffix`; left out, any host."
    )
    methods: list[Method] = Field(min_length=1, description="Methods; GET includes HEAD.", examples=["[GET]"])
    path: PathTemplate = Field(
        description="Literal segments, `{param}` for one segment, `**` as the last for everything below.",
        examples=['"/orders/{order_id}"'],
    )


class BodyDocument(Document):
    """Limits of a request's body."""

    noun: ClassVar[str] = "the body rules"

    max_request: ByteSize | None = Field(
        default=None, description="Largest body of a request, or `unlimited`.", examples=["10MiB"]
    )


class MfaDocument(Document):
    """A second factor."""

    noun: ClassVar[str] = "the second factor"

    max_age: Duration = Field(description="It must not be older than this.", examples=["10min"])


class ModeDocument(Document):
    """A trial."""

    noun: ClassVar[str] = "a mode"

    shadow_until: Day = Field(
        description="Until this day, scopes, conditions and limits are only recorded.",
        examples=["2026-12-31"],
    )


class RespondDocument(Document):
    """An answer of the gateway itself."""

    noun: ClassVar[str] = "an answer"

    status: int = Field(ge=200, le=599, description="Status of the answer.", examples=[308])
    headers: dict[HeaderName, HeaderValue] = Field(
        default={}, description="Fields of the answer, such as `location`."
    )
    body: AnyText | None = Field(
        default=None, description="Its body; `text/plain` in UTF-8, unless `content-type` is set."
    )


class EncryptDocument(Document):
    """What responses are encrypted with."""

    noun: ClassVar[str] = "the response encryption"

    key: Name | None = Field(
        default=None,
        description="Name of an encryption key of the gateway: whoever may decrypt with it can read.",
        examples=["reports"],
    )
    recipient: Literal["client"] | None = Field(
        default=None,
        description="Instead of `key`: the key that the calling client has registered; it alone can read.",
    )
    max_response: HeldSize | None = Field(
        default=None, description="Largest response, at most 16MiB; a longer one is a 502. Default 1MiB."
    )


class DecryptDocument(Document):
    """What the bodies of requests are encrypted with."""

    noun: ClassVar[str] = "the request decryption"

    key: Name = Field(
        description="Name of an encryption key of the gateway, which encrypts no responses: they could be "
        "sent as requests.",
        examples=["inbox"],
    )


class StreamsDocument(Document):
    """What happens to long answers."""

    noun: ClassVar[str] = "the stream rules"

    on_expiry: Literal["end", "keep"] = Field(
        default="end",
        description="When the caller's credential expires: end event streams and WebSockets, or keep them. "
        "Revocation ends them in any case. Default end.",
    )


class RouteDocument(Document):
    """What a kind of request must prove, and where it goes."""

    noun: ClassVar[str] = "a route"

    id: Name = Field(description="Its name in the audit trail.", examples=["orders-list"])
    match: MatchDocument = Field(
        description="Which requests are meant.", examples=["{methods: [GET], path: /orders}"]
    )
    upstream: Name | None = Field(
        default=None, description="Where they go: a name of the upstreams file.", examples=["orders"]
    )
    authn: Authn | None = Field(
        default=None, description="Authenticators that are asked, or `public`. Default: those of `defaults`."
    )
    because: Text | None = Field(
        default=None, description="Why a public route is public.", examples=['"Load balancer probe"']
    )
    require: Require | None = Field(
        default=None,
        description="Scopes, all of them, for every method or by method; or `authenticated` for anybody.",
    )
    when: ConditionTree | None = Field(default=None, description="What must hold besides.")
    limits: list[LimitDocument] = Field(default=[], description="Limits besides the default ones.")
    body: BodyDocument | None = Field(
        default=None, description="Limits of the body, before those of the upstream."
    )
    mfa: MfaDocument | None = Field(
        default=None, description="Ask for a second factor that was proved not long ago."
    )
    also: list[Name] | None = Field(
        default=None,
        min_length=1,
        description=(
            "Authenticators of kind `mtls`: a certificate is asked for in addition, and names nobody."
        ),
        examples=["[machines]"],
    )
    mode: Annotated[ModeDocument | None, NotYet("a trial mode")] = Field(
        default=None, description="Try the rules first."
    )
    websocket: Websocket | None = Field(
        default=None,
        description="Whether the protocol may be switched to WebSocket, and from which pages. Default false.",
    )
    respond: RespondDocument | None = Field(default=None, description="Answer instead of asking an upstream.")
    cors: CorsDocument | None = Field(
        default=None, description="Which web pages may call. Default: those of `defaults`."
    )
    encrypt_response: EncryptDocument | None = Field(
        default=None,
        description=(
            "Encrypt the body of the response: it becomes a compact JWE (`application/jose`). What cannot be "
            "(a part, compressed, too long) is a 502."
        ),
    )
    encrypt_fields: list[JsonPointer] | None = Field(
        default=None,
        min_length=1,
        description=(
            "Encrypt only these values of JSON responses, with what `encrypt_response` names: JSON pointers "
            "(RFC 6901), `*` as a step for every entry of an array or object. What is not there is not "
            "encrypted; a response that is not JSON, or has a list where a member is named, is a 502. At "
            "most 10000 values of a response, among 100000 entries."
        ),
        examples=["[/card/number]"],
    )
    decrypt_request: DecryptDocument | None = Field(
        default=None,
        description=(
            "Decrypt the body of the request, at most 16MiB: the upstream gets what it held. GET, HEAD, "
            "DELETE and OPTIONS may come without a body."
        ),
    )
    streams: StreamsDocument | None = Field(default=None, description="What happens to long answers.")


class DenyDocument(Document):
    """A rule that refuses, whatever else would allow."""

    noun: ClassVar[str] = "a deny rule"

    id: Name = Field(description="Its name in the audit trail.", examples=["blocked-networks"])
    routes: list[Name] | None = Field(
        default=None, min_length=1, description="Only these routes; left out, everything."
    )
    when: ConditionTree = Field(
        description="When it refuses.", examples=["{client.ip: {in_network: blocked}}"]
    )
