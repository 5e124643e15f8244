"""What the README and the demo tell people to paste does what they say it does."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from support.commands import Forked, commands
from support.own_server import free_port
from support.pasted import Block, blocks_of, curl_below, expected, paste

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class Demo:
    process: Forked
    base: str
    admin_port: int
    guide: str
    environment: dict[str, str]
    folder: Path

    def paste(self, script: str) -> str:
        """Return what a shell prints, without carriage returns, and one blank for many."""
        return paste(script, folder=self.folder, environ=self.environment)

    @property
    def service(self) -> tuple[str, int]:
        """Where the demo's service listens."""
        found = re.search(r"in front of a small service on http://([\d.]+):(\d+)", self.guide)
        assert found is not None
        return found[1], int(found[2])


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[Demo]:
    port, admin_port = free_port(), free_port()
    tools = curl_below(tmp_path / "bin")
    environment = {
        **os.environ,
        "PATH": os.environ["PATH"] if tools is None else f"{tools}:{os.environ['PATH']}",
        "GATEWAY_LISTEN": f"127.0.0.1:{port}",
        "GATEWAY_ADMIN_LISTEN": f"127.0.0.1:{admin_port}",
        "GATEWAY_DATA_DIR": str(tmp_path / "data"),
        "GATEWAY_LOG_LEVEL": "warning",
    }
    process = commands().begin("demo", cwd=tmp_path, env=environment)
    assert process.stdout is not None
    with process.stdout as said:
        try:
            guide = ""
            while "DEMO ONLY" not in guide:
                line = said.readline()
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
            process.wait()


def test_what_the_readme_says_to_paste_prints_what_the_readme_says(demo: Demo) -> None:
    blocks = blocks_of((ROOT / "README.md").read_text())
    steps = [
        (block.text, following.text if following.language == "text" else "")
        for block, following in zip(blocks, [*blocks[1:], Block("", "")], strict=True)
        if block.language == "sh"
    ]
    assert len(steps) >= 5
    rule = "=== next ===\n"
    script = "echo '=== next ==='\n".join(step for step, _ in steps)
    script = script.replace("http://localhost:8000", demo.base)
    script = script.replace(".venv/bin/gateway", f"'{sys.executable}' -m gateway")
    printed = demo.paste(script).split(rule)
    assert len(printed) == len(steps)
    for (step, promised), output in zip(steps, printed, strict=True):
        assert re.fullmatch(expected(promised), output.strip()), f"{step}\nprinted\n{output}\nnot\n{promised}"


def test_what_the_demo_says_to_paste_is_allowed_and_refused_and_recorded(demo: Demo) -> None:
    script = "\n".join(line[2:] for line in demo.guide.splitlines() if line.startswith("  "))
    printed = demo.paste(script)
    assert re.findall(r"^(?:HTTP/1.1 )?(\d{3})\b", printed, flags=re.MULTILINE)[:10] == [
        *("200", "401", "403"),
        *["200"] * 5,
        "429",
        "200",
    ]
    assert re.search(r"^eyJ[\w-]+\.\.[\w-]+\.[\w-]+\.[\w-]+$", printed, flags=re.MULTILINE)
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
