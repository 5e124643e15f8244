"""The request target that an upstream gets: the one that was decided on, byte for byte."""

import re

from gateway.model import RequestHead

_ORIGIN_FORM = re.compile(r"/[\x21\x22\x24-\x7e]*")


def request_target(head: RequestHead) -> bytes:
    """Return the origin-form target (RFC 9112 section 3.2.1).

    Nothing is decoded, resolved or re-quoted. Raises `ValueError` for a target that the edge should never
    have let through, because what follows a space or a line end would be read as something else.
    """
    if _ORIGIN_FORM.fullmatch(head.target) is None:
        raise ValueError("the request target is not in origin-form")
    return head.target.encode("ascii")
