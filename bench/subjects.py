"""What is measured: nginx as a bare proxy, and the gateway's whole chain; the same nginx behind both."""

import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.load import BenchError

BODY_BYTES = 921
PASSWORD = "a password for the bench"
START_SECONDS = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """One way through the gateway."""

    path: str
    authenticated: bool
    durability: str
    says: str


VARIANTS: Mapping[str, Variant] = {
    "full": Variant(
        path="/orders",
        authenticated=True,
        durability="process",
        says="token, scopes, 4 limits, audit that survives kill -9, signed identity",
    ),
    "public": Variant(
        path="/public",
        authenticated=False,
        durability="process",
        says="public route, 2 limits by address, audit that survives kill -9",
    ),
    "power": Variant(
        path="/orders",
        authenticated=True,
        durability="power",
        says="as full, and every answer waits for a grouped fdatasync",
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A running proxy."""

    name: str
    pid: int
    url: str
    headers: tuple[str, ...] = ()


@contextmanager
def nginx_upstream() -> Iterator[int]:
    """Run the service behind both proxies: a fixed JSON body. Give its port."""
    port = _free_port()
    body = json.dumps({"items": ["x" * 37] * 22, "pad": ""}, separators=(",", ":"))
    body = body.replace('"pad":""', f'"pad":"{"x" * (BODY_BYTES - len(body))}"')
    location = f"location / {{ default_type application/json; return 200 '{body}'; }}"
    with _nginx(f"server {{ listen 127.0.0.1:{port} backlog=1024; {location} }}", port):
        yield port


@contextmanager
def nginx_proxy(upstream: int) -> Iterator[Subject]:
    """Run the yardstick: nginx with `proxy_pass` and nothing else."""
    port = _free_port()
    server = f"""
        upstream service {{ server 127.0.0.1:{upstream}; keepalive 64; keepalive_requests 100000000; }}
        server {{
            listen 127.0.0.1:{port} backlog=1024;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            location / {{ proxy_pass http://service; }}
        }}"""
    with _nginx(server, port) as pid:
        yield Subject(name="nginx", pid=pid, url=f"http://127.0.0.1:{port}/orders")


@contextmanager
def _nginx(server: str, port: int) -> Iterator[int]:
    program = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
    if program is None:
        raise BenchError("nginx is not on the PATH. On Debian and Ubuntu: apt install nginx-light")
    with TemporaryDirectory(prefix="gateway-bench-") as folder:
        temporary = " ".join(
            f"{kind}_temp_path {folder}/{kind};"
            for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        # Root's worker would become somebody who cannot write into the folder.
        user = "user root root;" if os.geteuid() == 0 else ""
        Path(folder, "nginx.conf").write_text(f"""
            {user} daemon off; worker_processes 1; pid {folder}/pid; error_log {folder}/error.log;
            events {{ worker_connections 1024; }}
            http {{
                access_log off; keepalive_requests 100000000; keepalive_timeout 600s; {temporary}
                {server}
            }}""")
        command = [program, "-c", f"{folder}/nginx.conf", "-p", folder]
        with _process(command, folder=folder, environment=dict(os.environ)) as process:
            _wait_for(port, process, Path(folder, "output"))
            yield process.pid


@contextmanager
def gateway(name: str, upstream: int, *, profile: Path | None = None) -> Iterator[Subject]:
    """Run the gateway with the bench's own two files and a fresh data directory."""
    variant = VARIANTS[name]
    port, admin_port = _free_port(), _free_port()
    with TemporaryDirectory(prefix="gateway-bench-") as folder:
        environment = {
            **{key: value for key, value in os.environ.items() if not key.startswith("GATEWAY_")},
            "BENCH_UPSTREAM": f"127.0.0.1:{upstream}",
            "GATEWAY_UPSTREAMS": str(Path(__file__).with_name("upstreams.yaml")),
            "GATEWAY_POLICIES": str(Path(__file__).with_name("policies.yaml")),
            "GATEWAY_DATA_DIR": str(Path(folder, "data")),
            "GATEWAY_LISTEN": f"127.0.0.1:{port}",
            "GATEWAY_ADMIN_LISTEN": f"127.0.0.1:{admin_port}",
            "GATEWAY_AUDIT_DURABILITY": variant.durability,
            "GATEWAY_LOG_LEVEL": "warning",
        }
        if variant.authenticated:
            create = [sys.executable, "-m", "gateway", "users", "create", "bench", "--role", "clerk"]
            made = subprocess.run(
                [*create, "--password-stdin"],
                input=PASSWORD,
                env=environment,
                capture_output=True,
                text=True,
                check=False,
                timeout=START_SECONDS,
            )
            if made.returncode:
                raise BenchError(f"the bench's user could not be made: {made.stderr.strip()}")
        what = ["bench.profiled", str(profile)] if profile else ["gateway", "serve"]
        command = [sys.executable, "-m", *what]
        with _process(command, folder=folder, environment=environment) as process:
            _wait_for(port, process, Path(folder, "output"))
            headers = (f"Authorization: Bearer {_log_in(port)}",) if variant.authenticated else ()
            yield Subject(
                name=name, pid=process.pid, url=f"http://127.0.0.1:{port}{variant.path}", headers=headers
            )


def _log_in(port: int) -> str:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=START_SECONDS)
    try:
        body = json.dumps({"username": "bench", "password": PASSWORD})
        connection.request("POST", "/gateway/v1/auth/login", body, {"content-type": "application/json"})
        answer = connection.getresponse()
        text = answer.read().decode()
    finally:
        connection.close()
    if answer.status != 200:
        raise BenchError(f"the bench's user could not log in: {answer.status} {text}")
    return str(json.loads(text)["access_token"])


@contextmanager
def _process(
    command: list[str], *, folder: str, environment: Mapping[str, str]
) -> Iterator[subprocess.Popen[bytes]]:
    with (
        Path(folder, "output").open("wb") as output,
        subprocess.Popen(
            command, env=environment, stdout=output, stderr=output, stdin=subprocess.DEVNULL
        ) as process,
    ):
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                process.kill()


def _wait_for(port: int, process: subprocess.Popen[bytes], output: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise BenchError(f"{process.args!r} did not start:\n{output.read_text(errors='replace')[-2000:]}")


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])
