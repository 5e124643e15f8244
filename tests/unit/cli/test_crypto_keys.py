"""`gateway crypto-keys`: the life of a key from the command line, and what is encrypted with it there."""

import io
import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gateway.cli import audit, crypto, crypto_keys
from gateway.cli import main as command_line
from gateway.crypto import encode_base64url
from gateway.settings import Settings

MATERIAL = bytes(range(32))
JWK = {"kty": "oct", "k": encode_base64url(MATERIAL)}

Give = Callable[[bytes], None]


@pytest.fixture
def give(monkeypatch: pytest.MonkeyPatch) -> Give:
    """Have bytes stand on stdin."""
    return lambda data: monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(data)))


def made(
    settings: Settings, capsys: pytest.CaptureFixture[str], name: str = "reports", jwk_file: str | None = None
) -> Any:
    assert crypto_keys.create(settings, name, jwk_file=jwk_file, output="json") == 0
    return json.loads(capsys.readouterr().out)


def rotated(settings: Settings, capsys: pytest.CaptureFixture[str], jwk_file: str | None = None) -> Any:
    assert crypto_keys.rotate(settings, "reports", jwk_file=jwk_file, output="json") == 0
    return json.loads(capsys.readouterr().out)


def listed(settings: Settings, capsys: pytest.CaptureFixture[str]) -> Any:
    assert crypto_keys.list_all(settings, output="json") == 0
    return json.loads(capsys.readouterr().out)


def encrypted(
    settings: Settings,
    capsys: pytest.CaptureFixture[str],
    give: Give,
    data: bytes,
    context: str = "",
) -> bytes:
    give(data)
    assert crypto.encrypt(settings, "reports", context=context) == 0
    said = capsys.readouterr()
    assert said.err == ""
    return said.out.encode()


def recorded(settings: Settings, capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    """Return what stands in the audit trail, the oldest first."""
    assert audit.list_(settings, output="json", kind="event") == 0
    records: list[dict[str, Any]] = json.loads(capsys.readouterr().out)
    return records[::-1]


def test_the_life_of_a_key(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    assert crypto_keys.list_all(settings, output="text") == 0
    assert "gateway crypto-keys create NAME" in capsys.readouterr().out
    first = made(settings, capsys)
    assert {name: value for name, value in first.items() if name != "created_at"} == {
        "name": "reports",
        "version": 1,
        "min_decryption_version": 1,
        "rotated_at": None,
        "messages": 0,
    }
    second = rotated(settings, capsys)
    assert (second["version"], second["created_at"]) == (2, first["created_at"])
    assert second["rotated_at"] >= first["created_at"]
    assert crypto_keys.retire(settings, "reports", min_decryption_version=None, output="json") == 0
    retired = json.loads(capsys.readouterr().out)
    assert retired == {**second, "min_decryption_version": 2}
    assert crypto_keys.retire(settings, "reports", min_decryption_version=1, output="json") == 0
    assert json.loads(capsys.readouterr().out) == second
    made(settings, capsys, "invoices")
    assert [key["name"] for key in listed(settings, capsys)] == ["invoices", "reports"]


def test_what_cannot_be_done_is_one_sentence(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    made(settings, capsys)
    acts: list[tuple[int, Callable[[], int]]] = [
        (1, lambda: crypto_keys.create(settings, "reports", jwk_file=None, output="text")),
        (2, lambda: crypto_keys.create(settings, "re/ports", jwk_file=None, output="text")),
        (1, lambda: crypto_keys.rotate(settings, "report", jwk_file=None, output="text")),
        (1, lambda: crypto_keys.retire(settings, "reports", min_decryption_version=None, output="text")),
        (2, lambda: crypto_keys.retire(settings, "reports", min_decryption_version=2, output="text")),
    ]
    for code, act in acts:
        assert act() == code
        said = capsys.readouterr()
        assert (said.out, said.err.count("\n")) == ("", 1)


def test_a_key_that_is_brought_along_is_never_shown(
    settings: Settings, capsys: pytest.CaptureFixture[str], tmp_path: Path, data_dir: Path, give: Give
) -> None:
    file = tmp_path / "reports.jwk"
    file.write_text(json.dumps(JWK))
    made(settings, capsys, jwk_file=str(file))
    give(json.dumps({**JWK, "k": encode_base64url(MATERIAL[::-1]), "use": "enc", "alg": "A256GCM"}).encode())
    assert rotated(settings, capsys, jwk_file="-")["version"] == 2
    kept = b"".join(path.read_bytes() for path in data_dir.rglob("*") if path.is_file())
    for secret in (MATERIAL, MATERIAL[::-1]):
        assert secret not in kept
        assert encode_base64url(secret).encode() not in kept


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "holds no JSON Web Key"),
        ("[]", "not a JSON object"),
        ('{"kty": "oct", "kty": "oct"}', "occurs twice"),
        (json.dumps({"keys": [JWK]}), "set of keys"),
        (json.dumps({**JWK, "k": "AAAA"}), "3 bytes"),
        (json.dumps({**JWK, "kty": "EC"}), "kty is not oct"),
        (" " * 70_000, "longer than one key"),
    ],
)
def test_what_is_no_key_is_not_taken(
    settings: Settings, capsys: pytest.CaptureFixture[str], give: Give, text: str, said: str
) -> None:
    give(text.encode())
    assert crypto_keys.create(settings, "reports", jwk_file="-", output="text") == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
    assert listed(settings, capsys) == []


@pytest.mark.parametrize("path", ["missing.jwk", ".", "a\0b"])
def test_a_file_that_cannot_be_read_is_named(
    settings: Settings, capsys: pytest.CaptureFixture[str], path: str
) -> None:
    assert crypto_keys.rotate(settings, "reports", jwk_file=path, output="text") == 2
    assert f"--jwk-file {path} cannot be read" in capsys.readouterr().err


@pytest.mark.parametrize("data", [b"", b"text\n", bytes(range(256)), b"x" * 100_000])
def test_what_is_encrypted_comes_back_byte_for_byte(
    settings: Settings, capsysbinary: pytest.CaptureFixture[bytes], give: Give, data: bytes
) -> None:
    assert crypto_keys.create(settings, "reports", jwk_file=None, output="text") == 0
    capsysbinary.readouterr()
    give(data)
    assert crypto.encrypt(settings, "reports", context="file 1") == 0
    line = capsysbinary.readouterr().out
    assert line.startswith(b"gw:v1:")
    assert line.count(b"\n") == 1
    give(line)
    assert crypto.decrypt(settings, "reports", context="file 1") == 0
    assert capsysbinary.readouterr() == (data, b"")


def test_lines_are_encrypted_anew_all_or_none(
    settings: Settings, capsys: pytest.CaptureFixture[str], give: Give
) -> None:
    made(settings, capsys)
    lines = [encrypted(settings, capsys, give, data, "c") for data in (b"one", b"two")]
    rotated(settings, capsys)
    give(b" ".join(lines))
    assert crypto.rewrap(settings, "reports", context="c") == 0
    new = capsys.readouterr().out.splitlines()
    assert [line[:6] for line in new] == ["gw:v2:", "gw:v2:"]
    for line, data in zip(new, ("one", "two"), strict=True):
        give(line.encode())
        assert crypto.decrypt(settings, "reports", context="c") == 0
        assert capsys.readouterr().out == data
    give(lines[0] + b"gw:v1:AAAA\n")
    assert crypto.rewrap(settings, "reports", context="c") == 1
    said = capsys.readouterr()
    assert (said.out, said.err.count("\n")) == ("", 1)
    assert "line 2 on stdin cannot be decrypted with 'reports': " in said.err


def test_every_message_is_counted(settings: Settings, capsys: pytest.CaptureFixture[str], give: Give) -> None:
    made(settings, capsys)
    lines = b"".join(encrypted(settings, capsys, give, b"") for _ in range(2))
    give(lines)
    assert crypto.rewrap(settings, "reports", context="") == 0
    capsys.readouterr()
    assert listed(settings, capsys)[0]["messages"] == 4


@pytest.mark.parametrize("context", ["", "other"])
def test_what_does_not_open_says_so_on_stderr_alone(
    settings: Settings, capsys: pytest.CaptureFixture[str], give: Give, context: str
) -> None:
    made(settings, capsys)
    line = encrypted(settings, capsys, give, b"secret", "c")
    give(line)
    assert crypto.decrypt(settings, "reports", context=context) == 1
    said = capsys.readouterr()
    assert (said.out, said.err.count("\n")) == ("", 1)
    assert "secret" not in said.err
    assert crypto_keys.rotate(settings, "reports", jwk_file=None, output="json") == 0
    assert crypto_keys.retire(settings, "reports", min_decryption_version=None, output="json") == 0
    capsys.readouterr()
    give(line)
    assert crypto.decrypt(settings, "reports", context="c") == 1
    assert "version 1 of this key is retired" in capsys.readouterr().err


def test_nothing_on_stdin_is_a_mistake_unless_it_is_to_be_encrypted(
    settings: Settings, capsys: pytest.CaptureFixture[str], give: Give
) -> None:
    for data in (b"", b" \n"):
        give(data)
        assert crypto.decrypt(settings, "reports", context="") == 2
        assert "no ciphertext on stdin" in capsys.readouterr().err
    give(b"gw:v1:x\ngw:v1:y\n")
    assert crypto.decrypt(settings, "reports", context="") == 2
    assert "one line only" in capsys.readouterr().err
    give(b"")
    assert crypto.rewrap(settings, "reports", context="") == 2
    assert "no ciphertext on stdin" in capsys.readouterr().err
    give(b"gw:v1:x\n\ngw:v1:y\n")
    assert crypto.rewrap(settings, "reports", context="") == 2
    assert "line 2 on stdin is empty" in capsys.readouterr().err


def test_more_than_can_be_held_is_refused(
    settings: Settings, capsys: pytest.CaptureFixture[str], give: Give, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.cli.crypto._LARGEST", 10)
    for command in (crypto.encrypt, crypto.decrypt, crypto.rewrap):
        give(b"x" * 11)
        assert command(settings, "reports", context="") == 2
        assert capsys.readouterr().err.endswith("at once: 10 bytes\n")


def test_a_key_that_there_is_not_is_answered_with_the_nearest(
    settings: Settings, capsys: pytest.CaptureFixture[str], give: Give
) -> None:
    made(settings, capsys)
    for command in (crypto.encrypt, crypto.decrypt, crypto.rewrap):
        give(b"gw:v1:AAAA")
        assert command(settings, "report", context="") == 1
        assert capsys.readouterr().err.endswith("did you mean 'reports'?\n")


def test_a_damaged_key_leaves_stdout_alone(
    settings: Settings, capsys: pytest.CaptureFixture[str], data_dir: Path, give: Give
) -> None:
    made(settings, capsys)
    line = encrypted(settings, capsys, give, b"secret")
    with sqlite3.connect(data_dir / "gateway.db") as database:
        database.execute("UPDATE crypto_key_versions SET sealed = x'01'")
    database.close()
    for command, data in ((crypto.encrypt, b"x"), (crypto.decrypt, line)):
        give(data)
        assert command(settings, "reports", context="") == 1
        said = capsys.readouterr()
        assert said.out == ""
        assert "crypto_keys.damaged" in said.err


def test_all_of_it_is_recorded_and_nothing_of_what_it_was(
    settings: Settings, capsys: pytest.CaptureFixture[str], give: Give
) -> None:
    made(settings, capsys)
    line = encrypted(settings, capsys, give, b"sentinel-plaintext", "sentinel-context")
    give(line)
    assert crypto.decrypt(settings, "reports", context="wrong-context") == 1
    capsys.readouterr()
    give(line + line)
    assert crypto.rewrap(settings, "reports", context="sentinel-context") == 0
    capsys.readouterr()
    told = recorded(settings, capsys)
    assert [(each["action"], each["reason"], each["attributes"]) for each in told] == [
        ("crypto_key.created", "ok", {"key": "reports", "version": 1}),
        ("crypto.encrypt", "ok", {"key": "reports", "version": 1, "count": 1}),
        ("crypto.decrypt", "decryption-failed", {"key": "reports", "count": 1}),
        ("crypto.rewrap", "ok", {"key": "reports", "version": 1, "count": 2}),
    ]
    assert {each["actor"]["kind"] for each in told} == {"operator"}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("create", "missing argument 'name'"),
        ("retire reports --min-decryption-version x", "'--min-decryption-version'"),
        ("rotate reports --jwk-file", "'--jwk-file'"),
    ],
)
def test_words_that_mean_nothing_are_explained(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: str, said: str
) -> None:
    monkeypatch.setattr("sys.argv", ["gateway", "crypto-keys", *words.split()])
    with pytest.raises(SystemExit) as end:
        command_line.main()
    assert end.value.code == 2
    assert said in capsys.readouterr().err
