"""`gateway rekey`: another master secret, while everything goes on."""

import sys
from pathlib import Path

from gateway.accounts import AccountRefusal
from gateway.assembly import Stores, at_the_command_line
from gateway.cli.listing import print_row
from gateway.cli.progress import Progress
from gateway.cli.refusals import FAILED, USAGE, complain, explain_refusal, run_command
from gateway.crypto import MasterSecret, SecretUnusable, read_secret
from gateway.operations import Rekeyed, Rekeying, operator_at_the_command_line
from gateway.settings import Settings


def rekey(settings: Settings, *, new_secret_file: str | None, keep_old: bool, output: str) -> int:
    """Change the master secret, or go on with a change that was cut off; return the exit code: 2 when the new
    secret cannot be taken, 1 when it cannot be changed now. Raise `StartRefused`."""
    try:
        new = None if new_secret_file is None else _read(new_secret_file)
    except SecretUnusable as error:
        complain(f"--new-secret-file: {error}")
        return USAGE
    return run_command(_rekey(settings, new, new_secret_file, keep_old=keep_old, output=output))


def cancel(settings: Settings, *, output: str) -> int:
    """Undo a change of the master secret that has begun; return the exit code. Raise `StartRefused`."""
    return run_command(_cancel(settings, output))


async def _rekey(
    settings: Settings, new: MasterSecret | None, source: str | None, *, keep_old: bool, output: str
) -> int:
    async with at_the_command_line(settings) as stores:
        with Progress("sealed values", silent=True) as progress:
            progress.whole = await stores.sealed_values.count()
            rekeying = _rekeying(stores, progress)
            try:
                done = await rekeying.change(new, keep_old=keep_old)
            except SecretUnusable as error:
                complain(f"{error}; run the command again when that is mended")
                return FAILED
        if isinstance(done, AccountRefusal):
            return explain_refusal(done)
        _print(done, output=output)
        _advise(stores, done, source)
    return 0


async def _cancel(settings: Settings, output: str) -> int:
    async with at_the_command_line(settings) as stores:
        try:
            done = await _rekeying(stores, Progress("sealed values")).cancel()
        except SecretUnusable as error:
            complain(str(error))
            return FAILED
    if isinstance(done, AccountRefusal):
        return explain_refusal(done)
    print_row({"generation": done, "new_secret": "shut out", "old_secret": "in use"}, output=output)
    return 0


def _rekeying(stores: Stores, progress: Progress) -> Rekeying:
    return Rekeying(
        stores.root_keys,
        stores.sealed_values,
        stores.sealer,
        stores.events,
        stores.clock,
        file=stores.secret_file,
        operator=operator_at_the_command_line(),
        seen=progress.add,
    )


def _read(source: str) -> MasterSecret:
    try:
        content = sys.stdin.buffer.read() if source == "-" else Path(source).read_bytes()
    except OSError as error:
        raise SecretUnusable(f"{source}: {error.strerror}") from None
    try:
        return read_secret(content)
    except SecretUnusable as error:
        raise SecretUnusable(f"{'standard input' if source == '-' else source}: {error}") from None


def _print(done: Rekeyed, *, output: str) -> None:
    print_row(
        {
            "generation": done.generation,
            "values": done.values,
            "sealed_anew": done.renewed,
            "damaged": list(done.damaged),
            "old_secret": "shut out" if done.is_finished else "opens too",
        },
        output=output,
    )


def _advise(stores: Stores, done: Rekeyed, source: str | None) -> None:
    """Say what is left to be done, by whom nobody else can."""
    say = []
    if done.damaged:
        say.append("What is damaged could not be opened before either, and is what it was.")
    file = stores.secret_file
    if file is None:
        named = source is not None and source != "-"
        where = f"GATEWAY_SECRET_FILE to {source}" if named else "GATEWAY_SECRET or GATEWAY_SECRET_FILE"
        say.append(
            f"Every gateway and command needs the new master secret before it starts again: set {where}. "
            "Those that run go on, but a worker that ends comes back only then."
        )
    else:
        say.append(f"The new master secret is in {file}: back it up, apart from the database.")
        if not stores.settings.is_embedded:
            say.append("Every other gateway of this database needs it before it starts again.")
    if not done.is_finished:
        say.append("The old one opens too, until gateway rekey is run again without --keep-old.")
    print("\n".join(say), file=sys.stderr)
