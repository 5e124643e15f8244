"""The commands about identity: they work on an empty database, say what they did, and never with a traceback."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from flows_identity import PASSWORD, POLICIES, UPSTREAMS
from support.gateway import Gateway

LISTS = ["users", "invites", "clients", "keys", "signing-keys", "blocks"]
VERBS = [
    *(
        (("users", verb))
        for verb in ("create", "list", "show", "set-roles", "set-password", "disable", "enable", "delete")
    ),
    *((("invites", verb)) for verb in ("create", "list", "revoke")),
    *((("clients", verb)) for verb in ("create", "list", "rotate", "revoke")),
    *((("keys", verb)) for verb in ("create", "list", "rotate", "revoke")),
    *((("signing-keys", verb)) for verb in ("list", "rotate", "revoke")),
    *((("blocks", verb)) for verb in ("list", "add", "remove")),
]


@pytest.fixture(scope="module")
def with_kai(tmp_path_factory: pytest.TempPathFactory) -> Gateway:
    """One that has nothing but an account."""
    gateway = Gateway(
        tmp_path_factory.mktemp("kai"),
        policies=POLICIES,
        upstreams=UPSTREAMS,
        environ={"TEST_SERVICE": "127.0.0.1:1"},
    )
    gateway.create_user("kai", PASSWORD, "reader")
    return gateway


@pytest.fixture
def stopped(tmp_path: Path) -> Gateway:
    """A gateway that was never started: there is no database yet."""
    return Gateway(
        tmp_path / "own",
        policies=POLICIES,
        upstreams=UPSTREAMS,
        environ={"TEST_SERVICE": "127.0.0.1:1"},
    )


def done(gateway: Gateway, *words: str, stdin: str | None = None) -> Any:
    ended = gateway.run(*words, "--format", "json", stdin=stdin)
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout)


@pytest.mark.parametrize("words", VERBS, ids="-".join)
def test_every_command_says_how_it_is_used(with_kai: Gateway, words: tuple[str, str]) -> None:
    ended = with_kai.run(*words, "--help")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert f"Example: gateway {' '.join(words)}" in " ".join(ended.stdout.split())
    assert "--format" in ended.stdout


@pytest.mark.parametrize("what", LISTS)
def test_every_list_works_on_an_empty_database(stopped: Gateway, what: str) -> None:
    assert isinstance(done(stopped, what, "list"), list)
    assert stopped.run(what, "list").returncode == 0


@pytest.mark.parametrize(
    "words",
    [
        ("users", "show", "nobody"),
        ("users", "set-roles", "nobody", "--role", "reader"),
        ("users", "disable", "nobody"),
        ("users", "enable", "nobody"),
        ("users", "delete", "nobody"),
        ("invites", "revoke", "inv_nothing"),
        ("clients", "rotate", "cli_nothing"),
        ("clients", "revoke", "cli_nothing"),
        ("keys", "create", "name", "--user", "nobody"),
        ("keys", "rotate", "key_nothing"),
        ("keys", "revoke", "key_nothing"),
        ("signing-keys", "revoke", "nothing"),
        ("blocks", "remove", "192.0.2.1"),
    ],
    ids=lambda words: "-".join(words[:2]),
)
def test_what_is_not_there_is_one_sentence_and_exit_code_1(with_kai: Gateway, words: tuple[str, ...]) -> None:
    ended = with_kai.run(*words)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert len(ended.stderr.strip().splitlines()) == 1, ended.stderr
    assert ended.stderr.startswith("gateway: ")


@pytest.mark.parametrize(
    "words",
    [
        ("users", "create", "somebody", "--role", "no-such-role", "--password-stdin"),
        ("users", "create", "somebody", "--email", "no address", "--password-stdin"),
        ("users", "set-roles", "somebody", "--role", "no-such-role"),
        ("invites", "create", "--role", "no-such-role"),
        ("invites", "create", "--role", "reader", "--expires", "tomorrow"),
        ("clients", "create", "robot", "--role", "no-such-role"),
        ("clients", "rotate", "cli_x", "--overlap", "soon"),
        ("keys", "create", "name", "--user", "kai", "--scope", "no:such"),
        ("keys", "create", "name", "--user", "kai", "--expires", "-1d"),
        ("keys", "create", "name", "--user", "kai", "--network", "10.0.0.0/99"),
        ("blocks", "add", "localhost"),
        ("blocks", "add", "192.0.2.1", "--for", "ages"),
    ],
    ids="-".join,
)
def test_a_word_that_makes_no_sense_is_told(with_kai: Gateway, words: tuple[str, ...]) -> None:
    ended = with_kai.run(*words, stdin=PASSWORD + "\n")
    assert ended.returncode in {1, 2}
    assert ended.stdout == ""
    assert ended.stderr.strip()
    assert "Traceback" not in ended.stderr
    assert "this is a bug" not in ended.stderr


def test_and_it_has_changed_nothing(with_kai: Gateway) -> None:
    assert [user["roles"] for user in done(with_kai, "users", "list")] == [["reader"]]
    for what in ("invites", "clients", "keys", "blocks"):
        assert done(with_kai, what, "list") == []


def test_a_whole_life_without_a_gateway_that_runs(stopped: Gateway) -> None:
    user = done(
        stopped,
        *("users", "create", "kai", "--email", "kai@example.com", "--role", "reader", "--role", "writer"),
        "--password-stdin",
        stdin=PASSWORD + "\n",
    )
    assert user["roles"] == ["reader", "writer"]
    key = done(stopped, "keys", "create", "nightly", "--user", "kai@example.com", "--expires", "90d")
    client = done(stopped, "clients", "create", "billing", "--role", "reader")
    invite = done(
        stopped, "invites", "create", "--role", "reader", "--email", "x@example.com", "--expires", "7d"
    )
    done(stopped, "blocks", "add", "198.51.100.1", "--for", "1h")
    done(stopped, "users", "set-roles", "kai", "--role", "reader")
    done(stopped, "users", "disable", "kai")
    done(stopped, "users", "enable", "kai")
    done(stopped, "keys", "rotate", key["id"])
    done(stopped, "clients", "rotate", client["id"])
    done(stopped, "signing-keys", "rotate")
    done(stopped, "keys", "revoke", key["id"])
    done(stopped, "clients", "revoke", client["id"])
    done(stopped, "invites", "revoke", invite["id"])
    done(stopped, "blocks", "remove", "198.51.100.1")
    done(stopped, "users", "delete", "kai")
    kinds = {record["action"] for record in stopped.audit("--kind", "event")}
    assert {
        *("user.created", "role.changed", "user.disabled", "user.enabled", "user.deleted"),
        *("key.created", "key.rotated", "key.revoked"),
        *("client.created", "client.rotated", "client.revoked"),
        *("invite.created", "signing_key.rotated", "block.added", "block.removed"),
    } <= kinds
    actors = {record["actor"]["kind"] for record in stopped.audit("--kind", "event")}
    assert actors == {"operator"}


def test_a_secret_is_shown_once_and_never_kept_readable(stopped: Gateway) -> None:
    stopped.create_user("kai", PASSWORD, "reader")
    key = done(stopped, "keys", "create", "nightly", "--user", "kai")["key"]
    secret = done(stopped, "clients", "create", "billing", "--role", "reader")["secret"]
    told = done(stopped, "invites", "create", "--role", "reader")
    (code,) = [value for name, value in told.items() if name in {"code", "invite", "token"}]
    kept = b"".join(
        file.read_bytes()
        for file in stopped.data_dir.rglob("*")
        if file.is_file() and os.access(file, os.R_OK)
    )
    for shown in (key, secret, code, PASSWORD):
        assert shown.encode() not in kept
        assert shown.rpartition("_")[2].encode() not in kept


def test_a_password_is_never_an_argument(stopped: Gateway) -> None:
    ended = stopped.run("users", "create", "kai", "--password", PASSWORD)
    assert ended.returncode == 2
    assert PASSWORD not in ended.stdout
