"""The head of a response as the client gets it. Pure: no socket, no clock."""

from collections.abc import Sequence
from typing import Final

from gateway.config import ForwardRules
from gateway.model import Line
from gateway.proxy.headers import HOP_BY_HOP, Known, Patterns, settable, spelling

_DROP: Final = 0
_KEEP: Final = 1
_UPGRADE: Final = 2
_LENGTH: Final = 3

_NO_CONTENT: Final = 204
_UPGRADE_REQUIRED: Final = 426


class ResponseHeads:
    """Translates the header lines of one upstream's responses."""

    def __init__(self, rules: ForwardRules) -> None:
        self._set = settable(rules.set_response_headers)
        self._set_names = frozenset(spelling(name) for name, _ in self._set)
        self._removed = Patterns(rules.remove_response_headers)
        self._known = Known()

    def translate(
        self, status: int, lines: Sequence[Line], hop: frozenset[bytes], extra: Sequence[Line]
    ) -> list[Line]:
        """Return the lines for the client: the upstream's in order, less what belongs to its connection
        (`hop`: the names its `Connection` field nominates) or is configured away, then `extra`, then what
        is configured to be set."""
        known = self._known
        kept: list[Line] = []
        for line in lines:
            name = line[0]
            verdict = known.get(name)
            if verdict is None:
                verdict = known.learn(name, self._judge(name))
            if (
                (verdict == _KEEP and not (hop and name.lower() in hop))
                # RFC 9110 section 15.5.22: a 426 has to say what to upgrade to.
                or (verdict == _UPGRADE and status == _UPGRADE_REQUIRED)
                # RFC 9110 section 8.6: "MUST NOT send ... in any response with a status code of ... 204".
                or (verdict == _LENGTH and status != _NO_CONTENT)
            ):
                kept.append(line)
        if extra:
            kept += extra
        if self._set:
            kept = [line for line in kept if spelling(line[0]) not in self._set_names]
            kept += self._set
        return kept

    def _judge(self, name: bytes) -> int:
        lower = name.lower()
        if lower == b"content-length":
            return _LENGTH
        if lower == b"upgrade":
            return _UPGRADE
        if lower in HOP_BY_HOP or lower == b"x-request-id" or self._removed.match(spelling(name)):
            return _DROP
        return _KEEP
