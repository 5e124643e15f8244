"""What operators do with the keys that encrypt.

Making a version and refusing older ones are recorded inside the transaction that stores it: no record, and
nothing has changed. Nothing is ever removed: a version that is refused by mistake is let in again.
"""

from collections.abc import Sequence
from contextlib import suppress
from difflib import get_close_matches

from gateway.accounts import AccountRefusal, invalid
from gateway.crypto import SealBroken, Sealer, is_made_of, new_version
from gateway.model import Event, EventKind, Principal, Reason, is_name
from gateway.ports import Clock, CryptoKeyStore, Events, StoredCryptoKey, Taken


async def create_crypto_key(
    keys: CryptoKeyStore,
    sealer: Sealer,
    events: Events,
    clock: Clock,
    *,
    name: str,
    material: bytes | None = None,
    operator: Principal,
) -> StoredCryptoKey | AccountRefusal:
    """Make an encryption key with one version: of 32 random bytes, or of this material.

    Recorded as `crypto_key.created`. Raise `StoreUnavailable`; then there is none.
    """
    if not is_name(name):
        return invalid(
            "name",
            'must be one that policies.yaml can hold: letters, digits, "-", "_" and ".", at most 64 of them, '
            'and neither "-" nor "." first',
        )
    now = clock.now()
    first = new_version(sealer, name=name, version=1, created_at=now, material=material)
    key = StoredCryptoKey(name=name, created_at=now, min_decryption_version=1, versions=(first,))
    event = Event(
        kind=EventKind.CRYPTO_KEY_CREATED,
        actor=operator,
        attributes={"key": name, "version": first.version},
    )
    try:
        await keys.add(key, before_commit=lambda: events.event(event))
    except Taken:
        return AccountRefusal(
            reason=Reason.CONFLICT,
            detail=f"There is an encryption key {name!r} already; "
            f"`gateway crypto-keys rotate {name}` makes its next version.",
        )
    return key


async def list_crypto_keys(keys: CryptoKeyStore) -> Sequence[StoredCryptoKey]:
    """Return every encryption key, by name. Raise `StoreUnavailable`."""
    return await keys.all()


async def rotate_crypto_key(
    keys: CryptoKeyStore,
    sealer: Sealer,
    events: Events,
    clock: Clock,
    *,
    name: str,
    material: bytes | None = None,
    operator: Principal,
) -> StoredCryptoKey | AccountRefusal:
    """Make the next version of an encryption key, which encrypts in every process within a second; the ones
    before it still decrypt. Return the key as it is then.

    Recorded as `crypto_key.rotated`. Raise `StoreUnavailable`; then there is no new version.
    """
    key = await find_crypto_key(keys, name)
    if isinstance(key, AccountRefusal):
        return key
    if material is not None and (used := _version_of(sealer, key, material)) is not None:
        return AccountRefusal(
            reason=Reason.CONFLICT,
            detail=f"This is version {used} of {name!r} already: a rotation to it would protect nothing.",
        )
    return await rotate_after(keys, sealer, events, clock, key=key, material=material, operator=operator)


async def rotate_after(
    keys: CryptoKeyStore,
    sealer: Sealer,
    events: Events,
    clock: Clock,
    *,
    key: StoredCryptoKey,
    material: bytes | None = None,
    operator: Principal | None,
) -> StoredCryptoKey | AccountRefusal:
    """Do the same with a key as it was found, unless it has another version since. `operator` None: the
    gateway does it by itself."""
    name = key.name
    version = new_version(
        sealer, name=name, version=key.newest.version + 1, created_at=clock.now(), material=material
    )
    event = Event(
        kind=EventKind.CRYPTO_KEY_ROTATED,
        actor=operator,
        attributes={"key": name, "version": version.version},
    )
    if not await keys.rotate(name, version, before_commit=lambda: events.event(event)):
        return AccountRefusal(
            reason=Reason.CONFLICT,
            detail=f"Another version of {name!r} was made at the same moment; nothing was done.",
        )
    return StoredCryptoKey(
        name=name,
        created_at=key.created_at,
        min_decryption_version=key.min_decryption_version,
        versions=(*key.versions, version),
    )


async def retire_crypto_key(
    keys: CryptoKeyStore,
    events: Events,
    clock: Clock,
    *,
    name: str,
    min_decryption_version: int | None,
    operator: Principal,
) -> StoredCryptoKey | AccountRefusal:
    """Have every process refuse, within a second, what versions before this one have encrypted; None: before
    the newest. A smaller number than before lets versions in again. Return the key as it is then.

    Recorded as `crypto_key.retired`. Raise `StoreUnavailable`; then nothing has changed.
    """
    key = await find_crypto_key(keys, name)
    if isinstance(key, AccountRefusal):
        return key
    newest = key.newest.version
    least = newest if min_decryption_version is None else min_decryption_version
    if not 1 <= least <= newest:
        has = "one version" if newest == 1 else f"versions 1 to {newest}"
        return invalid("min-decryption-version", f"must be one of the key's, and {name!r} has {has}")
    if least == key.min_decryption_version:
        more = f"; `gateway crypto-keys rotate {name}` makes the next one" if least == newest else ""
        return AccountRefusal(
            reason=Reason.CONFLICT,
            detail=f"The key {name!r} decrypts from version {least} on already: nothing was done{more}.",
        )
    event = Event(
        kind=EventKind.CRYPTO_KEY_RETIRED,
        actor=operator,
        attributes={"key": name, "min_decryption_version": least},
    )
    if not await keys.retire(
        name, min_decryption_version=least, at=clock.now(), before_commit=lambda: events.event(event)
    ):
        return await _unknown(keys, name)
    return StoredCryptoKey(
        name=name, created_at=key.created_at, min_decryption_version=least, versions=key.versions
    )


async def find_crypto_key(keys: CryptoKeyStore, name: str) -> StoredCryptoKey | AccountRefusal:
    """Return an encryption key, or what to say when there is none of this name. Raise `StoreUnavailable`."""
    return await keys.find(name) or await _unknown(keys, name)


def _version_of(sealer: Sealer, key: StoredCryptoKey, material: bytes) -> int | None:
    """Return the version of a key that is this material, None when there is none."""
    for version in key.versions:
        # What is damaged cannot be compared, and does not encrypt either.
        with suppress(SealBroken):
            if is_made_of(sealer, key.name, version, material):
                return version.version
    return None


async def _unknown(keys: CryptoKeyStore, name: str) -> AccountRefusal:
    known = [key.name for key in await keys.all()]
    near = get_close_matches(name, known, n=1)
    hint = f"did you mean {near[0]!r}?" if near else "`gateway crypto-keys list` shows them."
    return AccountRefusal(reason=Reason.NOT_FOUND, detail=f"There is no encryption key {name!r}; {hint}")
