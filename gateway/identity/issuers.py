"""All issuers whose tokens the gateway takes: their keys, kept by one work that runs beside the requests."""

import asyncio
from collections.abc import Mapping
from types import MappingProxyType

from gateway.identity.base import ExternalIssuer
from gateway.identity.issuer_keys import IssuerKeys
from gateway.ports import Clock, Pages


class Issuers:
    """The keys of every issuer, by the name of its authenticator."""

    def __init__(self, pages: Pages, clock: Clock) -> None:
        self._pages = pages
        self._clock = clock
        self._keys: dict[str, IssuerKeys] = {}

    def __repr__(self) -> str:
        return f"Issuers({sorted(self._keys)})"

    @property
    def keys(self) -> Mapping[str, IssuerKeys]:
        """What is followed, by the name of the authenticator."""
        return MappingProxyType(self._keys)

    def follow(self, name: str, external: ExternalIssuer) -> IssuerKeys:
        """Return the keys of an issuer, which `run` will fetch. To be called before it."""
        keys = self._keys[name] = IssuerKeys(
            external.issuer,
            address=external.jwks,
            algorithms=external.algorithms,
            pages=self._pages,
            clock=self._clock,
        )
        return keys

    def fault(self) -> str | None:
        """Say which issuers' keys could not be fetched the last time, and why; None when all could."""
        faults = [
            f"{name}: {keys.fault}" for name, keys in sorted(self._keys.items()) if keys.fault is not None
        ]
        return "; ".join(faults) or None

    async def run(self) -> None:
        """Keep the keys of all of them, for ever."""
        async with asyncio.TaskGroup() as group:
            for name, keys in self._keys.items():
                group.create_task(keys.follow(), name=f"keys of {name}")
