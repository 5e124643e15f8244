"""The public keys that clients have registered, as one process knows them."""

from collections import OrderedDict
from typing import Final

import structlog

from gateway.crypto.jwk import JwkRefused
from gateway.crypto.jws import JwsMalformed, read_json_object
from gateway.crypto.recipient import RecipientKey, read_recipient
from gateway.ports import Change, ClientStore

MOST_KEYS: Final = 10_000
MOST_WITHOUT: Final = 10_000

_log: structlog.typing.FilteringBoundLogger = structlog.get_logger("gateway.crypto")


class Recipients:
    """The keys of clients by client id. Those that were used last are kept, until `notice` says that they are
    others. Clients without a key are kept apart, so that they cannot make keys be forgotten.
    """

    def __init__(self, clients: ClientStore) -> None:
        self._clients = clients
        self._keys: OrderedDict[str, RecipientKey] = OrderedDict()
        self._without: OrderedDict[str, None] = OrderedDict()
        self._changes = 0

    def __repr__(self) -> str:
        return f"Recipients(keys={len(self._keys)}, without={len(self._without)})"

    async def find(self, client_id: str) -> RecipientKey | None:
        """Return the key of a client; None when there is no such client, or it has ended, or has registered
        none. Raise `StoreUnavailable`."""
        known = self._keys.get(client_id)
        if known is not None:
            self._keys.move_to_end(client_id)
            return known
        if client_id in self._without:
            self._without.move_to_end(client_id)
            return None
        changes = self._changes
        key = await self._read(client_id)
        # What was read while something changed may be what it was before.
        if changes == self._changes:
            self._keep(client_id, key)
        return key

    def notice(self, change: Change) -> None:
        """Forget the key of the client that changed, or all when it names none: what to subscribe with to the
        change feed, for the keys of clients and for clients."""
        self._changes += 1
        for known in (self._keys, self._without):
            if change.subject:
                known.pop(change.subject, None)
            else:
                known.clear()

    async def _read(self, client_id: str) -> RecipientKey | None:
        client = await self._clients.find(client_id)
        if client is None or client.jwk is None or client.revoked_at is not None:
            return None
        try:
            return read_recipient(read_json_object(client.jwk.encode()))
        except (JwsMalformed, JwkRefused, UnicodeEncodeError) as fault:
            _log.error("client_key.unusable", client=client_id, detail=str(fault))
            return None

    def _keep(self, client_id: str, key: RecipientKey | None) -> None:
        if key is not None:
            self._keys[client_id] = key
            if len(self._keys) > MOST_KEYS:
                self._keys.popitem(last=False)
            return
        self._without[client_id] = None
        if len(self._without) > MOST_WITHOUT:
            self._without.popitem(last=False)
