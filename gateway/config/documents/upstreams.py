"""`upstreams.yaml`: where, and how to talk."""

from typing import Annotated, ClassVar, Literal

from pydantic import Discriminator, Field, Tag

from gateway.config.documents.base import Document, NotYet
from gateway.config.documents.fields import (
    AnyText,
    Duration,
    FileReference,
    HeaderName,
    HeaderPattern,
    HeaderValue,
    Name,
    PathPrefix,
    Percent,
    Target,
)
from gateway.config.documents.routes import BodyDocument


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
    retry_on: Annotated[
        list[Literal["connect_failure", 502, 503]] | None,
        NotYet("retrying on an answer of the upstream", (502, 503)),
    ] = Field(
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


class HealthDocument(Document):
    """Whether a target is asked how it is."""

    noun: ClassVar[str] = "the health check"

    path: AnyText = Field(description="What is asked for.", examples=["/healthz"])
    interval: Duration = Field(default=5.0, description="How often. Default 5s.")
    timeout: Duration = Field(default=1.0, description="How long an answer may take. Default 1s.")
    healthy_after: int = Field(
        default=2, ge=1, description="So many good answers make it healthy. Default 2."
    )
    unhealthy_after: int = Field(
        default=3, ge=1, description="So many bad ones make it unhealthy. Default 3."
    )


class OutlierDocument(Document):
    """When a target that fails is left out for a while."""

    noun: ClassVar[str] = "the outlier rules"

    consecutive_errors: int = Field(default=5, ge=1, description="After so many errors in a row. Default 5.")
    eject_for: Duration = Field(default=30.0, description="For so long. Default 30s.")
    max_ejected: Percent = Field(default=0.5, description="At most this share of the targets. Default 50%.")


class OpenAfterDocument(Document):
    """When the circuit opens."""

    noun: ClassVar[str] = "the circuit's threshold"

    errors: Percent = Field(description="At this share of errors", examples=["50%"])
    within: Duration = Field(description="within this time,", examples=["10s"])
    at_least: int = Field(default=20, ge=1, description="counting at least so many requests.")


class CircuitDocument(Document):
    """When an upstream is left alone."""

    noun: ClassVar[str] = "the circuit breaker"

    max_concurrent: int | None = Field(default=None, ge=1, description="Requests at the same time.")
    open_after: OpenAfterDocument | None = Field(default=None, description="When it opens.")
    probe_every: Duration = Field(
        default=1.0, description="How often an open one lets a request through. Default 1s."
    )


class TargetDocument(Document):
    """One instance."""

    noun: ClassVar[str] = "a target"

    url: Target = Field(description="Scheme, host and port.", examples=["http://orders.internal:8080"])
    weight: int = Field(
        default=1, ge=1, le=1000, description="Its share of the requests, compared with the others."
    )


class HashDocument(Document):
    """The same caller to the same target."""

    noun: ClassVar[str] = "the balance"

    hash: AnyText = Field(description="What the target is chosen by.", examples=["claims.sub"])


class TlsDocument(Document):
    """How the connection is secured."""

    noun: ClassVar[str] = "the TLS rules"

    ca: FileReference | None = Field(default=None, description="Authorities that may vouch for the upstream.")
    client_cert: FileReference | None = Field(default=None, description="Our certificate.")
    client_key: FileReference | None = Field(default=None, description="Its key.")
    server_name: AnyText | None = Field(
        default=None, description="The name that the upstream's certificate must have."
    )


class RewriteDocument(Document):
    """How the path is changed."""

    noun: ClassVar[str] = "the rewrite"

    strip_prefix: PathPrefix | None = Field(default=None, description="Taken from the beginning of the path.")
    add_prefix: PathPrefix | None = Field(default=None, description="Put before the path.")


class PathsDocument(Document):
    """Which paths are let through that can be read in more than one way."""

    noun: ClassVar[str] = "the path rules"

    allow: list[Literal["encoded_slash", "double_slash", "semicolon", "backslash"]] = Field(
        min_length=1,
        description="Then they are ordinary characters of one segment.",
        examples=["[encoded_slash]"],
    )


def _word_or_hash(value: object) -> str:
    return "hash" if isinstance(value, dict) else "word"


Balance = Annotated[
    Annotated[Literal["round_robin", "least_requests", "random_two"], Tag("word")]
    | Annotated[HashDocument, Tag("hash")],
    Discriminator(_word_or_hash),
]


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
    health: Annotated[HealthDocument | None, NotYet("health checks")] = Field(
        default=None, description="Whether targets are asked how they are. Off unless written."
    )
    outlier: Annotated[OutlierDocument | None, NotYet("leaving out targets that fail")] = Field(
        default=None, description="When a target that fails is left out. Off unless written."
    )
    circuit: Annotated[CircuitDocument | None, NotYet("circuit breakers")] = Field(
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
    balance: Annotated[
        Balance | None,
        NotYet("this way of choosing a target", ("least_requests", "random_two", HashDocument)),
    ] = Field(default=None, description="How a target is chosen. Default round_robin.")
    tls: Annotated[TlsDocument | None, NotYet("TLS to upstreams")] = Field(
        default=None, description="How the connection is secured."
    )
    rewrite: Annotated[RewriteDocument | None, NotYet("changing the path")] = Field(
        default=None, description="How the path is changed."
    )
    paths: Annotated[PathsDocument | None, NotYet("paths that can be read in more than one way")] = Field(
        default=None, description="Which unusual paths are let through."
    )


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
