"""A response that is encrypted, between the upstream's connection and the client: gathered, and sealed."""

from collections.abc import Callable

from gateway.crypto import CryptoKey, RecipientKey, in_thread
from gateway.proxy.connection import Connection
from gateway.proxy.envelope_response import ResponseSealing
from gateway.proxy.faults import Fault, UpstreamFault
from gateway.proxy.held import Held
from gateway.proxy.json_fields import NotReplaceable
from gateway.proxy.response import ResponseHead


async def gather(
    connection: Connection,
    answer: ResponseHead,
    sealing: ResponseSealing,
    held: Held,
    *,
    on_wait: Callable[[], None],
) -> bytes:
    """Return all of a response body, which is `held` from here on; `on_wait` is called when some of it is
    still to come.

    Raise `UpstreamFault`, also for a body that cannot be encrypted by what its head says, is too long, or
    finds no memory.
    """
    if (flaw := sealing.flaw_of(answer)) is not None:
        raise UpstreamFault(Fault.NOT_ENCRYPTABLE, flaw)
    data = connection.body_so_far()
    if not connection.complete:
        on_wait()
    body = bytearray()
    while len(body) + len(data) <= sealing.rules.largest:
        held.take(len(data))
        body += data
        if connection.complete:
            return bytes(body)
        data = await connection.body()
    raise UpstreamFault(Fault.NOT_ENCRYPTABLE, sealing.too_long)


async def seal(
    sealing: ResponseSealing, key: CryptoKey | RecipientKey, answer: ResponseHead, body: bytes
) -> bytes:
    """Return a body as the client gets it; what takes long is done beside everything else. Raise
    `UpstreamFault`."""
    try:
        if sealing.is_quick(body):
            return sealing.seal(key, answer, body)
        return await in_thread(sealing.seal, key, answer, body)
    except NotReplaceable as problem:
        flaw = str(problem)
    # Raised here, where nothing holds on to the body.
    raise UpstreamFault(Fault.NOT_ENCRYPTABLE, flaw)
