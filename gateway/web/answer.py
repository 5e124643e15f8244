"""An answer that the gateway makes itself, as bytes ready for any listener."""

from dataclasses import dataclass

import orjson

from gateway.model import Line

NO_STORE: Line = (b"Cache-Control", b"no-store")


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """Status, header lines and body. Content-Length and Connection are the listener's business."""

    status: int
    lines: tuple[Line, ...] = ()
    body: bytes = b""
    close: bool = False
    """Whether the connection must not be used again."""


def json_answer(status: int, value: object, *extra: Line, media_type: bytes = b"application/json") -> Answer:
    """Return a JSON answer that nobody may store."""
    return Answer(
        status=status,
        lines=((b"Content-Type", media_type), NO_STORE, *extra),
        body=orjson.dumps(value),
    )
