"""What an upstream is asked when something of the exchange is encrypted. Pure: no socket, no key."""

import re
from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from gateway.model import Fields, Framing, Line, RequestHead
from gateway.proxy.headers import nominated, spelling

_WORD: Final = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_QUOTED: Final = r'"(?:[\t !#-\[\]-~]|\\[\t -~])*"'
# A blank behind a semicolon belongs to the parameter that follows, or else to what comes next: there is one
# way to read it, and so nothing to try again.
_MEDIA_TYPE: Final = re.compile(rf"{_WORD}/{_WORD}(?:[ \t]*;(?:[ \t]*{_WORD}=(?:{_WORD}|{_QUOTED}))?)*")
BODILESS: Final = frozenset({"GET", "HEAD", "DELETE", "OPTIONS"})
"""Methods whose requests may come without a body where bodies are encrypted."""

_PARTIAL: Final = frozenset({b"accept-encoding", b"if-range", b"range", b"te"})
"""Fields that ask for parts of a representation, for another form of it, or for what comes behind it."""
_ABOUT_BODY: Final = frozenset(
    {
        b"content-digest",
        b"content-encoding",
        b"content-length",
        b"content-md5",
        b"content-type",
        b"digest",
        b"expect",
        b"repr-digest",
        b"trailer",
    }
)
"""Fields that describe the body that the client sends, or how it is sent."""


def asking_for_all(head: RequestHead) -> RequestHead:
    """Return a request that asks for all of a representation, as it is: nothing else can be encrypted."""
    return _with_lines(head, _PARTIAL, [(b"Accept-Encoding", b"identity")])


def with_body(head: RequestHead, length: int, content_type: str | None) -> RequestHead:
    """Return a request whose body has another length and this type, which has no slash when it begins with
    `application/` (RFC 7515 section 4.1.10). What is no media type then (RFC 9110 section 8.3.1) is left
    out: the upstream need not guess what it might be."""
    added: list[Line] = []
    if content_type is not None:
        full = content_type if "/" in content_type else f"application/{content_type}"
        if _MEDIA_TYPE.fullmatch(full):
            added.append((b"Content-Type", full.encode("ascii")))
    changed = _with_lines(head, _ABOUT_BODY, added)
    return replace(changed, framing=Framing.LENGTH, content_length=length)


def without_body(head: RequestHead) -> RequestHead:
    """Return a request without a body."""
    return replace(_with_lines(head, _ABOUT_BODY, ()), framing=Framing.NONE, content_length=None)


def _with_lines(head: RequestHead, dropped: frozenset[bytes], added: Iterable[Line]) -> RequestHead:
    """Return a request without some fields, in any spelling, and with lines of ours, which `Connection`
    cannot take away: what it nominates goes first."""
    fields = head.fields
    # Of TE, and not of its nomination, it is told later whether trailers may come.
    hop = nominated(fields.all(b"connection")) - {b"te"}
    kept = [
        line
        for line in fields.lines
        if (name := line[0].lower()) != b"connection" and name not in hop and spelling(name) not in dropped
    ]
    return replace(head, fields=Fields([*kept, *added]))
