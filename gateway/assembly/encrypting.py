"""Everything by which a process encrypts and decrypts, put together: its keys, and those of clients."""

from collections.abc import Coroutine, Mapping
from dataclasses import dataclass

from gateway.assembly.stores import Stores
from gateway.config import Snapshot
from gateway.crypto import CryptoKeys, Recipients
from gateway.observability import log
from gateway.operations import Messages
from gateway.ports import ChangeKind
from gateway.stores.memory import FollowedRevocations


@dataclass(frozen=True, slots=True, kw_only=True)
class Encrypting:
    """What encrypts and decrypts, and what keeps it true."""

    keys: CryptoKeys
    recipients: Recipients
    messages: Messages

    def works(self) -> Mapping[str, Coroutine[None, None, None]]:
        """Return what is to run for as long as the gateway does, by name."""
        return {"crypto_keys": self.keys.follow(), "crypto_messages": self.messages.keep_young()}

    def fault(self, snapshot: Snapshot) -> str | None:
        """Say which keys that the policy names cannot be used at the moment, None when all can."""
        missing = self._missing(snapshot)
        if not missing:
            return None
        return f"encryption keys that the policy names are missing or damaged: {', '.join(missing)}"

    def warn(self, snapshot: Snapshot) -> None:
        """Say so in the log when the policy names keys that cannot be used, with what makes them."""
        for name in self._missing(snapshot):
            log.warning("encryption_key_missing", key=name, run=f"gateway crypto-keys create {name}")

    def _missing(self, snapshot: Snapshot) -> list[str]:
        return [name for name in _named(snapshot) if self.keys.find(name) is None]


async def open_encrypting(stores: Stores, revocations: FollowedRevocations) -> Encrypting:
    """Learn of the encryption keys, and of their changes from now on. To be called before the feed is
    started: a key that is rotated or retired at this moment would stay as it was. Raise `StoreUnavailable`.
    """
    keys = await CryptoKeys.open(stores.crypto_keys, stores.sealer, stores.clock)
    recipients = Recipients(stores.clients)
    revocations.subscribe(ChangeKind.CRYPTO_KEYS, keys.notice)
    revocations.subscribe(ChangeKind.CLIENT_KEY, recipients.notice)
    revocations.subscribe(ChangeKind.CLIENT_CHANGED, recipients.notice)
    messages = Messages(keys, stores.crypto_keys, stores.sealer, stores.events, stores.clock)
    return Encrypting(keys=keys, recipients=recipients, messages=messages)


def _named(snapshot: Snapshot) -> list[str]:
    """Return the names of the keys that routes need, each once."""
    names = set()
    for plan in snapshot.plans.values():
        if plan.encrypt_response is not None:
            names.add(plan.encrypt_response.key)
        names.add(plan.decrypt_request)
    return sorted(name for name in names if name is not None)
