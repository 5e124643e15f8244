"""The container files, read as far as that goes without an engine."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

from gateway.settings import Settings, load_settings

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text()
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, Any] = COMPOSE["services"]


def _instructions() -> list[tuple[str, str]]:
    joined = re.sub(r"\\\n\s*", " ", re.sub(r"^#.*\n", "", DOCKERFILE, flags=re.MULTILINE))
    return [(line.split(None, 1)[0], line.split(None, 1)[1]) for line in joined.splitlines() if line.strip()]


def _environment() -> dict[str, str]:
    pairs = [pair for name, rest in _instructions() if name == "ENV" for pair in rest.split()]
    return dict(pair.split("=", 1) for pair in pairs)


def test_what_is_copied_exists_and_is_sent_to_the_builder() -> None:
    sent = re.findall(r"^!(.+)$", (ROOT / ".dockerignore").read_text(), flags=re.MULTILINE)
    for name, rest in _instructions():
        if name == "COPY" and "--from" not in rest:
            for source in rest.split()[:-1]:
                assert (ROOT / source).exists(), source
                assert source.strip("/") in sent


def test_the_settings_of_the_image_are_settings() -> None:
    settings = load_settings(_environment())
    assert str(settings.listen) == "0.0.0.0:8000"
    assert str(settings.admin_listen) == "0.0.0.0:8001"
    assert str(settings.data_dir) == "/var/lib/gateway"


def test_the_image_does_not_run_as_root_and_keeps_its_data_in_a_volume() -> None:
    instructions = _instructions()
    users = [rest for name, rest in instructions if name == "USER"]
    assert users
    assert users[-1] not in {"root", "0"}
    assert ("VOLUME", "/var/lib/gateway") in instructions


def test_the_image_serves() -> None:
    entry = [json.loads(rest) for name, rest in _instructions() if name == "ENTRYPOINT"]
    command = [json.loads(rest) for name, rest in _instructions() if name == "CMD"]
    assert (entry, command) == ([["gateway"]], [["serve"]])
    ended = subprocess.run(
        [sys.executable, "-m", "gateway", "serve", "--help"], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr


def test_the_health_check_of_the_image_is_a_program_that_fails_when_nobody_answers(tmp_path: Path) -> None:
    (check,) = [rest for name, rest in _instructions() if name == "HEALTHCHECK"]
    command = json.loads(check[check.index("CMD ") + 4 :])
    assert command[0] == "python"
    # Port 1 is nobody's.
    program = command[2].replace("8001", "1")
    assert program != command[2]
    ended = subprocess.run(
        [sys.executable, *command[1:2], program], cwd=tmp_path, capture_output=True, check=False
    )
    assert ended.returncode == 1


def _interpolated(values: dict[str, str]) -> dict[str, str]:
    return {name: re.sub(r"\$\{[A-Z_]+:-([^}]*)\}", r"\1", value) for name, value in values.items()}


def _settings() -> Settings:
    return load_settings(_environment() | _interpolated(SERVICES["gateway"]["environment"]))


def test_the_settings_of_the_gateway_are_settings() -> None:
    settings = _settings()
    assert settings.is_shared
    assert settings.workers == 2


def test_the_gateway_finds_its_stores_where_the_composition_has_them() -> None:
    settings = _settings()
    database, counters = urlsplit(settings.database), urlsplit(settings.redis_url)
    stores = {database.hostname, counters.hostname}
    assert stores <= SERVICES.keys()
    assert stores <= SERVICES["gateway"]["depends_on"].keys()
    made = _interpolated(SERVICES[str(database.hostname)]["environment"])
    assert (database.username, database.password) == (made["POSTGRES_USER"], made["POSTGRES_PASSWORD"])
    assert database.path == "/" + made["POSTGRES_DB"]


def test_no_store_is_reached_from_outside_and_nobody_starts_before_what_it_needs_is_healthy() -> None:
    for name in SERVICES.keys() - {"gateway"}:
        assert "ports" not in SERVICES[name]
        assert "healthcheck" in SERVICES[name]
        assert SERVICES["gateway"]["depends_on"][name] == {"condition": "service_healthy"}


def test_no_counter_is_ever_evicted() -> None:
    command = SERVICES["redis"]["command"]
    assert command[command.index("--maxmemory-policy") + 1] == "noeviction"


def test_the_gateway_may_drain_before_it_is_killed() -> None:
    grace = int(SERVICES["gateway"]["stop_grace_period"].removesuffix("s"))
    assert grace > _settings().drain_timeout


def test_the_gateway_is_reached_where_the_contract_says_and_its_operators_only_from_this_machine() -> None:
    assert SERVICES["gateway"]["ports"] == ["8000:8000", "127.0.0.1:8001:8001"]


def test_the_data_of_the_gateway_outlives_its_container() -> None:
    (volume,) = [mount for mount in SERVICES["gateway"]["volumes"] if mount.endswith(":/var/lib/gateway")]
    assert volume.partition(":")[0] in COMPOSE["volumes"]


def test_the_upstream_of_the_composition_starts(tmp_path: Path) -> None:
    entry = SERVICES["upstream"]["entrypoint"]
    assert entry[0] == "python"
    ended = subprocess.run(
        [sys.executable, *entry[1:], "--help"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr
