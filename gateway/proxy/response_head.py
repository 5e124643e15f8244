"""The heads and trailers of responses as the client gets them. Pure: no socket, no clock."""

from collections.abc import Sequence
from typing import Final

from gateway.config import ForwardRules
from gateway.model import Framing, Line
from gateway.proxy.headers import HOP_BY_HOP, Known, Patterns, is_claimed, nominated, settable, spelling
from gateway.proxy.response import ResponseHead

_DROP: Final = 0
_KEEP: Final = 1
_UPGRADE: Final = 2
_LENGTH: Final = 3
_TRAILER: Final = 4
_ALTERNATIVE: Final = 5

_SWITCHING: Final = 101
_NO_CONTENT: Final = 204
_UPGRADE_REQUIRED: Final = 426
_HTTP_1_1: Final = (1, 1)

# Looking up a member of an enum costs as much as ten of these (Python 3.11).
_CHUNKED: Final = Framing.CHUNKED

# RFC 9110 section 6.5.1: what frames or routes a message, says who may have it, how long it lasts or how it
# is to be read, has been acted on before a trailer comes.
_NO_TRAILERS: Final = HOP_BY_HOP | {
    b"age",
    b"alt-svc",
    b"authentication-info",
    b"authorization",
    b"cache-control",
    b"clear-site-data",
    b"content-disposition",
    b"content-encoding",
    b"content-length",
    b"content-location",
    b"content-range",
    b"content-type",
    b"cookie",
    b"cookie2",
    b"date",
    b"expect",
    b"expires",
    b"host",
    b"location",
    b"max-forwards",
    b"pragma",
    b"proxy-authentication-info",
    b"range",
    b"realm",
    b"retry-after",
    b"set-cookie",
    b"set-cookie2",
    b"strict-transport-security",
    b"vary",
    b"via",
    b"warning",
    b"www-authenticate",
}
_NO_TRAILER_PREFIXES: Final = (b"access-control-", b"content-security-policy", b"if-", b"ratelimit")


class ResponseHeads:
    """Translates the header lines of one upstream's responses."""

    def __init__(self, rules: ForwardRules) -> None:
        self._set = settable(rules.set_response_headers)
        self._set_names = frozenset(spelling(name) for name, _ in self._set)
        self._removed = Patterns(rules.remove_response_headers)
        self._known = Known()

    def translate(
        self,
        answer: ResponseHead,
        extra: Sequence[Line],
        *,
        version: tuple[int, int] = _HTTP_1_1,
    ) -> list[Line]:
        """Return the lines for a client of that HTTP version: the upstream's in order, less what belongs to
        its connection or is configured away, then `extra`, then what is configured to be set."""
        status, _, lines, _, hop = answer
        known = self._known
        kept: list[Line] = []
        for line in lines:
            name = line[0]
            verdict = known.get(name)
            if verdict is None:
                verdict = known.learn(name, self._judge(name))
            if verdict == _KEEP:
                if not (hop and name.lower() in hop):
                    kept.append(line)
            elif verdict == _LENGTH:
                # RFC 9110 section 8.6: "MUST NOT send ... in any response with a status code of 1xx ... or
                # 204".
                if status not in (_NO_CONTENT, _SWITCHING):
                    kept.append(line)
            elif verdict and _belongs(verdict, answer, version):
                kept.append(line)
        if extra:
            kept += extra
        # Nothing that is configured is part of the agreement on another protocol.
        if self._set and status != _SWITCHING:
            kept = [line for line in kept if spelling(line[0]) not in self._set_names]
            kept += self._set
        return kept

    def interim(self, lines: Sequence[Line]) -> list[Line]:
        """Return the lines of an interim response for the client. What is configured to be set belongs to
        the final one."""
        hop = nominated(value for name, value in lines if name.lower() == b"connection")
        return [
            line
            for line in lines
            if self._judge(line[0]) == _KEEP and (not hop or line[0].lower() not in hop)
        ]

    def trailers(self, lines: Sequence[Line], hop: frozenset[bytes]) -> list[Line]:
        """Return the trailers for the client: what may come as late as that, and is not the gateway's to say.

        `hop` are the names that the head's Connection nominated. Never merged into the head (RFC 9110
        section 6.5.1).
        """
        return [
            line
            for line in lines
            if self._judge(line[0]) == _KEEP
            and line[0].lower() not in hop
            and not _comes_too_late(spelling(line[0]))
            and spelling(line[0]) not in self._set_names
        ]

    def _judge(self, name: bytes) -> int:
        lower = name.lower()
        if lower == b"content-length":
            return _LENGTH
        if lower == b"upgrade":
            return _UPGRADE
        if lower == b"trailer":
            return _TRAILER
        if lower in HOP_BY_HOP or lower == b"x-request-id" or self._removed.match(spelling(name)):
            return _DROP
        return _ALTERNATIVE if lower == b"alt-svc" else _KEEP


def _belongs(verdict: int, answer: ResponseHead, version: tuple[int, int]) -> bool:
    """Say whether a line is kept that depends on more than its name."""
    if verdict == _UPGRADE:
        # RFC 9110 section 15.5.22: a 426 has to say what to upgrade to.
        return answer.status in (_UPGRADE_REQUIRED, _SWITCHING)
    if verdict == _TRAILER:
        return answer.framing is _CHUNKED and version == _HTTP_1_1
    # An alternative service is no alternative for a connection that has just been upgraded.
    return answer.status != _SWITCHING and b"alt-svc" not in answer.hop


def _comes_too_late(name: bytes) -> bool:
    return name in _NO_TRAILERS or name.startswith(_NO_TRAILER_PREFIXES) or is_claimed(name)
