"""A ring with one encryption key, clients with keys of their own, and what opens what comes of them."""

import json
from collections.abc import Callable
from dataclasses import replace

from joserfc import jwe
from joserfc.jwe import JWERegistry
from joserfc.jwk import ECKey
from unit.crypto.rows import CryptoKeyRows, StandingClock
from unit.crypto.test_crypto_keys import SEALER
from unit.crypto.test_recipients import ClientRows

from gateway.config import ResponseEncryption
from gateway.crypto import CryptoKey, CryptoKeys, Recipients
from gateway.model import Permit, Principal, PrincipalKind
from gateway.ports import Change, ChangeKind, OAuthClient
from gateway.proxy import Envelope, Envelopes
from gateway.proxy.held import Memory

KEY = "reports"
LARGEST = 1024 * 1024
BATCH = Principal(
    id="cli_batch", kind=PrincipalKind.CLIENT, name="batch", authn="gateway", authn_kind="gateway_jwt"
)
PAIR = ECKey.generate_key("P-256", {"kid": "batch-1"})


class Ring:
    """Keys as one process has them."""

    def __init__(self, rows: CryptoKeyRows, keys: CryptoKeys, clients: ClientRows) -> None:
        self.rows = rows
        self.keys = keys
        self.clients = clients
        self.memory = Memory(16 * LARGEST)
        self.recipients = Recipients(clients)
        self.envelopes = Envelopes(keys, self.recipients, self.memory)

    @classmethod
    async def open(cls, rows: CryptoKeyRows | None = None) -> "Ring":
        """Return a ring of these keys, else of the first version of `KEY`, and one client that has a key."""
        if rows is None:
            rows = CryptoKeyRows(SEALER)
            rows.put(KEY)
        client = OAuthClient(
            id=BATCH.id,
            name=BATCH.name,
            roles=frozenset(),
            secrets=(),
            epoch=1,
            created_at=0.0,
            jwk=json.dumps(PAIR.as_dict(private=False)),
        )
        return cls(rows, await CryptoKeys.open(rows, SEALER, StandingClock()), ClientRows(client))

    @property
    def key(self) -> CryptoKey:
        """The key."""
        key = self.keys.find(KEY)
        assert key is not None
        return key

    def take_key_away(self) -> None:
        """Have the client have no key any more."""
        self.clients.rows[BATCH.id] = replace(self.clients.rows[BATCH.id], jwk=None)
        self.recipients.notice(Change(seq=1, kind=ChangeKind.CLIENT_KEY, subject=BATCH.id, epoch=0, at=0.0))

    def encrypting(
        self,
        *fields: tuple[str, ...],
        largest: int = LARGEST,
        key: str | None = KEY,
        request: str | None = None,
    ) -> Callable[[Permit], Envelope]:
        """Return what makes envelopes for responses, and for requests when a key is named for them."""
        rules = ResponseEncryption(key=key, largest=largest, fields=fields)
        return lambda permit: self.envelopes.of(permit, response=rules, request=request)

    def decrypting(self, name: str = KEY) -> Callable[[Permit], Envelope]:
        """Return what makes envelopes for requests."""
        return lambda permit: self.envelopes.of(permit, response=None, request=name)

    async def opened(self, sealed: bytes) -> bytes:
        """Return the plaintext of a JWE."""
        return (await self.keys.unseal(KEY, sealed)).plaintext


def opened_by_client(sealed: bytes) -> bytes:
    """Return the plaintext of a JWE for the client."""
    registry = JWERegistry(algorithms=["ECDH-ES", "A256GCM"])
    registry.max_ciphertext_length = 32 * LARGEST
    plaintext = jwe.decrypt_compact(sealed, PAIR, registry=registry).plaintext
    assert plaintext is not None
    return plaintext
