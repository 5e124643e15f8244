"""Sockets for the two listeners: bound where the settings say, or refused with what to do."""

import os
import socket
import stat
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path

from gateway.assembly import StartRefused
from gateway.settings import Listen

BACKLOG = 2048
_SOCKET_UMASK = 0o117
"""A unix socket is for its owner and its group: mode 0660."""


def bind(listen: Listen, setting: str) -> list[socket.socket]:
    """Return sockets bound to an address, which do not listen yet: one for each address that a name has.

    `setting` is the name of what the address comes from. Raise `StartRefused`.
    """
    with ExitStack() as opened:
        try:
            if listen.path is not None:
                bound = [_bind_path(Path(listen.path), opened)]
            else:
                bound = [_bind_address(info, opened) for info in _addresses(listen)]
        except OSError as error:
            raise StartRefused(f"cannot listen on {listen} ({setting}): {plain(error)}") from None
        opened.pop_all()
        return bound


def begin(sockets: Iterable[socket.socket], listen: Listen, setting: str) -> None:
    """Have bound sockets take connections. Raise `StartRefused`."""
    try:
        for one in sockets:
            one.listen(BACKLOG)
    except OSError as error:
        raise StartRefused(f"cannot listen on {listen} ({setting}): {plain(error)}") from None


def bound_address(listen: Listen, address: object) -> str:
    """Return where a socket listens, as a setting is written: a port 0 has become a real one."""
    port = address[1] if isinstance(address, tuple) else None
    return str(listen.model_copy(update={"port": port}))


def plain(error: OSError) -> str:
    """Return what went wrong, without the numbers."""
    # Resolving a name fails with numbers of its own.
    if isinstance(error, socket.gaierror) or not error.errno:
        return str(error.strerror or error)
    return os.strerror(error.errno)


def _remove_stale(path: Path) -> None:
    """Remove a socket that nobody listens on any more; whatever else is there stays. Raise `StartRefused`."""
    try:
        if not stat.S_ISSOCK(path.stat().st_mode):
            raise StartRefused(f"{path} exists and is not a socket")
    except FileNotFoundError:
        return
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
        except OSError as error:
            raise StartRefused(f"cannot use {path}: {plain(error)}") from None
        else:
            raise StartRefused(f"another process listens on {path}")


def _bind_path(path: Path, opened: ExitStack) -> socket.socket:
    _remove_stale(path)
    made = opened.enter_context(socket.socket(socket.AF_UNIX))
    made.settimeout(0.0)
    before = os.umask(_SOCKET_UMASK)
    try:
        made.bind(str(path))
    finally:
        os.umask(before)
    return made


def _addresses(listen: Listen) -> list[tuple[int, tuple[object, ...]]]:
    found = socket.getaddrinfo(
        listen.host, listen.port or 0, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )
    return list(dict.fromkeys((family, address) for family, _, _, _, address in found))


def _bind_address(info: tuple[int, tuple[object, ...]], opened: ExitStack) -> socket.socket:
    family, address = info
    made = opened.enter_context(socket.socket(family, socket.SOCK_STREAM))
    made.settimeout(0.0)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if family == socket.AF_INET6:
        # As in one process: a name with addresses of both kinds has a socket for each.
        made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    made.bind(address)
    return made
