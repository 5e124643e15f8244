import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

from gateway.crypto import MasterSecret, SecretUnusable, load_or_create


def test_the_secret_shows_in_no_representation() -> None:
    secret = MasterSecret(b"correct horse battery staple and more")
    assert "horse" not in repr(secret)
    assert "horse" not in str(secret)


@pytest.mark.parametrize("size", [0, 1, 31])
def test_a_short_secret_is_refused_without_being_quoted(size: int) -> None:
    with pytest.raises(SecretUnusable, match=f"has {size} bytes, at least 32") as caught:
        MasterSecret(b"Z" * size)
    assert "ZZ" not in str(caught.value)
    assert isinstance(caught.value, ValueError)


def test_every_purpose_and_every_secret_has_a_key_of_its_own() -> None:
    one, other = MasterSecret(b"a" * 32), MasterSecret(b"b" * 32)
    purposes = ["password-pepper", "seal", "check", "refresh", "audit-hash"]
    keys = {secret.derive(purpose) for secret in (one, other) for purpose in purposes}
    assert len(keys) == 10
    assert {len(key) for key in keys} == {32}
    assert one.derive("seal") == MasterSecret(b"a" * 32).derive("seal")
    assert one.check_value() == MasterSecret(b"a" * 32).check_value() != other.check_value()


def test_derived_keys_never_change_from_one_version_to_the_next() -> None:
    # Stored password hashes and sealed keys depend on this value.
    assert (
        MasterSecret(b"a" * 32).derive("seal").hex()
        == "a19bcf8354d43f37bd75a8e003392f6ee9b7c8bbfe20091a9bda92b160bdfdc5"
    )


def test_a_key_without_a_purpose_is_refused() -> None:
    with pytest.raises(ValueError, match="purpose"):
        MasterSecret(b"a" * 32).derive("")


def test_the_file_is_created_once_and_only_its_owner_may_read_it(tmp_path: Path) -> None:
    path = tmp_path / "data" / "secret"
    first = load_or_create(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert load_or_create(path).value == first.value
    assert [entry.name for entry in path.parent.iterdir()] == ["secret"]
    assert path.read_bytes() == first.value + b"\n"


def test_two_files_get_different_secrets(tmp_path: Path) -> None:
    assert load_or_create(tmp_path / "a").value != load_or_create(tmp_path / "b").value


def test_threads_that_start_together_end_with_the_same_secret(tmp_path: Path) -> None:
    together = Barrier(8)

    def start(_: int) -> bytes:
        together.wait(timeout=10)
        return load_or_create(tmp_path / "secret").value

    with ThreadPoolExecutor(8) as threads:
        assert len(set(threads.map(start, range(8)))) == 1
    assert [entry.name for entry in tmp_path.iterdir()] == ["secret"]


def test_processes_that_start_together_end_with_the_same_secret(tmp_path: Path) -> None:
    code = """
import pathlib, sys
from gateway.crypto import load_or_create
print("ready", flush=True)
sys.stdin.readline()
print(load_or_create(pathlib.Path(sys.argv[1])).derive("check").hex())
"""
    starting = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(tmp_path / "secret")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    for process in starting:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in starting:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    printed = [process.communicate(timeout=30)[0] for process in starting]
    assert len(set(printed)) == 1
    assert len(printed[0].strip()) == 64


@pytest.mark.parametrize("content", [b"", b"A", b"A" * 31, b"A" * 43])
def test_a_file_that_was_cut_short_is_an_error_and_stays_as_it_is(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "secret"
    path.write_bytes(content)
    with pytest.raises(SecretUnusable, match="not whole") as caught:
        load_or_create(path)
    assert str(path) in str(caught.value)
    assert "AA" not in str(caught.value)
    assert path.read_bytes() == content


def test_a_short_file_is_an_error_that_names_the_file(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_bytes(b"short\n")
    with pytest.raises(SecretUnusable, match="has 5 bytes") as caught:
        load_or_create(path)
    assert str(path) in str(caught.value)


def test_a_secret_of_ones_own_may_be_put_there(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_bytes(b"my own secret, and long enough for it\r\n")
    assert load_or_create(path).value == b"my own secret, and long enough for it"


def test_what_a_dying_process_left_behind_is_not_taken_for_the_secret(tmp_path: Path) -> None:
    (tmp_path / ".secret.0123456789abcdef").write_bytes(b"half")
    assert len(load_or_create(tmp_path / "secret").value) == 43


def test_a_place_that_cannot_hold_the_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(SecretUnusable, match=r"file/secret: .*GATEWAY_SECRET_FILE"):
        load_or_create(tmp_path / "file" / "secret")


def test_a_folder_in_the_place_of_the_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "secret").mkdir()
    with pytest.raises(SecretUnusable, match="Is a directory"):
        load_or_create(tmp_path / "secret")
