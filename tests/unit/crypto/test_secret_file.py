"""The file with the master secret, and the one beside it with the secret to come."""

import os
from pathlib import Path

import pytest

from gateway.crypto import (
    SecretUnusable,
    drop_successor,
    find_secret,
    find_successor,
    load_or_create,
    put_beside,
    put_in_place,
    read_secret,
)

OWN = read_secret(b"my own secret, and long enough for it")


def names(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


@pytest.fixture
def file(tmp_path: Path) -> Path:
    load_or_create(tmp_path / "secret")
    return tmp_path / "secret"


def test_the_next_secret_waits_beside_the_present_one(file: Path) -> None:
    present = load_or_create(file).value
    assert find_successor(file) is None
    coming = put_beside(file)
    found = find_successor(file)
    assert found is not None
    assert found.value == coming.value != present == load_or_create(file).value
    assert names(file.parent) == ["secret", "secret.new"]
    assert (file.parent / "secret.new").stat().st_mode & 0o777 == 0o600


def test_it_takes_the_place_of_the_present_one(file: Path) -> None:
    coming = put_beside(file, OWN)
    assert coming.value == OWN.value
    put_in_place(file)
    assert load_or_create(file).value == OWN.value
    assert file.read_bytes() == OWN.value + b"\n"
    assert names(file.parent) == ["secret"]


def test_another_one_takes_its_place_as_long_as_it_waits(file: Path) -> None:
    put_beside(file)
    put_beside(file, OWN)
    found = find_successor(file)
    assert found is not None
    assert found.value == OWN.value


def test_it_can_be_dropped_and_nothing_waits_then(file: Path) -> None:
    present = load_or_create(file).value
    put_beside(file)
    drop_successor(file)
    drop_successor(file)
    assert find_successor(file) is None
    assert load_or_create(file).value == present


def test_one_that_was_cut_short_is_none(file: Path) -> None:
    (file.parent / "secret.new").write_bytes(b"my own secret, and long eno")
    assert find_successor(file) is None


def test_one_that_does_not_do_is_named(file: Path) -> None:
    (file.parent / "secret.new").write_bytes(b"short\n")
    with pytest.raises(SecretUnusable, match=r"secret\.new: the master secret has 5 bytes.* or remove this"):
        find_successor(file)


def test_looking_for_a_secret_makes_none(tmp_path: Path) -> None:
    assert find_secret(tmp_path / "secret") is None
    assert names(tmp_path) == []


@pytest.mark.parametrize(("mode", "comes"), [(0o600, 0o600), (0o400, 0o600), (0o640, 0o640), (0o666, 0o640)])
def test_a_group_that_reads_the_present_one_reads_the_next(file: Path, mode: int, comes: int) -> None:
    file.chmod(mode)
    put_beside(file)
    assert (file.parent / "secret.new").stat().st_mode & 0o777 == comes


def test_what_cannot_be_written_read_or_moved_is_named(file: Path) -> None:
    with pytest.raises(SecretUnusable, match=r"secret: cannot be replaced: No such file"):
        put_in_place(file)
    (file.parent / "secret.new").mkdir()
    with pytest.raises(SecretUnusable, match=r"secret\.new: Is a directory"):
        find_successor(file)
    with pytest.raises(SecretUnusable, match=r"secret\.new: cannot be written: Is a directory"):
        put_beside(file, OWN)
    with pytest.raises(SecretUnusable, match=r"secret\.new: cannot be removed"):
        drop_successor(file)
    with pytest.raises(SecretUnusable, match="cannot be written: No such file"):
        put_beside(file.parent / "elsewhere", OWN)


def test_a_secret_that_root_makes_belongs_to_whom_the_present_one_does(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[tuple[int, int]] = []
    made, owned = os.fstat, file.stat()
    monkeypatch.setattr(os, "fchown", lambda _, user, group: given.append((user, group)))
    put_beside(file)
    assert given == []

    def as_root(descriptor: int) -> os.stat_result:
        values = list(made(descriptor))
        # What stat calls st_uid.
        values[4] += 1
        return os.stat_result(values)

    monkeypatch.setattr(os, "fstat", as_root)
    put_beside(file)
    assert given == [(owned.st_uid, owned.st_gid)]


@pytest.mark.parametrize("content", [OWN.value, OWN.value + b"\n", OWN.value + b"\r\n\n"])
def test_line_breaks_at_the_end_are_no_part_of_a_secret(content: bytes) -> None:
    assert read_secret(content).value == OWN.value


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "is one line of UTF-8 text, .*: make one with `openssl rand -base64 32`"),
        (b" " * 40, "is one line of UTF-8 text"),
        (b"\xff" * 40, "is one line of UTF-8 text"),
        (b"a" * 40 + b"\0", "is one line of UTF-8 text"),
        (b"a" * 40 + b"\r\n" + b"a" * 40, "is one line of UTF-8 text"),
        (b" " + b"a" * 40, "without blanks around it"),
        (b"a" * 40 + b" \n", "without blanks around it"),
        (b"short\n", "has 5 bytes, at least 32"),
    ],
)
def test_what_would_not_come_back_the_same_from_a_setting_is_no_secret(content: bytes, why: str) -> None:
    with pytest.raises(SecretUnusable, match=why):
        read_secret(content)
