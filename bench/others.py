"""The other proxies that are measured beside the gateway, each doing nothing but proxying."""

import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.load import BenchError
from bench.nginx import nginx_proxy
from bench.processes import free_port, listens, running


@contextmanager
def haproxy(upstream: int) -> Iterator[tuple[int, int]]:
    """Run HAProxy with one thread. Give its process id and its port."""
    port = free_port()
    program = _program("haproxy", "haproxy")
    with TemporaryDirectory(prefix="gateway-bench-") as folder:
        file = Path(folder, "haproxy.cfg")
        file.write_text(f"""
global
    nbthread 1
    maxconn 8000
defaults
    mode http
    timeout connect 5s
    timeout client 600s
    timeout server 600s
    http-reuse always
frontend clients
    bind 127.0.0.1:{port} backlog 4096
    default_backend service
backend service
    server one 127.0.0.1:{upstream}
""")
        command = [program, "-db", "-f", str(file)]
        with running(command, folder=Path(folder), is_up=lambda: listens(port)) as pid:
            yield pid, port


@contextmanager
def caddy(upstream: int) -> Iterator[tuple[int, int]]:
    """Run Caddy. Give its process id and its port."""
    port = free_port()
    program = _program("caddy", "caddy")
    with TemporaryDirectory(prefix="gateway-bench-") as folder:
        file = Path(folder, "Caddyfile")
        file.write_text(f"""
{{
    admin off
    auto_https off
}}
http://:{port} {{
    bind 127.0.0.1
    reverse_proxy 127.0.0.1:{upstream} {{
        transport http {{
            keepalive_idle_conns 1000
            keepalive_idle_conns_per_host 1000
        }}
    }}
}}
""")
        command = [program, "run", "--config", str(file), "--adapter", "caddyfile"]
        environment = {**os.environ, "HOME": folder, "XDG_DATA_HOME": folder, "XDG_CONFIG_HOME": folder}
        with running(
            command, folder=Path(folder), environment=environment, is_up=lambda: listens(port)
        ) as pid:
            yield pid, port


PROXIES: Mapping[str, Callable[[int], AbstractContextManager[tuple[int, int]]]] = {
    "nginx": nginx_proxy,
    "haproxy": haproxy,
    "caddy": caddy,
}
"""By name: what runs in front of a port, and gives its process id and its own port."""


def _program(name: str, package: str) -> str:
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin")
    if found is None:
        raise BenchError(f"{name} is not on the PATH. On Debian and Ubuntu: apt install {package}")
    return found
