"""What an authenticator has found out about tokens, so that it is not found out again on each request.

It goes by the digest of the whole field: no token is kept, and nothing is taken for another. It saves work
and decides nothing else: whether a good token is still good is asked by whoever has kept it.
"""

from collections import OrderedDict
from typing import Final, Generic, TypeVar

from gateway.identity.base import FOREIGN, Foreign

MOST_TOKENS: Final = 10_000
MOST_CHARACTERS: Final = 16 * 2**20
"""Of all good tokens together: what they say takes several times as much."""

Verified = TypeVar("Verified")


class TokenMemory(Generic[Verified]):
    """Good tokens with what they say, and tokens that are another issuer's. Those that were used last stay.

    Tokens of others are kept apart: anybody can write one, and must not make good ones be forgotten.
    """

    def __init__(self) -> None:
        self._good: OrderedDict[bytes, tuple[Verified, int]] = OrderedDict()
        self._characters = 0
        self._foreign: OrderedDict[bytes, None] = OrderedDict()

    def __repr__(self) -> str:
        return f"TokenMemory(good={len(self._good)}, foreign={len(self._foreign)})"

    def find(self, digest: bytes) -> Verified | Foreign | None:
        """Return what is known of a token; None: nothing."""
        known = self._good.get(digest)
        if known is not None:
            self._good.move_to_end(digest)
            return known[0]
        return FOREIGN if digest in self._foreign else None

    def keep(self, digest: bytes, verified: Verified, *, length: int) -> None:
        """Keep what a good token of so many characters says."""
        self._drop(digest)
        self._good[digest] = verified, length
        self._characters += length
        while len(self._good) > MOST_TOKENS or self._characters > MOST_CHARACTERS:
            self._drop(next(iter(self._good)))

    def keep_foreign(self, digest: bytes) -> None:
        """Keep that a token is another issuer's, which nothing changes."""
        self._foreign[digest] = None
        if len(self._foreign) > MOST_TOKENS:
            self._foreign.popitem(last=False)

    def forget_good(self) -> None:
        """Forget what was verified: by other keys it may be worth nothing."""
        self._good.clear()
        self._characters = 0

    def _drop(self, digest: bytes) -> None:
        known = self._good.pop(digest, None)
        if known is not None:
            self._characters -= known[1]
