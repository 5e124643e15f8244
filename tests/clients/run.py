"""The suites of requests and httpx, straight to their servers and then through the gateway: `make test-clients`.

A transparent proxy makes no difference. Each test that ends otherwise through the gateway is printed; one
whose difference is not explained makes the exit code 1.
"""

import argparse
import os
import subprocess
import sys
import venv
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from support.gateway import running_gateway
from support.own_server import free_port

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
_SUITE_SECONDS = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Suite:
    """The tests of one client library, as its source distribution has them."""

    name: str
    version: str
    tests: tuple[str, ...]
    left_out: tuple[str, ...] = ()
    explained: Mapping[str, str] = field(default_factory=dict)
    """Tests that end otherwise through the gateway, and why they must."""


_ONE_MORE_LINE = "it prints every line of the answer, and X-Request-Id is one more"
SUITES = (
    Suite(
        name="requests",
        version="2.34.2",
        tests=("tests",),
        # They connect to an address outside of this machine.
        left_out=(
            "tests/test_requests.py::TestTimeout::test_connect_timeout",
            "tests/test_requests.py::TestTimeout::test_total_timeout_connect",
        ),
        explained={
            "tests.test_requests.TestRequests::test_proxy_authorization_preserved_on_request": (
                "Proxy-Authorization is for one hop (RFC 9110 section 11.7.2)"
            )
        },
    ),
    Suite(
        name="httpx",
        version="0.28.1",
        tests=("tests/client", "tests/test_api.py", "tests/test_timeouts.py", "tests/test_main.py"),
        explained={
            f"tests.test_main::test_{name}": _ONE_MORE_LINE
            for name in ("binary", "follow_redirects", "get", "json", "post", "redirects")
        },
    ),
)

POLICIES = """\
version: 1
routes:
  - id: everything
    match: {methods: [GET, POST, PUT, PATCH, DELETE, OPTIONS], path: /**}
    upstream: service
    authn: public
    because: A client library is tested
"""
UPSTREAMS = """\
version: 1
upstreams:
  service:
    targets: [{{url: "http://127.0.0.1:{port}"}}]
    timeouts: {{response: 60s}}
    forward: {{identity: none, remove_request_headers: [], remove_response_headers: []}}
"""


def prepare(folder: Path) -> Path:
    """Return a Python with both libraries and what their tests need; their sources lie beside it."""
    python = folder / "venv" / "bin" / "python"
    if not python.exists():
        venv.create(folder / "venv", with_pip=True)
        _pip(python, "install", "-r", str(HERE / "requirements.txt"))
    for suite in SUITES:
        source = folder / f"{suite.name}-{suite.version}"
        if not source.exists():
            package = f"{suite.name}=={suite.version}"
            _pip(
                python,
                "download",
                "--no-deps",
                "--no-binary",
                suite.name,
                "--dest",
                str(folder),
                package,
            )
            subprocess.run(["tar", "xzf", f"{source}.tar.gz", "-C", str(folder)], check=True)
    return python


def run(suite: Suite, python: Path, folder: Path, *, server: int, through: int | None) -> dict[str, str]:
    """Return how each test ended, by its name."""
    report = folder / f"{suite.name}-{'direct' if through is None else 'gateway'}.xml"
    report.unlink(missing_ok=True)
    command = [str(python), "-m", "pytest", "-q", "-p", "through_gateway", f"--junitxml={report}"]
    command += [f"--deselect={name}" for name in suite.left_out]
    environment = os.environ | {
        "PYTHONPATH": str(HERE),
        "HTTPBIN_HTTP_PORT": str(server),
        "SERVER_PORT": str(server),
        "THROUGH_PORT": "" if through is None else str(through),
    }
    subprocess.run(
        [*command, *suite.tests],
        cwd=folder / f"{suite.name}-{suite.version}",
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        check=False,
        timeout=_SUITE_SECONDS,
    )
    return dict(_endings(report))


def _endings(report: Path) -> Iterator[tuple[str, str]]:
    for case in ET.parse(report).getroot().iter("testcase"):
        outcome = {child.tag for child in case} & {"failure", "error", "skipped"}
        yield f"{case.get('classname')}::{case.get('name')}", next(iter(outcome), "passed")


@contextmanager
def gateway_before(port: int) -> Iterator[int]:
    """Run a gateway in front of a port that somebody will listen on; give its own."""
    with TemporaryDirectory(prefix="gateway-clients-") as folder:
        upstreams = UPSTREAMS.format(port=port)
        with running_gateway(Path(folder), policies=POLICIES, upstreams=upstreams) as gateway:
            yield gateway.port


def _pip(python: Path, *arguments: str) -> None:
    subprocess.run([str(python), "-m", "pip", "--quiet", *arguments], check=True)


def main() -> int:
    """Run every suite twice and print the difference. Return 1 when one is not explained."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--folder", type=Path, default=ROOT / ".venv" / "clients")
    parser.add_argument("--suite", action="append", choices=[suite.name for suite in SUITES])
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    python = prepare(options.folder)
    differences = 0
    for suite in SUITES:
        if options.suite and suite.name not in options.suite:
            continue
        port = free_port()
        direct = run(suite, python, options.folder, server=port, through=None)
        with gateway_before(port) as through:
            proxied = run(suite, python, options.folder, server=port, through=through)
        changed = {name for name in direct.keys() | proxied.keys() if direct.get(name) != proxied.get(name)}
        passed = sum(ending == "passed" for ending in direct.values())
        print(f"{suite.name} {suite.version}: {len(direct)} tests, {passed} pass; {len(changed)} differ")
        for name in sorted(changed):
            why = suite.explained.get(name, "NOT EXPLAINED")
            print(f"  {name}: {direct.get(name)} direct, {proxied.get(name)} through the gateway: {why}")
        differences += len(changed - suite.explained.keys())
    return 1 if differences else 0


if __name__ == "__main__":
    sys.exit(main())
