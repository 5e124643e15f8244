"""Everything by which a process knows who is asking, put together: keys, revocations, accounts, issuers."""

import asyncio
import math
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass
from typing import Final

from gateway.accounts import Accounts
from gateway.assembly.accounts import open_accounts
from gateway.assembly.counting import Counting
from gateway.assembly.encrypting import Encrypting, open_encrypting
from gateway.assembly.mail import Mail, open_mail
from gateway.assembly.stores import StartRefused, Stores
from gateway.config import Snapshot
from gateway.crypto import Keyring, KeyringUnusable, Proofs, SealBroken
from gateway.edge import ClientAddresses, resource_metadata_url
from gateway.identity import (
    Authenticator,
    GatewayJwt,
    Issuers,
    KeyUses,
    Needs,
    build_authenticator,
    own_tokens,
)
from gateway.operations import keep_signing_keys_young
from gateway.ports import ChangeKind, StoreUnavailable
from gateway.stores.http import HttpPages
from gateway.stores.memory import FollowedBlocks, FollowedRevocations

_LONGEST_ACCESS: Final = 3600.0
"""Seconds that access tokens may live at least, whatever the policy says: other replicas may have another."""
_LEEWAY: Final = 120.0
"""Seconds for which revocations are remembered beyond that: clocks differ, and so do verifiers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Callers:
    """What is known of those who ask, and what keeps it true."""

    stores: Stores
    keyring: Keyring
    revocations: FollowedRevocations
    blocked: FollowedBlocks
    encrypting: Encrypting
    mail: Mail
    accounts: Accounts
    proofs: Proofs
    issuers: Issuers
    key_uses: KeyUses
    authenticators: Mapping[str, Authenticator]
    """By the name that the policy gives them."""
    tokens: GatewayJwt
    """What reads the gateway's own tokens: they open its own endpoints even where no route asks for them."""

    def works(self) -> Mapping[str, Coroutine[None, None, None]]:
        """Return what is to run for as long as the gateway does, by name."""
        stores = self.stores
        works: dict[str, Coroutine[None, None, None]] = {
            "revocations": self.revocations.follow(),
            "root_keys": stores.root_keys.follow(),
            "blocks": self.blocked.follow(),
            "signing_keys": self.keyring.follow(),
            "rotation": keep_signing_keys_young(
                stores.signing_keys, stores.sealer, stores.events, stores.clock
            ),
            **self.encrypting.works(),
            "mails": self.mail.round.run(),
            "confirmations": self.accounts.sessions.flush_confirmations(),
            "key_uses": self.key_uses.run(),
        }
        if self.issuers.keys:
            works["issuers"] = self.issuers.run()
        return works

    def fault(self) -> str | None:
        """Say why callers cannot be identified at the moment, None when they can."""
        try:
            self.revocations.check_fresh()
        except StoreUnavailable as fault:
            return str(fault)
        return None


async def open_callers(stores: Stores, counted: Counting, snapshot: Snapshot) -> Callers:
    """Learn what there is to know about callers, and put together what asks. Raise `StartRefused`."""
    settings, clock = stores.settings, stores.clock
    _refuse_own_issuer(snapshot, settings.issuer)
    access = 0.0 if snapshot.accounts is None else snapshot.accounts.access_lifetime
    # Tokens begin and end at whole seconds.
    longest_access = max(_LONGEST_ACCESS, math.ceil(access))
    revocations = FollowedRevocations(
        stores.changes,
        clock,
        keep_for=longest_access + _LEEWAY,
        pause=asyncio.sleep if stores.bell is None else stores.bell.wait,
    )
    spares = ClientAddresses(settings.trusted_proxies).is_trusted
    blocked = FollowedBlocks(stores.blocks, clock, spares=spares)
    try:
        keyring = await Keyring.open(stores.signing_keys, stores.sealer, clock, stores.events)
        # Before the feed is asked: a key that is revoked at this moment would be trusted for ever.
        revocations.subscribe(ChangeKind.SIGNING_KEYS, keyring.notice)
        revocations.subscribe(ChangeKind.ROOT_KEYS, stores.root_keys.notice)
        encrypting = await open_encrypting(stores, revocations)
        await revocations.start()
        revocations.subscribe(ChangeKind.BLOCKS, blocked.notice)
        await blocked.start()
    except (KeyringUnusable, SealBroken, StoreUnavailable) as error:
        raise StartRefused(str(error)) from None
    mail = open_mail(stores, counted.store)
    accounts = open_accounts(stores, keyring, counted.store, mail, blocked, applied=revocations.apply)
    needs = Needs(
        keyring=keyring,
        issuer=settings.issuer,
        audience=settings.issuer,
        longest_access=longest_access,
        proofs=Proofs(public_url=settings.issuer, counters=counted.store, clock=clock),
        revocations=revocations,
        api_keys=stores.api_keys,
        key_uses=KeyUses(stores.api_keys),
        issuers=Issuers(HttpPages(), clock),
        clock=clock,
        seen=accounts.sessions.seen,
        resource_metadata=resource_metadata_url(settings.issuer),
    )
    authenticators = {
        name: build_authenticator(spec, needs) for name, spec in snapshot.authenticators.items()
    }
    of_policy = [one for one in authenticators.values() if isinstance(one, GatewayJwt)]
    return Callers(
        stores=stores,
        keyring=keyring,
        revocations=revocations,
        blocked=blocked,
        encrypting=encrypting,
        mail=mail,
        accounts=accounts,
        proofs=needs.proofs,
        issuers=needs.issuers,
        key_uses=needs.key_uses,
        authenticators=authenticators,
        tokens=of_policy[0] if of_policy else own_tokens("gateway", needs),
    )


def _refuse_own_issuer(snapshot: Snapshot, own: str) -> None:
    """Raise `StartRefused` when the policy takes the gateway for another issuer: its own tokens would be
    good there, and nobody would ask whether they were revoked."""
    for name, spec in snapshot.authenticators.items():
        if spec.external is not None and spec.external.issuer == own:
            message = (
                f'the authenticator "{name}" takes tokens of {own}, which is this gateway itself '
                "(GATEWAY_PUBLIC_URL): for its own tokens write kind: gateway_jwt"
            )
            raise StartRefused(message)
