"""`gateway crypto-keys`: the keys that encrypt, from the command line of the gateway's machine."""

from gateway.accounts import AccountRefusal
from gateway.assembly import at_the_command_line
from gateway.cli.jwk_file import read_jwk_file
from gateway.cli.listing import Row, print_row, print_rows, time_text
from gateway.cli.refusals import USAGE, complain, explain_refusal, run_command
from gateway.crypto import JwkRefused, read_symmetric_jwk
from gateway.operations import (
    create_crypto_key,
    list_crypto_keys,
    operator_at_the_command_line,
    retire_crypto_key,
    rotate_crypto_key,
)
from gateway.ports import StoredCryptoKey
from gateway.settings import Settings


def create(settings: Settings, name: str, *, jwk_file: str | None, output: str) -> int:
    """Make a key and print it, never its material; return the exit code. Raise `StartRefused`."""
    material = None
    if jwk_file is not None and (material := _material(jwk_file)) is None:
        return USAGE
    return run_command(_create(settings, name, material, output))


def list_all(settings: Settings, *, output: str) -> int:
    """Print every key by name, never its material; return the exit code. Raise `StartRefused`."""
    return run_command(_list(settings, output))


def rotate(settings: Settings, name: str, *, jwk_file: str | None, output: str) -> int:
    """Make the next version of a key and print the key; return the exit code. Raise `StartRefused`."""
    material = None
    if jwk_file is not None and (material := _material(jwk_file)) is None:
        return USAGE
    return run_command(_rotate(settings, name, material, output))


def retire(settings: Settings, name: str, *, min_decryption_version: int | None, output: str) -> int:
    """Have older versions of a key refused and print the key; return the exit code. Raise `StartRefused`."""
    return run_command(_retire(settings, name, min_decryption_version, output))


async def _create(settings: Settings, name: str, material: bytes | None, output: str) -> int:
    async with at_the_command_line(settings) as stores:
        made = await create_crypto_key(
            stores.crypto_keys,
            stores.sealer,
            stores.events,
            stores.clock,
            name=name,
            material=material,
            operator=operator_at_the_command_line(),
        )
    return _show(made, output)


async def _list(settings: Settings, output: str) -> int:
    async with at_the_command_line(settings) as stores:
        keys = await list_crypto_keys(stores.crypto_keys)
    print_rows(
        [_row(key) for key in keys],
        output=output,
        empty="There are no encryption keys; `gateway crypto-keys create NAME` makes one.",
    )
    return 0


async def _rotate(settings: Settings, name: str, material: bytes | None, output: str) -> int:
    async with at_the_command_line(settings) as stores:
        rotated = await rotate_crypto_key(
            stores.crypto_keys,
            stores.sealer,
            stores.events,
            stores.clock,
            name=name,
            material=material,
            operator=operator_at_the_command_line(),
        )
    return _show(rotated, output)


async def _retire(settings: Settings, name: str, least: int | None, output: str) -> int:
    async with at_the_command_line(settings) as stores:
        retired = await retire_crypto_key(
            stores.crypto_keys,
            stores.events,
            stores.clock,
            name=name,
            min_decryption_version=least,
            operator=operator_at_the_command_line(),
        )
    return _show(retired, output)


def _material(path: str) -> bytes | None:
    """Return what a key in a file is made of, None after saying why there is none."""
    members = read_jwk_file(path)
    if members is None:
        return None
    try:
        return read_symmetric_jwk(members)
    except JwkRefused as refused:
        complain(f"the key in --jwk-file {path} cannot be used: {refused}")
        return None


def _show(key: StoredCryptoKey | AccountRefusal, output: str) -> int:
    if isinstance(key, AccountRefusal):
        return explain_refusal(key)
    print_row(_row(key), output=output)
    return 0


def _row(key: StoredCryptoKey) -> Row:
    newest = key.newest
    return {
        "name": key.name,
        "version": newest.version,
        "min_decryption_version": key.min_decryption_version,
        "created_at": time_text(key.created_at),
        "rotated_at": time_text(newest.created_at) if newest.version > 1 else None,
        # Of the newest version; what runs tells of its own within half a minute.
        "messages": newest.messages,
    }
