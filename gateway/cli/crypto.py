"""`gateway crypto-keys encrypt`, `decrypt` and `rewrap`: what the API does, for operators, from stdin to
stdout."""

import contextlib
import sys
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, TypeVar

from gateway.accounts import AccountRefusal
from gateway.assembly import at_the_command_line
from gateway.cli.refusals import FAILED, USAGE, complain, explain_refusal, run_command
from gateway.crypto import CannotOpen, CryptoKeys
from gateway.model import Reason
from gateway.operations import (
    Item,
    decrypt_values,
    encrypt_values,
    find_crypto_key,
    operator_at_the_command_line,
    rewrap_values,
)
from gateway.settings import Settings

T = TypeVar("T")


_LARGEST: Final = 256 * 1024 * 1024
"""Bytes on stdin, all of which are held in memory, several times over."""


def encrypt(settings: Settings, name: str, *, context: str) -> int:
    """Print a ciphertext of what is on stdin, byte for byte; return the exit code. Raise `StartRefused`."""
    data = _stdin()
    if data is None:
        return USAGE
    return run_command(_encrypt(settings, name, Item(data=data, context=context)))


def decrypt(settings: Settings, name: str, *, context: str) -> int:
    """Print what the ciphertext on stdin holds, byte for byte; return the exit code. Raise `StartRefused`."""
    ciphertext = _stdin()
    if ciphertext is None:
        return USAGE
    if not ciphertext.strip():
        complain("there is no ciphertext on stdin")
        return USAGE
    if len(ciphertext.split()) > 1:
        complain("there is more than one ciphertext on stdin; write one line only")
        return USAGE
    return run_command(_decrypt(settings, name, Item(data=ciphertext.strip(), context=context)))


def rewrap(settings: Settings, name: str, *, context: str) -> int:
    """Print the ciphertexts on stdin, one a line, as the newest version of the key encrypts them: all or
    none; return the exit code. Raise `StartRefused`."""
    data = _stdin()
    if data is None:
        return USAGE
    lines = [line.strip() for line in data.splitlines()]
    if not lines:
        complain("there is no ciphertext on stdin; write one a line")
        return USAGE
    for number, line in enumerate(lines, 1):
        if not line:
            complain(f"line {number} on stdin is empty; write one ciphertext a line")
            return USAGE
    return run_command(_rewrap(settings, name, [Item(data=line, context=context) for line in lines]))


def _stdin() -> bytes | None:
    """Return what is on stdin, None after saying that it is too much."""
    data = sys.stdin.buffer.read(_LARGEST + 1)
    if len(data) <= _LARGEST:
        return data
    complain(f"there is more on stdin than can be encrypted or decrypted at once: {_LARGEST} bytes")
    return None


async def _encrypt(settings: Settings, name: str, item: Item) -> int:
    ciphertexts = await _answer(settings, name, encrypt_values, [item])
    if ciphertexts is None:
        return FAILED
    print(*ciphertexts)
    return 0


async def _decrypt(settings: Settings, name: str, item: Item) -> int:
    plaintexts = await _answer(settings, name, decrypt_values, [item])
    if plaintexts is None:
        return FAILED
    sys.stdout.buffer.write(plaintexts[0])
    sys.stdout.buffer.flush()
    return 0


async def _rewrap(settings: Settings, name: str, items: Sequence[Item]) -> int:
    ciphertexts = await _answer(settings, name, rewrap_values, items)
    if ciphertexts is None:
        return FAILED
    print(*ciphertexts, sep="\n")
    return 0


async def _answer(
    settings: Settings,
    name: str,
    verb: Callable[..., Awaitable[Sequence[T] | AccountRefusal]],
    items: Sequence[Item],
) -> Sequence[T] | None:
    """Return what a verb makes of values, None after saying why it makes nothing of them. What is logged on
    the way goes to stderr: stdout is for the answer alone."""
    with contextlib.redirect_stdout(sys.stderr):
        async with at_the_command_line(settings) as stores:
            known = await find_crypto_key(stores.crypto_keys, name)
            if isinstance(known, AccountRefusal):
                explain_refusal(known)
                return None
            keys = await CryptoKeys.open(stores.crypto_keys, stores.sealer, stores.clock)
            answer = await verb(
                keys, stores.events, name=name, items=items, actor=operator_at_the_command_line()
            )
            await stores.crypto_keys.count(keys.take_counts())
            if not isinstance(answer, AccountRefusal):
                return answer
            where = await _first_flaw(keys, name, items) if answer.reason is Reason.DECRYPTION_FAILED else ""
            complain(where + answer.diagnosis)
            return None


async def _first_flaw(keys: CryptoKeys, name: str, items: Sequence[Item]) -> str:
    """Return which of the ciphertexts is the first that does not open, to be followed by the reason."""
    for number, item in enumerate(items, 1):
        try:
            await keys.unseal(name, item.data, context=item.context)
        except CannotOpen:
            return f"line {number} on stdin cannot be decrypted with {name!r}: "
    return ""
