"""What the parser's complaints mean for a client: a reason, and for the operator which rule was broken.

Nothing of what was sent goes on from here: the parser's texts quote the line, and a line may carry a token.
"""

from typing import Final

from aiohttp.http_exceptions import BadHttpMethod, BadStatusLine, InvalidHeader, InvalidURLError, LineTooLong

from gateway.model import Reason

_TOKEN: Final = frozenset("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
"""What a method may be made of (RFC 9110 section 5.6.2)."""

_VERSION: Final = "Bad status line:\n  Invalid HTTP version:"

Flaw = tuple[Reason, str]
"""Why a request is refused, and what the record says besides."""

MALFORMED: Final[Flaw] = (Reason.MALFORMED_REQUEST, "the request is not HTTP/1.1")
TOO_SLOW: Final[Flaw] = (Reason.REQUEST_TIMEOUT, "the head did not arrive in time")
HEAD_TOO_LARGE: Final[Flaw] = (Reason.HEADERS_TOO_LARGE, "the head is too large")
TOO_MANY: Final[Flaw] = (Reason.OVERLOADED, "too many connections")
TOO_MANY_OF_ADDRESS: Final[Flaw] = (Reason.OVERLOADED, "too many connections from this address")


def flaw_of(error: Exception, *, longest_target: int) -> Flaw:
    """Return what is wrong with a head that the parser gave up on. `longest_target` is the parser's limit for
    targets; the one for fields must differ."""
    match error:
        case LineTooLong(args=(_, limit, *_)):
            if limit == longest_target:
                return Reason.URI_TOO_LONG, "the target is too long"
            return HEAD_TOO_LARGE
        case BadHttpMethod():
            if _is_a_method(error.message):
                return Reason.NOT_IMPLEMENTED, "an unknown method"
            return MALFORMED
        case BadStatusLine() if error.message.startswith(_VERSION):
            return Reason.HTTP_VERSION, "an unknown version"
        case InvalidURLError() if error.message.startswith("Invalid char in url "):
            return Reason.AMBIGUOUS_PATH, "the target contains a byte outside 0x21-0x7E"
        case InvalidURLError():
            return Reason.MALFORMED_REQUEST, "the target is malformed"
        case InvalidHeader():
            return Reason.MALFORMED_REQUEST, "a field is malformed"
        case _:
            message = getattr(error, "message", "")
            if message == "Too many headers received":
                return Reason.HEADERS_TOO_LARGE, "too many fields"
            if message.startswith("Pause on PRI/Upgrade:"):
                return Reason.HTTP_VERSION, "the preface of HTTP/2"
            return MALFORMED


def _is_a_method(complaint: str) -> bool:
    """Say whether the parser stumbled over a letter of an unknown method, or over what no method has.

    It shows the line, and below it an arrow at the first byte that it did not expect. That byte alone counts,
    so that the answer does not depend on how much of the line has arrived.
    """
    lines = complaint.split("\n")
    if len(lines) < 3:  # noqa: PLR2004 - what is wrong, the line, the arrow
        return False
    line, arrow = lines[-2], len(lines[-1]) - 1
    # The line is shown in quotes. An arrow below the last one means that it has ended already.
    return arrow < len(line) - 1 and line[arrow] in _TOKEN
