"""`gateway blocks`: who is shut out, from the command line of the gateway's machine."""

from gateway.accounts import AccountRefusal
from gateway.assembly import at_the_command_line
from gateway.cli.durations import read_duration
from gateway.cli.listing import Row, print_row, print_rows, time_text
from gateway.cli.refusals import FAILED, USAGE, complain, explain_refusal, run_command
from gateway.edge import ClientAddresses
from gateway.operations import add_block, list_blocks, operator_at_the_command_line, remove_block
from gateway.ports import AuditUnavailable, Block
from gateway.settings import Settings


def list_all(settings: Settings, *, output: str) -> int:
    """Print the blocks that hold, newest first; return the exit code. Raise `StartRefused`."""
    return run_command(_list(settings, output))


def add(settings: Settings, address: str, *, lasts: str | None, reason: str, output: str) -> int:
    """Shut an address out of every running process; return the exit code. Raise `StartRefused`."""
    seconds = None if lasts is None else read_duration("--for", lasts, example="15min or 2d")
    if lasts is not None and seconds is None:
        return USAGE
    return run_command(_add(settings, address, seconds, reason, output))


def remove(settings: Settings, address: str, *, output: str) -> int:
    """Let an address in again; return the exit code. Raise `StartRefused`."""
    return run_command(_remove(settings, address, output))


async def _list(settings: Settings, output: str) -> int:
    async with at_the_command_line(settings) as stores:
        blocks = await list_blocks(stores.blocks, stores.clock)
    print_rows([_row(block) for block in blocks], output=output, empty="Nobody is blocked.")
    return 0


async def _add(settings: Settings, address: str, seconds: float | None, reason: str, output: str) -> int:
    async with at_the_command_line(settings) as stores:
        try:
            added = await add_block(
                stores.blocks,
                stores.events,
                stores.clock,
                address=address,
                seconds=seconds,
                reason=reason,
                operator=operator_at_the_command_line(),
                spares=ClientAddresses(settings.trusted_proxies).is_trusted,
            )
        except AuditUnavailable as unavailable:
            complain(f"the address is blocked, but that could not be recorded: {unavailable}")
            return FAILED
    return _printed(added, output)


async def _remove(settings: Settings, address: str, output: str) -> int:
    async with at_the_command_line(settings) as stores:
        removed = await remove_block(
            stores.blocks,
            stores.events,
            stores.clock,
            address=address,
            operator=operator_at_the_command_line(),
        )
    return _printed(removed, output, state="removed")


def _printed(block: Block | AccountRefusal, output: str, *, state: str = "blocked") -> int:
    if isinstance(block, AccountRefusal):
        return explain_refusal(block)
    print_row({**_row(block), "state": state}, output=output)
    return 0


def _row(block: Block) -> Row:
    return {
        "network": block.network,
        "reason": block.reason,
        # Nobody: the gateway itself.
        "by": block.created_by,
        "since": time_text(block.created_at),
        # Never: when somebody lifts it.
        "until": time_text(block.until),
        "times": block.times,
    }
