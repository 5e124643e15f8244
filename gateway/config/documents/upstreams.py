"""`upstreams.yaml`: where, and how to talk."""

from typing import ClassVar, Literal

from pydantic import Field

from gateway.config.documents.base import Document
from gateway.config.documents.calm import CircuitDocument, HealthDocument, OutlierDocument
from gateway.config.documents.fields import (
    Duration,
    HeaderName,
    HeaderPattern,
    HeaderValue,
    Name,
    PathPrefix,
    Percent,
)
from gateway.config.documents.routes import BodyDocument
from gateway.config.documents.targets import Balance, TargetDocument, TlsDocument


class TimeoutsDocument(Document):
    """How long is waited."""

    noun: ClassVar[str] = "the timeouts"

    connect: Duration | None = Field(default=None, description="For a connection. Default 1s.")
    response: Duration | None = Field(default=None, description="For the head of the response. Default 15s.")
    idle: Duration | None = Field(default=None, description="Between two bytes, either way. Default 60s.")


class RetriesDocument(Document):
    """When a request is sent again: never once a byte of the response reached the client."""

    noun: ClassVar[str] = "the retries"

    max: int | None = Field(default=None, ge=0, le=10, description="How often at most. Default 1.")
    retry_on: list[Literal["connect_failure", 502, 503]] | None = Field(
        default=None,
        description="After a connection that failed; after 502 or 503, for GET, HEAD and OPTIONS. "
        "Default [connect_failure].",
    )
    budget: Percent | None = Field(default=None, description="How much load retries may add. Default 20%.")


class PoolDocument(Document):
    """Connections to one target."""

    noun: ClassVar[str] = "the pool"

    max_connections: int | None = Field(
        default=None, ge=1, le=100_000, description="At most so many. Default 200."
    )
    max_waiting: int | None = Field(
        default=None, ge=0, le=1_000_000, description="Requests that may wait for one. Default 500."
    )
    keepalive: Duration | None = Field(default=None, description="How long an idle one is kept. Default 30s.")


class ForwardDocument(Document):
    """How requests are changed on their way, and responses on theirs. Each key replaces the default."""

    noun: ClassVar[str] = "the forward rules"

    host: Literal["preserve", "upstream"] | None = Field(
        default=None,
        description="The Host that the upstream sees: the client's, or its own. Default preserve.",
    )
    identity: Literal["none", "headers", "signed_jwt"] | None = Field(
        default=None, description="How the upstream learns who is asking. Default signed_jwt."
    )
    bind: Literal["caller", "request"] | None = Field(
        default=None,
        description="What a `signed_jwt` is about: the caller, or this one request (`rid`, `htm`, `htu`). "
        "Default caller.",
    )
    credentials: Literal["strip", "pass"] | None = Field(
        default=None,
        description="Whether the upstream gets the fields that authenticators read. Default strip.",
    )
    remove_request_headers: list[HeaderPattern] | None = Field(
        default=None, description="Fields that the upstream never gets. Default [x-internal-*]."
    )
    remove_response_headers: list[HeaderPattern] | None = Field(
        default=None, description="Fields that the client never gets. Default [server, x-powered-by]."
    )
    set_request_headers: dict[HeaderName, HeaderValue] | None = Field(
        default=None, repr=False, description="Fields that the upstream gets instead of the client's."
    )
    set_response_headers: dict[HeaderName, HeaderValue] | None = Field(
        default=None, repr=False, description="Fields that the client gets instead of the upstream's."
    )


class RewriteDocument(Document):
    """How the path is changed."""

    noun: ClassVar[str] = "the rewrite"

    strip_prefix: PathPrefix | None = Field(
        default=None, description="Taken from the beginning of the path, in whole segments."
    )
    add_prefix: PathPrefix | None = Field(default=None, description="Put before the path after that.")


class PathsDocument(Document):
    """Which paths are let through that can be read in more than one way."""

    noun: ClassVar[str] = "the path rules"

    allow: list[Literal["encoded_slash", "double_slash", "semicolon", "backslash"]] = Field(
        min_length=1,
        description="Then they are ordinary characters of one segment.",
        examples=["[encoded_slash]"],
    )


class CommonDocument(Document):
    """What an upstream has, and `defaults` for all of them."""

    timeouts: TimeoutsDocument = Field(default=TimeoutsDocument(), description="How long is waited.")
    retries: RetriesDocument = Field(default=RetriesDocument(), description="When a request is sent again.")
    pool: PoolDocument = Field(default=PoolDocument(), description="Connections to one target.")
    body: BodyDocument = Field(
        default=BodyDocument(), description="Largest body of a request. Default 10MiB."
    )
    forward: ForwardDocument = Field(
        default=ForwardDocument(), description="How requests and responses are changed."
    )
    health: HealthDocument | None = Field(
        default=None, description="Whether targets are asked how they are. Off unless written."
    )
    outlier: OutlierDocument | None = Field(
        default=None, description="When a target that fails is left out. Off unless written."
    )
    circuit: CircuitDocument | None = Field(
        default=None, description="When an upstream is left alone. Off unless written."
    )


class UpstreamDefaultsDocument(CommonDocument):
    """What holds unless an upstream says otherwise."""

    noun: ClassVar[str] = "the defaults"


class UpstreamDocument(CommonDocument):
    """A service behind the gateway."""

    noun: ClassVar[str] = "an upstream"

    targets: list[TargetDocument] = Field(
        min_length=1, description="Its instances.", examples=["[{url: http://orders.internal:8080}]"]
    )
    balance: Balance | None = Field(default=None, description="How a target is chosen. Default round_robin.")
    tls: TlsDocument | None = Field(
        default=None, description="How connections to `https` targets are secured."
    )
    rewrite: RewriteDocument | None = Field(default=None, description="How the path is changed.")
    paths: PathsDocument | None = Field(default=None, description="Which unusual paths are let through.")


class UpstreamsDocument(Document):
    """Where, and how to talk."""

    noun: ClassVar[str] = "the upstreams file"

    version: int = Field(
        description="Version of this format: 1.", examples=[1], json_schema_extra={"const": 1}
    )
    defaults: UpstreamDefaultsDocument = Field(
        default=UpstreamDefaultsDocument(), description="What holds unless an upstream says otherwise."
    )
    upstreams: dict[Name, UpstreamDocument] = Field(
        default={}, description="The services behind the gateway."
    )
