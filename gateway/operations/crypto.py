"""Encrypting, decrypting and sealing anew with a named key, for callers of the API and for operators.

A call comes to all of its values or to none, and stands in the audit trail before anything of it is handed
over: which key and version, how many values, and never what they are. Why a value cannot be opened is told to
the operator alone.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeVar

from gateway.accounts import AccountRefusal, Origin
from gateway.crypto import CannotOpen, CryptoKey, CryptoKeys, Opened, VersionUnknown, in_thread
from gateway.model import Event, EventKind, Principal, Reason
from gateway.ports import Events

_LARGE: Final = 256 * 1024
_MANY: Final = 256
"""Bytes, and values, of a call beyond which a thread does the work: it takes milliseconds."""
_AT_THE_COMMAND_LINE: Final = Origin()

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One value of a call."""

    data: bytes = field(repr=False)
    """What is to be encrypted, or a ciphertext."""
    context: str = field(default="", repr=False)
    """What is not in the ciphertext, and must be the same whenever it is opened."""


async def encrypt_values(
    keys: CryptoKeys,
    events: Events,
    *,
    name: str,
    items: Sequence[Item],
    actor: Principal,
    origin: Origin | None = None,
) -> Sequence[str] | AccountRefusal:
    """Return the ciphertexts of values, in order, as texts of the form `gw:v1:...`.

    Recorded as `crypto.encrypt`. Raise `StoreUnavailable`, `AuditUnavailable`.
    """
    key = await keys.look_up(name)
    if key is None:
        return no_such_key(name)
    if not key.can_seal:
        return _damaged(name)
    sealed = await _worked(items, lambda: [key.seal_text(item.data, context=item.context) for item in items])
    record = _Record(events, EventKind.CRYPTO_ENCRYPT, name, len(items), actor, origin)
    await record.done([key.newest])
    return sealed


async def decrypt_values(
    keys: CryptoKeys,
    events: Events,
    *,
    name: str,
    items: Sequence[Item],
    actor: Principal,
    origin: Origin | None = None,
) -> Sequence[bytes] | AccountRefusal:
    """Return what ciphertexts of either form hold, in order; `decryption-failed` when any of them cannot be
    opened.

    Recorded as `crypto.decrypt`, also when it fails. Raise `StoreUnavailable`, `AuditUnavailable`.
    """
    key = await keys.look_up(name)
    if key is None:
        return no_such_key(name)
    opened = await _open_all(keys, key, items)
    record = _Record(events, EventKind.CRYPTO_DECRYPT, name, len(items), actor, origin)
    if isinstance(opened, CannotOpen):
        return await record.failed(opened)
    await record.done([each.version for each in opened])
    return [each.plaintext for each in opened]


async def rewrap_values(
    keys: CryptoKeys,
    events: Events,
    *,
    name: str,
    items: Sequence[Item],
    actor: Principal,
    origin: Origin | None = None,
) -> Sequence[str] | AccountRefusal:
    """Return ciphertexts of the same values by the newest version of the key, in order, each in the form
    that it had; `decryption-failed` when any of them cannot be opened.

    Recorded as `crypto.rewrap`, also when it fails, with the version that they have by then. Raise
    `StoreUnavailable`, `AuditUnavailable`.
    """
    key = await keys.look_up(name)
    if key is None:
        return no_such_key(name)
    opened = await _open_all(keys, key, items)
    record = _Record(events, EventKind.CRYPTO_REWRAP, name, len(items), actor, origin)
    if isinstance(opened, CannotOpen):
        return await record.failed(opened)
    # Opening may have made the ring learn of a newer version.
    newest = keys.find(name)
    if newest is None:
        return _damaged(name)
    sealed = await _worked(
        items, lambda: [_sealed_alike(newest, *pair) for pair in zip(opened, items, strict=True)]
    )
    await record.done([newest.newest])
    return sealed


def no_such_key(name: str) -> AccountRefusal:
    """Return the refusal of a call that names a key which is not there."""
    return AccountRefusal(
        reason=Reason.NOT_FOUND,
        diagnosis=f"there is no encryption key {name!r}",
        detail="There is no encryption key of this name.",
    )


def _damaged(name: str) -> AccountRefusal:
    """Return the refusal of a call that needs the newest version, which does not open."""
    diagnosis = (
        f"the newest version of {name!r} is damaged: `gateway crypto-keys rotate {name}` makes the next"
    )
    return AccountRefusal(reason=Reason.DEPENDENCY_UNAVAILABLE, diagnosis=diagnosis, retry_after=1)


def _sealed_alike(key: CryptoKey, opened: Opened, item: Item) -> str:
    if opened.is_jwe:
        return key.seal_jwe(opened.plaintext, content_type=opened.content_type).decode("ascii")
    return key.seal_text(opened.plaintext, context=item.context)


async def _open_all(keys: CryptoKeys, key: CryptoKey, items: Sequence[Item]) -> list[Opened] | CannotOpen:
    """Open every value, also those after one that does not open: the time says nothing about which it was."""
    tried = await _worked(items, lambda: [_tried(key, item) for item in items])
    if any(isinstance(each, VersionUnknown) for each in tried):
        # A call is worth one question to the store, however many of its values name newer versions.
        newer = await keys.look_again(key.name) or key
        before = tried
        tried = await _worked(
            items,
            lambda: [
                _tried(newer, item) if isinstance(each, VersionUnknown) else each
                for each, item in zip(before, items, strict=True)
            ],
        )
    opened = [each for each in tried if isinstance(each, Opened)]
    return next((each for each in tried if isinstance(each, CannotOpen)), opened)


def _tried(key: CryptoKey, item: Item) -> Opened | CannotOpen:
    try:
        return key.open(item.data, context=item.context)
    except CannotOpen as fault:
        return fault


async def _worked(items: Sequence[Item], work: Callable[[], T]) -> T:
    """Return what work on these values comes to, done where it keeps nobody waiting."""
    if len(items) > _MANY or sum(len(item.data) for item in items) > _LARGE:
        return await in_thread(work)
    return work()


@dataclass(frozen=True, slots=True)
class _Record:
    """What is written down about one call."""

    events: Events
    kind: EventKind
    key: str
    count: int
    actor: Principal
    origin: Origin | None

    async def done(self, versions: Sequence[int]) -> None:
        """Say with which versions of the key it was done. Raise `AuditUnavailable`."""
        used = sorted(set(versions))
        await self._write(Reason.OK, {"version": used[0] if len(used) == 1 else [str(one) for one in used]})

    async def failed(self, fault: CannotOpen) -> AccountRefusal:
        """Say that something did not open, and return the refusal. Raise `AuditUnavailable`."""
        await self._write(Reason.DECRYPTION_FAILED, {})
        return AccountRefusal(reason=Reason.DECRYPTION_FAILED, diagnosis=fault.diagnosis)

    async def _write(self, reason: Reason, more: dict[str, int | list[str]]) -> None:
        origin = self.origin or _AT_THE_COMMAND_LINE
        await self.events.event(
            Event(
                kind=self.kind,
                actor=self.actor,
                request_id=origin.request_id,
                source_ip=origin.source_ip,
                user_agent=origin.user_agent,
                reason=reason,
                session=self.actor.session,
                attributes={"key": self.key, **more, "count": self.count},
            )
        )
