"""What web pages may do, as browsers ask: calls from other origins, and WebSockets."""

from typing import Annotated, ClassVar

from pydantic import BeforeValidator, Discriminator, Field, Tag

from gateway.config.documents.base import Document
from gateway.config.documents.fields import DurationOrZero, HeaderName, Method, Origin
from gateway.config.problem import wrong


class CorsDocument(Document):
    """Which web pages may call, as browsers ask."""

    noun: ClassVar[str] = "the CORS rules"

    origins: list[Origin] = Field(
        min_length=1, description="Origins of the pages.", examples=["[https://app.example.com]"]
    )
    methods: list[Method] = Field(default=[], description="Methods they may use. Default: the route's own.")
    headers: list[HeaderName] = Field(default=[], description="Fields they may send.")
    credentials: bool = Field(default=False, description="Whether cookies may come along.")
    max_age: DurationOrZero | None = Field(
        default=None, description="How long a browser may remember the answer to a preflight."
    )


class WebsocketDocument(Document):
    """Which pages may open a WebSocket."""

    noun: ClassVar[str] = "the websocket rules"

    origins: list[Origin] = Field(
        min_length=1, description="Origins of the pages.", examples=["[https://app.example.com]"]
    )


def _flag_or_rules(value: object) -> str:
    return "flag" if isinstance(value, bool | str) else "rules"


def _read_rules(value: object) -> object:
    if isinstance(value, list):
        raise wrong("is a list, but a mapping is needed", "write {origins: [https://app.example.com]}")
    return value


Websocket = Annotated[
    Annotated[bool, Tag("flag")] | Annotated[WebsocketDocument, BeforeValidator(_read_rules), Tag("rules")],
    Discriminator(_flag_or_rules),
]
