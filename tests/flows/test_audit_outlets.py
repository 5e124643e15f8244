"""Places besides the database get every record, whatever happens to them or to the gateway."""

import json
import os
import signal
import ssl
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socketserver import StreamRequestHandler, ThreadingTCPServer
from typing import Any, cast

import pytest
from flows_gateway import POLICIES, UPSTREAMS
from support.certificates import Authority
from support.gateway import Gateway, eventually, running_gateway

from gateway.audit.checkpoint import notes_in

Place = tuple[str, int]


class Endpoint(ThreadingHTTPServer):
    """A webhook that answers as it is told."""

    daemon_threads = True

    def __init__(self) -> None:
        self.status = 200
        self.bodies: list[bytes] = []
        super().__init__(("127.0.0.1", 0), _Posted)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Posted(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        endpoint = cast(Endpoint, self.server)
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if endpoint.status == 200:
            endpoint.bodies.append(body)
        self.send_response(endpoint.status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *arguments: object) -> None:
        """Say nothing."""


class Syslog(ThreadingTCPServer):
    """A receiver of syslog in TLS."""

    daemon_threads = True

    def __init__(self, tls: ssl.SSLContext) -> None:
        self.messages: list[bytes] = []
        super().__init__(("127.0.0.1", 0), _Sent)
        self.socket = tls.wrap_socket(self.socket, server_side=True)


class _Sent(StreamRequestHandler):
    def handle(self) -> None:
        server = cast(Syslog, self.server)
        while True:
            length = b""
            while not length.endswith(b" "):
                one = self.rfile.read(1)
                if not one:
                    return
                length += one
            server.messages.append(self.rfile.read(int(length)))


@contextmanager
def serving(server: Any) -> Iterator[Any]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def places(lines: list[bytes]) -> list[Place]:
    records = [json.loads(line) for line in lines]
    return [(record["writer"], record["seq"]) for record in records]


def in_the_trail(gateway: Gateway) -> set[Place]:
    return {(record["writer"], record["seq"]) for record in gateway.audit("--limit", "10000")}


class World:
    """A gateway that sends its records to a file, a webhook and a syslog receiver, and its checkpoints to a
    file and a webhook."""

    def __init__(self, folder: Path, service: str, siem: Syslog, authority: Authority) -> None:
        self.folder = folder
        self.file, self.checkpoints = folder / "audit.jsonl", folder / "checkpoints"
        self.siem = siem
        self.endpoint, self.far = Endpoint(), Endpoint()
        self.environ = {
            "TEST_SERVICE": service,
            "GATEWAY_AUDIT_SINKS": (
                f"file:{self.file} {self.endpoint.url}/in "
                f"syslog+tls://127.0.0.1:{siem.server_address[1]}?ca={authority.file}"
            ),
            "GATEWAY_AUDIT_CHECKPOINTS": f"file:{self.checkpoints} {self.far.url}/notes",
        }

    def gateway(self) -> AbstractContextManager[Gateway]:
        return running_gateway(
            self.folder / "gateway", policies=POLICIES, upstreams=UPSTREAMS, environ=self.environ
        )

    @property
    def in_file(self) -> list[Place]:
        return places(self.file.read_bytes().splitlines()) if self.file.exists() else []

    @property
    def in_syslog(self) -> list[Place]:
        return places([message.split(b" - ", 1)[1] for message in self.siem.messages])

    @property
    def posted(self) -> list[Place]:
        return places([line for body in self.endpoint.bodies for line in body.splitlines()])

    def have(self, wanted: set[Place], *, within: float) -> None:
        eventually(lambda: wanted <= set(self.in_file), within=within, what="the file has all records")
        eventually(lambda: wanted <= set(self.in_syslog), within=within, what="syslog has all records")
        eventually(lambda: wanted <= set(self.posted), within=within, what="the webhook has all records")


@pytest.fixture
def world(service: str, tmp_path: Path) -> Iterator[World]:
    authority = Authority(tmp_path)
    pair = authority.issue("siem", "127.0.0.1")
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(pair.certificate, pair.key)
    with serving(Syslog(tls)) as siem:
        made = World(tmp_path, service, siem, authority)
        with serving(made.endpoint), serving(made.far):
            yield made


def test_every_record_reaches_every_place_and_one_that_is_away_gets_it_later(world: World) -> None:
    world.endpoint.status = 503
    with world.gateway() as gateway:
        for _ in range(20):
            gateway.request("GET", "/healthz")
        first = in_the_trail(gateway)
        eventually(lambda: first <= set(world.in_syslog), what="syslog has the first records")
        eventually(lambda: "answered 503" in str(gateway.readyz().json["degraded"]), what="it is told")
        assert gateway.stop() == 0
        gateway.start()
        for _ in range(20):
            gateway.request("GET", "/nowhere")
        world.endpoint.status = 200
        wanted = in_the_trail(gateway)
        world.have(wanted, within=10)
        assert gateway.stop() == 0
    # Nobody was killed, and nobody answered late: what is there is there once.
    for found in (world.in_file, world.in_syslog, world.posted):
        assert len(found) == len(set(found))
        for writer in {writer for writer, _ in found}:
            seqs = [seq for one, seq in found if one == writer]
            assert seqs == list(range(1, len(seqs) + 1))
    notes = list(notes_in(world.checkpoints.read_text().splitlines()))
    assert notes
    assert [body.decode() for body in world.far.bodies] == notes


@pytest.mark.slow
def test_a_gateway_that_was_killed_goes_on_where_it_was(world: World) -> None:
    with world.gateway() as gateway:
        for _ in range(3):
            for _ in range(30):
                gateway.request("GET", "/healthz")
            os.kill(gateway.pid, signal.SIGKILL)
            gateway.kill()
            gateway.start()
        # For half a minute the outlets belong to the process that was killed.
        world.have(in_the_trail(gateway), within=60)
        assert gateway.stop() == 0
