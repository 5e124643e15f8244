"""What goes wrong with Redis, and the words of its replies that say so."""

import re
from typing import Final, TypeAlias

from gateway.ports import StoreUnavailable

_CODE: Final = re.compile(r"[A-Z][A-Z0-9_]{1,31}(?= |$)")
# Before version 7 an error inside a script arrives wrapped in one of its own.
_IN_SCRIPT: Final = re.compile(r"ERR Error running script .*?-(READONLY|MASTERDOWN|OOM|MISCONF|NOPERM)\b")


class RedisUnusable(StoreUnavailable):
    """Redis cannot be used as it is: waiting does not help, an operator has to act."""


class Refused(StoreUnavailable):
    """Redis answered a command with an error. It was not executed, or not completely."""

    def __init__(self, place: str, code: str) -> None:
        super().__init__(f"{place}: refused with {code}")
        self.code = code
        """The first word of the error (`OOM`, `NOPERM`). Its text is dropped: it may quote keys."""


class ErrorReply:
    """An error as it stands in a reply: its first word, because the rest may quote keys."""

    __slots__ = ("code",)

    def __init__(self, text: str) -> None:
        self.code: Final = _code(text)

    def __repr__(self) -> str:
        return f"ErrorReply({self.code!r})"


Reply: TypeAlias = int | bytes | list["Reply"] | ErrorReply | None
"""A reply of RESP2. A command that was answered with an error raises instead; inside an array, errors are
values."""


def _code(text: str) -> str:
    if text.startswith("ERR max number of clients"):
        return "MAXCLIENTS"
    inner = _IN_SCRIPT.match(text)
    if inner is not None:
        return inner[1]
    found = _CODE.match(text)
    return "ERR" if found is None else found[0]
