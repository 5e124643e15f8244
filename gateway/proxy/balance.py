"""Which target is chosen for a request, of those that can be used.

All of them weigh: over many requests a target of weight 2 gets twice what one of weight 1 gets. None of them
chooses a target that is out, or that the caller passes over.
"""

import math
import random
from collections.abc import Callable, Collection, Sequence
from hashlib import blake2b
from typing import Final, Generic, Protocol, TypeVar

from gateway.config import Upstream
from gateway.model import Permit
from gateway.policy import Attribute, Facts

_CHOICE: Final = 2
"""Targets that it takes to have a choice."""


class Candidate(Protocol):
    """A target, as far as choosing goes."""

    name: str
    weight: int
    is_out: bool
    """Whether it is unhealthy or ejected."""

    @property
    def load(self) -> int:
        """Exchanges that it carries."""


C = TypeVar("C", bound=Candidate)
Key = Callable[[Permit], bytes | None]


class Balance(Protocol[C]):
    """A way to choose."""

    def turn(self, permit: Permit, passed_over: Collection[C] = (), /) -> C | None:
        """Return the target for a request, None when there is none."""


class RoundRobin(Generic[C]):
    """Deals turns so that of `sum(weights)` turns in a row each target gets its weight, spread evenly.

    Weights of 5, 1, 1 give `a a b a c a a`, not `a a a a a b c`: smooth weighted round robin, as nginx has
    it.
    """

    __slots__ = ("_candidates", "_credit")

    def __init__(self, candidates: Sequence[C]) -> None:
        self._candidates = tuple(candidates)
        self._credit = [0] * len(self._candidates)

    def __repr__(self) -> str:
        return f"RoundRobin({[one.name for one in self._candidates]}, credit={self._credit})"

    def turn(self, _permit: Permit, passed_over: Collection[C] = (), /) -> C | None:
        """Return the target whose turn it is."""
        best = -1
        total = 0
        credit = self._credit
        for index, one in enumerate(self._candidates):
            if one.is_out or one in passed_over:
                continue
            credit[index] += one.weight
            total += one.weight
            if best < 0 or credit[index] > credit[best]:
                best = index
        if best < 0:
            return None
        credit[best] -= total
        return self._candidates[best]

    def turn_among(self, permit: Permit, some: Collection[C]) -> C | None:
        """Return the one of some targets whose turn it is."""
        return self.turn(permit, [one for one in self._candidates if one not in some])


class LeastRequests(Generic[C]):
    """Chooses the target that carries least for its weight; among equals whose turn it is."""

    __slots__ = ("_candidates", "_turns")

    def __init__(self, candidates: Sequence[C]) -> None:
        self._candidates = tuple(candidates)
        self._turns = RoundRobin(candidates)

    def __repr__(self) -> str:
        return f"LeastRequests({[(one.name, one.load) for one in self._candidates]})"

    def turn(self, permit: Permit, passed_over: Collection[C] = (), /) -> C | None:
        """Return the target that carries least."""
        usable = [one for one in self._candidates if not one.is_out and one not in passed_over]
        if len(usable) < _CHOICE:
            return usable[0] if usable else None
        shares = [one.load / one.weight for one in usable]
        least = min(shares)
        best = [one for one, share in zip(usable, shares, strict=True) if share == least]
        return best[0] if len(best) == 1 else self._turns.turn_among(permit, best)


class RandomTwo(Generic[C]):
    """Draws two targets by weight and chooses the one that carries less for its weight.

    Nearly as even as `LeastRequests`, and many gateways that do not know of each other do not all choose the
    same target.
    """

    __slots__ = ("_candidates", "_chance")

    def __init__(self, candidates: Sequence[C], chance: random.Random | None = None) -> None:
        self._candidates = tuple(candidates)
        self._chance = chance or random.Random()  # noqa: S311 - spreads load, keeps no secret

    def __repr__(self) -> str:
        return f"RandomTwo({[(one.name, one.load) for one in self._candidates]})"

    def turn(self, _permit: Permit, passed_over: Collection[C] = (), /) -> C | None:
        """Return the better one of two."""
        usable = [one for one in self._candidates if not one.is_out and one not in passed_over]
        if len(usable) < _CHOICE:
            return usable[0] if usable else None
        total = sum(one.weight for one in usable)
        first = self._draw(usable, total)
        usable.remove(first)
        second = self._draw(usable, total - first.weight)
        return second if second.load * first.weight < first.load * second.weight else first

    def _draw(self, usable: Sequence[C], total: int) -> C:
        left = self._chance.random() * total
        for one in usable:
            left -= one.weight
            if left < 0:
                return one
        return usable[-1]


class Rendezvous(Generic[C]):
    """Chooses by a key: the same target for the same key, in every process, as long as it can be used.

    Weighted rendezvous hashing: each target draws a number from the key, and the largest wins. When a target
    goes, only its own keys move, to all others by weight; when one comes, it takes keys for itself only. A
    request without the key is dealt by turns.
    """

    __slots__ = ("_candidates", "_key", "_seeds", "_turns")

    def __init__(self, candidates: Sequence[C], key: Key) -> None:
        self._candidates = tuple(candidates)
        self._key = key
        self._seeds = [_hash(one.name.encode()) for one in self._candidates]
        self._turns = RoundRobin(candidates)

    def __repr__(self) -> str:
        return f"Rendezvous({[one.name for one in self._candidates]})"

    def turn(self, permit: Permit, passed_over: Collection[C] = (), /) -> C | None:
        """Return the target that the request's key belongs to."""
        key = self._key(permit)
        if key is None:
            return self._turns.turn(permit, passed_over)
        drawn = _hash(key)
        best: C | None = None
        most = 0.0
        for one, seed in zip(self._candidates, self._seeds, strict=True):
            if one.is_out or one in passed_over:
                continue
            # In (0, 1): the logarithm is below zero.
            score = -one.weight / math.log((_mix(drawn ^ seed) + 0.5) / _RANGE)
            if score > most:
                best, most = one, score
        return best


_RANGE: Final = 2.0**53


def _hash(data: bytes) -> int:
    return int.from_bytes(blake2b(data, digest_size=8).digest(), "big")


def _mix(number: int) -> int:
    """Return 53 bits in which every bit of a 64-bit number has its say (the finalizer of SplitMix64)."""
    number = ((number ^ number >> 30) * 0xBF58476D1CE4E5B9) & 0xFFFFFFFFFFFFFFFF
    number = ((number ^ number >> 27) * 0x94D049BB133111EB) & 0xFFFFFFFFFFFFFFFF
    return (number ^ number >> 31) >> 11


def key_by(attribute: Attribute) -> Key:
    """Return what reads an attribute of a request as bytes, None when it is missing."""

    def read(permit: Permit) -> bytes | None:
        value = attribute.read(Facts(permit.head, permit.params, permit.principal, permit.head.received))
        match value:
            case None:
                return None
            case str():
                text = value
            case frozenset():
                text = repr(sorted(value))
            case _:
                # A claim may be whatever JSON has.
                text = repr(value)
        return text.encode("utf-8", "surrogatepass")

    return read


def balance_of(upstream: Upstream, candidates: Sequence[C]) -> Balance[C]:
    """Return the way to choose that an upstream's configuration names."""
    match upstream.balance:
        case "round_robin":
            return RoundRobin(candidates)
        case "least_requests":
            return LeastRequests(candidates)
        case "random_two":
            return RandomTwo(candidates)
        case "hash":
            if upstream.hash_by is None:
                raise ValueError(f"{upstream.id}: `hash` needs something to choose by")
            return Rendezvous(candidates, key_by(upstream.hash_by))
