"""Where a database file lies. SQLite's locks and its shared memory do not work across a network."""

import os
from pathlib import Path

_MOUNTS = Path("/proc/self/mountinfo")

_NETWORK = frozenset(
    {
        "afs",
        "beegfs",
        "ceph",
        "cifs",
        "coda",
        "gfs2",
        "glusterfs",
        "gpfs",
        "lustre",
        "ncpfs",
        "nfs",
        "nfs4",
        "ocfs2",
        "orangefs",
        "smb2",
        "smb3",
        "smbfs",
    }
)
_NETWORK_FUSE = frozenset(
    {
        "blobfuse",
        "blobfuse2",
        "ceph-fuse",
        "cephfs",
        "curlftpfs",
        "davfs",
        "davfs2",
        "gcsfuse",
        "glusterfs",
        "goofys",
        "grpcfuse",
        "juicefs",
        "rclone",
        "s3fs",
        "seaweedfs",
        "sshfs",
    }
)


def network_file_system(path: Path) -> str | None:
    """Return the kind of network file system that holds a path (`nfs4`, `fuse.sshfs`), None when it is local.

    Where the system has no mount table (it is Linux's) nothing can be told, and the answer is None.
    """
    try:
        table = _MOUNTS.read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return None
    kind = kind_of_mount(path.resolve(), table)
    return kind if kind is not None and _is_network(kind) else None


def kind_of_mount(path: Path, table: str) -> str | None:
    """Return the file system type of the mount that holds an absolute path, by a `mountinfo` table (proc(5)).

    The longest mount point wins, and of equals the later one, which lies on top.
    """
    found: tuple[int, str] | None = None
    for line in table.splitlines():
        before, separator, after = line.partition(" - ")
        places = before.split(" ")
        kinds = after.split(" ")
        if not separator or len(places) <= _MOUNT_POINT:
            continue
        point = Path(_unescaped(places[_MOUNT_POINT]))
        if path.is_relative_to(point) and (found is None or len(point.parts) >= found[0]):
            found = (len(point.parts), kinds[0])
    return None if found is None else found[1]


_MOUNT_POINT = 4


def _unescaped(field: str) -> str:
    """Undo the octal escapes of blanks, tabs, newlines and backslashes."""
    raw = os.fsencode(field)
    for code, octet in ((b"\\040", b" "), (b"\\011", b"\t"), (b"\\012", b"\n"), (b"\\134", b"\\")):
        raw = raw.replace(code, octet)
    return os.fsdecode(raw)


def _is_network(kind: str) -> bool:
    family, _, rest = kind.partition(".")
    return kind in _NETWORK or (family == "fuse" and rest in _NETWORK_FUSE)
