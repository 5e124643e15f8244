"""What is measured: nginx as a bare proxy, and the gateway's whole chain; the same nginx behind both."""

import http.client
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from bench import nginx
from bench.load import BenchError
from bench.processes import START_SECONDS, free_port, listens, running
from bench.servers import Server, postgres, redis

PASSWORD = "a password for the bench"


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """One way through the gateway."""

    says: str
    path: str = "/orders"
    authenticated: bool = True
    durability: str = "process"
    servers: bool = False
    """Whether Redis counts and PostgreSQL keeps, instead of this process and SQLite."""
    workers: int = 1


VARIANTS: Mapping[str, Variant] = {
    "full": Variant(says="token, scopes, 4 limits, audit that survives kill -9, signed identity"),
    "public": Variant(
        says="public route, 2 limits by address, audit that survives kill -9",
        path="/public",
        authenticated=False,
    ),
    "off": Variant(says="as full, but no request is recorded", durability="off"),
    "power": Variant(says="as full, and every answer waits for a grouped fdatasync", durability="power"),
    "full-redis-pg": Variant(
        says="as full, every limit counted in Redis, audit shipped to PostgreSQL", servers=True
    ),
    "full-redis-pg-2": Variant(says="as full-redis-pg, with two workers", servers=True, workers=2),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A running proxy."""

    name: str
    pid: int
    url: str
    headers: tuple[str, ...] = ()
    servers: tuple[Server, ...] = ()
    """What runs beside it, for it alone."""


@contextmanager
def yardstick(upstream: int) -> Iterator[Subject]:
    """Run nginx as a bare proxy."""
    with nginx.nginx_proxy(upstream) as (pid, port):
        yield Subject(name="nginx", pid=pid, url=f"http://127.0.0.1:{port}/orders")


@contextmanager
def gateway(name: str, upstream: int, *, profile: Path | None = None) -> Iterator[Subject]:
    """Run the gateway with the bench's own two files, a fresh data directory, and servers of its own.

    Raise `BenchError` when it does not start.
    """
    variant = VARIANTS[name]
    port = free_port()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="gateway-bench-")))
        environment = _environment(upstream, folder, port, "policies.yaml") | {
            "GATEWAY_AUDIT_DURABILITY": variant.durability,
            "GATEWAY_WORKERS": str(variant.workers),
        }
        servers: tuple[Server, ...] = ()
        if variant.servers:
            counters, records = stack.enter_context(redis()), stack.enter_context(postgres())
            environment |= {"GATEWAY_REDIS_URL": counters.url, "GATEWAY_DATABASE_URL": records.url}
            servers = (counters, records)
        if variant.authenticated:
            create_user(environment)
        what = ["bench.profiled", str(profile)] if profile else ["gateway", "serve"]
        command = [sys.executable, "-m", *what]
        pid = stack.enter_context(
            running(command, folder=folder, environment=environment, is_up=lambda: listens(port))
        )
        yield Subject(
            name=name,
            pid=pid,
            url=f"http://127.0.0.1:{port}{variant.path}",
            headers=(f"Authorization: Bearer {log_in(port)}",) if variant.authenticated else (),
            servers=servers,
        )


@contextmanager
def bare_gateway(upstream: int, folder: Path) -> Iterator[tuple[int, int]]:
    """Run the gateway with one public route, no limits, no audit and no word about the caller.

    Give its process id and its port. Raise `BenchError` when it does not start.
    """
    port = free_port()
    environment = _environment(upstream, folder, port, "plain.yaml") | {"GATEWAY_AUDIT_DURABILITY": "off"}
    command = [sys.executable, "-m", "gateway", "serve"]
    with running(command, folder=folder, environment=environment, is_up=lambda: listens(port)) as pid:
        yield pid, port


def _environment(upstream: int, folder: Path, port: int, policies: str) -> dict[str, str]:
    return {
        **{key: value for key, value in os.environ.items() if not key.startswith("GATEWAY_")},
        "BENCH_UPSTREAM": f"127.0.0.1:{upstream}",
        "GATEWAY_UPSTREAMS": str(Path(__file__).with_name("upstreams.yaml")),
        "GATEWAY_POLICIES": str(Path(__file__).with_name(policies)),
        "GATEWAY_DATA_DIR": str(folder / "data"),
        "GATEWAY_LISTEN": f"127.0.0.1:{port}",
        "GATEWAY_ADMIN_LISTEN": f"127.0.0.1:{free_port()}",
        "GATEWAY_LOG_LEVEL": "warning",
    }


def create_user(environment: Mapping[str, str]) -> None:
    """Make the bench's user, a clerk. Raise `BenchError`."""
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


def log_in(port: int) -> str:
    """Return an access token of the bench's user. Raise `BenchError`."""
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
