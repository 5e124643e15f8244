"""What operators do with blocked addresses.

Shutting out comes before its record: it must hold though the audit trail is away. Letting in again is
recorded inside the transaction that does it: no record, and the block holds.
"""

from collections.abc import Callable, Sequence

from gateway.accounts import AccountRefusal, invalid
from gateway.model import Event, EventKind, Principal, Reason, client_key
from gateway.model.address import read_address
from gateway.ports import Block, BlockStore, Clock, Events

MAX_REASON = 200
MAX_SECONDS = 100 * 365 * 86_400.0
_WHOLE = {4: "/32", 6: "/64"}
"""How the networks of blocks are written, by version of IP."""


async def list_blocks(blocks: BlockStore, clock: Clock) -> Sequence[Block]:
    """Return the blocks that hold, newest first. Raise `StoreUnavailable`."""
    return await blocks.present(now=clock.now())


async def add_block(
    blocks: BlockStore,
    events: Events,
    clock: Clock,
    *,
    address: str,
    seconds: float | None,
    reason: str,
    operator: Principal,
    spares: Callable[[str], bool],
) -> Block | AccountRefusal:
    """Shut an address out (an IPv6 address: its /64) in every process within a second; `seconds` None: until
    it is lifted. Recorded as `block.added`.

    `spares` says of an address that no block of it holds. Raise `StoreUnavailable`; `AuditUnavailable` when
    it was shut out but that could not be recorded.
    """
    network = _network(address)
    if network is None:
        return _no_address(address)
    if not 0 < len(reason) <= MAX_REASON or not reason.isprintable():
        return invalid("reason", f"must have 1 to {MAX_REASON} printable characters")
    if seconds is not None and not 0 < seconds <= MAX_SECONDS:
        return invalid("for", "must be between a moment and a hundred years")
    if spares(address.partition("/")[0]):
        detail = f"{address} is a trusted proxy (GATEWAY_TRUSTED_PROXIES): name the clients behind it."
        return AccountRefusal(reason=Reason.CONFLICT, detail=detail)
    now = clock.now()
    block = Block(
        network=network,
        reason=reason,
        created_by=operator.id,
        created_at=now,
        until=None if seconds is None else now + seconds,
        times=1,
    )
    if not await blocks.put(block, now=now):
        detail = f"{network} is blocked for as long or longer; `gateway blocks remove {network}` lifts that."
        return AccountRefusal(reason=Reason.CONFLICT, detail=detail)
    attributes: dict[str, str | int | bool | list[str]] = {"reason": reason}
    if seconds is not None:
        attributes["seconds"] = round(seconds)
    await events.event(
        Event(
            kind=EventKind.BLOCK_ADDED,
            actor=operator,
            attributes=attributes,
            personal={"network": network},
        )
    )
    return block


async def remove_block(
    blocks: BlockStore, events: Events, clock: Clock, *, address: str, operator: Principal
) -> Block | AccountRefusal:
    """Let an address in again, in every process within a second, and forget that it was blocked before.
    Recorded as `block.removed`. Return the block as it was. Raise `StoreUnavailable`; then it still holds."""
    network = _network(address)
    if network is None:
        return _no_address(address)
    block = await blocks.find(network)
    removed = block is not None and await blocks.remove(
        network,
        at=clock.now(),
        before_commit=lambda: events.event(
            Event(kind=EventKind.BLOCK_REMOVED, actor=operator, personal={"network": network})
        ),
    )
    if block is None or not removed:
        detail = f"{network} is not blocked; `gateway blocks list` shows who is."
        return AccountRefusal(reason=Reason.NOT_FOUND, detail=detail)
    return block


def _network(text: str) -> str | None:
    """Return what an address is blocked under, given itself or what a list of blocks shows."""
    bare, slash, length = text.partition("/")
    address = None if "%" in bare else read_address(bare)
    if address is None or (slash and slash + length != _WHOLE[address.version]):
        return None
    return client_key(bare)


def _no_address(text: str) -> AccountRefusal:
    return invalid(
        "address",
        f"{text!r} is not an address; write one, as in 203.0.113.7 or 2001:db8::1 (which stands for its /64)",
    )
