"""The master secret: the root of the password pepper, of keyed hashes and of the sealing of stored keys.

It is never used itself: every purpose gets a key of its own, derived with HKDF-SHA256 (RFC 5869).
"""

import os
import secrets
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from gateway.crypto.base64url import encode_base64url

MIN_BYTES = 32
DERIVED_BYTES = 32


class SecretUnusable(ValueError):
    """The master secret cannot be used. The text says where it came from and what to do, never the secret."""


@dataclass(frozen=True, slots=True, eq=False)
class MasterSecret:
    """The secret that all keys at rest depend on. Raise `SecretUnusable` when it is too short."""

    value: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if len(self.value) < MIN_BYTES:
            raise SecretUnusable(
                f"the master secret has {len(self.value)} bytes, at least {MIN_BYTES} are needed; "
                "make one with `openssl rand -base64 32`"
            )

    def derive(self, purpose: str) -> bytes:
        """Return the 32-byte key for one purpose: `password-pepper`, `seal`, `check`, ..."""
        if not purpose:
            raise ValueError("a derived key needs a purpose")
        hkdf = HKDF(algorithm=SHA256(), length=DERIVED_BYTES, salt=None, info=b"gateway/" + purpose.encode())
        return hkdf.derive(self.value)

    def check_value(self) -> bytes:
        """Return what a database keeps to recognise this secret by; it tells nothing about other keys."""
        return self.derive("check")


def load_or_create(path: Path) -> MasterSecret:
    """Return the secret in a file, which is created (mode 0600) when there is none.

    Processes that start together end with the same secret, and a file that exists is whole: it appears
    under its name only after its content is on the disk. The secret is the text of the file without its
    last line break, so that it can be carried to another machine as `GATEWAY_SECRET`.
    Raise `SecretUnusable` when the file cannot be read, was cut short, or cannot be created.
    """
    try:
        found = _read(path)
        if found is None:
            _create(path, encode_base64url(secrets.token_bytes(MIN_BYTES)).encode() + b"\n")
            found = _read(path)
    except OSError as fault:
        raise SecretUnusable(
            f"{path}: {fault.strerror}; set GATEWAY_SECRET_FILE to a file elsewhere"
        ) from fault
    if found is None:
        raise SecretUnusable(
            f"{path}: disappeared while it was being made; something else cleans this folder"
        )
    return found


def _read(path: Path) -> MasterSecret | None:
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    # The line break is the last byte written: without it, the rest may be missing too.
    if not content.endswith(b"\n"):
        raise SecretUnusable(
            f"{path}: the secret is not whole (its line break is missing); restore it from a backup. "
            "A new secret would make every stored password and key unusable"
        )
    try:
        return MasterSecret(content.rstrip(b"\r\n"))
    except SecretUnusable as fault:
        raise SecretUnusable(f"{path}: {fault}") from None


def _create(path: Path, content: bytes) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        try:
            # Unlike a rename, a link never replaces the secret of a process that was quicker.
            os.link(draft, path)
        except FileExistsError:
            return
        _sync_folder(path.parent)
    finally:
        draft.unlink()


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
