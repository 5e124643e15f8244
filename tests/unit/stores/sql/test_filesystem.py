"""Where a database file lies."""

from pathlib import Path

import pytest

from gateway.stores.sql import filesystem
from gateway.stores.sql.filesystem import kind_of_mount, network_file_system

TABLE = r"""
22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
23 22 0:30 / /srv rw - nfs4 server:/export rw
24 22 0:31 / /srv/local rw - xfs /dev/vdb rw
25 22 0:32 / /mnt/with\040blank rw - fuse.sshfs me@host:/ rw
26 22 0:33 / /data rw - ext4 /dev/vdc rw
27 22 0:34 / /data rw - cifs //server/share rw
28 22 0:35 / /flat rw - fuse.mergerfs a:b rw
nonsense
29 - -
""".strip()


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/", "ext4"),
        ("/home/x", "ext4"),
        ("/srv", "nfs4"),
        ("/srv/x/y", "nfs4"),
        ("/srvice", "ext4"),
        ("/srv/local/x", "xfs"),
        ("/mnt/with blank/x", "fuse.sshfs"),
        ("/data/x", "cifs"),
        ("/flat", "fuse.mergerfs"),
    ],
)
def test_the_mount_that_holds_a_path_is_found(path: str, kind: str) -> None:
    assert kind_of_mount(Path(path), TABLE) == kind


def test_an_empty_table_tells_nothing() -> None:
    assert kind_of_mount(Path("/"), "") is None


@pytest.mark.parametrize(
    ("kind", "refused"),
    [("nfs", True), ("nfs4", True), ("cifs", True), ("smb3", True), ("fuse.sshfs", True), ("ceph", True),
     ("ext4", False), ("tmpfs", False), ("overlay", False), ("fuse.mergerfs", False), ("fuseblk", False)],
)  # fmt: skip
def test_network_file_systems_are_told_from_local_ones(
    kind: str, refused: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = tmp_path / "mountinfo"
    table.write_text(f"1 0 0:1 / / rw - {kind} source rw\n")
    monkeypatch.setattr(filesystem, "_MOUNTS", table)
    assert network_file_system(tmp_path) == (kind if refused else None)


def test_without_a_mount_table_nothing_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(filesystem, "_MOUNTS", tmp_path / "missing")
    assert network_file_system(tmp_path) is None


def test_a_link_is_followed_to_where_the_file_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "share").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "share")
    table = tmp_path / "mountinfo"
    table.write_text(f"1 0 0:1 / / rw - ext4 x rw\n2 1 0:2 / {tmp_path.resolve()}/share rw - nfs x rw\n")
    monkeypatch.setattr(filesystem, "_MOUNTS", table)
    assert network_file_system(tmp_path / "link") == "nfs"
    assert network_file_system(tmp_path) is None
