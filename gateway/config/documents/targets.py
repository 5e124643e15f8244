"""The instances of an upstream: where they are, how one is chosen, how connections are secured."""

from typing import Annotated, ClassVar, Literal

from pydantic import BeforeValidator, Discriminator, Field, Tag

from gateway.config.documents.base import Document
from gateway.config.documents.fields import AnyText, FileReference, ServerName, Target
from gateway.config.problem import wrong


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

    hash: AnyText = Field(
        description="What the target is chosen by: `client.ip`, `principal.id`, `host`, `claims.NAME`, "
        "`header.NAME` or `query.NAME`.",
        examples=["claims.sub"],
    )


class TlsDocument(Document):
    """How the connection is secured."""

    noun: ClassVar[str] = "the TLS rules"

    ca: FileReference | None = Field(
        default=None,
        description="Authorities that may vouch for the upstream, in PEM. Default: those of the system.",
    )
    client_cert: FileReference | None = Field(default=None, description="Our certificate, in PEM.")
    client_key: FileReference | None = Field(default=None, description="Its key, in PEM.")
    server_name: ServerName | None = Field(
        default=None,
        description="The name that the upstream's certificate must have. Default: the target's host.",
    )


def _word_or_hash(value: object) -> str:
    return "hash" if isinstance(value, dict) else "word"


_ELSEWHERE = {
    "hash": "{hash: client.ip}, or another attribute",
    "ip_hash": "{hash: client.ip}",
    "source": "{hash: client.ip}",
    "least_conn": "least_requests",
    "leastconn": "least_requests",
    "random": "random_two",
}
"""What other proxies call it."""


def _read_word(value: object) -> object:
    meant = _ELSEWHERE.get(value) if isinstance(value, str) else None
    if meant is not None:
        raise wrong("is not a way of choosing a target", f"write {meant}")
    return value


Balance = Annotated[
    Annotated[
        Literal["round_robin", "least_requests", "random_two"], BeforeValidator(_read_word), Tag("word")
    ]
    | Annotated[HashDocument, Tag("hash")],
    Discriminator(_word_or_hash),
]
