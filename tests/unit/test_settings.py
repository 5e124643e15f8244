"""Settings: flags before variables before defaults, and no typo taken for a default."""

from pathlib import Path

import pytest

from gateway.settings import Listen, SettingsError, load_settings
from gateway.workers import usable_cores


def test_the_defaults_are_those_of_the_reference() -> None:
    settings = load_settings({})
    assert str(settings.listen) == "127.0.0.1:8000"
    assert str(settings.admin_listen) == "127.0.0.1:8001"
    assert settings.database == "sqlite:///data/gateway.db"
    assert (settings.drain_timeout, settings.max_target_bytes, settings.keepalive_timeout) == (
        30.0,
        8192,
        75.0,
    )


def test_connections_are_limited_in_number_and_heads_in_time() -> None:
    settings = load_settings({})
    assert (settings.header_timeout, settings.max_connections) == (10.0, 10_000)
    assert settings.max_connections_per_address is None
    settings = load_settings(
        {
            "GATEWAY_HEADER_TIMEOUT": "500ms",
            "GATEWAY_MAX_CONNECTIONS": "50",
            "GATEWAY_MAX_CONNECTIONS_PER_ADDRESS": "5",
        }
    )
    assert (settings.header_timeout, settings.max_connections) == (0.5, 50)
    assert settings.max_connections_per_address == 5


def test_flags_come_before_variables() -> None:
    settings = load_settings({"GATEWAY_DATA_DIR": "/a"}, {"data_dir": "/b", "listen": None})
    assert settings.data_dir == Path("/b")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[::]:8000", Listen(host="::", port=8000)),
        ("localhost:80", Listen(host="localhost", port=80)),
        ("unix:/run/g.sock", Listen(path="/run/g.sock")),
    ],
)
def test_listeners_are_read_and_written_back(text: str, expected: Listen) -> None:
    assert load_settings({"GATEWAY_LISTEN": text}).listen == expected
    assert str(expected) == text


@pytest.mark.parametrize(
    ("environ", "words"),
    [
        ({"GATEWAY_LISTN": "x"}, ["GATEWAY_LISTN is not a setting", "GATEWAY_LISTEN"]),
        ({"GATEWAY_LISTEN": "8000"}, ["GATEWAY_LISTEN: '8000'", "HOST:PORT"]),
        ({"GATEWAY_LISTEN": "h:70000"}, ["GATEWAY_LISTEN"]),
        ({"GATEWAY_DRAIN_TIMEOUT": "30"}, ["GATEWAY_DRAIN_TIMEOUT: '30'", "10s"]),
        ({"GATEWAY_MAX_TARGET_BYTES": "8kb"}, ["GATEWAY_MAX_TARGET_BYTES", "8KiB"]),
        ({"GATEWAY_TRUSTED_PROXIES": "10.0.0.1/8"}, ["GATEWAY_TRUSTED_PROXIES", "10.0.0.1/8"]),
        ({"GATEWAY_DATA_DIR": ""}, ["GATEWAY_DATA_DIR", "empty"]),
        ({"GATEWAY_WORKERS": "4"}, ["GATEWAY_WORKERS", "4 times as much", "GATEWAY_REDIS_URL"]),
        ({"GATEWAY_WORKERS": "many"}, ["GATEWAY_WORKERS: 'many'", "auto"]),
        ({"GATEWAY_WORKERS": "0"}, ["GATEWAY_WORKERS", "1"]),
        ({"GATEWAY_HEADER_TIMEOUT": "10"}, ["GATEWAY_HEADER_TIMEOUT: '10'", "10s"]),
        ({"GATEWAY_HEADER_TIMEOUT": "1h"}, ["GATEWAY_HEADER_TIMEOUT", "600"]),
        ({"GATEWAY_MAX_CONNECTIONS": "0"}, ["GATEWAY_MAX_CONNECTIONS", "1"]),
        ({"GATEWAY_MAX_CONNECTIONS": "many"}, ["GATEWAY_MAX_CONNECTIONS", "whole number"]),
        ({"GATEWAY_MAX_CONNECTIONS_PER_ADDRESS": "0"}, ["GATEWAY_MAX_CONNECTIONS_PER_ADDRESS", "1"]),
        ({"GATEWAY_TLS_CERT": "/x"}, ["GATEWAY_TLS_CERT", "without GATEWAY_TLS_KEY", "set both"]),
        ({"GATEWAY_TLS_KEY": "/x"}, ["GATEWAY_TLS_KEY", "without GATEWAY_TLS_CERT"]),
        ({"GATEWAY_TLS_CLIENT_CA": "/x"}, ["GATEWAY_TLS_CLIENT_CA", "without GATEWAY_TLS_CERT"]),
        (
            {"GATEWAY_TLS_CERT": "/x", "GATEWAY_TLS_KEY": "/y", "GATEWAY_LISTEN": "unix:/tmp/gateway"},
            ["GATEWAY_TLS_CERT", "is a unix socket", "listen on HOST:PORT"],
        ),
        ({"GATEWAY_HSTS": "max-age=1"}, ["GATEWAY_HSTS", "not supported yet"]),
        ({"GATEWAY_PUBLIC_URL": "api.example.com"}, ["GATEWAY_PUBLIC_URL", "https://api.example.com"]),
        ({"GATEWAY_PUBLIC_URL": "https://api.example.com/?x=1"}, ["GATEWAY_PUBLIC_URL", "has a query"]),
        ({"GATEWAY_AUDIT_DURABILITY": "maybe"}, ["GATEWAY_AUDIT_DURABILITY", "process"]),
        ({"GATEWAY_SECRET_FILE": "/nowhere/secret"}, ["GATEWAY_SECRET_FILE", "/nowhere/secret"]),
        ({"GATEWAY_SECRET": "a" * 40, "GATEWAY_SECRET_FILE": __file__}, ["both set"]),
    ],
)
def test_a_mistake_names_the_setting_and_what_to_write(environ: dict[str, str], words: list[str]) -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings(environ)
    for word in words:
        assert word in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_several_processes_need_counters_that_they_share() -> None:
    settings = load_settings({"GATEWAY_WORKERS": "4", "GATEWAY_REDIS_URL": "redis://u:hunter2@h"})
    assert settings.workers == 4
    assert settings.is_shared
    assert "hunter2" not in repr(settings)


def test_auto_is_as_many_processes_as_there_are_cores() -> None:
    settings = load_settings({"GATEWAY_WORKERS": "auto", "GATEWAY_REDIS_URL": "redis://h"})
    assert settings.workers == usable_cores()


def test_the_url_of_a_database_is_not_shown() -> None:
    settings = load_settings({"GATEWAY_DATABASE_URL": "postgresql://u:hunter2@h/d"})
    assert settings.database == "postgresql://u:hunter2@h/d"
    assert "hunter2" not in repr(settings)


def test_the_way_to_the_mail_server_is_not_shown(tmp_path: Path) -> None:
    assert load_settings({}).smtp_url == "outbox:"
    (tmp_path / "url").write_text("smtps://u:hunter2@mail.example.com\n")
    settings = load_settings({"GATEWAY_SMTP_URL_FILE": str(tmp_path / "url")})
    assert settings.smtp_url == "smtps://u:hunter2@mail.example.com"
    assert "hunter2" not in repr(settings)


def test_what_kubernetes_injects_and_the_suite_s_own_names_are_ignored() -> None:
    load_settings({"GATEWAY_PORT": "tcp://1", "GATEWAY_SERVICE_HOST": "h", "GATEWAY_TEST_REDIS_URL": "x"})


def test_a_secret_may_come_from_a_file_and_is_never_shown(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("s" * 40 + "\n")
    settings = load_settings({"GATEWAY_SECRET_FILE": str(tmp_path / "secret")})
    assert settings.secret == "s" * 40
    assert "ssss" not in repr(settings)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("MAX_CONNECTIONS", "many", "'many' is not a whole number"),
        ("HEADER_TIMEOUT", "1ms", "'1ms' is too little; the least is 0.1s"),
        ("MAX_HEADER_BYTES", "1GiB", "'1GiB' is too much; the most is 1048576B"),
        ("WORKERS", "2000", "'2000' is too much; the most is 1024"),
        ("LOG_LEVEL", "loud", "'loud' is not possible; write 'debug', 'info', 'warning' or 'error'"),
    ],
)
def test_a_value_that_is_not_possible_is_told_with_what_is(name: str, value: str, said: str) -> None:
    with pytest.raises(SettingsError) as told:
        load_settings({f"GATEWAY_{name}": value})
    assert str(told.value) == f"GATEWAY_{name}: {said}"
