"""The files around the code agree with it and with each other."""

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
MAKEFILE = (ROOT / "Makefile").read_text()
WORDS = set(re.findall(r"^([a-z-]+):", MAKEFILE, flags=re.MULTILINE))

RUN = PROJECT["project"]["dependencies"]
GROUPS = PROJECT["dependency-groups"]


def _pins(lock: str) -> dict[str, str]:
    return dict(re.findall(r"^([a-z0-9.-]+)==([^ ;\\]+)", (ROOT / lock).read_text(), flags=re.MULTILINE))


@pytest.mark.parametrize(
    ("lock", "wanted"),
    [
        ("requirements.lock", RUN),
        ("requirements-dev.lock", [*RUN, *GROUPS["dev"]]),
        ("requirements-build.lock", [*GROUPS["build"], *PROJECT["build-system"]["requires"]]),
    ],
)
def test_a_lock_holds_what_the_project_asks_for(lock: str, wanted: list[str]) -> None:
    pins = _pins(lock)
    for requirement in map(Requirement, wanted):
        assert requirement.specifier.contains(pins[canonicalize_name(requirement.name)]), requirement


@pytest.mark.parametrize("lock", ["requirements.lock", "requirements-dev.lock", "requirements-build.lock"])
def test_every_line_of_a_lock_is_pinned_with_hashes_and_names_no_host(lock: str) -> None:
    text = (ROOT / lock).read_text()
    entries = re.findall(r"^[a-z0-9.-]+==.*", text.replace("\\\n", ""), flags=re.MULTILINE)
    assert entries
    assert all("--hash=sha256:" in entry for entry in entries)
    assert "://" not in text
    assert not re.search(r"^-", text, flags=re.MULTILINE)


def test_the_lock_of_javascript_packages_has_their_hashes_and_names_no_host() -> None:
    folder = ROOT / "tests/interop"
    wanted = json.loads((folder / "package.json").read_text())["dependencies"]
    packages = json.loads((folder / "package-lock.json").read_text())["packages"]
    assert packages.pop("")["dependencies"] == wanted
    assert all(one["integrity"].startswith("sha512-") and "resolved" not in one for one in packages.values())
    assert wanted == {name: packages[f"node_modules/{name}"]["version"] for name in wanted}


def test_the_development_lock_has_the_versions_that_run() -> None:
    assert _pins("requirements.lock").items() <= _pins("requirements-dev.lock").items()
    build, dev = _pins("requirements-build.lock"), _pins("requirements-dev.lock")
    assert all(build[name] == dev[name] for name in build.keys() & dev.keys())


def test_nothing_names_a_package_registry_or_a_path_of_one_machine() -> None:
    hosts = [
        "pypi" + ".org",
        "python" + "hosted.org",
        "registry." + "npmjs",
        "--extra-" + "index-url",
        "/ro" + "ot/",
    ]
    for path in _files():
        text = path.read_text(errors="replace")
        assert not [host for host in hosts if host in text], path


def _files() -> list[Path]:
    ours = ["gateway", "tests", "bench", "docs", ".ci", ".github"]
    files = [path for path in ROOT.iterdir() if path.is_file()]
    for folder in ours:
        files += [
            path
            for path in (ROOT / folder).rglob("*")
            if path.is_file() and not {"__pycache__", "node_modules"} & set(path.parts)
        ]
    return files


def test_the_words_of_continuous_integration_are_words_of_the_makefile() -> None:
    script = (ROOT / ".ci/run").read_text()
    assert (
        set(re.findall(r"^make ([a-z-]+)$", script, flags=re.MULTILINE))
        == {
            "check",
            "test",
            "test-interop",
        }
        <= WORDS
    )
    workflow = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text())
    steps = [step.get("run") for job in workflow["jobs"].values() for step in job["steps"]]
    assert "bash .ci/run" in steps


def test_make_tells_every_word_that_it_knows() -> None:
    told = subprocess.run(["make", "-s", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert set(re.findall(r"^  make ([a-z-]+) +\S", told, flags=re.MULTILINE)) == WORDS


def test_the_files_at_the_top_pass_their_own_check() -> None:
    command = [sys.executable, "-m", "gateway", "check", "--format", "json"]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert json.loads(ended.stdout)["errors"] == json.loads(ended.stdout)["warnings"] == 0


def test_the_finding_that_the_readme_shows_is_what_a_typo_in_the_demo_gives(tmp_path: Path) -> None:
    shown = re.search(
        r"^```text\n(policies\.yaml:.*?)^```", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL
    )
    assert shown is not None
    right = (ROOT / "policies.yaml").read_text()
    typo = right.replace("POST: [orders:write]", "POST: [orders:wrte]")
    assert typo != right
    (tmp_path / "policies.yaml").write_text(typo)
    (tmp_path / "upstreams.yaml").write_text((ROOT / "upstreams.yaml").read_text())
    command = [sys.executable, "-m", "gateway", "check"]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert shown[1] in ended.stdout + ended.stderr


def test_the_newest_entry_of_the_changelog_is_the_version_or_unreleased() -> None:
    first = re.search(r"^## \[(.+?)\]", (ROOT / "CHANGELOG.md").read_text(), flags=re.MULTILINE)
    assert first is not None
    assert first[1] == "Unreleased"


def test_every_link_between_pages_leads_somewhere() -> None:
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    for page in pages:
        for target in re.findall(r"\]\((?!https?:)([^)#]+)(?:#[^)]*)?\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.relative_to(ROOT)} links to {target}"


def test_the_reference_says_what_the_code_says() -> None:
    command = [sys.executable, "docs/generate.py", "--check"]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr


def test_every_command_shows_an_example() -> None:
    page = (ROOT / "docs/reference/commands.md").read_text()
    _, *commands = page.split("\n## ")
    assert commands
    assert not [command.partition("\n")[0] for command in commands if "\nExample: `gateway " not in command]
