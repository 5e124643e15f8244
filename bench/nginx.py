"""nginx, as the service behind everything that is measured, and as the yardstick."""

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.load import BenchError
from bench.processes import free_port, listens, running

BODY_BYTES = 921


@contextmanager
def nginx_upstream() -> Iterator[int]:
    """Run the service behind all proxies: a fixed JSON body. Give its port."""
    port = free_port()
    body = json.dumps({"items": ["x" * 37] * 22, "pad": ""}, separators=(",", ":"))
    body = body.replace('"pad":""', f'"pad":"{"x" * (BODY_BYTES - len(body))}"')
    location = f"location / {{ default_type application/json; return 200 '{body}'; }}"
    with _nginx(f"server {{ listen 127.0.0.1:{port} backlog=4096; {location} }}", port):
        yield port


@contextmanager
def nginx_files(sizes: Mapping[str, int]) -> Iterator[int]:
    """Run a service that answers a GET of each name with so many bytes, and any POST to `/sink`. Give its
    port."""
    port = free_port()
    with TemporaryDirectory(prefix="gateway-bench-") as folder:
        Path(folder).chmod(0o755)
        for name, size in sizes.items():
            with Path(folder, name).open("wb") as file:
                # Sparse when it is large: what is measured is the way, not the disk.
                file.write(os.urandom(min(size, 65536)))
                file.truncate(size)
        server = f"""
            server {{
                listen 127.0.0.1:{port} backlog=4096; root {folder}; sendfile on; open_file_cache max=16;
                client_max_body_size 0; client_body_buffer_size 128k;
                location = /sink {{ return 200 'taken'; }}
            }}"""
        with _nginx(server, port):
            yield port


@contextmanager
def nginx_proxy(upstream: int) -> Iterator[tuple[int, int]]:
    """Run the yardstick: nginx with `proxy_pass` and nothing else. Give its process id and its port."""
    port = free_port()
    server = f"""
        upstream service {{ server 127.0.0.1:{upstream}; keepalive 600; keepalive_requests 100000000; }}
        server {{
            listen 127.0.0.1:{port} backlog=4096;
            client_max_body_size 0; client_body_buffer_size 128k; proxy_max_temp_file_size 0;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            location / {{ proxy_pass http://service; }}
        }}"""
    with _nginx(server, port) as pid:
        yield pid, port


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
            events {{ worker_connections 16000; }} worker_rlimit_nofile 20000;
            http {{
                access_log off; keepalive_requests 100000000; keepalive_timeout 600s; {temporary}
                {server}
            }}""")
        command = [program, "-c", f"{folder}/nginx.conf", "-p", folder]
        with running(command, folder=Path(folder), is_up=lambda: listens(port)) as pid:
            yield pid
