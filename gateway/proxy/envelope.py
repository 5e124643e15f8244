"""What of one exchange is encrypted: the keys are found, and the request opened, before an upstream is asked.

An envelope lives for one exchange. It is the only place that holds what was decrypted, and lets go of it as
it is sent.
"""

from typing import Final

from gateway.config import ResponseEncryption
from gateway.crypto import (
    CannotOpen,
    CryptoKey,
    CryptoKeys,
    Opened,
    RecipientKey,
    Recipients,
    VersionUnknown,
    in_thread,
)
from gateway.model import Framing, Permit, Principal, PrincipalKind, Reason, RequestHead
from gateway.ports import StoreUnavailable
from gateway.proxy.downstream import Downstream
from gateway.proxy.envelope_body import PlainBody, read_all
from gateway.proxy.envelope_request import BODILESS, asking_for_all, with_body, without_body
from gateway.proxy.envelope_response import ResponseSealing
from gateway.proxy.held import Held, Memory

_AT_ONCE: Final = 128 * 1024
"""Bytes up to which opening takes half a millisecond at most."""


class EnvelopeRefused(Exception):
    """An exchange cannot be encrypted, or a request not decrypted; the client has been sent nothing."""

    def __init__(self, reason: Reason, diagnosis: str, detail: str | None = None) -> None:
        super().__init__(f"{reason}: {diagnosis}")
        self.reason = reason
        self.diagnosis = diagnosis
        """For the operator only."""
        self.detail = detail
        """For the caller."""


class Envelope:
    """What of one exchange is encrypted."""

    __slots__ = (
        "_keys",
        "_permit",
        "_recipients",
        "_request",
        "_request_held",
        "_response",
        "body",
        "bytes_in",
        "head",
        "held",
        "sealing",
    )

    def __init__(
        self,
        keys: CryptoKeys,
        recipients: Recipients,
        memory: Memory,
        permit: Permit,
        *,
        response: ResponseEncryption | None,
        request: str | None,
    ) -> None:
        """`response` is how the response is encrypted, `request` the name of the key that the request is
        encrypted with; None: not at all."""
        self._keys = keys
        self._recipients = recipients
        self._permit = permit
        self._response = response
        self._request = request
        self.head = permit.head
        """The request as the upstream gets it, once it is prepared."""
        self.body: PlainBody | None = None
        """Its body, where it was decrypted."""
        self.sealing: ResponseSealing | None = None
        """What seals the response; None: it passes as it is."""
        self.held = Held(memory)
        """What is held of the response."""
        self._request_held = Held(memory)
        self.bytes_in = 0
        """Bytes of the body that was decrypted, as they came."""

    def __repr__(self) -> str:
        return f"Envelope({self._permit.head.id})"

    async def prepare(self, client: Downstream, *, idle: float) -> None:
        """Find the keys, and read and open the body of the request, whose next byte may take `idle` seconds.

        Raise `EnvelopeRefused`, what reading from the client raises, and `UpstreamFault` when it stops
        sending, or there is no memory for it.
        """
        if self._response is not None:
            await self.sealing_key(self._response)
            self.sealing = ResponseSealing(self._response)
            self.head = asking_for_all(self.head)
        if self._request is not None:
            await self._open_request(self._request, client, idle)

    def let_go(self) -> None:
        """Take what is held as gone: the exchange is over, or never begins."""
        self.held.give_back()
        self._request_held.give_back()

    async def sealing_key(self, rules: ResponseEncryption) -> CryptoKey | RecipientKey:
        """Return what a response is encrypted with at this moment. Raise `EnvelopeRefused`."""
        if rules.key is not None:
            key = self._keys.find(rules.key)
            if key is None:
                diagnosis = (
                    f'no encryption key "{rules.key}" that encrypts: gateway crypto-keys create {rules.key}'
                )
                raise EnvelopeRefused(Reason.RESPONSE_NOT_ENCRYPTABLE, diagnosis)
            return key
        client_id = client_of(self._permit.principal)
        if client_id is None:
            raise EnvelopeRefused(
                Reason.CONDITION_NOT_MET,
                "the caller is no client, whose key the response could be encrypted with",
                "Responses are encrypted for registered clients here, and this caller is none.",
            )
        try:
            recipient = await self._recipients.find(client_id)
        except StoreUnavailable as fault:
            raise EnvelopeRefused(Reason.DEPENDENCY_UNAVAILABLE, str(fault)) from None
        if recipient is None:
            raise EnvelopeRefused(
                Reason.CONDITION_NOT_MET,
                f"the client {client_id} has no registered key: gateway clients set-jwk",
                "Responses are encrypted with the client's registered key here, and this client has none.",
            )
        return recipient

    async def _open_request(self, name: str, client: Downstream, idle: float) -> None:
        sealed = b"" if _has_no_body(self.head) else await read_all(client, idle, self._request_held)
        self.bytes_in = len(sealed)
        if not sealed:
            if self.head.method not in BODILESS:
                raise EnvelopeRefused(Reason.DECRYPTION_FAILED, "the request has no body")
            if self.head.framing is Framing.CHUNKED:
                self.head = without_body(self.head)
            return
        try:
            opened = await self._open(name, sealed)
        except CannotOpen as problem:
            reason, diagnosis = Reason.DECRYPTION_FAILED, problem.diagnosis
        except StoreUnavailable as fault:
            reason, diagnosis = Reason.DEPENDENCY_UNAVAILABLE, str(fault)
        else:
            self.head = with_body(self.head, len(opened.plaintext), opened.content_type)
            self.body = PlainBody(opened.plaintext, self._request_held)
            return
        # Raised here, where nothing holds on to what was read.
        raise EnvelopeRefused(reason, diagnosis)

    async def _open(self, name: str, sealed: bytes) -> Opened:
        """Open a message; a long one beside everything else, also when its version is not known yet."""
        if len(sealed) > _AT_ONCE and (key := await self._keys.look_up(name)) is not None:
            try:
                return await in_thread(key.open, sealed)
            except VersionUnknown:
                key = await self._keys.look_again(name) or key
            return await in_thread(key.open, sealed)
        return await self._keys.unseal(name, sealed)


class Envelopes:
    """Makes envelopes."""

    def __init__(self, keys: CryptoKeys, recipients: Recipients, memory: Memory | None = None) -> None:
        """`memory` is where bodies are held; None: a usual one."""
        self._keys = keys
        self._recipients = recipients
        self._memory = memory or Memory()

    def of(self, permit: Permit, *, response: ResponseEncryption | None, request: str | None) -> Envelope:
        """Return the envelope of an exchange, of which the response is encrypted or the request decrypted."""
        return Envelope(
            self._keys, self._recipients, self._memory, permit, response=response, request=request
        )


def client_of(principal: Principal) -> str | None:
    """Return the id of the client of this gateway that a caller is, or that its token was issued to; None for
    others, also when another issuer calls its client the same."""
    if principal.kind is PrincipalKind.CLIENT:
        return principal.id
    return principal.client_id if principal.kind is PrincipalKind.USER else None


def _has_no_body(head: RequestHead) -> bool:
    return head.framing is Framing.NONE or head.content_length == 0
