"""What the README and the demo tell people to paste does what they say it does."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

CURL = """#!{python}
# The part of curl that the README uses, for machines that have none.
import argparse, json, sys, urllib.error, urllib.request
parser = argparse.ArgumentParser()
parser.add_argument("url")
for flag in "si":
    parser.add_argument(f"-{{flag}}", action="store_true")
parser.add_argument("-H", action="append", default=[])
for flag in "Xdow":
    parser.add_argument(f"-{{flag}}")
o = parser.parse_args()
headers = dict(h.split(": ", 1) for h in o.H)
data = None if o.d is None else o.d.encode()
request = urllib.request.Request(o.url, data=data, headers=headers, method=o.X or ("POST" if data else "GET"))
try:
    answer = urllib.request.build_opener(urllib.request.ProxyHandler({{}})).open(request)
except urllib.error.HTTPError as error:
    answer = error
body = answer.read().decode()
if o.i:
    print(f"HTTP/1.1 {{answer.status}} {{answer.reason}}\\n{{answer.headers}}", end="")
if o.o is None:
    print(body, end="")
if o.w:
    print(o.w.replace("\\\\n", "\\n").replace("%{{http_code}}", str(answer.status)), end="")
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Demo:
    process: subprocess.Popen[str]
    base: str
    admin_port: int
    guide: str
    environment: dict[str, str]
    folder: Path

    def paste(self, script: str) -> str:
        """Return what a shell prints, without carriage returns, and one blank for many."""
        ended = subprocess.run(
            ["sh", "-c", script],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=50,
        )
        assert not ended.stderr, ended.stderr
        return re.sub(" +", " ", ended.stdout.replace("\r", ""))

    @property
    def service(self) -> tuple[str, int]:
        """Where the demo's service listens."""
        found = re.search(r"in front of a small service on http://([\d.]+):(\d+)", self.guide)
        assert found is not None
        return found[1], int(found[2])


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[Demo]:
    port, admin_port = _free_port(), _free_port()
    tools = tmp_path / "bin"
    tools.mkdir()
    if shutil.which("curl") is None:
        (tools / "curl").write_text(CURL.format(python=sys.executable))
        (tools / "curl").chmod(0o755)
    environment = {
        **os.environ,
        "PATH": f"{tools}:{os.environ['PATH']}",
        "GATEWAY_LISTEN": f"127.0.0.1:{port}",
        "GATEWAY_ADMIN_LISTEN": f"127.0.0.1:{admin_port}",
        "GATEWAY_DATA_DIR": str(tmp_path / "data"),
        "GATEWAY_LOG_LEVEL": "warning",
    }
    command = [sys.executable, "-m", "gateway", "demo"]
    with subprocess.Popen(
        command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        assert process.stdout is not None
        try:
            guide = ""
            while "DEMO ONLY" not in guide:
                line = process.stdout.readline()
                assert line, f"the demo did not start:\n{guide}"
                guide += line
            yield Demo(
                process=process,
                base=f"http://localhost:{port}",
                admin_port=admin_port,
                guide=guide,
                environment=environment,
                folder=tmp_path,
            )
        finally:
            process.kill()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def test_what_the_readme_says_to_paste_prints_what_the_readme_says(demo: Demo) -> None:
    blocks = re.findall(
        r"^```(\w+)\n(.*?)^```$", (ROOT / "README.md").read_text(), flags=re.MULTILINE | re.DOTALL
    )
    steps = [
        (script, blocks[number + 1][1] if blocks[number + 1][0] == "text" else "")
        for number, (language, script) in enumerate(blocks)
        if language == "sh"
    ]
    assert len(steps) >= 5
    rule = "=== next ===\n"
    script = "echo '=== next ==='\n".join(step for step, _ in steps)
    script = script.replace("http://localhost:8000", demo.base)
    script = script.replace(".venv/bin/gateway", f"'{sys.executable}' -m gateway")
    printed = demo.paste(script).split(rule)
    assert len(printed) == len(steps)
    for (step, expected), output in zip(steps, printed, strict=True):
        assert re.fullmatch(_pattern(expected), output.strip()), f"{step}\nprinted\n{output}\nnot\n{expected}"


def _pattern(text: str) -> str:
    """Return an expression for a text in which … stands for anything: on a line of its own, for any lines."""
    text = re.sub(r"^…\n", "\0", re.sub(" +", " ", text.strip() + "\n"), flags=re.MULTILINE)
    return re.escape(text).replace("\0", r"(?:.*\n)*?").replace("…", ".*").removesuffix("\\\n")


def test_what_the_demo_says_to_paste_is_allowed_and_refused_and_recorded(demo: Demo) -> None:
    script = "\n".join(line[2:] for line in demo.guide.splitlines() if line.startswith("  "))
    printed = demo.paste(script)
    assert re.findall(r"^(?:HTTP/1.1 )?(\d{3})\b", printed, flags=re.MULTILINE)[:9] == [
        *("200", "401", "403"),
        *["200"] * 5,
        "429",
    ]
    for reason in ("ok", "credentials-missing", "insufficient-scope", "rate-exceeded"):
        assert reason in printed


def test_the_health_check_of_the_image_passes_while_the_gateway_is_ready(demo: Demo) -> None:
    found = re.search(r"^HEALTHCHECK .* CMD (\[.*\])$", (ROOT / "Dockerfile").read_text(), flags=re.MULTILINE)
    assert found is not None
    _, flag, program = json.loads(found[1])
    check = [sys.executable, flag, program.replace("8001", str(demo.admin_port))]
    assert subprocess.run(check, check=False, timeout=20).returncode == 0


def test_the_demo_ends_with_a_signal_and_takes_its_service_with_it(demo: Demo) -> None:
    demo.process.send_signal(signal.SIGTERM)
    assert demo.process.wait(timeout=20) == 0
    assert not _answers(*demo.service)


def test_the_service_ends_also_when_the_demo_is_killed(demo: Demo) -> None:
    demo.process.kill()
    demo.process.wait(timeout=20)
    deadline = time.monotonic() + 20
    while _answers(*demo.service):
        assert time.monotonic() < deadline, "the service is still there"
        time.sleep(0.05)


def _answers(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), 1).close()
    except OSError:
        return False
    return True
