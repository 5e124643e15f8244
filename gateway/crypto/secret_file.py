"""The file with the master secret: made once, read, and replaced by the one that is to follow.

Whatever a crash leaves, a file of this name is whole.
"""

import os
import secrets
import stat
from pathlib import Path
from typing import Final

from gateway.crypto.base64url import encode_base64url
from gateway.crypto.secret import MIN_BYTES, MasterSecret, SecretUnusable

NEXT: Final = ".new"
"""What the name of a file ends with that has the master secret to come."""
_CONTROLS: Final = frozenset("\0\r\n")


def load_or_create(path: Path) -> MasterSecret:
    """Return the secret in a file, which is created (mode 0600) when there is none.

    Processes that start together end with the same secret, and a file that exists is whole: it appears
    under its name only after its content is on the disk. The secret is the text of the file without its
    last line break, so that it can be carried to another machine as `GATEWAY_SECRET`.
    Raise `SecretUnusable` when the file cannot be read, was cut short, or cannot be created.
    """
    found = find_secret(path)
    if found is None:
        try:
            _create(path, encode_base64url(secrets.token_bytes(MIN_BYTES)).encode() + b"\n")
        except OSError as fault:
            raise _unusable(path, fault) from fault
        found = find_secret(path)
    if found is None:
        raise SecretUnusable(
            f"{path}: disappeared while it was being made; something else cleans this folder"
        )
    return found


def find_secret(path: Path) -> MasterSecret | None:
    """Return the secret in a file, None when there is none. Raise `SecretUnusable` when it cannot be read, or
    was cut short."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as fault:
        raise _unusable(path, fault) from fault
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


def read_secret(content: bytes) -> MasterSecret:
    """Return the master secret that is the text of a file, or of standard input, but for its line breaks.

    Raise `SecretUnusable` for one that is too short, or that would not come back the same from every setting
    and every file of settings.
    """
    text = content.rstrip(b"\r\n")
    try:
        shown = text.decode()
    except UnicodeDecodeError:
        shown = ""
    if not shown or shown != shown.strip() or not _CONTROLS.isdisjoint(shown):
        raise SecretUnusable(
            "a master secret is one line of UTF-8 text, without blanks around it: make one with "
            "`openssl rand -base64 32`"
        )
    return MasterSecret(text)


def find_successor(path: Path) -> MasterSecret | None:
    """Return the master secret that waits beside the file of the present one; None when none does.

    One that was cut short is none: nothing was done with it. Raise `SecretUnusable` when it cannot be read.
    """
    try:
        content = path.with_name(path.name + NEXT).read_bytes()
        return read_secret(content) if content.endswith(b"\n") else None
    except FileNotFoundError:
        return None
    except OSError as fault:
        raise SecretUnusable(f"{path}{NEXT}: {fault.strerror}") from fault
    except SecretUnusable as fault:
        raise SecretUnusable(f"{path}{NEXT}: {fault}; or remove this file") from None


def put_beside(path: Path, secret: MasterSecret | None = None) -> MasterSecret:
    """Return the master secret that is to follow the one in a file, a random one unless it is given, once it
    is safe on the disk beside that file, for those who read that one. Raise `SecretUnusable`."""
    content = encode_base64url(secrets.token_bytes(MIN_BYTES)).encode() if secret is None else secret.value
    try:
        present = path.stat()
        draft = _drafted(path, content + b"\n", like=present)
        draft.replace(path.with_name(path.name + NEXT))
        _sync_folder(path.parent)
    except OSError as fault:
        raise SecretUnusable(f"{path}{NEXT}: cannot be written: {fault.strerror}") from fault
    return MasterSecret(content)


def put_in_place(path: Path) -> None:
    """Have the file hold the master secret that waits beside it. Raise `SecretUnusable`; then it holds the
    one before."""
    try:
        path.with_name(path.name + NEXT).replace(path)
        _sync_folder(path.parent)
    except OSError as fault:
        raise SecretUnusable(f"{path}: cannot be replaced: {fault.strerror}") from fault


def drop_successor(path: Path) -> None:
    """Remove the master secret that waits beside a file, if one does. Raise `SecretUnusable`."""
    try:
        path.with_name(path.name + NEXT).unlink(missing_ok=True)
    except OSError as fault:
        raise SecretUnusable(f"{path}{NEXT}: cannot be removed: {fault.strerror}") from fault


def _unusable(path: Path, fault: OSError) -> SecretUnusable:
    return SecretUnusable(f"{path}: {fault.strerror}; set GATEWAY_SECRET_FILE to a file elsewhere")


def _create(path: Path, content: bytes) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = _drafted(path, content)
    try:
        # Unlike a rename, a link never replaces the secret of a process that was quicker.
        os.link(draft, path)
    except FileExistsError:
        return
    finally:
        draft.unlink()
    _sync_folder(path.parent)


def _drafted(path: Path, content: bytes, *, like: os.stat_result | None = None) -> Path:
    """Return a new file beside another, its content safe on the disk, with the owner and the group of one
    that is `like` it, who may read it if they might read that."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            if like is not None:
                # A command that root runs leaves the gateway a secret that it can read.
                made = os.fstat(descriptor)
                if (made.st_uid, made.st_gid) != (like.st_uid, like.st_gid):
                    os.fchown(descriptor, like.st_uid, like.st_gid)
                os.fchmod(descriptor, 0o600 | like.st_mode & stat.S_IRGRP)
            file.write(content)
            file.flush()
            os.fsync(descriptor)
    except BaseException:
        draft.unlink()
        raise
    return draft


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
