"""The published keys of an issuer (RFC 7517 section 5), each found by the names that its tokens give it."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from gateway.crypto import JwkRefused, JwsMalformed, VerifyingKey, read_json_object, read_jwk

MOST_KEYS = 100


class KeySetRefused(ValueError):
    """The text is no set of keys that anything could be verified with. The message says why."""


class KeySet:
    """Keys by name and algorithm. Two sets are equal when they verify the same tokens."""

    __slots__ = ("_by_name", "_content", "_kids", "_thumbprints", "_unnamed")

    def __init__(self, keys: Sequence[VerifyingKey]) -> None:
        by_name: dict[tuple[str, str], VerifyingKey] = {}
        for key in keys:
            if key.kid is not None:
                by_name.setdefault((key.kid, key.algorithm), key)
        # A token that names no key is checked with the only one that it can mean.
        unnamed: dict[str, VerifyingKey | None] = {}
        for key in keys:
            unnamed[key.algorithm] = None if key.algorithm in unnamed else key
        self._by_name: Mapping[tuple[str, str], VerifyingKey] = MappingProxyType(by_name)
        self._unnamed: Mapping[str, VerifyingKey | None] = MappingProxyType(unnamed)
        self._kids = frozenset(kid for kid, _ in by_name)
        used = [*by_name.values(), *(key for key in unnamed.values() if key is not None)]
        self._thumbprints = frozenset(key.thumbprint for key in used)
        self._content = frozenset((key.kid, key.algorithm, key.thumbprint) for key in used)

    def __repr__(self) -> str:
        return f"KeySet({self.names})"

    @property
    def names(self) -> list[str]:
        """The `kid` of each key that has one, sorted."""
        return sorted(self._kids)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, KeySet) and self._content == other._content

    def __hash__(self) -> int:
        return hash(self._content)

    def find(self, kid: str | None, algorithm: str) -> VerifyingKey | None:
        """Return the key that a token means by this name and algorithm; None when there is none, or when it
        names none and could mean several."""
        return self._unnamed.get(algorithm) if kid is None else self._by_name.get((kid, algorithm))

    def knows(self, kid: str) -> bool:
        """Say whether a key has this name, by whatever algorithm."""
        return kid in self._kids

    def holds(self, thumbprint: str) -> bool:
        """Say whether the key of this thumbprint (RFC 7638) is among them."""
        return thumbprint in self._thumbprints


def read_key_set(body: bytes, *, algorithms: Sequence[str]) -> KeySet:
    """Return the keys of a JSON Web Key Set that verify one of these algorithms.

    Raise `KeySetRefused` when there is none. Keys that are not understood, or are for something else, are
    passed over (RFC 7517 section 5).
    """
    try:
        members = read_json_object(body).get("keys")
    except JwsMalformed as flaw:
        raise KeySetRefused(f"the key set cannot be read: {flaw}") from None
    if not isinstance(members, list):
        raise KeySetRefused("the key set has no list of keys")
    if len(members) > MOST_KEYS:
        raise KeySetRefused(f"the key set has more than {MOST_KEYS} keys")
    keys: list[VerifyingKey] = []
    reasons: list[str] = []
    for each in members:
        try:
            keys.append(read_jwk(each if isinstance(each, dict) else {}, algorithms=algorithms))
        except JwkRefused as refused:
            reasons.append(str(refused))
    if not keys:
        reason = f"of the first, {reasons[0]}" if reasons else "it is empty"
        raise KeySetRefused(f"the key set has no key for {', '.join(algorithms)}: {reason}")
    return KeySet(keys)
