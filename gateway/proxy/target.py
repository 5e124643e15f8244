"""The request target that an upstream gets: the one that was decided on, byte for byte, but for a configured
rewrite."""

import re
from typing import Final
from urllib.parse import unquote

from gateway.config import Rewrite
from gateway.model import RequestHead

_ORIGIN_FORM = re.compile(r"/[\x21\x22\x24-\x7e]*")
_NO_SEGMENTS: Final[tuple[str, ...]] = ()


class Rewriter:
    """Changes the path of requests of one upstream. The query is never touched."""

    __slots__ = ("_added", "_stripped")

    def __init__(self, rules: Rewrite) -> None:
        prefix = rules.strip_prefix
        self._stripped = tuple(map(unquote, prefix[1:].split("/"))) if prefix else _NO_SEGMENTS
        self._added = rules.add_prefix

    def path(self, head: RequestHead) -> str:
        """Return the path that the upstream gets.

        The prefix is compared by segments, decoded as those were that the route was found by: however a
        client spells it, what is decided on as below the prefix loses it.
        """
        path, count = head.path, len(self._stripped)
        if count and head.segments[:count] == self._stripped:
            cut = 0
            for _ in range(count):
                cut = path.find("/", cut + 1)
            path = path[cut:] if cut > 0 else ""
        if not self._added:
            return path or "/"
        return self._added + path


def request_target(head: RequestHead, rewriter: Rewriter | None = None) -> bytes:
    """Return the origin-form target (RFC 9112 section 3.2.1).

    Nothing is decoded, resolved or re-quoted. Raises `ValueError` for a target that the edge should never
    have let through, because what follows a space or a line end would be read as something else.
    """
    target = head.target
    if rewriter is not None and target != "*":
        target = rewriter.path(head)
        if head.query is not None:
            target = f"{target}?{head.query}"
    if _ORIGIN_FORM.fullmatch(target) is None:
        raise ValueError("the request target is not in origin-form")
    return target.encode("ascii")
