"""Authenticator: API keys of the gateway, in a header field of their own."""

import asyncio
import hmac
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import ClassVar

from gateway.identity.base import ABSENT, Answer, Authenticator, Rejected
from gateway.identity.key_text import PresentedKey, parse_api_key
from gateway.identity.key_uses import KeyUses
from gateway.model import Principal, PrincipalKind, RequestHead
from gateway.model.address import is_within
from gateway.ports import ApiKey, ApiKeyStore, Clock, KeySecret, Revocations, StoreUnavailable

CACHED_KEYS = 10_000
CACHED_UNKNOWN = 10_000
CACHE_SECONDS = 1.0
"""What the store said is asked again after this long, whatever the change feed says."""
LOOKUPS_AT_ONCE = 16
LOOKUP_SECONDS = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Known:
    """What the store said about an id. `key` is None when there is no such key."""

    key: ApiKey | None
    principals: Mapping[bytes, Principal] = field(repr=False)
    """By the hash of the secret that they show."""
    networks: tuple[IPv4Network | IPv6Network, ...]
    """Where the key may be used from; empty: anywhere."""
    changes: int
    """Of the revocations, before the store was asked."""
    until: float
    """On the monotonic clock."""


class ApiKeyAuthenticator(Authenticator):
    """Keys that operators issue, in the field that the policy names.

    The store is asked at most once a second for each key, and by at most 16 requests at a time, whatever is
    sent. Unknown ids are remembered apart from good keys, so that a flood of them pushes none out.
    """

    kind: ClassVar[str] = "api_key"

    def __init__(
        self,
        name: str,
        *,
        header: str,
        store: ApiKeyStore,
        uses: KeyUses,
        revocations: Revocations,
        clock: Clock,
    ) -> None:
        self.name = name
        self._header = header
        self._field = header.lower().encode("ascii")
        self.fields = frozenset({self._field})
        self._store = store
        self._note_use = uses.note
        self._revocations = revocations
        self._now = clock.now
        self._monotonic = clock.monotonic
        self._good: OrderedDict[str, _Known] = OrderedDict()
        self._unknown: OrderedDict[str, _Known] = OrderedDict()
        self._turns = [asyncio.Lock() for _ in range(LOOKUPS_AT_ONCE)]

    async def identify(self, head: RequestHead) -> Answer:
        """Say who sent this. Raise `StoreUnavailable` when the store cannot answer."""
        values = head.fields.all(self._field)
        if not values:
            return ABSENT
        if len(values) > 1:
            return Rejected(f"{self._header} occurs more than once", malformed=True)
        presented = parse_api_key(values[0])
        if presented is None:
            return Rejected("not the form of a key")
        known = self._remembered(presented.id) or await self._look_up(presented.id)
        key = known.key
        if key is None:
            return Rejected("no such key")
        now = self._now()
        secret = _shown(presented, key)
        if secret is None:
            return Rejected(f"the secret of {key.id} is wrong")
        if key.expires_at is not None and now >= key.expires_at:
            return Rejected(f"{key.id} has expired", subject=key.owner_id)
        if _has_ended(secret, now):
            return _replaced(key)
        if known.networks and not is_within(head.client, known.networks):
            # Whoever stole it learns nothing of where it would be good.
            return Rejected(f"{key.id} may not be used from this address", subject=key.owner_id)
        if (revoked := _revoked(key)) is not None:
            return revoked
        self._note_use(key.id, now)
        return known.principals[secret.hash]

    async def reconsider(self, principal: Principal) -> Principal | Rejected:
        """Say what a key may do by now, or that it was revoked, or the secret that was shown replaced. Raise
        `StoreUnavailable` when the store cannot answer."""
        known = self._remembered(principal.id) or await self._look_up(principal.id)
        key = known.key
        if key is None:
            return Rejected("no such key")
        if (revoked := _revoked(key)) is not None:
            return revoked
        secret = next((one for one in key.secrets if one.hash == principal.secret_hash), None)
        if secret is None or _has_ended(secret, self._now()):
            return _replaced(key)
        return known.principals[secret.hash]

    def challenge(self, *, rejected: bool) -> str:  # noqa: ARG002 - there is nothing to add about a bad key
        """Return `ApiKey realm="gateway", header="x-api-key"`. No such scheme is registered; the form is that
        of RFC 9110 section 11.6.1, so that a client can find out which field is meant.
        """
        return f'ApiKey realm="gateway", header="{self._header}"'

    def _remembered(self, id: str) -> _Known | None:
        for cache in (self._good, self._unknown):
            known = cache.get(id)
            if known is not None:
                if known.until > self._monotonic() and known.changes == self._revocations.key_changes:
                    cache.move_to_end(id)
                    return known
                del cache[id]
        return None

    async def _look_up(self, id: str) -> _Known:
        try:
            async with asyncio.timeout(LOOKUP_SECONDS), self._turns[hash(id) % LOOKUPS_AT_ONCE]:
                return await self._ask(id)
        except TimeoutError:
            raise StoreUnavailable(f"the API keys did not answer within {LOOKUP_SECONDS:.0f} s") from None

    async def _ask(self, id: str) -> _Known:
        # Requests for one key wait for each other and find what the first one learned.
        remembered = self._remembered(id)
        if remembered is not None:
            return remembered
        # Both are read before the store is asked: an answer that was overtaken by a change, or that took
        # long, is old when it comes.
        changes = self._revocations.key_changes
        until = self._monotonic() + CACHE_SECONDS
        key = await self._store.find(id)
        known = _Known(
            key=key,
            principals={} if key is None else {one.hash: self._principal(key, one) for one in key.secrets},
            networks=() if key is None else tuple(map(ip_network, key.networks)),
            changes=changes,
            until=until,
        )
        cache, size = (self._unknown, CACHED_UNKNOWN) if key is None else (self._good, CACHED_KEYS)
        cache[id] = known
        if len(cache) > size:
            cache.popitem(last=False)
        return known

    def _principal(self, key: ApiKey, secret: KeySecret) -> Principal:
        return Principal(
            id=key.id,
            kind=PrincipalKind.API_KEY,
            name=key.name,
            authn=self.name,
            authn_kind=self.kind,
            roles=key.owner_roles,
            scope_limit=key.scopes,
            secret_hash=secret.hash,
            expires_at=key.expires_at,
            subject=key.owner_id,
        )


def _shown(presented: PresentedKey, key: ApiKey) -> KeySecret | None:
    """Return the secret of a key that was presented."""
    for secret in key.secrets:
        if hmac.compare_digest(presented.secret_hash, secret.hash):
            return secret
    return None


def _has_ended(secret: KeySecret, now: float) -> bool:
    return secret.expires_at is not None and now >= secret.expires_at


def _replaced(key: ApiKey) -> Rejected:
    return Rejected(f"this secret of {key.id} was replaced and has ended", subject=key.owner_id)


def _revoked(key: ApiKey) -> Rejected | None:
    if key.revoked_at is not None:
        return Rejected(f"{key.id} is revoked", subject=key.owner_id)
    if key.owner_active:
        return None
    return Rejected(f"the owner of {key.id} is disabled", subject=key.owner_id)
