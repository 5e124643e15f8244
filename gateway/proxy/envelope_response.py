"""What of a response is encrypted, and what its head says afterwards. Pure: no socket."""

from collections.abc import Sequence
from functools import partial
from typing import Final

from gateway.config import ResponseEncryption
from gateway.crypto import CryptoKey, RecipientKey
from gateway.model import Line
from gateway.proxy.json_fields import NotReplaceable, replace_values
from gateway.proxy.response import ResponseHead

_PARTIAL_CONTENT: Final = 206
_RESET_CONTENT: Final = 205
_JOSE: Final[Line] = (b"Content-Type", b"application/jose")
_NO_STORE: Final[Line] = (b"Cache-Control", b"no-store")
_ABOUT_PLAINTEXT: Final = frozenset(
    {
        b"accept-ranges",
        b"content-digest",
        b"content-encoding",
        b"content-length",
        b"content-md5",
        b"digest",
        b"etag",
        b"last-modified",
        b"repr-digest",
        b"trailer",
    }
)
"""Fields that would be untrue of what the client gets, or tell others that two plaintexts are the same."""
_NOT_JSON: Final = "the response is not JSON by its media type"
_EVERY: Final = "*"
_AT_ONCE: Final = 256 * 1024
"""Bytes up to which sealing takes half a millisecond at most."""
_FIELDS_AT_ONCE: Final = 64 * 1024
_EACH_AT_ONCE: Final = 1024
"""The same for documents of which single values are sealed, and for those of which any number may be, with a
key of the gateway's. For a client, each value costs twenty times as much."""


class ResponseSealing:
    """Seals the response of one exchange."""

    __slots__ = ("_type", "rules")

    def __init__(self, rules: ResponseEncryption) -> None:
        self.rules = rules
        self._type: str | None = None

    def flaw_of(self, answer: ResponseHead) -> str | None:
        """Return why a response with this head cannot be encrypted; None when it can, as far as is known."""
        types: list[bytes] = []
        length: int | None = None
        for name, value in answer.lines:
            match name.lower():
                case b"content-type":
                    types.append(value)
                case b"content-length":
                    length = int(value)
                case b"content-encoding" if value.strip(b" \t").lower() not in (b"", b"identity"):
                    return "the response is compressed, although that was not asked for"
                case b"content-range":
                    return "the response is a part of a representation, although that was not asked for"
                case _:
                    pass
        if answer.status == _PARTIAL_CONTENT:
            return "the response is a part of a representation, although that was not asked for"
        if len(set(types)) > 1:
            return "the response has two media types"
        self._type = types[0].decode("latin-1") if types else None
        media = types[0].partition(b";")[0].strip(b" \t").lower() if types else b""
        if media == b"multipart/byteranges":
            return "the response is several parts of a representation, although that was not asked for"
        if media == b"text/event-stream":
            return "the response is a stream of events, which has no end"
        if length is not None and length > self.rules.largest:
            return self.too_long
        if self.rules.fields and (types or length) and not _is_json(media):
            return _NOT_JSON
        return None

    @property
    def too_long(self) -> str:
        """What is wrong with a response that is too long."""
        return f"the response has more than {self.rules.largest} bytes"

    def is_quick(self, body: bytes) -> bool:
        """Say whether sealing takes so little time that nobody notices."""
        fields = self.rules.fields
        if not fields:
            return len(body) <= _AT_ONCE
        if self.rules.key is None:
            return False
        each = any(_EVERY in steps for steps in fields)
        return len(body) <= (_EACH_AT_ONCE if each else _FIELDS_AT_ONCE)

    def seal(self, key: CryptoKey | RecipientKey, answer: ResponseHead, body: bytes) -> bytes:
        """Return a body as the client gets it. Raise `NotReplaceable`."""
        if self._keeps(answer, body):
            return body
        if not self.rules.fields:
            return key.seal_jwe(body, content_type=self._type)
        if self._type is None:
            raise NotReplaceable(_NOT_JSON)
        return replace_values(body, self.rules.fields, partial(_sealed_value, key))

    def lines(self, lines: Sequence[Line], sealed: bytes | None) -> list[Line]:
        """Return the header lines for the client; without a body (None) they are those of a HEAD, a 204 or a
        304, and of no length: it would not be that of the response to a GET (RFC 9110 section 8.6)."""
        dropped = _ABOUT_PLAINTEXT
        # A message has a header: what is empty is what `seal` kept.
        becomes_jose = bool(sealed) and not self.rules.fields
        if becomes_jose:
            dropped |= {b"content-type"}
        if self.rules.key is None:
            dropped |= {b"cache-control"}
        kept = [line for line in lines if line[0].lower() not in dropped]
        if becomes_jose:
            kept.append(_JOSE)
        if self.rules.key is None:
            kept.append(_NO_STORE)
        if sealed is not None:
            kept.append((b"Content-Length", b"%d" % len(sealed)))
        return kept

    def interim(self, lines: Sequence[Line]) -> list[Line]:
        """Return the lines of an interim response for the client: what it says of the plaintext would be said
        all the same."""
        return [line for line in lines if line[0].lower() not in _ABOUT_PLAINTEXT]

    def _keeps(self, answer: ResponseHead, body: bytes) -> bool:
        """Say whether a body stays as it is: a 205 has no content (RFC 9110 section 15.3.6), and what is
        nothing and claims to be nothing has no fields."""
        if body:
            return False
        return answer.status == _RESET_CONTENT or (bool(self.rules.fields) and self._type is None)


def _sealed_value(key: CryptoKey | RecipientKey, value: bytes) -> bytes:
    return b'{"$enc":"%b"}' % key.seal_jwe(value, content_type="application/json")


def _is_json(media: bytes) -> bool:
    return media == b"application/json" or media.endswith(b"+json")
