"""`gateway demo` around the gateway: its users, its files, what it prints."""

import socket
import sys
from pathlib import Path

import pytest

from gateway.assembly import StartRefused, open_stores
from gateway.cli import demo
from gateway.demo.upstream import HOST
from gateway.operations import (
    create_user,
    list_crypto_keys,
    list_users,
    operator_at_the_command_line,
)
from gateway.settings import Settings, load_settings

ROOT = Path(__file__).parents[3]


def _settings(tmp_path: Path, **environ: str) -> Settings:
    return load_settings({"GATEWAY_DATA_DIR": str(tmp_path / "data")} | environ)


async def _users(settings: Settings) -> dict[str, frozenset[str]]:
    async with open_stores(settings) as stores:
        return {user.username: user.roles for user in await list_users(stores.users)}


async def test_the_users_of_the_demo_are_made_once(tmp_path: Path) -> None:
    settings = _settings(tmp_path)
    assert await demo._seed(settings)
    assert await demo._seed(settings)
    assert await _users(settings) == {"alice": frozenset({"customer"}), "olivia": frozenset({"admin"})}


async def test_the_key_of_the_demo_is_made_once(tmp_path: Path) -> None:
    settings = _settings(tmp_path)
    for _ in range(2):
        await demo._seed(settings)
        async with open_stores(settings) as stores:
            (key,) = await list_crypto_keys(stores.crypto_keys)
        assert (key.name, key.newest.version) == (demo.KEY, 1)
        assert f"encrypt_response: {{key: {demo.KEY}}}" in (ROOT / "policies.yaml").read_text()


async def test_a_data_directory_with_users_of_its_own_gets_none_whose_password_everybody_knows(
    tmp_path: Path,
) -> None:
    settings = _settings(tmp_path)
    async with open_stores(settings) as stores:
        await create_user(
            stores.registrar,
            username="real",
            email=None,
            password="a real password",
            roles=frozenset(),
            min_length=1,
            operator=operator_at_the_command_line(),
        )
    assert not await demo._seed(settings)
    assert set(await _users(settings)) == {"real"}


def test_files_in_the_current_folder_count_before_those_of_the_demo(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert demo._found(Path("policies.yaml")) == ROOT / "policies.yaml"
    Path("policies.yaml").write_text("version: 1\n")
    assert demo._found(Path("policies.yaml")) == Path("policies.yaml")


def test_the_service_takes_another_port_when_its_own_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    # Not the usual one: another test may hold it now and not a moment later.
    with socket.create_server((HOST, 0)) as taken:
        usual = taken.getsockname()[1]
        monkeypatch.setattr(demo, "PORT", usual)
        with demo._service() as address:
            host, _, port = address.partition(":")
            assert int(port) != usual
            socket.create_connection((host, int(port)), 5).close()


def test_the_guide_can_be_pasted_wherever_the_gateway_listens(tmp_path: Path) -> None:
    def guide(**environ: str) -> str:
        return demo.guide(_settings(tmp_path, **environ), "127.0.0.1:9000", seeded=True)

    assert " http://localhost:8000/orders/1 " in guide()
    assert " http://localhost:81/orders/1 " in guide(GATEWAY_LISTEN="[::]:81")
    assert " http://192.0.2.1:81/orders/1 " in guide(GATEWAY_LISTEN="192.0.2.1:81")
    assert "curl --unix-socket /run/g.sock -s http://localhost/orders/1 " in guide(
        GATEWAY_LISTEN="unix:/run/g.sock"
    )
    assert f"GATEWAY_DATA_DIR={tmp_path}/data " in guide()


def test_the_guide_says_that_the_passwords_are_known_or_that_there_are_no_such_users(tmp_path: Path) -> None:
    settings = _settings(tmp_path)
    assert "DEMO ONLY" in demo.guide(settings, "127.0.0.1:9000", seeded=True)
    assert "users of its own" in demo.guide(settings, "127.0.0.1:9000", seeded=False)


def test_a_service_that_says_nothing_is_a_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(StartRefused, match="did not start"), demo._service():
        pass
