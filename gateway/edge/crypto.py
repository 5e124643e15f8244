"""The endpoints that encrypt, decrypt and seal anew with a named key: `/gateway/v1/crypto/`.

Whoever may use them holds `gateway:crypto`, and pays for each value. Nobody learns from an answer why a
ciphertext does not open, nor which of a batch it was.
"""

from base64 import b64encode
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Final, Protocol, TypeVar

from gateway.accounts import AccountRefusal, Origin
from gateway.config import Snapshot
from gateway.crypto import CryptoKeys, in_thread
from gateway.edge.accounts import origin_of, refused
from gateway.edge.crypto_bodies import TO_DECRYPT, TO_ENCRYPT, Bodies
from gateway.edge.own import Call, Endpoint
from gateway.edge.own_body import LARGEST_BODY
from gateway.model import Principal, Refusal, RequestHead, Tally
from gateway.operations import Item, decrypt_values, encrypt_values, no_such_key, rewrap_values
from gateway.ports import Events
from gateway.web import Answer, json_answer, rate_lines

CRYPTO_SCOPE: Final = "gateway:crypto"
"""What whoever calls must hold."""
LARGEST_CRYPTO_BODY: Final = 4 * 1024 * 1024

T = TypeVar("T")


class ChargeValues(Protocol):
    """Charges the values that one request brings along: `Enforcer.charge_values`."""

    async def __call__(
        self, head: RequestHead, snapshot: Snapshot, /, *, principal: Principal, route: str, count: int
    ) -> tuple[Tally, ...] | Refusal:
        """Return what the limits said, or the refusal. Raise `StoreUnavailable`."""


class Work(Protocol):
    """What is done with the values of a call."""

    async def __call__(
        self,
        keys: CryptoKeys,
        events: Events,
        *,
        name: str,
        items: Sequence[Item],
        actor: Principal,
        origin: Origin | None,
    ) -> Sequence[str] | Sequence[bytes] | AccountRefusal:
        """Return what each value comes to, or the refusal. Raise `StoreUnavailable`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verb:
    """One of the endpoints."""

    name: str
    bodies: Bodies
    work: Work
    member: str
    """What each value is answered as."""
    summary: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Crypto:
    """What answers at the endpoints that encrypt and decrypt."""

    keys: CryptoKeys
    events: Events
    charge: ChargeValues

    def endpoints(self) -> list[Endpoint]:
        """Return the endpoints of `/gateway/v1/crypto/`."""
        return [
            Endpoint(
                method="POST",
                path=f"/gateway/v1/crypto/{verb.name}/{{key}}",
                name=f"gateway:crypto.{verb.name}",
                answer=partial(self._answer, verb),
                needs_principal=True,
                body=verb.bodies.one,
                takes_keys=True,
                scope=CRYPTO_SCOPE,
                largest_body=LARGEST_CRYPTO_BODY,
                summary=verb.summary,
            )
            for verb in _VERBS
        ]

    async def _answer(self, verb: Verb, call: Call) -> Answer | Refusal:
        items = await _worked(call, lambda: verb.bodies.read(call.body))
        if isinstance(items, AccountRefusal):
            return refused(call, items)
        name = call.params["key"]
        # Whoever mistypes a name is charged for the request alone.
        if await self.keys.look_up(name) is None:
            return refused(call, no_such_key(name))
        charged = await self.charge(
            call.head,
            call.snapshot,
            principal=call.principal,
            route=f"gateway:crypto.{verb.name}",
            count=len(items),
        )
        if isinstance(charged, Refusal):
            return charged
        done = await verb.work(
            self.keys, self.events, name=name, items=items, actor=call.principal, origin=origin_of(call)
        )
        if isinstance(done, AccountRefusal):
            return replace(refused(call, done), tallies=charged)
        return await _worked(call, lambda: _told(call, verb, done, charged))


def _told(
    call: Call, verb: Verb, values: Sequence[str] | Sequence[bytes], charged: tuple[Tally, ...]
) -> Answer:
    """Return the answer with these values, in the form in which they were asked for."""
    texts = (value if isinstance(value, str) else b64encode(value).decode("ascii") for value in values)
    told = [{verb.member: text} for text in texts]
    return json_answer(200, {"batch": told} if "batch" in call.body else told[0], *rate_lines(charged))


async def _worked(call: Call, work: Callable[[], T]) -> T:
    """Return what work on the values of a call comes to. That of larger calls takes milliseconds, so that a
    thread does it."""
    length = call.head.content_length
    if length is not None and length <= LARGEST_BODY:
        return work()
    return await in_thread(work)


_VERBS: Final = (
    Verb(
        name="encrypt",
        bodies=TO_ENCRYPT,
        work=encrypt_values,
        member="ciphertext",
        summary="Encrypt values with a key.",
    ),
    Verb(
        name="decrypt",
        bodies=TO_DECRYPT,
        work=decrypt_values,
        member="plaintext",
        summary="Decrypt values.",
    ),
    Verb(
        name="rewrap",
        bodies=TO_DECRYPT,
        work=rewrap_values,
        member="ciphertext",
        summary="Encrypt values anew with the newest version of their key.",
    ),
)
