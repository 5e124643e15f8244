"""The roots: random values that all keys at rest follow from, and that the master secret opens.

There is one for each generation. A change of the master secret makes another generation; those before it
stay, for what was made under them. In an installation from before there were roots, the master secret of that
time is the first.
"""

import secrets
from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType
from typing import Final

import orjson
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gateway.crypto.base64url import decode_base64url, encode_base64url
from gateway.crypto.secret import MasterSecret, SecretUnusable, derived

FIRST: Final = 1
"""The generation of what must be found again, whatever the master secret is: hashes of names, above all."""
MOST: Final = 255
"""Generations: what is sealed names its own in one byte."""
ROOT_BYTES: Final = 32
_VERSION: Final = b"\x01"
_HEAD: Final = 2
"""Bytes: the version of the form, and the newest generation."""
_NONCE_BYTES: Final = 12
_HEAD_AND_NONCE: Final = _HEAD + _NONCE_BYTES
_PURPOSE: Final = "root-keys"


class Roots:
    """The roots that a process knows. They only ever become more, and all who use them see that at once."""

    __slots__ = ("_refresh", "current", "generations")

    def __init__(self, generations: Mapping[int, bytes]) -> None:
        """`generations` are numbered from 1 on, without a gap. Raise `ValueError` for others."""
        if not 0 < len(generations) <= MOST or set(generations) != set(range(1, len(generations) + 1)):
            raise ValueError("the generations of roots are numbered from 1 on")
        self.current = len(generations)
        """The generation that new things are made under: the newest, once all processes know it."""
        self.generations: Mapping[int, bytes] = MappingProxyType(dict(generations))
        """The roots by generation."""
        self._refresh: Callable[[], Awaitable[None]] | None = None

    def __repr__(self) -> str:
        return f"Roots(newest={self.newest}, current={self.current})"

    @classmethod
    def new(cls) -> "Roots":
        """Return those of a new installation."""
        return cls({FIRST: secrets.token_bytes(ROOT_BYTES)})

    @classmethod
    def of(cls, secret: MasterSecret) -> "Roots":
        """Return those of an installation from before there were roots: its master secret is the only one."""
        return cls({FIRST: secret.value})

    @classmethod
    def opened(cls, sealed: bytes, secret: MasterSecret) -> "Roots":
        """Return the roots that were `sealed` with this master secret. Raise `SecretUnusable`."""
        head, nonce, ciphertext = sealed[:_HEAD], sealed[_HEAD:_HEAD_AND_NONCE], sealed[_HEAD_AND_NONCE:]
        try:
            plain = AESGCM(secret.derive(_PURPOSE)).decrypt(nonce, ciphertext, head + secret.check_value())
            members = orjson.loads(plain)
            return cls({int(number): decode_base64url(root.encode()) for number, root in members.items()})
        except (InvalidTag, ValueError):
            raise SecretUnusable(
                "the root keys in the database were changed, and do not open any more: restore the table "
                "root_keys from a backup"
            ) from None

    def sealed(self, secret: MasterSecret) -> bytes:
        """Return all of them as a database keeps them; they open with this master secret only."""
        members = {str(number): encode_base64url(root) for number, root in self.generations.items()}
        head, nonce = _VERSION + self.newest.to_bytes(), secrets.token_bytes(_NONCE_BYTES)
        cipher = AESGCM(secret.derive(_PURPOSE))
        return head + nonce + cipher.encrypt(nonce, orjson.dumps(members), head + secret.check_value())

    @property
    def newest(self) -> int:
        """The newest generation that is known."""
        return len(self.generations)

    def derive(self, purpose: str, generation: int = FIRST) -> bytes:
        """Return the 32-byte key of one purpose and generation. Raise `KeyError` for one not known."""
        return derived(self.generations[generation], purpose)

    def keys_for(self, purpose: str) -> "DerivedKeys":
        """Return the keys of one purpose, of all generations, those to come too."""
        return DerivedKeys(self, purpose)

    def with_next(self) -> "Roots":
        """Return these and one more. Raise `SecretUnusable` when there are as many as there can be."""
        if self.newest == MOST:
            raise SecretUnusable(
                f"the master secret was changed {MOST - 1} times, which is as often as it can be"
            )
        return Roots({**self.generations, self.newest + 1: secrets.token_bytes(ROOT_BYTES)})

    def learn(self, other: "Roots") -> bool:
        """Know the generations that another knows; say whether that are more. `current` stays.

        Raise `ValueError` when the others are not the same ones and more: the database is not the one that it
        was.
        """
        theirs = other.generations
        if any(theirs.get(number, root) != root for number, root in self.generations.items()):
            raise ValueError("the root keys in the database are another installation's")
        if other.newest <= self.newest:
            return False
        self.generations = theirs
        return True

    def turn(self) -> None:
        """Make what is new under the newest generation from here on."""
        self.current = self.newest

    def refresh_with(self, refresh: Callable[[], Awaitable[None]]) -> None:
        """Have this called when a generation is met that is not known; it may raise `StoreUnavailable`."""
        self._refresh = refresh

    async def refresh(self) -> None:
        """Learn of generations that others made, where there is a place to look. Raise `StoreUnavailable`."""
        if self._refresh is not None:
            await self._refresh()

    async def ready_for(self, generation: int) -> None:
        """Return when a generation is known, or nobody knows it. Raise `StoreUnavailable` when that cannot be
        found out."""
        if generation > self.newest:
            await self.refresh()


def newest_in(sealed: bytes) -> int:
    """Return the newest generation in sealed roots, whoever can open them; 0 for what is none."""
    return sealed[1] if sealed[:1] == _VERSION and len(sealed) > _HEAD_AND_NONCE else 0


class DerivedKeys:
    """The keys of one purpose: one for each generation."""

    __slots__ = ("_keys", "_purpose", "roots")

    def __init__(self, roots: Roots, purpose: str) -> None:
        self.roots = roots
        self._purpose = purpose
        self._keys: dict[int, bytes] = {}

    @property
    def current(self) -> int:
        """The generation that new things are made under."""
        return self.roots.current

    def __getitem__(self, generation: int) -> bytes:
        """Return the key of a generation. Raise `KeyError` when that is not known."""
        key = self._keys.get(generation)
        if key is None:
            key = self._keys[generation] = self.roots.derive(self._purpose, generation)
        return key

    def __contains__(self, generation: int) -> bool:
        return FIRST <= generation <= self.roots.newest

    async def ready_for(self, generation: int) -> None:
        """As `Roots.ready_for`."""
        await self.roots.ready_for(generation)
